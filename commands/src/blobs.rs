//! Blobs: contents by their hash, within one book. Written before the event that names them.

use domain::content::INLINE_MAX_BYTES;
use domain::{BlobRef, BookId, Content, SessionId, Sha256};
use sha2::Digest;
use sqlx::Row;
use sqlx::postgres::PgPool;

/// The hash of some bytes.
pub fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256(sha2::Sha256::digest(bytes).into())
}

/// Stores bytes for a session, with which they are erased whether or not an event ever names them. Storing the same
/// again only notes that they are wanted, so that erasure, which may be about to remove them, leaves them to the event
/// that will name them.
pub async fn put(pool: &PgPool, book_id: BookId, session_id: SessionId, bytes: &[u8]) -> sqlx::Result<BlobRef> {
    let sha256 = sha256(bytes);
    sqlx::query("SELECT put_blob($1, $2, $3, $4)")
        .bind(book_id.uuid())
        .bind(session_id.uuid())
        .bind(&sha256.0[..])
        .bind(bytes)
        .execute(pool)
        .await?;
    Ok(BlobRef { sha256, bytes: bytes.len() as u64 })
}

/// The bytes with this hash.
pub async fn get(pool: &PgPool, book_id: BookId, sha256: Sha256) -> sqlx::Result<Option<Vec<u8>>> {
    let row = sqlx::query("SELECT content FROM blobs WHERE book_id = $1 AND sha256 = $2")
        .bind(book_id.uuid())
        .bind(&sha256.0[..])
        .fetch_optional(pool)
        .await?;
    Ok(row.map(|row| row.get("content")))
}

/// A text as an event carries it: in the event where it fits, else in a blob. Null bytes, which no database text
/// can hold, become the replacement character.
pub async fn content(pool: &PgPool, book_id: BookId, session_id: SessionId, text: String) -> sqlx::Result<Content> {
    let text = if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text };
    if text.len() <= INLINE_MAX_BYTES {
        return Ok(Content::inline(text));
    }
    let blob = put(pool, book_id, session_id, text.as_bytes()).await?;
    Ok(Content::in_blob(&text, blob))
}

/// The whole text, wherever it is.
pub async fn text(pool: &PgPool, book_id: BookId, content: &Content) -> sqlx::Result<String> {
    let Some(blob) = &content.blob else { return Ok(content.text.clone()) };
    let bytes = get(pool, book_id, blob.sha256).await?;
    Ok(bytes.map_or_else(|| content.text.clone(), |bytes| String::from_utf8_lossy(&bytes).into_owned()))
}
