//! One command from start to end: feeds it, reads it, and kills the tree at the first limit it passes. It
//! never waits longer than the wall time plus a short grace, and never keeps more output than the limit.

use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::ChildStdin;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::spawn::{Launched, launch, limits_inside, step_failure};
use super::watch::Watch;
use super::{End, EngineError, Exec, Finished, ProcessEngine, Spec, Stream, workspace};
use crate::Sink;

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// How long to go on reading after the tree was killed or has ended.
const GRACE: Duration = Duration::from_secs(5);
/// Bytes read of bubblewrap's own report.
const STATUS_BYTES: usize = 4096;
/// Exit codes above this, up to 64 more, are signals, as in a shell.
const SIGNAL_BASE: i32 = 128;
/// Exit code of the step inside when the command is not there.
const STEP_FAILED: i32 = 127;

pub(super) async fn run(
    engine: &ProcessEngine,
    spec: &Spec,
    exec: Exec,
    sink: Sink<'_>,
    cancel: &CancellationToken,
) -> Result<Finished, EngineError> {
    let started = Instant::now();
    check(engine, spec, &exec)?;
    let mut launched = launch(engine, spec, &exec).await?;
    let wall = if exec.timeout.is_zero() { spec.limits.wall } else { exec.timeout.min(spec.limits.wall) };
    let watch = Watch {
        root: launched.kept.0.id().unwrap_or_default(),
        memory: (!engine.effective_cgroups().has_memory()).then_some(spec.limits.memory),
        workspace: spec.workspace.clone(),
        disk: spec.limits.disk,
    };
    let mut output = Output::new(spec.limits.output, sink);
    let stop = drive(&mut launched, exec.stdin, &mut output, watch, started + wall, cancel).await?;
    let finished = conclude(&launched, stop, output, started)?;
    if finished.exit_code == Some(STEP_FAILED) && limits_inside(engine) {
        let said = String::from_utf8_lossy(&finished.stderr);
        if let Some(message) = step_failure(&said) {
            return Err(EngineError::Launch(message.to_owned()));
        }
    }
    Ok(finished)
}

fn check(engine: &ProcessEngine, spec: &Spec, exec: &Exec) -> Result<(), EngineError> {
    let sound = exec.argv.first().is_some_and(|program| !program.is_empty())
        && !exec.argv.iter().any(|argument| argument.contains('\0'));
    if !sound {
        return Err(EngineError::BadCommand);
    }
    let uid = if engine.root { Some(spec.uid.ok_or(EngineError::UidMissing)?) } else { None };
    if let Some(uid) = uid {
        workspace::check_uid(uid)?;
    }
    workspace::check_reachable(&spec.workspace, uid)
}

/// Reads until both streams have ended and bubblewrap is gone. Returns why the tree was killed, if it was.
#[expect(clippy::too_many_arguments, reason = "each is a thing of its own, and there is one caller")]
async fn drive(
    launched: &mut Launched,
    stdin: Option<Vec<u8>>,
    output: &mut Output<'_>,
    watch: Watch,
    deadline: Instant,
    cancel: &CancellationToken,
) -> Result<Option<End>, EngineError> {
    let kept = &mut launched.kept;
    let feed = feed(kept.0.stdin.take(), stdin.unwrap_or_default());
    let watch = watch.until_passed();
    tokio::pin!(feed, watch);
    let (mut out, mut err) = (kept.0.stdout.take(), kept.0.stderr.take());
    let (mut out_chunk, mut err_chunk) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    let (mut fed, mut ended, mut stop, mut grace) = (false, false, None, None::<Instant>);
    while !ended || out.is_some() || err.is_some() {
        let running = stop.is_none() && !ended;
        let reason = tokio::select! {
            () = cancel.cancelled(), if running => Some(End::Cancelled),
            () = sleep_until(deadline), if running => Some(End::TimedOut),
            end = &mut watch, if running => Some(end),
            read = read(&mut out, &mut out_chunk), if out.is_some() => {
                if read == 0 { out = None }
                output.take(Stream::Stdout, &out_chunk[..read])
            }
            read = read(&mut err, &mut err_chunk), if err.is_some() => {
                if read == 0 { err = None }
                output.take(Stream::Stderr, &err_chunk[..read])
            }
            () = &mut feed, if !fed => { fed = true; None }
            status = kept.0.wait(), if !ended => {
                status?;
                ended = true;
                grace = Some(Instant::now() + GRACE);
                None
            }
            () = sleep_until(grace.unwrap_or(deadline)), if grace.is_some() => break,
        };
        if let Some(reason) = reason
            && stop.is_none()
        {
            stop = Some(reason);
            grace = Some(Instant::now() + GRACE);
            kept.end();
        }
        if stop == Some(End::OutputLimit) {
            (out, err) = (None, None);
        }
    }
    Ok(stop)
}

