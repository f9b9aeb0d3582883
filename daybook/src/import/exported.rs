//! A file that `daybook export` wrote: checked whole, rehearsed whole, and then taken in session by session.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufReader, Seek};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use commands::{CommandError, RecordedSession, blobs};
use domain::export::{Blob, EventLine, Kind, Line, Manifest, Recorded, Recording, RecordingError, Report, references};
use domain::session::{ImportSource, SessionError};
use domain::{SessionId, Sha256};
use sha2::Digest;

use crate::export::{Place, Trust, check};
use crate::node::Node;
use crate::out::say;

/// The most events that are appended at once; a session with more is taken in in parts.
const PART_EVENTS: usize = 20_000;
/// The most bytes of lines that are appended at once.
const PART_BYTES: usize = 64 * 1024 * 1024;
/// What lists call the format.
const FORMAT: &str = "daybook-export";

/// A file that holds, with the places of its lines.
pub struct ExportFile {
    path: PathBuf,
    file: File,
    report: Report,
    source: ImportSource,
    sessions: Vec<Session>,
    blobs: HashMap<Sha256, Vec<Place>>,
    /// How many events belong to no session; they are not taken in.
    elsewhere: u64,
}

/// The lines of one session.
struct Session {
    id: SessionId,
    lines: Vec<Place>,
    /// Why it is not taken in, if so.
    left_out: Option<String>,
}

/// What is appended at once.
#[derive(Default)]
struct Part {
    events: Vec<Recorded>,
    /// How long their lines are.
    bytes: usize,
    /// What they refer to.
    blobs: BTreeSet<Sha256>,
}

/// What came of a session.
enum Outcome {
    New { events: usize },
    Before { events: usize },
    LeftOut { reason: String },
}

impl ExportFile {
    /// Opens a file if it is an export, and checks all of it.
    pub fn open(path: &Path, trust: &Trust<'_>) -> anyhow::Result<Option<Self>> {
        let reading = || format!("reading {}", path.display());
        let Some(mut file) = crate::export::open(path)? else { return Ok(None) };
        let (sha256, bytes) = digest(&mut file).with_context(reading)?;
        file.rewind()?;
        let mut sessions: BTreeMap<SessionId, Vec<Place>> = BTreeMap::new();
        let (mut blobs, mut elsewhere): (HashMap<_, Vec<Place>>, u64) = (HashMap::new(), 0);
        let checked = check(&file, trust, |line, place| {
            match line {
                Line::Blob(blob) => blobs.entry(blob.blob).or_default().push(place),
                Line::Event(line) => match line.event.session_id {
                    Some(id) => sessions.entry(SessionId::new(id)).or_default().push(place),
                    None => elsewhere += 1,
                },
            }
            Ok(())
        });
        let report =
            checked.with_context(|| format!("{} was not imported, and nothing was written", path.display()))?;
        let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let source = ImportSource { format: FORMAT.into(), file_name, sha256, bytes };
        // The oldest session first: where it begins in the file says so.
        let mut sessions: Vec<_> =
            sessions.into_iter().map(|(id, lines)| Session { id, lines, left_out: None }).collect();
        sessions.sort_by_key(|session| session.lines.first().map(|place| place.offset));
        Ok(Some(Self { path: path.to_owned(), file, report, source, sessions, blobs, elsewhere }))
    }

    /// Goes through every session without writing anything; what cannot be taken in is found before anything is.
    pub fn rehearse(&mut self, node: &Node) -> anyhow::Result<()> {
        let mut sessions = std::mem::take(&mut self.sessions);
        for session in &mut sessions {
            let mut recording = self.recording(node, session.id);
            let mut line = 1;
            let taken = session.lines.iter().try_for_each(|place| {
                let event = self.event(*place)?;
                line = event.line;
                anyhow::Ok(recording.take(event).map(|_| ())?)
            });
            let taken = taken.and_then(|()| Ok(recording.close().map(|_| ())?));
            match taken.map_err(|error| error.downcast::<RecordingError>()) {
                Ok(()) => {}
                Err(Ok(error)) if self.report.manifest.kind == Kind::Book && is_incomplete(&error) => {
                    session.left_out = Some(error.to_string())
                }
                Err(Ok(error)) => {
                    bail!("{} was not imported, and nothing was written: line {line}: {error}", self.shown())
                }
                Err(Err(error)) => return Err(error),
            }
        }
        self.sessions = sessions;
        if self.sessions.is_empty() {
            bail!("{} was not imported: it holds no session", self.shown());
        }
        Ok(())
    }

    /// Takes in every session that is not left out.
    pub async fn take_in(&self, node: &Node, json: bool) -> anyhow::Result<()> {
        let all = self.sessions.len();
        for (number, session) in (1..).zip(&self.sessions) {
            let outcome = match &session.left_out {
                Some(reason) => Outcome::LeftOut { reason: reason.clone() },
                None => self.take_in_session(node, session).await?,
            };
            self.tell(session.id, (number, all), &outcome, json)?;
        }
        Ok(())
    }

