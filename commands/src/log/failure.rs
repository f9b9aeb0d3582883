//! What a failed statement means for what it was to write.

/// What a failed statement means. Nothing of it is in the log, but where the answer was lost that must be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The database says no to a row: it stands alone sooner or later, and is refused.
    Row,
    /// Somebody stood in the way, and the database chose us to give in: the same again.
    Contention,
    /// The database is there and cannot write, whatever the row: a full disk, a damaged page, a standby.
    Unable,
    /// The answer was lost: the connection broke, or the server ended it.
    Lost,
}

impl Failure {
    /// By the class of the SQLSTATE, the first two characters; see PostgreSQL's appendix A.
    pub fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => error.code().map_or(Self::Unable, |code| Self::of_code(&code)),
            // It never left this process.
            sqlx::Error::Encode(_) => Self::Row,
            sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => Self::Unable,
            _ => Self::Lost,
        }
    }

    fn of_code(code: &str) -> Self {
        match code {
            // The server gave up on a transaction that stood idle for too long, and on the connection with it.
            "25P03" | "25P04" => Self::Lost,
            "55P03" => Self::Contention,
            code => match code.get(..2) {
                // Data, constraints, and what is larger than PostgreSQL can hold.
                Some("22" | "23" | "54") => Self::Row,
                Some("40") => Self::Contention,
                // Connection, and an operator who intervenes: the server is shutting this connection down.
                Some("08" | "57") => Self::Lost,
                _ => Self::Unable,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn only_what_is_wrong_with_a_row_is_blamed_on_it() {
        let cases = [
            ("22021", Failure::Row),        // a zero byte in a text
            ("23505", Failure::Row),        // a unique violation
            ("54000", Failure::Row),        // too large
            ("40P01", Failure::Contention), // a deadlock
            ("55P03", Failure::Contention), // a lock that could not be had
            ("53100", Failure::Unable),     // the disk is full
            ("58030", Failure::Unable),     // the disk fails
            ("25006", Failure::Unable),     // a standby
            ("25P03", Failure::Lost),       // idle in a transaction for too long
            ("57P01", Failure::Lost),       // the server shuts down
            ("08006", Failure::Lost),       // the connection broke
        ];
        for (code, wanted) in cases {
            assert_eq!(Failure::of_code(code), wanted, "{code}");
        }
        assert_eq!(Failure::of(&sqlx::Error::PoolClosed), Failure::Lost);
    }
}
