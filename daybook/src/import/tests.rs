//! The importer as sentences: the recorded files, an example of our own, and files that are damaged or foreign.

mod damaged;
mod recorded;
mod shapes;

use std::path::PathBuf;

use super::error::{ImportError, MAX_STEPS};
use super::swe_agent::parse;
use super::trajectory::{ChangeKind, FileEdit, Outcome, Step, ToolUse, Totals};
use super::*;

/// The example that comes with Daybook.
const EXAMPLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/off-by-one.traj"));

/// A recorded file, where the checkout lies beside the folder that holds them; elsewhere the test says that it skips.
fn recorded_file(name: &str) -> Option<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/trajectories");
    let read = std::fs::read(folder.join(name)).ok();
    if read.is_none() {
        println!("skipped: {name} is not in {}", folder.display());
    }
    read
}

/// A change in short: step from 0, path, kind, lines added, lines removed, whether it has a patch.
type Short<'a> = (Option<usize>, &'a str, ChangeKind, u32, u32, bool);

fn short(read: &Trajectory) -> Vec<Short<'_>> {
    let short = read.changes.iter().map(|FileEdit { step_index, path, kind, lines_added, lines_removed, patch }| {
        (*step_index, path.as_str(), *kind, *lines_added, *lines_removed, patch.is_some())
    });
    short.collect()
}

fn call(read: &Trajectory, index: usize) -> &ToolUse {
    read.steps[index].call.as_ref().unwrap()
}

fn observation(read: &Trajectory, index: usize) -> &str {
    call(read, index).observation.as_deref().unwrap()
}
