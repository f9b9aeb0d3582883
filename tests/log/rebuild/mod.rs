//! Rebuilds: what is loaded in bulk equals what was posted live, whatever the cuts, the crashes and the traffic.

mod cancel;
mod copy;
mod crash;
mod deploy;
mod equal;
mod quiet;
mod reader;
mod stand;
mod undo;

use commands::ids::new_id;
use commands::{Commands, MessageSend, SessionStart, Started};
use daybook_tests::Database;
use domain::session::Origin;
use domain::text::MessageText;
use domain::{BookId, Viewer};
use projections::Runner;
use projections::check::check;
use projections::rebuild::{Limits, Options, RebuildError, Rebuilder, Report};
use sqlx::{Executor, Row};
use tokio::sync::mpsc;

use crate::fixture::{Random, developer, in_time, record, superuser};

/// Room for every report of a test; nobody waits for a test to read them.
const REPORTS: usize = 100_000;

/// Cuts far smaller than the log, so that partitions lie across them.
const SMALL: Limits =
    Limits { range_positions: 7, range_bytes: 1, cut_positions: 20, cut_bytes: usize::MAX, shares: 3, books: 2 };

/// Every projection's name.
fn names() -> Vec<&'static str> {
    projections::all().iter().map(|projection| projection.name()).collect()
}

fn text(text: &str) -> MessageText {
    MessageText::parse("text", text).unwrap()
}

async fn start(commands: &Commands, viewer: &Viewer) -> Started {
    let (approval_policy, model) = (Default::default(), "scripted/test".to_owned());
    let input = SessionStart { text: text("go"), title: None, approval_policy, origin: Origin::Web, model };
    commands.session_start(viewer, new_id(), input).await.unwrap().answer
}

/// Some of everything: sessions, messages, runs that were stopped, records with calls, files and bills.
async fn fill(commands: &Commands, books: &[BookId], rounds: usize, random: &mut Random) {
    let mut open: Vec<(Viewer, Started)> = vec![];
    for round in 0..rounds {
        let viewer = developer(books[random.below(books.len())]);
        match random.below(4) {
            0 => {
                let file = u8::try_from(round % 256).unwrap();
                commands.import(&viewer, record(&viewer, file)).await.unwrap();
            }
            1 if !open.is_empty() => {
                let (viewer, started) = &open[random.below(open.len())];
                commands.run_cancel(viewer, new_id(), started.run_id, "enough").await.unwrap();
            }
            2 if !open.is_empty() => {
                let (viewer, started) = &open[random.below(open.len())];
                let (session_id, model) = (started.session_id, "scripted/test".to_owned());
                let input = MessageSend { session_id, text: text("and this"), model };
                commands.message_send(viewer, new_id(), input).await.unwrap();
            }
            _ => open.push((viewer.clone(), start(commands, &viewer).await)),
        }
    }
}

/// A rebuilder and what it reports.
fn rebuilder(runner: &Runner, limits: Limits) -> (Rebuilder, mpsc::Receiver<Report>) {
    let (reports, heard) = mpsc::channel(REPORTS);
    (Rebuilder::new(runner.clone(), reports).with_limits(limits), heard)
}

/// Rebuilds projections and switches to them, or fails.
async fn rebuild(rebuilder: &Rebuilder, names: &[&str]) {
    for (name, result) in in_time(rebuilder.rebuild(names, Options::default())).await.unwrap() {
        result.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// What serves is what the log says.
async fn assert_equal(database: &Database) {
    for one in in_time(check(&database.pool, |_| {})).await.unwrap() {
        assert!(one.equal, "{one:?}");
    }
}

/// The builds of a projection and their states, oldest first.
async fn builds(database: &Database, name: &str) -> Vec<(i32, i32, String)> {
    let sql = "SELECT build, version, state FROM builds WHERE projection = $1 ORDER BY build";
    let rows = sqlx::query(sql).bind(name).fetch_all(&mut superuser(database).await).await.unwrap();
    rows.iter().map(|row| (row.get("build"), row.get("version"), row.get("state"))).collect()
}

/// The schema of a projection's newest build.
async fn newest(database: &Database, name: &str) -> String {
    let sql = "SELECT schema_name FROM builds WHERE projection = $1 ORDER BY build DESC LIMIT 1";
    sqlx::query(sql).bind(name).fetch_one(&mut superuser(database).await).await.unwrap().get(0)
}

/// Leaves a build behind that follows the log: what serves was tampered with, so it is not switched to.
async fn leave_one_that_differs(database: &Database, rebuilder: &Rebuilder, name: &str, change: &str) {
    let tamper = format!("UPDATE {}.{name} SET {change}", newest(database, name).await);
    assert!(superuser(database).await.execute(tamper.as_str()).await.unwrap().rows_affected() > 0);
    let results = in_time(rebuilder.rebuild(&[name], Options::default())).await.unwrap();
    assert!(matches!(results[0].1, Err(RebuildError::Differs { .. })), "{results:?}");
    assert_eq!(builds(database, name).await.pop().unwrap().2, "following");
}
