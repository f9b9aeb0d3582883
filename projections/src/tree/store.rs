//! What is kept of a tree: its size, its tiles, its signed checkpoints.

use domain::chain::{GENESIS, Hash};
use domain::proof::{Edge, FinishedTile, Leaf, TILE_HEIGHT, TILE_WIDTH, Tile, TileId, Tiles};
use domain::{BookId, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::TreeError;
use crate::erasure;
use crate::header::{self, hash_in};

const HASH_BYTES: usize = 32;

/// How far a tree has come: how many events it has, and the chain's hash of the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reach {
    pub size: i64,
    pub hash: Hash,
}

/// A checkpoint that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// How many events it covers.
    pub size: i64,
    /// The root of their tree.
    pub root: Hash,
    /// The signed note.
    pub note: String,
    /// When, by the database's clock.
    pub signed_at: Timestamp,
}

/// Waits for the tree of a book, or asks whether it is free. It stays taken to the end of the transaction.
pub(super) async fn take(db: &mut PgConnection, book_id: BookId, wait: bool) -> sqlx::Result<bool> {
    let sql = if wait {
        "SELECT true AS taken FROM pg_advisory_xact_lock(hashtextextended('tree ' || $1::text, 0))"
    } else {
        "SELECT pg_try_advisory_xact_lock(hashtextextended('tree ' || $1::text, 0)) AS taken"
    };
    Ok(sqlx::query(sql).bind(book_id.uuid()).fetch_one(db).await?.get("taken"))
}

/// How far the tree of a book has come.
pub(crate) async fn reach(db: &mut PgConnection, book_id: BookId) -> sqlx::Result<Reach> {
    let row = sqlx::query("SELECT size, hash FROM trees WHERE book_id = $1").bind(book_id.uuid());
    match row.fetch_optional(db).await? {
        Some(row) => Ok(Reach { size: row.try_get("size")?, hash: hash_in(&row, "hash")? }),
        None => Ok(Reach { size: 0, hash: GENESIS }),
    }
}

