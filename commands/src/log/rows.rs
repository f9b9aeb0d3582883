//! Rows of the log: what one statement inserts for a whole batch.

use std::borrow::Cow;
use std::sync::Arc;

use domain::chain::{self, Hash, Header, SALT_BYTES};
use domain::{BookId, Event, EventId, StoredType, Timestamp};
use rand::Rng;
use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo};
use sqlx::{Postgres, Type};
use uuid::Uuid;

use super::cache::Head;
use super::{Append, Job, Provenance};

/// The events of a batch for one book, chained to the head that was last seen.
pub(super) struct Rows {
    pub book_id: BookId,
    /// The head after the batch.
    pub after: Head,
    pub rows: Vec<Row>,
}

/// An event as it is inserted; its book apart.
pub(super) struct Row {
    pub position: i64,
    pub stream_id: Uuid,
    pub sequence: i64,
    pub session_id: Option<Uuid>,
    pub event_id: Uuid,
    pub event_type: &'static str,
    pub event_version: i16,
    pub occurred_at: Timestamp,
    pub recorded_at: Timestamp,
    pub actor_id: String,
    pub correlation_id: Option<Uuid>,
    pub causation_id: Option<Uuid>,
    pub request_id: Option<Uuid>,
    pub request_hash: Option<Hash>,
    pub payload: Arc<str>,
    pub metadata: Cow<'static, str>,
    pub salt: [u8; SALT_BYTES],
    pub commitment: Hash,
    pub hash: Hash,
}

/// An event with all that does not depend on its place in the log. The caller makes it, so that the sequencer, which
/// there is one of, need not.
pub(super) struct Sealed {
    event_id: EventId,
    stored: StoredType,
    payload: Arc<str>,
    salt: [u8; SALT_BYTES],
    commitment: Hash,
    /// Boxed, because few events have one.
    provenance: Option<Box<Provenance>>,
    /// What the request asked, keyed by the salt; on the first event of an append only.
    request_hash: Option<Hash>,
}

/// The random bytes of one event: its salt, and what is random in its id.
const RANDOM_BYTES: usize = SALT_BYTES + 10;

/// Seals the events of an append, in its order; `provenances` is empty, or has one for each.
pub(super) fn seal(append: &Append, provenances: Vec<Provenance>, now: Timestamp) -> Vec<Sealed> {
    let events = || append.streams.iter().flat_map(|stream| &stream.events);
    let mut random = vec![0; events().count() * RANDOM_BYTES];
    // A cryptographic generator, seeded by the operating system: nobody guesses a salt.
    rand::rng().fill_bytes(&mut random);
    let millis = u64::try_from(now.timestamp_millis()).expect("the clock is past 1970");
    let (random, _) = random.as_chunks::<RANDOM_BYTES>();
    let provenances = provenances.into_iter().map(|from| Some(Box::new(from))).chain(std::iter::repeat_with(|| None));
    let sealed = events().zip(random).zip(provenances);
    let mut sealed: Vec<_> = sealed
        .map(|((event, random), from)| Sealed { provenance: from, ..Sealed::new(event, millis, random) })
        .collect();
    if let (Some(first), Some(request)) = (sealed.first_mut(), append.request) {
        first.request_hash = Some(chain::request_hash(&first.salt, &request.hash));
    }
    sealed
}

impl Sealed {
    fn new(event: &Event, millis: u64, random: &[u8; RANDOM_BYTES]) -> Self {
        let (salt, rest) = random.split_first_chunk().expect("a salt is shorter");
        let id = rest.first_chunk().expect("ten bytes are left");
        let event_id = EventId::new(uuid::Builder::from_unix_timestamp_millis(millis, id).into_uuid());
        let payload: Arc<str> = event.payload().into();
        let commitment = chain::commitment(salt, payload.as_bytes());
        Self {
            event_id,
            stored: event.stored_type(),
            payload,
            salt: *salt,
            commitment,
            provenance: None,
            request_hash: None,
        }
    }

    /// When it happened; the time of its append, unless it brings its own along.
    fn occurred_at(&self, append: &Append) -> Timestamp {
        micros(self.provenance.as_ref().map_or(append.occurred_at, |from| from.occurred_at))
    }

