//! What the disk allows: one thread that overwrites 8 KiB and syncs, again and again, as a write-ahead log does.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

const BLOCK: [u8; 8 * 1024] = [0x5a; 8 * 1024];
/// As many as a segment of PostgreSQL's write-ahead log holds.
const BLOCKS: u64 = 2_048;

/// Syncs per second of one thread, in a file of its own in `folder`. The thread ends with the measurement: one that
/// lingers in a pool would end in the middle of somebody's slice and take its processor time out of the sum.
pub async fn syncs_per_second(folder: &Path, length: Duration) -> anyhow::Result<f64> {
    let (answer, answered) = tokio::sync::oneshot::channel();
    let folder = folder.to_owned();
    let thread = std::thread::spawn(move || {
        // Whoever asked has gone only when the whole run was interrupted.
        let _ = answer.send(measure(&folder, length));
    });
    let measured = answered.await?;
    thread.join().map_err(|_| anyhow::anyhow!("the thread that measured the disk failed"))?;
    Ok(measured?)
}

fn measure(folder: &Path, length: Duration) -> std::io::Result<f64> {
    let path = folder.join(format!("daybook-bench-{}-disk", std::process::id()));
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
    let measured = overwrite(&file, length);
    std::fs::remove_file(&path)?;
    measured
}

fn overwrite(file: &File, length: Duration) -> std::io::Result<f64> {
    // Written in full first, so that no sync has to record a new size.
    for block in 0..BLOCKS {
        file.write_all_at(&BLOCK, offset(block))?;
    }
    file.sync_all()?;
    let begun = Instant::now();
    let mut syncs = 0_u32;
    while begun.elapsed() < length {
        file.write_all_at(&BLOCK, offset(u64::from(syncs)))?;
        file.sync_data()?;
        syncs += 1;
    }
    Ok(f64::from(syncs) / begun.elapsed().as_secs_f64())
}

fn offset(block: u64) -> u64 {
    block % BLOCKS * BLOCK.len() as u64
}
