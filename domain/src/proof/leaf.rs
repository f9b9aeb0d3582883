//! What the leaf of an event is made of, as a proof file carries it: enough to compute the leaf's hash again.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::merkle::leaf_hash;
use crate::chain::{self, Hash, Header};
use crate::{BookId, EventId, RequestId, Timestamp};

/// Why a leaf does not stand for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// It is not the JSON that Daybook writes.
    #[error("the event in the proof is not written as Daybook writes it")]
    Form,
    /// Payload and salt do not lead to the commitment.
    #[error("the payload in the proof is not the one that was committed to")]
    Payload,
}

/// The columns of an event's header, its commitment, and its payload and salt unless they are gone. Times are
/// microseconds since 1970; bytes are hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    pub book_id: Uuid,
    pub position: i64,
    pub stream_id: Uuid,
    pub sequence: i64,
    pub session_id: Option<Uuid>,
    pub event_id: Uuid,
    pub event_type: String,
    pub event_version: i16,
    pub occurred_us: i64,
    pub recorded_us: i64,
    pub actor_id: String,
    pub correlation_id: Option<Uuid>,
    pub causation_id: Option<Uuid>,
    pub request_id: Option<Uuid>,
    pub request_hash: Option<String>,
    /// JSON as text, byte for byte.
    pub metadata: String,
    pub commitment: String,
    pub salt: Option<String>,
    /// JSON as text, byte for byte.
    pub payload: Option<String>,
}

impl Leaf {
    /// The leaf of an event; `secret` is its salt and payload.
    pub fn new(header: &Header<'_>, commitment: &Hash, secret: Option<(&[u8], &str)>) -> Self {
        Self {
            book_id: header.book_id.uuid(),
            position: header.position,
            stream_id: header.stream_id,
            sequence: header.sequence,
            session_id: header.session_id,
            event_id: header.event_id.uuid(),
            event_type: header.event_type.to_owned(),
            event_version: header.event_version,
            occurred_us: header.occurred_at.timestamp_micros(),
            recorded_us: header.recorded_at.timestamp_micros(),
            actor_id: header.actor_id.to_owned(),
            correlation_id: header.correlation_id,
            causation_id: header.causation_id,
            request_id: header.request_id.map(RequestId::uuid),
            request_hash: header.request_hash.as_ref().map(|hash| to_hex(hash)),
            metadata: header.metadata.to_owned(),
            commitment: to_hex(commitment),
            salt: secret.map(|(salt, _)| to_hex(salt)),
            payload: secret.map(|(_, payload)| payload.to_owned()),
        }
    }

    /// As it is written: JSON in one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a leaf holds nothing that JSON cannot")
    }

    /// Reads what `to_json` wrote. Any other spelling of the same is refused, so that every byte counts.
    pub fn from_json(json: &[u8]) -> Result<Self, LeafError> {
        let leaf: Self = serde_json::from_slice(json).map_err(|_| LeafError::Form)?;
        if leaf.to_json().as_bytes() == json { Ok(leaf) } else { Err(LeafError::Form) }
    }

    /// The leaf's hash, once payload and salt, where they are there, agree with the commitment.
    pub fn hash(&self) -> Result<Hash, LeafError> {
        let commitment: Hash = from_hex(&self.commitment)?;
        match (&self.salt, &self.payload) {
            (None, None) => {}
            (Some(salt), Some(payload)) => {
                let salt: [u8; chain::SALT_BYTES] = from_hex(salt)?;
                if chain::commitment(&salt, payload.as_bytes()) != commitment {
                    return Err(LeafError::Payload);
                }
            }
            _ => return Err(LeafError::Payload),
        }
        Ok(leaf_hash(&self.header()?, &commitment))
    }

    /// The header.
    pub fn header(&self) -> Result<Header<'_>, LeafError> {
        let at = |micros| Timestamp::from_timestamp_micros(micros).ok_or(LeafError::Form);
        Ok(Header {
            book_id: BookId::new(self.book_id),
            position: self.position,
            stream_id: self.stream_id,
            sequence: self.sequence,
            session_id: self.session_id,
            event_id: EventId::new(self.event_id),
            event_type: &self.event_type,
            event_version: self.event_version,
            occurred_at: at(self.occurred_us)?,
            recorded_at: at(self.recorded_us)?,
            actor_id: &self.actor_id,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            request_id: self.request_id.map(RequestId::new),
            request_hash: self.request_hash.as_deref().map(from_hex).transpose()?,
            metadata: &self.metadata,
        })
    }
}

/// Bytes as they are written: hexadecimal, in lower case.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    digits.map(char::from).collect()
}

/// Lower case only: one spelling for the same bytes.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], LeafError> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(LeafError::Form),
    };
    let pairs = text.as_bytes().chunks_exact(2);
    if text.len() != 2 * N {
        return Err(LeafError::Form);
    }
    let bytes = pairs.map(|pair| Ok(digit(pair[0])? << 4 | digit(pair[1])?)).collect::<Result<Vec<u8>, _>>()?;
    bytes.try_into().map_err(|_| LeafError::Form)
}