    async fn take_in_session(&self, node: &Node, session: &Session) -> anyhow::Result<Outcome> {
        let mut recording = self.recording(node, session.id);
        let mut recorded = RecordedSession::new(self.source.sha256, session.id);
        let (mut part, mut events, mut before) = (Part::default(), 0, true);
        for place in &session.lines {
            if part.events.len() >= PART_EVENTS || part.bytes >= PART_BYTES {
                match self.append(node, session, &mut recorded, std::mem::take(&mut part)).await? {
                    Some(known) => before &= known,
                    None => return self.taken(session.id),
                }
            }
            let event = self.event(*place)?;
            part.blobs.extend(references(event.event.payload.as_deref().unwrap_or_default()).into_keys());
            (events, part.bytes) = (events + 1, part.bytes + place.bytes as usize);
            part.events.push(recording.take(event)?);
        }
        let closing = recording.close()?;
        events += closing.len();
        part.events.extend(closing);
        match self.append(node, session, &mut recorded, part).await? {
            Some(known) if before && known => Ok(Outcome::Before { events }),
            Some(_) => Ok(Outcome::New { events }),
            None => self.taken(session.id),
        }
    }

    /// Appends a part; answers whether it had been taken in before, or nothing where the session is somebody else's.
    async fn append(
        &self,
        node: &Node,
        session: &Session,
        recorded: &mut RecordedSession,
        part: Part,
    ) -> anyhow::Result<Option<bool>> {
        let viewer = node.access.demo_user();
        // Blobs are there before the event that names them. Those of a part that is in the book were, or are erased.
        if !node.commands.has_taken_in(viewer, recorded).await? {
            for sha256 in part.blobs {
                self.store(node, session.id, sha256).await?;
            }
        }
        match node.commands.take_in(viewer, recorded, &part.events).await {
            Ok(done) => Ok(Some(done.answer)),
            Err(CommandError::Session(SessionError::Taken)) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("taking in {}", self.shown())),
        }
    }

    /// The session is in this book, and not from this file.
    fn taken(&self, id: SessionId) -> anyhow::Result<Outcome> {
        let reason = format!("{id} is in this book already, and not from this file");
        match self.report.manifest.kind {
            Kind::Session => bail!("{} was not imported, and nothing was written: {reason}", self.shown()),
            Kind::Book => Ok(Outcome::LeftOut { reason }),
        }
    }

    async fn store(&self, node: &Node, session_id: SessionId, sha256: Sha256) -> anyhow::Result<()> {
        let (mut blob, mut content): (Option<Blob>, Vec<u8>) = (None, vec![]);
        for place in self.blobs.get(&sha256).into_iter().flatten() {
            let Line::Blob(line) = self.line(*place)? else { bail!("{} has changed meanwhile", self.shown()) };
            content.extend(blob.get_or_insert_with(|| Blob::begin(&line)).take(&line)?);
        }
        if blob.is_some_and(|blob| blob.bytes.is_some()) {
            blobs::put(&node.pool, node.access.demo_user().book_id, session_id, &content).await?;
        }
        Ok(())
    }

    fn tell(&self, id: SessionId, (number, all): (u64, usize), outcome: &Outcome, json: bool) -> anyhow::Result<()> {
        let notes = self.notes();
        if json {
            let (events, before, left_out) = match outcome {
                Outcome::New { events } => (*events, false, None),
                Outcome::Before { events } => (*events, true, None),
                Outcome::LeftOut { reason } => (0, false, Some(reason)),
            };
            say!(
                "{}",
                serde_json::json!({
                    "file": self.path, "session": id, "before": before, "events": events, "leftOut": left_out,
                    "notes": notes,
                })
            );
            return Ok(());
        }
        let shown = self.shown();
        let which = if all > 1 { format!(" [{number} of {all}]") } else { String::new() };
        match outcome {
            Outcome::New { events } => say!("{shown}{which}: {events} events, as {id}"),
            Outcome::Before { .. } => say!("{shown}{which}: imported before, as {id}; nothing changed"),
            Outcome::LeftOut { reason } => say!("{shown}{which}: {id} is left out: {reason}"),
        }
        if number == all as u64 {
            for note in notes {
                say!("  note: {note}");
            }
        }
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec![];
        if !self.report.key_was_given {
            notes.push(format!("the file itself names the key that signed its checkpoint: {}", self.report.signed_by));
        }
        if self.elsewhere > 0 {
            notes.push(format!("{} events belong to no session and were not taken in", self.elsewhere));
        }
        if self.report.manifest.absent > 0 {
            notes.push(format!("{} blobs were not kept where it comes from", self.report.manifest.absent));
        }
        notes
    }

    fn recording(&self, node: &Node, id: SessionId) -> Recording {
        let manifest: Manifest = self.report.manifest.clone();
        Recording::new(id, manifest, self.source.clone(), node.access.demo_user())
    }

    fn event(&self, place: Place) -> anyhow::Result<EventLine> {
        match self.line(place)? {
            Line::Event(event) => Ok(*event),
            Line::Blob(_) => bail!("{} has changed meanwhile", self.shown()),
        }
    }

    fn line(&self, place: Place) -> anyhow::Result<Line> {
        let mut line = vec![0; place.bytes as usize];
        self.file.read_exact_at(&mut line, place.offset).with_context(|| format!("reading {}", self.shown()))?;
        Ok(Line::parse(line.trim_ascii_end())?)
    }

    fn shown(&self) -> std::path::Display<'_> {
        self.path.display()
    }
}

/// Whether a book holds a part of the session only: its range does not hold the rest, or the rest was erased.
fn is_incomplete(error: &RecordingError) -> bool {
    use RecordingError::{Erased, Mark, NoSession, NoWorkspace, Unbegun};
    matches!(error, Erased | Mark(_) | Unbegun | NoSession | NoWorkspace)
}

/// The hash and the size of a file.
fn digest(file: &mut File) -> std::io::Result<(Sha256, u64)> {
    file.rewind()?;
    let mut digest = sha2::Sha256::new();
    let bytes = std::io::copy(&mut BufReader::new(file), &mut digest)?;
    Ok((Sha256(digest.finalize().into()), bytes))
}
