//! One event as a binary COPY holds it, borrowed from the buffer that it came in.

use chrono::DateTime;
use domain::{BookId, Event, EventId, SessionId, Timestamp};
use uuid::Uuid;

use crate::column::{COPY_HEADER, POSTGRES_EPOCH_US};
use crate::feed::{Body, Recorded};

/// The columns that `Row::parse` expects, in its order; the payload comes after them.
pub(super) const COLUMNS: &str = "position, stream_id, sequence, session_id, event_id, event_type, event_version, \
    occurred_at, recorded_at, actor_id";
const FIELDS: i16 = 11;

/// The server sent something that is no such row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the database sent a COPY that is not of the expected form")]
pub(super) struct Malformed;

/// An event, borrowed.
#[derive(Debug, PartialEq)]
pub(super) struct Row<'a> {
    pub position: i64,
    pub stream_id: Uuid,
    sequence: i64,
    session_id: Option<Uuid>,
    event_id: Uuid,
    event_type: &'a str,
    event_version: i16,
    occurred_at: Timestamp,
    recorded_at: Timestamp,
    actor_id: &'a str,
    payload: Option<&'a str>,
}

/// Reads the beginning of a COPY; answers what follows.
pub(super) fn after_header(bytes: &[u8]) -> Result<&[u8], Malformed> {
    bytes.strip_prefix(COPY_HEADER).ok_or(Malformed)
}

/// Reads the partition and the position of the next row and skips the rest of it; `None` at the end of the COPY.
pub(super) fn skim(bytes: &mut &[u8]) -> Result<Option<(i64, Uuid)>, Malformed> {
    let Some(mut fields) = Fields::begin(bytes)? else { return Ok(None) };
    let position = fields.int()?;
    let stream_id = fields.uuid()?.ok_or(Malformed)?;
    fields.int()?;
    let session_id = fields.uuid()?;
    for _ in 4..FIELDS {
        fields.next()?;
    }
    *bytes = fields.0;
    Ok(Some((position, session_id.unwrap_or(stream_id))))
}

impl<'a> Row<'a> {
    /// Reads the row that begins here.
    pub fn parse(mut bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::begin(&mut bytes)?.ok_or(Malformed)?;
        Ok(Self {
            position: fields.int()?,
            stream_id: fields.uuid()?.ok_or(Malformed)?,
            sequence: fields.int()?,
            session_id: fields.uuid()?,
            event_id: fields.uuid()?.ok_or(Malformed)?,
            event_type: fields.text()?.ok_or(Malformed)?,
            event_version: i16::from_be_bytes(fields.array()?),
            occurred_at: fields.time()?,
            recorded_at: fields.time()?,
            actor_id: fields.text()?.ok_or(Malformed)?,
            payload: fields.text()?,
        })
    }

    /// The part of the book that it belongs to.
    pub fn partition_id(&self) -> Uuid {
        self.session_id.unwrap_or(self.stream_id)
    }

    /// Writes it over an event, whose texts keep their room: a row costs no allocation but those of its body.
    pub fn write_over(&self, event: &mut Recorded) {
        event.position = self.position;
        event.stream_id = self.stream_id;
        event.sequence = self.sequence;
        event.session_id = self.session_id.map(SessionId::new);
        event.event_id = EventId::new(self.event_id);
        event.occurred_at = self.occurred_at;
        event.recorded_at = self.recorded_at;
        write_text(&mut event.actor_id, self.actor_id);
        write_text(&mut event.event_type, self.event_type);
        event.event_version = self.event_version;
        match self.payload {
            None => event.payload = None,
            Some(payload) => write_text(event.payload.get_or_insert_default(), payload),
        }
        event.body = match self.payload {
            None => Body::Erased,
            Some(payload) => match Event::decode(self.event_type, self.event_version, payload) {
                Ok(event) => Body::Event(event),
                Err(error) => Body::Unreadable(error.to_string()),
            },
        };
    }
}

/// An event to write rows over.
pub(super) fn blank(book_id: BookId) -> Recorded {
    Recorded {
        book_id,
        position: 0,
        stream_id: Uuid::nil(),
        sequence: 0,
        session_id: None,
        event_id: EventId::new(Uuid::nil()),
        occurred_at: Timestamp::UNIX_EPOCH,
        recorded_at: Timestamp::UNIX_EPOCH,
        actor_id: String::new(),
        event_type: String::new(),
        event_version: 0,
        payload: None,
        body: Body::Erased,
    }
}

fn write_text(over: &mut String, text: &str) {
    over.clear();
    over.push_str(text);
}

/// What is left of a row, field by field.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The fields of the next row; `None` at the end of the COPY.
    fn begin(bytes: &mut &'a [u8]) -> Result<Option<Self>, Malformed> {
        let (count, rest) = bytes.split_first_chunk().ok_or(Malformed)?;
        match i16::from_be_bytes(*count) {
            FIELDS => Ok(Some(Self(rest))),
            -1 => Ok(None),
            _ => Err(Malformed),
        }
    }

    fn next(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        let (length, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        match usize::try_from(i32::from_be_bytes(*length)) {
            Ok(length) => {
                let (field, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
                self.0 = rest;
                Ok(Some(field))
            }
            Err(_) => {
                self.0 = rest;
                Ok(None)
            }
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.next()?.and_then(|field| field.try_into().ok()).ok_or(Malformed)
    }

    fn int(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    fn uuid(&mut self) -> Result<Option<Uuid>, Malformed> {
        self.next()?.map(|field| Uuid::from_slice(field).map_err(|_| Malformed)).transpose()
    }

    fn text(&mut self) -> Result<Option<&'a str>, Malformed> {
        self.next()?.map(|field| std::str::from_utf8(field).map_err(|_| Malformed)).transpose()
    }

    fn time(&mut self) -> Result<Timestamp, Malformed> {
        self.int()?.checked_add(POSTGRES_EPOCH_US).and_then(DateTime::from_timestamp_micros).ok_or(Malformed)
    }
}
