//! Signed notes, as C2SP describes them: a text, an empty line, and lines of signatures.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::key::{CheckpointKey, KeyError, VerifierKey, is_name};

/// What a line of a signature begins with.
const DASH: &str = "\u{2014} ";
/// How many signatures a note may have: ours, and those of witnesses.
const MOST_SIGNATURES: usize = 16;
/// How long a note may be, in bytes.
const LONGEST: usize = 64 * 1024;

/// Why a note is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is not of the form of a signed note.
    #[error("this is not a signed note: a text, an empty line, and lines of signatures")]
    Form,
    /// The key in question did not sign it.
    #[error("the note is not signed by this key")]
    Unsigned,
    /// There is a signature of that key, and it is wrong.
    #[error("the signature is wrong: the note was altered, or was never signed with this key")]
    Forged,
}

/// A note in its parts; nothing of it is to be believed before `verify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote<'a> {
    text: &'a str,
    signatures: Vec<(&'a str, Vec<u8>)>,
}

impl<'a> SignedNote<'a> {
    /// Takes a note apart.
    pub fn parse(note: &'a str) -> Result<Self, NoteError> {
        if note.len() > LONGEST || note.contains(|c: char| c < ' ' && c != '\n') {
            return Err(NoteError::Form);
        }
        // The last empty line: signatures have none.
        let end = note.rfind("\n\n").ok_or(NoteError::Form)?;
        let (text, lines) = (&note[..=end], &note[end + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Form)?;
        let signatures = lines.split('\n').map(signature).collect::<Option<Vec<_>>>().ok_or(NoteError::Form)?;
        if signatures.len() > MOST_SIGNATURES { Err(NoteError::Form) } else { Ok(Self { text, signatures }) }
    }

    /// The text, as far as the note itself says; its last line ends.
    pub fn unverified_text(&self) -> &'a str {
        self.text
    }

    /// The text, if this key signed it. Signatures of others are passed over.
    pub fn verify(&self, key: &VerifierKey) -> Result<&'a str, NoteError> {
        let id = key.id();
        let own = self.signatures.iter().filter(|(name, bytes)| *name == key.name() && bytes[..4] == id);
        let results: Vec<bool> = own.map(|(_, bytes)| key.verifies(self.text, &bytes[4..])).collect();
        match results.iter().all(|holds| *holds) {
            false => Err(NoteError::Forged),
            true if results.is_empty() => Err(NoteError::Unsigned),
            true => Ok(self.text),
        }
    }
}

/// Signs a text, whose last line ends, under a name.
pub(super) fn sign(text: &str, name: &str, key: &CheckpointKey) -> Result<String, KeyError> {
    let id = key.verifier(name)?.id();
    let signature = BASE64_STANDARD.encode([&id[..], &key.sign(text)[..]].concat());
    Ok(format!("{text}\n{DASH}{name} {signature}\n"))
}

fn signature(line: &str) -> Option<(&str, Vec<u8>)> {
    let (name, bytes) = line.strip_prefix(DASH)?.split_once(' ')?;
    let bytes = BASE64_STANDARD.decode(bytes).ok()?;
    (is_name(name) && bytes.len() > 4).then_some((name, bytes))
}
