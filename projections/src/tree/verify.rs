//! Compares the log with its tree while the log is verified: tiles, signed checkpoints, and checkpoints that were kept
//! elsewhere. So a tail that was cut off and a log that was written anew, chain and tiles included, are found.

use domain::BookId;
use domain::chain::Hash;
use domain::proof::{
    Checkpoint, CheckpointError, Edge, FinishedTile, NoteError, TILE_HEIGHT, TILE_WIDTH, Tile, TileId, VerifierKey,
    origin,
};
use sqlx::PgConnection;

use super::store::{self, Reach};

/// How many signed checkpoints are read at once.
const PAGE: i64 = 1_000;
/// How many damaged checkpoints are named; the others are counted.
const NAMED: usize = 20;

/// What whoever verifies a book knows from elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// The public keys that are trusted, under the book's name.
    pub keys: Vec<VerifierKey>,
    /// Checkpoints of the book that were kept elsewhere: what to call each, and its note.
    pub checkpoints: Vec<(String, String)>,
}

/// What is known of a book's checkpoints after a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Protection {
    /// Events up to this position are covered by a checkpoint that holds and that a trusted key signed; 0 for none.
    pub protected: i64,
    /// How many checkpoints hold and are signed by a trusted key.
    pub checkpoints: usize,
    /// How many checkpoints hold but are signed by keys that nobody vouches for.
    pub foreign: usize,
    /// Checkpoints that are not what they claim to be.
    pub faults: Vec<String>,
}

/// A position that does not hold, and why.
pub(crate) type Fault = (i64, String);

/// What a checkpoint says.
struct Claim {
    size: i64,
    root: Hash,
    name: String,
    trusted: bool,
}

/// A comparison that is under way.
pub(crate) struct Check {
    book_id: BookId,
    reach: Reach,
    /// The smallest last: claims are taken from the end.
    claims: Vec<Claim>,
    edge: Edge,
    finished: Vec<FinishedTile>,
    /// The size of the last checkpoint that held, and the first one that did not.
    held: i64,
    differs: Option<Fault>,
    pub protection: Protection,
}

impl Check {
    /// Reads what there is to compare with. Afterwards the caller reads the head: the log only grows.
    pub async fn open(db: &mut PgConnection, book_id: BookId, expected: &Expected) -> sqlx::Result<Self> {
        let mut check = Self {
            book_id,
            reach: store::reach(db, book_id).await?,
            claims: vec![],
            edge: Edge::default(),
            finished: vec![],
            held: 0,
            differs: None,
            protection: Protection::default(),
        };
        let mut below = i64::MAX;
        loop {
            let page = store::checkpoints(db, book_id, below, PAGE).await?;
            let Some(last) = page.last() else { break };
            below = last.size;
            for stored in &page {
                let name = format!("the checkpoint signed {}", stored.signed_at.format("%Y-%m-%d %H:%M:%S UTC"));
                match claim(name, &stored.note, expected, book_id) {
                    Ok(claim) if (claim.size, claim.root) == (stored.size, stored.root) => check.claims.push(claim),
                    Ok(claim) => check.fault(format!("{} does not say what its row says", claim.name)),
                    Err(fault) => check.fault(fault),
                }
            }
        }
        for (name, note) in &expected.checkpoints {
            match claim(name.clone(), note, expected, book_id) {
                Ok(claim) if claim.trusted => check.claims.push(claim),
                Ok(claim) => check.fault(format!("{} is not signed with a key that is trusted here", claim.name)),
                Err(fault) => check.fault(fault),
            }
        }
        check.claims.sort_by_key(|claim| std::cmp::Reverse(claim.size));
        Ok(check)
    }

    fn fault(&mut self, fault: String) {
        let faults = &mut self.protection.faults;
        match faults.len() {
            0..NAMED => faults.push(fault),
            _ => faults[NAMED - 1] = "and more".into(),
        }
    }

    /// Takes the next event: its leaf, and its hash in the chain.
    pub fn take(&mut self, leaf: Hash, chained: &Hash) {
        self.edge.push(leaf, &mut self.finished);
        let size = i64::try_from(self.edge.size()).expect("a position");
        if size == self.reach.size && *chained != self.reach.hash {
            self.differ((size, "the tree was made of another event".into()));
        }
        while let Some(claim) = self.claims.pop_if(|claim| claim.size <= size) {
            if claim.size < size || claim.root != self.edge.root() {
                let reason =
                    format!("events from here to {} are not those that {} was signed for", claim.size, claim.name);
                self.differ((self.held + 1, reason));
                continue;
            }
            self.held = size;
            if claim.trusted {
                self.protection.checkpoints += 1;
                self.protection.protected = if self.differs.is_none() { size } else { self.protection.protected };
            } else {
                self.protection.foreign += 1;
            }
        }
    }

