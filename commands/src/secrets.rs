//! Hashes of tokens and keys. The plain text is shown once and kept nowhere.

use chrono::TimeDelta;
use domain::{BookId, Timestamp, UserId};
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::postgres::PgPool;

use crate::ids::new_id;

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// A link that signs in; short-lived.
    SignInLink,
    /// A browser's cookie.
    Cookie,
}

impl SecretKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::SignInLink => "sign_in_link",
            Self::Cookie => "cookie",
        }
    }
}

/// Whom a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bearer {
    /// The organisation.
    pub book_id: BookId,
    /// The person.
    pub user_id: UserId,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Makes a token of 256 random bits and stores its hash; answers the token.
pub async fn issue(pool: &PgPool, kind: SecretKind, bearer: Bearer) -> sqlx::Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    sqlx::query(
        "INSERT INTO secrets (secret_id, book_id, kind, user_id, hash, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(new_id::<()>().uuid())
    .bind(bearer.book_id.uuid())
    .bind(kind.as_str())
    .bind(bearer.user_id.uuid())
    .bind(&Sha256::digest(&token)[..])
    .bind(bearer.expires_at)
    .execute(pool)
    .await?;
    Ok(token)
}

/// Whom a token stands for, if it is good.
pub async fn look_up(pool: &PgPool, kind: SecretKind, token: &str) -> sqlx::Result<Option<Bearer>> {
    let row = sqlx::query("SELECT book_id, user_id, expires_at FROM sign_in_lookup($1, $2)")
        .bind(kind.as_str())
        .bind(&Sha256::digest(token)[..])
        .fetch_optional(pool)
        .await?;
    Ok(row.map(|row| Bearer {
        book_id: BookId::new(row.get("book_id")),
        user_id: UserId::new(row.get("user_id")),
        expires_at: row.get("expires_at"),
    }))
}

/// Removes tokens that have been no good for a day.
pub async fn sweep(pool: &PgPool, now: Timestamp) -> sqlx::Result<u64> {
    let swept =
        sqlx::query("DELETE FROM secrets WHERE expires_at < $1").bind(now - TimeDelta::days(1)).execute(pool).await?;
    Ok(swept.rows_affected())
}
