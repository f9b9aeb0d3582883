//! Snapshots: folded states of long streams, so that a load need not begin at the first event.
//!
//! A snapshot is a cache and never the truth. Its digest binds it to the code that folded it, to the hash of the event
//! that it was folded to (and by the chain to everything before) and to its own bytes; what does not fit is as if it
//! were not there. It is written in the background, never within an append, and losing one is harmless.

use std::sync::Arc;

use domain::aggregate::FINGERPRINT;
use domain::{Aggregate, BookId};
use sha2::{Digest, Sha256};
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{PgConnection, Row};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// How many events a stream grows by before it is written down again.
pub const EVERY: i64 = 100;
/// How many states wait to be written; what comes when it is full is not written this time.
const QUEUE: usize = 64;

/// Takes states to be written down. Cheap to clone.
#[derive(Clone)]
pub struct Snapshots {
    wanted: mpsc::Sender<Wanted>,
}

enum Wanted {
    Write(Place, Arc<dyn State>),
    Settle(oneshot::Sender<()>),
}

/// Where a state was folded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The book.
    pub book_id: BookId,
    /// The stream.
    pub stream_id: Uuid,
    /// The sequence of the last event that was folded.
    pub sequence: i64,
}

/// A state of any kind, as the writer needs it.
trait State: Send + Sync {
    fn bytes(&self) -> serde_json::Result<Vec<u8>>;
}

impl<A: Aggregate> State for A {
    fn bytes(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }
}

impl Snapshots {
    /// Starts the one task that writes.
    pub fn start(pool: PgPool) -> Self {
        let (wanted, queue) = mpsc::channel(QUEUE);
        tokio::spawn(write_all(pool, queue));
        Self { wanted }
    }

    /// Has a state written down in the background; answers whether it will be tried.
    pub(crate) fn want<A: Aggregate>(&self, place: Place, state: Arc<A>) -> bool {
        self.wanted.try_send(Wanted::Write(place, state)).is_ok()
    }

    /// Waits until all that was asked for before is written, or was given up.
    pub async fn settled(&self) {
        let (done, settled) = oneshot::channel();
        if self.wanted.send(Wanted::Settle(done)).await.is_ok() {
            let _ = settled.await;
        }
    }
}

async fn write_all(pool: PgPool, mut queue: mpsc::Receiver<Wanted>) {
    while let Some(wanted) = queue.recv().await {
        match wanted {
            Wanted::Write(place, state) => {
                let written = match state.bytes() {
                    Ok(bytes) => write(&pool, place, &bytes).await.map_err(|error| error.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                if let Err(error) = written {
                    tracing::warn!(%error, stream_id = %place.stream_id, "a snapshot was not written");
                }
            }
            // Whoever waited may have gone.
            Wanted::Settle(done) => drop(done.send(())),
        }
    }
}

/// Writes a state down in place of an older one, unless the events that it was folded from have been erased.
pub async fn write(pool: &PgPool, place: Place, state: &[u8]) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    lock(&mut tx, place.book_id).await?;
    sqlx::query(
        "INSERT INTO snapshots (book_id, stream_id, sequence, fingerprint, state, digest) \
         SELECT book_id, stream_id, sequence, $4, $5, sha256(convert_to($4, 'UTF8') || hash || $5) FROM events \
         WHERE book_id = $1 AND stream_id = $2 AND sequence = $3 AND payload IS NOT NULL \
         ON CONFLICT (book_id, stream_id) DO UPDATE SET sequence = EXCLUDED.sequence, \
           fingerprint = EXCLUDED.fingerprint, state = EXCLUDED.state, digest = EXCLUDED.digest \
         WHERE snapshots.fingerprint <> EXCLUDED.fingerprint OR snapshots.sequence < EXCLUDED.sequence",
    )
    .bind(place.book_id.uuid())
    .bind(place.stream_id)
    .bind(place.sequence)
    .bind(FINGERPRINT)
    .bind(state)
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

/// Keeps writers of snapshots and erasure apart, so that nothing is written down from events that are being erased. The
/// lock goes with the transaction.
async fn lock(db: &mut PgConnection, book_id: BookId) -> sqlx::Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock_shared(snapshot_lock($1))")
        .bind(book_id.uuid())
        .execute(db)
        .await
        .map(|_| ())
}

/// The state in a row of `state`, `digest` and the `hash` of its event, if the row is what `write` wrote.
pub(crate) fn read<A: Aggregate>(row: &PgRow) -> Option<A> {
    let (state, digest, hash): (&[u8], &[u8], &[u8]) =
        (row.try_get("state").ok()?, row.try_get("digest").ok()?, row.try_get("hash").ok()?);
    let expected = Sha256::new().chain_update(FINGERPRINT).chain_update(hash).chain_update(state).finalize();
    if expected[..] != *digest {
        return None;
    }
    serde_json::from_slice(state).ok()
}
