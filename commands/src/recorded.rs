//! Takes in a session that was exported elsewhere: its events as they were, in their order, each with its origin.

use std::collections::HashMap;

use domain::account::{Account, AccountError};
use domain::export::{Recorded, Stream, llm_call};
use domain::session::SessionError;
use domain::{BookId, Event, RequestId, SessionId, Sha256, Viewer};
use sha2::Digest;
use uuid::Uuid;

use crate::commands::{Commands, Done, account_stream};
use crate::error::CommandError;
use crate::log::{Append, AppendError, Provenance, Request, StreamAppend};
use crate::session::by;

/// How often a part is tried again because others used the book's account.
const ATTEMPTS: usize = 32;

/// A session that is taken in, part by part. Asked for the same parts again, it goes on where it was left.
#[derive(Debug, Clone)]
pub struct RecordedSession {
    sha256: Sha256,
    session_id: SessionId,
    part: u32,
    sequences: HashMap<Uuid, i64>,
}

impl RecordedSession {
    /// A session of the file with this hash.
    pub fn new(sha256: Sha256, session_id: SessionId) -> Self {
        Self { sha256, session_id, part: 0, sequences: HashMap::new() }
    }

    /// The request is this part of this session of the file.
    fn request(&self) -> Request {
        let hash = sha2::Sha256::new()
            .chain_update(self.sha256.0)
            .chain_update(self.session_id.uuid().as_bytes())
            .chain_update(self.part.to_be_bytes())
            .finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        // As with every import, the id is made of a hash: a UUID of version 8, RFC 9562.
        Request { id: RequestId::new(uuid::Builder::from_custom_bytes(bytes).into_uuid()), hash: hash.into() }
    }

    /// The events as they are appended: one entry per stretch of one stream, so that their order stays.
    fn streams(&self, book_id: BookId, account: i64, events: &[Recorded]) -> Vec<StreamAppend> {
        let mut next = self.sequences.clone();
        next.insert(account_stream(book_id), account);
        let mut streams: Vec<StreamAppend> = vec![];
        for recorded in events {
            let stream_id = recorded.stream.id(book_id);
            let sequence = next.entry(stream_id).or_default();
            match streams.last_mut().filter(|last| last.stream_id == stream_id) {
                Some(last) => last.events.push(recorded.event.clone()),
                None => streams.push(StreamAppend {
                    stream_id,
                    expected: *sequence,
                    session_id: Some(self.session_id.uuid()),
                    events: vec![recorded.event.clone()],
                }),
            }
            *sequence += 1;
        }
        streams
    }

    /// The part is in the book.
    fn advance(&mut self, events: &[Recorded]) {
        for recorded in events {
            if let Stream::Own(stream_id) = recorded.stream {
                *self.sequences.entry(stream_id).or_default() += 1;
            }
        }
        self.part += 1;
    }
}

impl Commands {
    /// Whether the next part of a session is in the book already.
    pub async fn has_taken_in(&self, viewer: &Viewer, session: &RecordedSession) -> Result<bool, CommandError> {
        Ok(self.log().answered(viewer.book_id, session.request()).await?.is_some())
    }

    /// Takes in the next part of a session, in one append; answers whether it had been taken in before. A session that
    /// is in the book already, from wherever, is refused.
    pub async fn take_in(
        &self,
        viewer: &Viewer,
        session: &mut RecordedSession,
        events: &[Recorded],
    ) -> Result<Done<bool>, CommandError> {
        let book_id = viewer.book_id;
        let request = session.request();
        let _turn = self.account_turn(book_id).await;
        let mut taken = false;
        for _ in 0..ATTEMPTS {
            if let Some(before) = self.log().answered(book_id, request).await? {
                session.advance(events);
                return Ok(Done { position: before.last, answer: true });
            }
            let known = self.inner.sessions.load(book_id, session.session_id.uuid()).await?;
            if taken || (session.part == 0 && known.sequence > 0) {
                return Err(SessionError::Taken.into());
            }
            let account = self.account(book_id).await?;
            admit(&account.state, session.session_id, events)?;
            let append = Append {
                book_id,
                request: Some(request),
                context: by(viewer, session.session_id.uuid()),
                occurred_at: self.log().now(),
                streams: session.streams(book_id, account.sequence, events),
            };
            let provenance =
                |recorded: &Recorded| Provenance { occurred_at: recorded.occurred_at, origin: recorded.origin.clone() };
            // The events of one stretch stand together, so this is the append's order too.
            let provenances = events.iter().map(provenance).collect();
            match self.log().append_recorded(append, provenances).await {
                Ok(appended) => {
                    session.advance(events);
                    return Ok(Done { position: appended.last, answer: appended.repeated });
                }
                // Only the account is shared; a stream of the session's own that has moved is somebody else's.
                Err(AppendError::Conflict(stream_id)) => taken = stream_id != account_stream(book_id),
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommandError::Contended)
    }
}

/// A record settles nothing that is reserved here, and posts nothing that a balance cannot hold.
fn admit(account: &Account, session_id: SessionId, events: &[Recorded]) -> Result<(), AccountError> {
    let reserved = events.iter().filter_map(|recorded| account.reserved(llm_call(&recorded.event)?));
    if let Some(foreign) = { reserved }.find(|reserved| reserved.session_id != session_id) {
        return Err(AccountError::Taken(foreign.llm_call_id));
    }
    account.holds(events.iter().filter_map(|recorded| match &recorded.event {
        Event::Account(event) => Some(event),
        _ => None,
    }))
}