    fn differ(&mut self, fault: Fault) {
        self.differs.get_or_insert(fault);
    }

    /// Compares the tiles that became whole since the last time. A tile names the position; a root only the range.
    pub async fn compare(&mut self, db: &mut PgConnection) -> sqlx::Result<Result<(), Fault>> {
        let finished = std::mem::take(&mut self.finished);
        let tiles: Vec<_> = finished.iter().map(|tile| (tile.id, tile.hashes.as_slice())).collect();
        self.compare_tiles(db, &tiles).await
    }

    /// Compares what is left when the last event has been taken.
    pub async fn finish(&mut self, db: &mut PgConnection) -> sqlx::Result<Result<(), Fault>> {
        let edge = self.edge.clone();
        let open: Vec<_> = edge.open().collect();
        if let Err(fault) = self.compare_tiles(db, &open).await? {
            return Ok(Err(fault));
        }
        let head = i64::try_from(edge.size()).expect("a position");
        let cut = |what: &str, size: i64| (head + 1, format!("the log was cut off: {what} covers {size} events"));
        Ok(match self.claims.first() {
            Some(claim) => Err(cut(&claim.name, claim.size)),
            None if self.reach.size > head => Err(cut("its tree", self.reach.size)),
            None => Ok(()),
        })
    }

    async fn compare_tiles(
        &mut self,
        db: &mut PgConnection,
        tiles: &[(TileId, &[Hash])],
    ) -> sqlx::Result<Result<(), Fault>> {
        let ids: Vec<_> = tiles.iter().map(|(id, _)| *id).collect();
        let stored = store::read_tiles(db, self.book_id, &ids).await?;
        let faults = tiles.iter().filter_map(|(id, hashes)| {
            let there = stored.0.get(id).map_or(&[][..], Tile::hashes);
            let same = there.iter().zip(*hashes).take_while(|(there, here)| there == here).count();
            // The tree may be behind the log, and may have grown since.
            let covered = (self.reach.size.unsigned_abs() >> (TILE_HEIGHT * id.level))
                .saturating_sub(id.index * TILE_WIDTH as u64)
                .min(hashes.len() as u64);
            let differs = same < there.len().min(hashes.len());
            if !differs && same as u64 >= covered {
                return None;
            }
            let first = (id.index * TILE_WIDTH as u64 + same as u64) << (TILE_HEIGHT * id.level);
            let reason = match (differs, id.level) {
                (true, 0) => "the event is not the one that the tree was made of",
                (true, _) => "the tree does not fit together here",
                (false, _) => "the tree has a hole here",
            };
            Some((i64::try_from(first).expect("a position") + 1, reason.to_owned()))
        });
        let first = faults.min_by_key(|(position, _)| *position);
        Ok(first.or_else(|| self.differs.take()).map_or(Ok(()), Err))
    }
}

/// What a note says, if it is of this book and not forged.
fn claim(name: String, note: &str, expected: &Expected, book_id: BookId) -> Result<Claim, String> {
    let opened = expected.keys.iter().map(|key| Checkpoint::open(note, key));
    let mut trusted = None;
    for opened in opened {
        match opened {
            Ok(checkpoint) => trusted = Some(checkpoint),
            Err(CheckpointError::Note(NoteError::Unsigned)) => {}
            Err(error) => return Err(format!("{name} is not what it claims to be: {error}")),
        }
    }
    let (checkpoint, trusted) = match trusted {
        Some(checkpoint) => (checkpoint, true),
        None => (Checkpoint::unverified(note).map_err(|error| format!("{name} is damaged: {error}"))?, false),
    };
    if checkpoint.origin != origin(book_id) {
        return Err(format!("{name} is of another book: {}", checkpoint.origin));
    }
    let size = i64::try_from(checkpoint.size).map_err(|_| format!("{name} covers more events than a log can have"))?;
    Ok(Claim { size, root: checkpoint.root, name, trusted })
}