async fn feed(stdin: Option<ChildStdin>, bytes: Vec<u8>) {
    if let Some(mut stdin) = stdin {
        // A command may end without reading its input; that is its own business.
        let _ = stdin.write_all(&bytes).await;
    }
}

/// Bytes read; 0 at the end of the stream, and for an error, after which nothing can be read either.
async fn read<R: AsyncRead + Unpin>(stream: &mut Option<R>, chunk: &mut [u8]) -> usize {
    match stream {
        Some(stream) => stream.read(chunk).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

fn conclude(
    launched: &Launched,
    stop: Option<End>,
    output: Output<'_>,
    started: Instant,
) -> Result<Finished, EngineError> {
    let kills = launched.group.as_ref().map_or(0, super::cgroup::Group::out_of_memory_kills);
    let code = reported_code(&launched.status);
    let (end, exit_code) = match (stop, code) {
        (Some(end), _) => (end, None),
        (None, Some(code)) if code != 0 && kills > 0 => (End::OutOfMemory, Some(code)),
        (None, Some(code)) => (End::Exited, Some(code)),
        (None, None) if kills > 0 => (End::OutOfMemory, None),
        (None, None) => return Err(EngineError::Launch(launch_message(&output.stderr))),
    };
    let signal = match exit_code {
        Some(code) => (SIGNAL_BASE + 1..=SIGNAL_BASE + 64).contains(&code).then_some(code - SIGNAL_BASE),
        None => Some(libc::SIGKILL),
    };
    Ok(Finished {
        exit_code,
        signal,
        end,
        duration: started.elapsed(),
        stdout: output.stdout,
        stderr: output.stderr,
        output_bytes: output.seen,
        truncated: output.truncated,
    })
}

/// The exit code from bubblewrap's report, which has one only when the command really began.
fn reported_code(status: &OwnedFd) -> Option<i32> {
    let mut bytes = [0; STATUS_BYTES];
    let mut filled = 0;
    while filled < bytes.len() {
        match rustix::io::read(status, &mut bytes[filled..]) {
            Ok(0) | Err(_) => break,
            Ok(read) => filled += read,
        }
    }
    let text = String::from_utf8_lossy(&bytes[..filled]);
    text.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|line| line.get("exit-code")?.as_i64())
        .and_then(|code| i32::try_from(code).ok())
}

fn launch_message(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let own = text.lines().rev().find_map(|line| line.strip_prefix("bwrap: "));
    own.unwrap_or("bubblewrap ended without saying why; it may have been killed from outside").to_owned()
}

struct Output<'a> {
    limit: u64,
    sink: Sink<'a>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    seen: u64,
    truncated: bool,
}

impl<'a> Output<'a> {
    fn new(limit: u64, sink: Sink<'a>) -> Self {
        Self { limit, sink, stdout: vec![], stderr: vec![], seen: 0, truncated: false }
    }

    /// Keeps and passes on what fits; says so when something did not.
    fn take(&mut self, stream: Stream, chunk: &[u8]) -> Option<End> {
        let kept = (self.stdout.len() + self.stderr.len()) as u64;
        let room = usize::try_from(self.limit.saturating_sub(kept)).unwrap_or(usize::MAX);
        let fits = &chunk[..chunk.len().min(room)];
        self.seen += chunk.len() as u64;
        if !fits.is_empty() {
            match stream {
                Stream::Stdout => self.stdout.extend_from_slice(fits),
                Stream::Stderr => self.stderr.extend_from_slice(fits),
            }
            (self.sink)(stream, fits.to_vec());
        }
        if fits.len() == chunk.len() {
            return None;
        }
        self.truncated = true;
        Some(End::OutputLimit)
    }
}
