//! What becomes of a session's events when they are taken in: facts of elsewhere, marked as such. They keep their
//! words, their order and their times; their money goes to memo accounts; nothing of them is to be worked on.

mod place;
mod rewrite;

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

use place::Places;
pub use place::Stream;

use super::line::EventLine;
use super::manifest::Manifest;
use crate::account::{Account, AccountError, AccountEvent, ReservationReleased};
use crate::aggregate::Aggregate;
use crate::content::Sha256;
use crate::erasure;
use crate::event::{DecodeError, Event};
use crate::id::{LlmCallId, RunId};
use crate::proof::{Leaf, LeafError};
use crate::run::{Run, RunCommand, RunRefusal};
use crate::session::ImportSource;
use crate::{BookId, SessionId, Timestamp, Viewer};

/// The longest origin of an event, in bytes. Each export and import puts one more around it.
const ORIGIN_MAX_BYTES: usize = 48 * 1024;
/// Why what was under way in a record is over.
const RECORD_ENDS: &str = "the record ends here: this was under way when it was exported";

/// Why an event cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// Its payload is gone.
    #[error("the payload was erased: there is nothing to take in")]
    Erased,
    /// It says that its session was erased. Where that was so, payloads are gone too; what it names are positions of
    /// another log.
    #[error("{0} says that the session was erased: there is nothing to take in")]
    Mark(&'static str),
    /// Its stream begins before the export does.
    #[error("the stream of the event begins before the export does")]
    Unbegun,
    /// The session itself is not in the export.
    #[error("the export does not hold the beginning of the session")]
    NoSession,
    /// The session's workspace is not in the export.
    #[error("the export does not hold the beginning of the session's workspace")]
    NoWorkspace,
    /// A workspace that is not the session's.
    #[error("{0} names another workspace than the session's own")]
    Workspace(&'static str),
    /// A header that no column of the log can be read from.
    #[error("its header, or the manifest, contains a null byte")]
    NullByte,
    /// An event that no session has, or in the wrong stream.
    #[error("{0} does not belong in this stream of a session")]
    Misplaced(&'static str),
    /// Its type or shape is not known.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Its header cannot be read.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// It was taken in too often.
    #[error("its origin is longer than {ORIGIN_MAX_BYTES} bytes: it was exported and taken in too many times")]
    TooDeep,
    /// An amount that does not fit.
    #[error(transparent)]
    Overflow(#[from] crate::money::Overflow),
    /// An account that cannot hold it.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A run that cannot be ended.
    #[error(transparent)]
    Run(#[from] RunRefusal),
}

/// An event as it is written down here.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Where it goes.
    pub stream: Stream,
    /// What happened.
    pub event: Event,
    /// When it happened, as the original says.
    pub occurred_at: Timestamp,
    /// JSON: the export's line without payload and salt, and where it stood. Absent for what the import adds.
    pub origin: Option<String>,
}

/// What ends a record that was not over.
pub type Closing = Vec<Recorded>;

/// What became of a line.
pub type TakenIn = Result<Recorded, RecordingError>;

/// A session that is taken in.
pub struct Recording {
    session_id: SessionId,
    source: ImportSource,
    viewer: Viewer,
    manifest: Manifest,
    places: Places,
    first: bool,
    runs: BTreeMap<RunId, Run>,
    account: Account,
    last: Timestamp,
}

/// What an event keeps of where it came from.
#[derive(Serialize)]
struct Origin<'a> {
    export: Sha256,
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<&'a Manifest>,
    event: Leaf,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Vec<String>>,
}

impl Recording {
    /// A session from a file with this manifest; `source` is what lists say of the file, `viewer` takes it in.
    pub fn new(session_id: SessionId, manifest: Manifest, source: ImportSource, viewer: &Viewer) -> Self {
        Self {
            session_id,
            places: Places::new(BookId::new(manifest.book_id), session_id),
            source,
            viewer: viewer.clone(),
            manifest,
            first: true,
            runs: BTreeMap::new(),
            account: Account::default(),
            last: Timestamp::UNIX_EPOCH,
        }
    }

    /// Takes the event of a line.
    pub fn take(&mut self, recorded: EventLine) -> TakenIn {
        let EventLine { line, event: leaf, hash, proof } = recorded;
        let payload = leaf.payload.as_deref().ok_or(RecordingError::Erased)?;
        let event = Event::decode(&leaf.event_type, leaf.event_version, payload)?;
        let name = event.stored_type().name;
        if erasure::marks(name) {
            return Err(RecordingError::Mark(name));
        }
        let stream = self.places.place(leaf.stream_id, leaf.sequence, &event)?;
        let event = rewrite::rewritten(event, &self.source, self.viewer.user_id)?;
        self.fold(stream, &event)?;
        self.last = leaf.header()?.occurred_at;
        let manifest = std::mem::take(&mut self.first).then_some(&self.manifest);
        let event_only = Leaf { payload: None, salt: None, ..leaf };
        // What precedes a range is not proven, and so no hash that follows on it.
        let hash = hash.filter(|_| self.manifest.from == 1);
        let origin = Origin { export: self.source.sha256, line, manifest, event: event_only, hash, proof };
        let origin = serde_json::to_string(&origin).expect("an origin holds nothing that JSON cannot");
        if origin.len() > ORIGIN_MAX_BYTES {
            return Err(RecordingError::TooDeep);
        }
        if has_null(&origin) {
            return Err(RecordingError::NullByte);
        }
        Ok(Recorded { stream, event, occurred_at: self.last, origin: Some(origin) })
    }

    fn fold(&mut self, stream: Stream, event: &Event) -> Result<(), RecordingError> {
        match (event, stream) {
            (Event::Run(event), Stream::Own(run_id)) => {
                self.runs.entry(RunId::new(run_id)).or_default().evolve(event);
            }
            (Event::Account(event), _) => {
                self.account.holds([event])?;
                self.account.evolve(event);
            }
            _ => {}
        }
        Ok(())
    }

    /// The record ends: what was under way is over, so that nobody works on it here.
    pub fn close(self) -> Result<Closing, RecordingError> {
        if !self.places.begun() {
            return Err(RecordingError::NoSession);
        }
        if !self.places.has_workspace() {
            return Err(RecordingError::NoWorkspace);
        }
        let mut closing = vec![];
        let mut add = |stream, event: Event| {
            closing.push(Recorded { stream, event, occurred_at: self.last, origin: None });
        };
        for reserved in self.account.open() {
            let released = ReservationReleased {
                llm_call_id: reserved.llm_call_id,
                session_id: self.session_id,
                reserved_nanousd: reserved.est_nanousd,
                reason: RECORD_ENDS.into(),
            };
            add(Stream::Account, AccountEvent::from(released).into());
        }
        for (run_id, run) in &self.runs {
            if run.state().is_some_and(|state| state.outcome().is_none()) {
                let end = RunCommand::EndRecord { ended_by: self.viewer.actor(), reason: RECORD_ENDS.into() };
                run.decide(&end)?.into_iter().for_each(|event| add(Stream::Own(run_id.uuid()), event.into()));
            }
        }
        Ok(closing)
    }
}

/// Whether a text in JSON has a null byte: there it is an escape, and a backslash may itself be escaped. PostgreSQL
/// keeps such JSON and then cannot read any member of it.
fn has_null(json: &str) -> bool {
    json.split(r"\\").any(|piece| piece.contains(r"\u0000"))
}

/// The model call that an event of an account is about.
pub fn llm_call(event: &Event) -> Option<LlmCallId> {
    let Event::Account(event) = event else { return None };
    Some(match event {
        AccountEvent::SpendReserved(e) => e.llm_call_id,
        AccountEvent::UsageMetered(e) => e.llm_call_id,
        AccountEvent::UsageCharged(e) => e.llm_call_id,
        AccountEvent::ReservationSettled(e) => e.llm_call_id,
        AccountEvent::ReservationReleased(e) => e.llm_call_id,
    })
}

impl Stream {
    /// The stream's id in a book.
    pub fn id(self, book_id: BookId) -> Uuid {
        match self {
            Self::Own(id) => id,
            Self::Account => book_id.uuid(),
        }
    }
}
