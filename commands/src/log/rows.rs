//! Rows of the log as columns: what one statement inserts for a whole batch.

use domain::chain::{self, Hash, Header, SALT_BYTES};
use domain::{BookId, Timestamp};
use uuid::Uuid;

use super::cache::Head;
use super::{Append, Context};
use crate::ids::new_id;

/// The events of a batch for one book, column by column, chained to the head that was last seen.
pub(super) struct Rows {
    pub book_id: BookId,
    /// The head as this process last saw it.
    pub before: Head,
    /// The head after the batch.
    pub after: Head,
    pub columns: Columns,
}

/// One entry per event in each.
#[derive(Default)]
pub(super) struct Columns {
    pub position: Vec<i64>,
    pub stream_id: Vec<Uuid>,
    pub sequence: Vec<i64>,
    pub session_id: Vec<Option<Uuid>>,
    pub event_id: Vec<Uuid>,
    pub event_type: Vec<&'static str>,
    pub event_version: Vec<i16>,
    pub occurred_at: Vec<Timestamp>,
    pub recorded_at: Vec<Timestamp>,
    pub actor_id: Vec<String>,
    pub correlation_id: Vec<Option<Uuid>>,
    pub causation_id: Vec<Option<Uuid>>,
    pub request_id: Vec<Option<Uuid>>,
    pub request_hash: Vec<Option<Vec<u8>>>,
    pub payload: Vec<String>,
    pub metadata: Vec<String>,
    pub salt: Vec<Vec<u8>>,
    pub commitment: Vec<Vec<u8>>,
    pub hash: Vec<Vec<u8>>,
}

impl Rows {
    pub fn after(book_id: BookId, head: Head) -> Self {
        Self { book_id, before: head, after: head, columns: Columns::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.columns.position.is_empty()
    }

    /// Chains an append to what is here already. `now` is the clock's; recorded times never go back.
    pub fn push(&mut self, append: &Append, now: Timestamp) {
        let size: usize = append.streams.iter().map(|stream| stream.events.len()).sum();
        let mut first = true;
        for stream in &append.streams {
            for (sequence, event) in (stream.expected + 1..).zip(&stream.events) {
                let request = append.request.filter(|_| first);
                let metadata = if first && size > 1 { format!(r#"{{"events":{size}}}"#) } else { "{}".to_owned() };
                first = false;
                let stored = event.stored_type();
                let header = Header {
                    book_id: self.book_id,
                    position: self.after.position + 1,
                    stream_id: stream.stream_id,
                    sequence,
                    session_id: stream.session_id,
                    event_id: new_id(),
                    event_type: stored.name,
                    event_version: stored.version,
                    occurred_at: micros(append.occurred_at),
                    recorded_at: recorded_at(now, self.after.recorded_at),
                    actor_id: &append.context.actor_id,
                    correlation_id: append.context.correlation_id,
                    causation_id: append.context.causation_id,
                    request_id: request.map(|r| r.id),
                    request_hash: request.map(|r| r.hash),
                    metadata: &metadata,
                };
                self.chain(&header, stored.name, event.payload(), &append.context);
            }
        }
    }

    fn chain(&mut self, header: &Header<'_>, event_type: &'static str, payload: String, context: &Context) {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).expect("the operating system gives random bytes");
        let commitment = chain::commitment(&salt, payload.as_bytes());
        let hash: Hash = chain::hash(&self.after.hash, header, &commitment);
        let columns = &mut self.columns;
        columns.position.push(header.position);
        columns.stream_id.push(header.stream_id);
        columns.sequence.push(header.sequence);
        columns.session_id.push(header.session_id);
        columns.event_id.push(header.event_id.uuid());
        columns.event_type.push(event_type);
        columns.event_version.push(header.event_version);
        columns.occurred_at.push(header.occurred_at);
        columns.recorded_at.push(header.recorded_at);
        columns.actor_id.push(context.actor_id.clone());
        columns.correlation_id.push(header.correlation_id);
        columns.causation_id.push(header.causation_id);
        columns.request_id.push(header.request_id.map(|id| id.uuid()));
        columns.request_hash.push(header.request_hash.map(|hash| hash.to_vec()));
        columns.payload.push(payload);
        columns.metadata.push(header.metadata.to_owned());
        columns.salt.push(salt.to_vec());
        columns.commitment.push(commitment.to_vec());
        columns.hash.push(hash.to_vec());
        self.after = Head { position: header.position, hash, recorded_at: header.recorded_at };
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