    /// The row's metadata: how many events the append has, on the first of several, and where the event comes from.
    fn metadata(&self, first_of: Option<usize>) -> Cow<'static, str> {
        let origin = self.provenance.as_ref().and_then(|from| from.origin.as_deref());
        match (first_of.filter(|size| *size > 1), origin) {
            (None, None) => Cow::Borrowed("{}"),
            (Some(size), None) => format!(r#"{{"events":{size}}}"#).into(),
            (None, Some(origin)) => format!(r#"{{"origin":{origin}}}"#).into(),
            (Some(size), Some(origin)) => format!(r#"{{"events":{size},"origin":{origin}}}"#).into(),
        }
    }
}

/// JSON that PostgreSQL takes byte for byte: as `json`, where sqlx's own wrapper would say `jsonb`.
pub(super) struct JsonText<T>(pub T);

/// The ids of PostgreSQL's types `json` and `json[]`, which never change.
const JSON: Oid = Oid(114);
const JSON_ARRAY: Oid = Oid(199);

impl<T> Type<Postgres> for JsonText<T> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(JSON)
    }
}

impl<T> PgHasArrayType for JsonText<T> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(JSON_ARRAY)
    }
}

impl<T: AsRef<str>> Encode<'_, Postgres> for JsonText<T> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <&str as Encode<Postgres>>::encode(self.0.as_ref(), buffer)
    }
}

impl Rows {
    pub fn after(book_id: BookId, head: Head) -> Self {
        Self { book_id, after: head, rows: vec![] }
    }

    /// Chains an append to what is here already. `now` is the clock's; recorded times never go back.
    pub fn push(&mut self, Job { append, sealed, .. }: &Job, now: Timestamp) {
        let size = sealed.len();
        let places = append.streams.iter().flat_map(|stream| {
            let sequences = (stream.expected + 1..).take(stream.events.len());
            sequences.map(move |sequence| (stream, sequence))
        });
        for (index, ((stream, sequence), sealed)) in places.zip(sealed).enumerate() {
            let first = index == 0;
            let request = append.request.filter(|_| first);
            let metadata = sealed.metadata(first.then_some(size));
            let header = Header {
                book_id: self.book_id,
                position: self.after.position + 1,
                stream_id: stream.stream_id,
                sequence,
                session_id: stream.session_id,
                event_id: sealed.event_id,
                event_type: sealed.stored.name,
                event_version: sealed.stored.version,
                occurred_at: sealed.occurred_at(append),
                recorded_at: recorded_at(now, self.after.recorded_at),
                actor_id: &append.context.actor_id,
                correlation_id: append.context.correlation_id,
                causation_id: append.context.causation_id,
                request_id: request.map(|r| r.id),
                request_hash: sealed.request_hash,
                metadata: &metadata,
            };
            let hash = chain::hash(&self.after.hash, &header, &sealed.commitment);
            self.after = Head { position: header.position, hash, recorded_at: header.recorded_at };
            self.rows.push(Row {
                position: header.position,
                stream_id: header.stream_id,
                sequence: header.sequence,
                session_id: header.session_id,
                event_id: header.event_id.uuid(),
                event_type: sealed.stored.name,
                event_version: header.event_version,
                occurred_at: header.occurred_at,
                recorded_at: header.recorded_at,
                actor_id: header.actor_id.to_owned(),
                correlation_id: header.correlation_id,
                causation_id: header.causation_id,
                request_id: header.request_id.map(|id| id.uuid()),
                request_hash: header.request_hash,
                payload: sealed.payload.clone(),
                metadata,
                salt: sealed.salt,
                commitment: sealed.commitment,
                hash,
            });
        }
    }
}

/// Never earlier than the event before, whatever the clock does.
fn recorded_at(now: Timestamp, previous: Timestamp) -> Timestamp {
    micros(now).max(previous + chrono::TimeDelta::microseconds(1))
}

/// The database keeps microseconds, so that is what is hashed.
fn micros(time: Timestamp) -> Timestamp {
    Timestamp::from_timestamp_micros(time.timestamp_micros()).expect("what was a time stays one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_times_never_go_back() {
        let at = |micros| Timestamp::from_timestamp_micros(micros).unwrap();
        assert_eq!(recorded_at(at(10), at(5)), at(10));
        assert_eq!(recorded_at(at(5), at(10)), at(11));
        assert_eq!(recorded_at(at(10), at(10)), at(11));
    }
}
