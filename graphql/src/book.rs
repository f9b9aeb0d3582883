//! The viewer's book: the organisation's log, and its signed checkpoints.

use async_graphql::{ComplexObject, Context, ID, Object, SimpleObject};
use domain::{BookId, Role, Timestamp};
use projections::tree::{self, SignedCheckpoint, TreeError};

use crate::State;
use crate::cursor::cursor;
use crate::error::{ErrorCode, Refused, internal, read, refuse};
use crate::ids::id;
use crate::viewer::viewer;

/// The viewer's book.
#[derive(Default)]
pub struct BookQuery;

/// Commands on the viewer's book.
#[derive(Default)]
pub struct BookMutation;

/// One organisation's log.
#[derive(SimpleObject)]
#[graphql(complex)]
struct Book {
    id: ID,
    /// The position of the newest event.
    position: String,
    /// Its hash, which stands for everything before it.
    hash: String,
    /// The public key with which others verify this server's checkpoints of the book: `name+id+key`, as C2SP
    /// signed-note writes it.
    verifier_key: String,
    #[graphql(skip)]
    book_id: BookId,
}

/// The log as it was at a size, signed.
#[derive(SimpleObject)]
struct Checkpoint {
    /// The position of the newest event that it covers.
    position: String,
    /// How many events it covers.
    size: i64,
    /// The root of their Merkle tree, in hexadecimal.
    root: String,
    /// The signed note. Keep it where nobody who can write to this server's database can write.
    note: String,
    signed_at: Timestamp,
}

/// The log was signed.
#[derive(SimpleObject)]
struct CheckpointSignPayload {
    checkpoint: Checkpoint,
}

#[Object]
impl BookQuery {
    /// The head of the viewer's log.
    async fn book(&self, ctx: &Context<'_>) -> Refused<Book> {
        let (viewer, state) = (viewer(ctx)?, ctx.data_unchecked::<State>());
        let mut db = state.reader.book(viewer.book_id).await.map_err(read)?;
        let (position, hash) = projections::feed::head(&mut db, viewer.book_id).await.map_err(read)?;
        Ok(Book {
            id: id(viewer.book_id),
            position: cursor(ctx, position),
            hash: hex(&hash),
            verifier_key: state.trees.signer().verifier(viewer.book_id).to_string(),
            book_id: viewer.book_id,
        })
    }
}

#[ComplexObject]
impl Book {
    /// The newest signed checkpoint; absent while there is none.
    async fn checkpoint(&self, ctx: &Context<'_>) -> Refused<Option<Checkpoint>> {
        let mut db = ctx.data_unchecked::<State>().reader.book(self.book_id).await.map_err(read)?;
        let newest = tree::latest(&mut db, self.book_id).await.map_err(read)?;
        Ok(newest.map(|signed| shown(ctx, signed)))
    }
}

#[Object]
impl BookMutation {
    /// Signs the viewer's log as it is now. Asked again before it has grown, it answers the same checkpoint. For
    /// administrators.
    async fn checkpoint_sign(&self, ctx: &Context<'_>) -> Refused<CheckpointSignPayload> {
        let viewer = viewer(ctx)?;
        if viewer.role != Role::Admin {
            return Err(refuse(ErrorCode::Forbidden, "only an administrator may sign checkpoints"));
        }
        let signed = ctx.data_unchecked::<State>().trees.sign_now(viewer.book_id).await.map_err(unsigned)?;
        Ok(CheckpointSignPayload { checkpoint: shown(ctx, signed) })
    }
}

fn shown(ctx: &Context<'_>, signed: SignedCheckpoint) -> Checkpoint {
    Checkpoint {
        position: cursor(ctx, signed.size),
        size: signed.size,
        root: hex(&signed.root),
        note: signed.note,
        signed_at: signed.signed_at,
    }
}

fn unsigned(error: TreeError) -> async_graphql::Error {
    match error {
        TreeError::Database(error) => read(error),
        TreeError::Contradiction { .. } | TreeError::Tile(_) | TreeError::Empty(_) => {
            tracing::error!(%error, "a checkpoint is not signed");
            refuse(ErrorCode::Conflict, error.to_string())
        }
        TreeError::Key(_) | TreeError::Keep(_) => internal(&error),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