/// Moves a tree from where it was; false where it was not there.
pub(super) async fn move_on(db: &mut PgConnection, book_id: BookId, from: i64, to: Reach) -> sqlx::Result<bool> {
    let moved = sqlx::query(
        "INSERT INTO trees (book_id, size, hash) VALUES ($1, $3, $4) \
         ON CONFLICT (book_id) DO UPDATE SET size = $3, hash = $4 WHERE trees.size = $2",
    )
    .bind(book_id.uuid())
    .bind(from)
    .bind(to.size)
    .bind(&to.hash[..])
    .execute(db)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// The right edge of a tree of this size, as its tiles have it.
pub(super) async fn edge(db: &mut PgConnection, book_id: BookId, size: i64) -> Result<Edge, TreeError> {
    let size = size.unsigned_abs();
    let levels = (0..).take_while(|level| size >> (TILE_HEIGHT * level) > 0);
    let open: Vec<(TileId, usize)> = levels
        .map(|level| {
            let hashes = size >> (TILE_HEIGHT * level);
            (TileId { level, index: hashes >> TILE_HEIGHT }, (hashes % TILE_WIDTH as u64) as usize)
        })
        .collect();
    let wanted: Vec<TileId> = open.iter().filter(|(_, width)| *width > 0).map(|(id, _)| *id).collect();
    let tiles = read_tiles(db, book_id, &wanted).await?;
    let hashes = open.iter().map(|(id, width)| {
        let hashes = tiles.0.get(id).map_or(&[][..], Tile::hashes);
        if hashes.len() == *width { Ok(hashes.to_vec()) } else { Err(TreeError::Tile(*id)) }
    });
    let hashes = hashes.collect::<Result<_, _>>()?;
    Ok(Edge::new(size, hashes).expect("every open tile has the width that belongs to the size"))
}

/// The tiles that are there among those that are wanted.
pub(crate) async fn read_tiles(db: &mut PgConnection, book_id: BookId, wanted: &[TileId]) -> sqlx::Result<Tiles> {
    let (levels, indexes) = columns(wanted.iter().copied());
    let rows = sqlx::query(
        "SELECT t.level, t.index, t.hashes FROM unnest($2::smallint[], $3::bigint[]) AS w (level, index) \
         JOIN tiles t ON t.book_id = $1 AND t.level = w.level AND t.index = w.index",
    )
    .bind(book_id.uuid())
    .bind(levels)
    .bind(indexes)
    .fetch_all(db)
    .await?;
    rows.iter().map(tile).collect::<sqlx::Result<_>>().map(Tiles)
}

/// Writes tiles that became whole, and those that are open.
pub(super) async fn write_tiles(
    db: &mut PgConnection,
    book_id: BookId,
    finished: &[FinishedTile],
    edge: &Edge,
) -> sqlx::Result<()> {
    let finished = finished.iter().map(|tile| (tile.id, tile.hashes.as_slice()));
    let (ids, hashes): (Vec<_>, Vec<_>) = finished.chain(edge.open()).unzip();
    let (levels, indexes) = columns(ids.into_iter());
    let hashes: Vec<Vec<u8>> = hashes.into_iter().map(|hashes| hashes.concat()).collect();
    sqlx::query(
        "INSERT INTO tiles (book_id, level, index, hashes) \
         SELECT $1, * FROM unnest($2::smallint[], $3::bigint[], $4::bytea[]) \
         ON CONFLICT (book_id, level, index) DO UPDATE SET hashes = excluded.hashes",
    )
    .bind(book_id.uuid())
    .bind(levels)
    .bind(indexes)
    .bind(hashes)
    .execute(db)
    .await?;
    Ok(())
}

/// The newest signed checkpoint of a book.
pub async fn latest(db: &mut PgConnection, book_id: BookId) -> sqlx::Result<Option<SignedCheckpoint>> {
    let newest = checkpoints(db, book_id, i64::MAX, 1).await?;
    Ok(newest.into_iter().next())
}

/// The signed checkpoints of a book below a size, newest first, a page of them.
pub(crate) async fn checkpoints(
    db: &mut PgConnection,
    book_id: BookId,
    below: i64,
    limit: i64,
) -> sqlx::Result<Vec<SignedCheckpoint>> {
    let rows = sqlx::query(
        "SELECT size, root, note, signed_at FROM signed_checkpoints WHERE book_id = $1 AND size < $2 \
         ORDER BY size DESC LIMIT $3",
    )
    .bind(book_id.uuid())
    .bind(below)
    .bind(limit)
    .fetch_all(db)
    .await?;
    rows.iter().map(checkpoint).collect()
}

/// Writes a signed checkpoint; answers it with its time.
pub(super) async fn write_checkpoint(
    db: &mut PgConnection,
    book_id: BookId,
    size: i64,
    root: &Hash,
    note: &str,
) -> sqlx::Result<SignedCheckpoint> {
    let row = sqlx::query(
        "INSERT INTO signed_checkpoints (book_id, size, root, note) VALUES ($1, $2, $3, $4) \
         RETURNING size, root, note, signed_at",
    )
    .bind(book_id.uuid())
    .bind(size)
    .bind(&root[..])
    .bind(note)
    .fetch_one(db)
    .await?;
    checkpoint(&row)
}

/// The event at a position, as a proof carries it.
pub async fn read_leaf(db: &mut PgConnection, book_id: BookId, position: i64) -> sqlx::Result<Option<Leaf>> {
    let sql = format!(
        "SELECT {}, commitment, salt, payload::text AS payload FROM events WHERE book_id = $1 AND position = $2",
        header::COLUMNS
    );
    let Some(row) = sqlx::query(&sql).bind(book_id.uuid()).bind(position).fetch_optional(&mut *db).await? else {
        return Ok(None);
    };
    let (salt, payload): (Option<&[u8]>, Option<&str>) = (row.try_get("salt")?, row.try_get("payload")?);
    let header = header::header(book_id, &row)?;
    // Asked after the event was read: it counts as erased whether or not its bytes are gone.
    let named = erasure::named_of(db, book_id, header.session_id.as_slice()).await?;
    let content = salt.zip(payload).filter(|_| !named.contains(header.session_id, position));
    Ok(Some(Leaf::new(&header, &hash_in(&row, "commitment")?, content)))
}

fn columns(ids: impl Iterator<Item = TileId>) -> (Vec<i16>, Vec<i64>) {
    ids.map(|id| (id.level as i16, id.index as i64)).unzip()
}

fn tile(row: &PgRow) -> sqlx::Result<(TileId, Tile)> {
    let (level, index): (i16, i64) = (row.try_get("level")?, row.try_get("index")?);
    let bytes: &[u8] = row.try_get("hashes")?;
    let hashes = bytes.chunks_exact(HASH_BYTES).map(|hash| hash.try_into().expect("chunks are 32 bytes long"));
    let id = TileId { level: u32::from(level.unsigned_abs()), index: index.unsigned_abs() };
    Ok((id, Tile::new(hashes.collect())))
}

fn checkpoint(row: &PgRow) -> sqlx::Result<SignedCheckpoint> {
    Ok(SignedCheckpoint {
        size: row.try_get("size")?,
        root: hash_in(row, "root")?,
        note: row.try_get("note")?,
        signed_at: row.try_get("signed_at")?,
    })
}
