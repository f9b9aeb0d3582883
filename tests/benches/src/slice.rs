//! One slice: a contestant alone on the machine for a short while, warmed up, in a closed loop of so many writers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::contestants::{Contestant, Shared};
use crate::meter::Meter;
use crate::round::Scenario;
use crate::server::{Database, Server};

/// A shorter slice says nothing.
pub const SHORTEST: Duration = Duration::from_millis(100);
/// Before the slice, so that statements are prepared and caches are filled.
const WARM_UP: Duration = Duration::from_millis(300);

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// What one slice showed.
#[derive(Debug, Clone, Copy)]
pub struct Slice {
    pub events_per_second: f64,
    pub p50: Duration,
    pub p99: Duration,
    /// Over the warm-up too, because connections report their syncs only when they end.
    pub events_per_sync: Option<f64>,
    /// Of this process, the connections' backends and the WAL writer.
    pub cpu_per_event: Option<Duration>,
}

/// What one writer saw.
#[derive(Default)]
struct Seen {
    /// Events since the start.
    all: usize,
    /// Events within the slice.
    measured: usize,
    /// One per append within the slice.
    latencies: Vec<Duration>,
}

/// Runs one slice.
pub async fn run(
    contestant: Contestant,
    scenario: Scenario,
    length: Duration,
    (server, database): (&mut Server, &Database),
) -> anyhow::Result<Slice> {
    server.wait_until_quiet().await?;
    let syncs_before = server.wal_syncs().await;
    let name = contestant.name();
    let shared = Arc::new(contestant.prepare(&database.connect, scenario.writers).await?);
    let phase = Arc::new(AtomicU8::new(WARMING));
    let ready = Arc::new(Barrier::new(scenario.writers + 1));
    let mut writers = JoinSet::new();
    for _ in 0..scenario.writers {
        writers.spawn(write(shared.clone(), scenario.events, ready.clone(), phase.clone()));
    }
    drop(shared);
    tokio::select! {
        _ = ready.wait() => {}
        error = ended(&mut writers) => return Err(error),
    }
    watch(&mut writers, WARM_UP).await?;
    let processes = server.processes().await?.into_iter().chain(server.wal_writer().await?).collect();
    let meter = Meter::new(processes);

    let begun = (Instant::now(), meter.as_ref().and_then(Meter::read));
    phase.store(MEASURING, Ordering::Relaxed);
    watch(&mut writers, length).await?;
    // Read before the writers are told: a connection that has ended is not metered any more.
    let (elapsed, cpu) = (begun.0.elapsed(), meter.as_ref().and_then(Meter::read));
    phase.store(OVER, Ordering::Relaxed);

    let mut seen = Seen::default();
    while let Some(one) = writers.join_next().await {
        let one = one??;
        seen.all += one.all;
        seen.measured += one.measured;
        seen.latencies.extend(one.latencies);
    }
    server.wait_until_quiet().await?;
    let syncs = server.wal_syncs().await.zip(syncs_before).map(|(after, before)| after - before);
    let cpu = cpu.zip(begun.1).map(|(after, before)| after.saturating_sub(before));
    summary(seen, elapsed, cpu, syncs).with_context(|| format!("{name} wrote nothing in {elapsed:?}"))
}

/// The loop of one writer. Everything is connected before anybody begins.
async fn write(shared: Arc<Shared>, events: usize, ready: Arc<Barrier>, phase: Arc<AtomicU8>) -> anyhow::Result<Seen> {
    let mut writer = shared.writer(events).await?;
    ready.wait().await;
    let mut seen = Seen::default();
    loop {
        let begun = Instant::now();
        let written = writer.append().await?;
        seen.all += written;
        match phase.load(Ordering::Relaxed) {
            WARMING => {}
            MEASURING => {
                seen.measured += written;
                seen.latencies.push(begun.elapsed());
            }
            _ => return Ok(seen),
        }
    }
}

/// Lets time pass, unless a writer fails.
async fn watch(writers: &mut JoinSet<anyhow::Result<Seen>>, length: Duration) -> anyhow::Result<()> {
    match tokio::time::timeout(length, ended(writers)).await {
        Ok(error) => Err(error),
        Err(_) => Ok(()),
    }
}

/// Why a writer ended before its time.
async fn ended(writers: &mut JoinSet<anyhow::Result<Seen>>) -> anyhow::Error {
    let end = async {
        match writers.join_next().await {
            Some(one) => drop(one??),
            None => bail!("there are no writers"),
        }
        bail!("a writer ended before its time")
    };
    let end: anyhow::Result<()> = end.await;
    end.err().unwrap_or_else(|| anyhow::anyhow!("a writer ended before its time"))
}

fn summary(mut seen: Seen, elapsed: Duration, cpu: Option<Duration>, syncs: Option<i64>) -> Option<Slice> {
    seen.latencies.sort_unstable();
    let rank = |share: f64| rank(&seen.latencies, share);
    let measured = u32::try_from(seen.measured).ok()?;
    Some(Slice {
        events_per_second: f64::from(measured) / elapsed.as_secs_f64(),
        p50: rank(0.5)?,
        p99: rank(0.99)?,
        events_per_sync: syncs.filter(|&syncs| syncs > 0).map(|syncs| seen.all as f64 / syncs as f64),
        cpu_per_event: cpu.map(|cpu| cpu / measured),
    })
}

/// The duration below which this share of sorted ones lies.
pub fn rank(sorted: &[Duration], share: f64) -> Option<Duration> {
    let index = (sorted.len() as f64 * share) as usize;
    sorted.get(index).or(sorted.last()).copied()
}
