//! `/metrics`: what an operator watches, in Prometheus' text format. Written by hand: every figure is read from the
//! database when it is asked for, and a library's registry would only hold copies.
//!
//! Books are told by kind and never by id, so that nothing here says which organisations there are. It is answered to
//! this machine itself, unless a proxy asks for somebody else, and to signed-in administrators.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;

use access::Access;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use commands::Commands;
use domain::{BookId, Role};
use projections::status::{self, Condition, Status};
use sqlx::postgres::PgPool;

/// What a proxy adds to a request that it passes on.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where the figures come from.
#[derive(Clone)]
pub struct Metrics {
    /// Sees every book.
    pub pool: PgPool,
    /// The write side.
    pub commands: Commands,
    /// Who is asking.
    pub access: Access,
}

/// Answers a scrape.
pub async fn answer(
    State(metrics): State<Metrics>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let local = peer.ip().to_canonical().is_loopback() && !FORWARDED.iter().any(|name| headers.contains_key(*name));
    let admin = async || metrics.access.viewer(&headers).await.ok().flatten().is_some_and(|v| v.role == Role::Admin);
    if !local && !admin().await {
        return (StatusCode::FORBIDDEN, "metrics are for this machine and for administrators\n").into_response();
    }
    match metrics.text().await {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be read");
            (StatusCode::SERVICE_UNAVAILABLE, "the database cannot be reached\n").into_response()
        }
    }
}

impl Metrics {
    async fn text(&self) -> sqlx::Result<String> {
        let mut db = self.pool.acquire().await?;
        let all = status::list(&mut db).await?;
        drop(db);
        let mut page = Page::default();
        page.family("daybook_log_appends_total", "counter", "Appends by this process since it began.");
        page.sample("", self.commands.log().appends());
        let heads: BTreeMap<BookId, i64> = all.iter().map(|one| (one.book_id, one.head)).collect();
        page.family("daybook_log_events_total", "counter", "Events in the log.");
        for (kind, sum) in by_kind(heads.iter().map(|(book, head)| (self.kind(*book), *head)), |a, b| a + b) {
            page.sample(&format!("book=\"{kind}\""), sum);
        }
        page.family("daybook_log_head_position", "gauge", "The newest position of the longest book.");
        for (kind, head) in by_kind(heads.iter().map(|(book, head)| (self.kind(*book), *head)), i64::max) {
            page.sample(&format!("book=\"{kind}\""), head);
        }
        self.projections(&mut page, &all);
        page.family("daybook_builds", "gauge", "Builds of read models by what becomes of them.");
        let builds: BTreeMap<_, _> = all.iter().map(|one| (&one.build, (&one.projection, &one.state))).collect();
        for ((projection, state), count) in by_kind(builds.into_values().map(|build| (build, 1)), |a, b| a + b) {
            page.sample(&format!("projection=\"{projection}\",state=\"{state}\""), count);
        }
        Ok(page.text)
    }

    /// What is told of each projection that serves, over all books of a kind: the worst of them, or their sum.
    fn projections(&self, page: &mut Page, all: &[Status]) {
        type Figure = (&'static str, &'static str, fn(&Status) -> f64, fn(f64, f64) -> f64);
        let figures: [Figure; 6] = [
            ("daybook_projection_lag_events", "Events not taken in yet.", |one| one.lag_events() as f64, f64::max),
            ("daybook_projection_lag_seconds", "Age of the first of them.", |one| one.lag_seconds, f64::max),
            ("daybook_projection_events_per_second", "Over about a minute.", |one| one.rate, |a, b| a + b),
            ("daybook_projection_failing", "Books in which it fails.", failing, |a, b| a + b),
            ("daybook_projection_stopped", "Books in which it stopped at an event.", stopped, |a, b| a + b),
            ("daybook_quarantine_partitions", "What waits in quarantine.", |one| one.quarantined as f64, |a, b| a + b),
        ];
        for (name, help, figure, combine) in figures {
            page.family(name, "gauge", help);
            let serving = all.iter().filter(|one| one.state == "serving");
            let samples = serving.map(|one| ((one.projection.as_str(), self.kind(one.book_id)), figure(one)));
            for ((projection, kind), value) in by_kind(samples, combine) {
                page.sample(&format!("projection=\"{projection}\",book=\"{kind}\""), value);
            }
        }
    }

    fn kind(&self, book_id: BookId) -> &'static str {
        let installation = self.commands.installation();
        match book_id {
            id if id == installation.system_book => "system",
            id if id == installation.home_book => "home",
            _ => "other",
        }
    }
}

fn failing(one: &Status) -> f64 {
    if one.condition == Condition::Failing { 1.0 } else { 0.0 }
}

fn stopped(one: &Status) -> f64 {
    if one.condition == Condition::Stopped { 1.0 } else { 0.0 }
}

fn by_kind<K: Ord, V>(samples: impl Iterator<Item = (K, V)>, combine: fn(V, V) -> V) -> BTreeMap<K, V> {
    samples.fold(BTreeMap::new(), |mut all, (key, value)| {
        let value = match all.remove(&key) {
            Some(before) => combine(before, value),
            None => value,
        };
        all.insert(key, value);
        all
    })
}

/// The text of an answer.
#[derive(Default)]
struct Page {
    text: String,
    /// The name of the newest family.
    name: &'static str,
}

impl Page {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a string can be written to");
    }

    /// A sample of the newest family. Labels hold names of ours only, which need no escapes.
    fn sample(&mut self, labels: &str, value: impl std::fmt::Display) {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        writeln!(self.text, "{}{labels} {value}", self.name).expect("a string can be written to");
    }
}
