//! The hash chain over a book: how an event's columns become bytes, and bytes a hash.
//!
//! `commitment = SHA-256(salt || payload)`; `hash = SHA-256(TAG || previous hash || header || commitment)`. The header
//! holds every other column, position included, each with its length in front, so that no two rows share one header.
//! It holds nothing personal. docs/log-format.md describes the same bytes for other programs.

use sha2::{Digest, Sha256};

use crate::Timestamp;
use crate::id::{BookId, EventId, RequestId};

/// A SHA-256 hash.
pub type Hash = [u8; 32];
/// Set before everything that is hashed here, so that the hash means nothing elsewhere.
pub const TAG: &[u8] = b"daybook/event/v1\0";
/// Set before the input of a request, so that its hash is not a commitment's.
pub const REQUEST_TAG: &[u8] = b"daybook/request/v1\0";
/// What stands before the first event of a book.
pub const GENESIS: Hash = [0; 32];
/// The length of a salt, in bytes.
pub const SALT_BYTES: usize = 16;

/// Every column of an event but payload, salt, commitment and hash.
#[derive(Debug, Clone, PartialEq)]
pub struct Header<'a> {
    /// The book.
    pub book_id: BookId,
    /// 1 and up, without gaps.
    pub position: i64,
    /// The stream.
    pub stream_id: uuid::Uuid,
    /// 1 and up within the stream, without gaps.
    pub sequence: i64,
    /// The session that it belongs to, if any.
    pub session_id: Option<uuid::Uuid>,
    /// The event.
    pub event_id: EventId,
    /// `noun.verb_past`.
    pub event_type: &'a str,
    /// 1 and up.
    pub event_version: i16,
    /// When it happened, as its source says.
    pub occurred_at: Timestamp,
    /// When it was written down.
    pub recorded_at: Timestamp,
    /// Who did it.
    pub actor_id: &'a str,
    /// The run, or other undertaking, that it belongs to.
    pub correlation_id: Option<uuid::Uuid>,
    /// The event that caused it.
    pub causation_id: Option<uuid::Uuid>,
    /// The request that caused it; on the first event of an append only.
    pub request_id: Option<RequestId>,
    /// The keyed hash of that request's input.
    pub request_hash: Option<Hash>,
    /// JSON, byte for byte.
    pub metadata: &'a str,
}

/// `SHA-256(salt || payload)`.
pub fn commitment(salt: &[u8], payload: &[u8]) -> Hash {
    Sha256::new().chain_update(salt).chain_update(payload).finalize().into()
}

/// What stands in the log for a request's input: its hash, keyed by the salt of the request's first event. Whoever has
/// the salt can tell whether an input is the same; once the salt is erased, nobody can confirm a guess.
pub fn request_hash(salt: &[u8], input: &Hash) -> Hash {
    Sha256::new().chain_update(REQUEST_TAG).chain_update(salt).chain_update(input).finalize().into()
}

/// The hash of an event after the one with hash `previous`.
pub fn hash(previous: &Hash, header: &Header<'_>, commitment: &Hash) -> Hash {
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(TAG);
    bytes.extend_from_slice(previous);
    header.write(&mut bytes);
    bytes.extend_from_slice(commitment);
    Sha256::digest(&bytes).into()
}

/// The hash of an event whose header and commitment are bytes already, one after the other.
pub fn entry_hash(previous: &Hash, entry: &[u8]) -> Hash {
    Sha256::new().chain_update(TAG).chain_update(previous).chain_update(entry).finalize().into()
}

impl Header<'_> {
    /// Appends the header: each column as a 32-bit big-endian length and its bytes; an absent column has length
    /// 0xFFFF_FFFF and no bytes. Integers are big-endian, times are microseconds since 1970.
    pub fn write(&self, out: &mut Vec<u8>) {
        field(out, Some(self.book_id.uuid().as_bytes()));
        field(out, Some(&self.position.to_be_bytes()));
        field(out, Some(self.stream_id.as_bytes()));
        field(out, Some(&self.sequence.to_be_bytes()));
        field(out, self.session_id.as_ref().map(|id| &id.as_bytes()[..]));
        field(out, Some(self.event_id.uuid().as_bytes()));
        field(out, Some(self.event_type.as_bytes()));
        field(out, Some(&self.event_version.to_be_bytes()));
        field(out, Some(&self.occurred_at.timestamp_micros().to_be_bytes()));
        field(out, Some(&self.recorded_at.timestamp_micros().to_be_bytes()));
        field(out, Some(self.actor_id.as_bytes()));
        field(out, self.correlation_id.as_ref().map(|id| &id.as_bytes()[..]));
        field(out, self.causation_id.as_ref().map(|id| &id.as_bytes()[..]));
        field(out, self.request_id.map(RequestId::uuid).as_ref().map(|id| &id.as_bytes()[..]));
        field(out, self.request_hash.as_ref().map(|hash| &hash[..]));
        field(out, Some(self.metadata.as_bytes()));
    }
}

