//! Proofs from tiles. What a proof needs is found by making it twice: once to learn which tiles, once with them.

use std::collections::BTreeSet;
use std::convert::Infallible;

use domain::BookId;
use domain::chain::Hash;
use domain::proof::{ConsistencyProof, InclusionProof, TileId, Tiles, prove_consistency, prove_inclusion};
use sqlx::PgConnection;

use super::{TreeError, store};

/// Proves that the events at these positions are in the tree of a size. Many at once are cheap when they lie together:
/// each tile is read and hashed once. Ask for at most some ten thousand at once.
pub async fn inclusions(
    db: &mut PgConnection,
    book_id: BookId,
    positions: &[i64],
    size: i64,
) -> Result<Vec<InclusionProof>, TreeError> {
    let outside = |position: &&i64| **position < 1 || **position > size;
    if let Some(position) = positions.iter().find(outside) {
        let reason = format!("position {position} is not among the first {size}");
        return Err(TreeError::Contradiction { book_id, size, reason });
    }
    let size = size.unsigned_abs();
    let indexes: Vec<u64> = positions.iter().map(|position| position.unsigned_abs() - 1).collect();
    let tiles = tiles_of(db, book_id, |node| {
        indexes.iter().try_for_each(|index| prove_inclusion(*index, size, node).map(|_| ()))
    })
    .await?;
    let node = &mut |level, index| tiles.node(level, index);
    indexes.iter().map(|index| prove_inclusion(*index, size, node).map_err(TreeError::Tile)).collect()
}

/// Proves that the tree of an older size is the beginning of that of a newer size.
pub async fn consistency(
    db: &mut PgConnection,
    book_id: BookId,
    old_size: i64,
    new_size: i64,
) -> Result<ConsistencyProof, TreeError> {
    if old_size < 1 || old_size > new_size {
        let reason = format!("a tree of {old_size} events is not the beginning of one of {new_size}");
        return Err(TreeError::Contradiction { book_id, size: new_size, reason });
    }
    let (old, new) = (old_size.unsigned_abs(), new_size.unsigned_abs());
    let tiles = tiles_of(db, book_id, |node| prove_consistency(old, new, node).map(|_| ())).await?;
    prove_consistency(old, new, &mut |level, index| tiles.node(level, index)).map_err(TreeError::Tile)
}

/// The hashes of complete subtrees: how many levels up, and which.
pub async fn subtrees(db: &mut PgConnection, book_id: BookId, wanted: &[(u32, u64)]) -> Result<Vec<Hash>, TreeError> {
    let tiles =
        tiles_of(db, book_id, |node| wanted.iter().try_for_each(|(level, index)| node(*level, *index).map(|_| ())))
            .await?;
    wanted.iter().map(|(level, index)| tiles.node(*level, *index).map_err(TreeError::Tile)).collect()
}

/// Reads the tiles that `walk` asks for.
pub(super) async fn tiles_of(
    db: &mut PgConnection,
    book_id: BookId,
    walk: impl FnOnce(&mut dyn FnMut(u32, u64) -> Result<Hash, Infallible>) -> Result<(), Infallible>,
) -> sqlx::Result<Tiles> {
    let mut wanted = BTreeSet::new();
    let walked = walk(&mut |level, index| {
        wanted.insert(TileId::of(level, index).0);
        Ok([0; 32])
    });
    walked.unwrap_or_else(|never| match never {});
    let wanted: Vec<TileId> = wanted.into_iter().collect();
    store::read_tiles(db, book_id, &wanted).await
}