fn field<'a>(out: &mut Vec<u8>, value: Option<impl AsRef<[u8]> + 'a>) {
    match value {
        None => out.extend_from_slice(&u32::MAX.to_be_bytes()),
        Some(value) => {
            let bytes = value.as_ref();
            let length = u32::try_from(bytes.len()).expect("columns are far below 4 GiB");
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header<'static> {
        let id = uuid::Uuid::from_u128;
        let at = |micros| Timestamp::from_timestamp_micros(micros).unwrap();
        Header {
            book_id: BookId::new(id(1)),
            position: 7,
            stream_id: id(2),
            sequence: 3,
            session_id: Some(id(4)),
            event_id: EventId::new(id(5)),
            event_type: "tests.skipped",
            event_version: 1,
            occurred_at: at(1_700_000_000_000_001),
            recorded_at: at(1_700_000_000_000_002),
            actor_id: "system",
            correlation_id: None,
            causation_id: Some(id(6)),
            request_id: None,
            request_hash: None,
            metadata: "{}",
        }
    }

    /// A known answer: this hash was computed by a program of its own from docs/log-format.md, and never changes.
    #[test]
    fn the_format_stays_as_it_is_documented() {
        let commitment = commitment(&[9; SALT_BYTES], br#"{"reason":"none"}"#);
        let mut bytes = Vec::new();
        header().write(&mut bytes);
        assert_eq!(bytes.len(), 16 * 4 + 16 + 8 + 16 + 8 + 16 + 16 + 13 + 2 + 8 + 8 + 6 + 16 + 2);
        let hex: String = hash(&GENESIS, &header(), &commitment).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "131a7f115d01ef7159706df245779bef03a7595ce414a10a1054e8077f826416");
        let leaf = crate::proof::leaf_hash(&header(), &commitment);
        let hex: String = leaf.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "da106df9b3fd6dcb0eb805b8a968b24dbb324885dce9a3b9949b45778fd8bc2e");
    }

    /// A known answer: SHA-256 of the tag, 16 bytes of 9 and 32 bytes of 1.
    #[test]
    fn a_request_is_told_by_its_salt() {
        let hash = |salt, input| request_hash(&[salt; SALT_BYTES], &[input; 32]);
        let hex: String = hash(9, 1).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "d8a10bd0fc990f8ecb45ad4174f6976f80131518626cd7e6bc0d9717384a6767");
        assert_ne!(hash(9, 1), hash(8, 1));
        assert_ne!(hash(9, 1), hash(9, 2));
    }

    #[test]
    fn every_column_counts() {
        let commitment = commitment(&[9; SALT_BYTES], b"{}");
        let base = hash(&GENESIS, &header(), &commitment);
        let id = uuid::Uuid::from_u128(99);
        let at = Timestamp::from_timestamp_micros(1).unwrap();
        let changed = [
            Header { book_id: BookId::new(id), ..header() },
            Header { position: 8, ..header() },
            Header { stream_id: id, ..header() },
            Header { sequence: 4, ..header() },
            Header { session_id: None, ..header() },
            Header { event_id: EventId::new(id), ..header() },
            Header { event_type: "tests.skippee", ..header() },
            Header { event_version: 2, ..header() },
            Header { occurred_at: at, ..header() },
            Header { recorded_at: at, ..header() },
            Header { actor_id: "systen", ..header() },
            Header { correlation_id: Some(id), ..header() },
            Header { causation_id: None, ..header() },
            Header { request_id: Some(RequestId::new(id)), ..header() },
            Header { request_hash: Some([0; 32]), ..header() },
            Header { metadata: "{ }", ..header() },
        ];
        for header in changed {
            assert_ne!(hash(&GENESIS, &header, &commitment), base, "{header:?}");
        }
        assert_ne!(hash(&[1; 32], &header(), &commitment), base);
        assert_ne!(hash(&GENESIS, &header(), &[0; 32]), base);
    }
}
