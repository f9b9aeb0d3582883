//! Texts that people type, bounded once at the door and never checked again.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest message, in characters.
pub const MESSAGE_MAX_CHARS: usize = 100_000;
/// The longest title, in characters.
pub const TITLE_MAX_CHARS: usize = 200;
/// The longest reason, in characters.
pub const REASON_MAX_CHARS: usize = 2_000;

/// Why a text was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("{field} is empty: type 1 to {max} characters")]
    Empty { field: &'static str, max: usize },
    /// Too much.
    #[error("{field} has {got} characters: at most {max} are allowed")]
    TooLong { field: &'static str, got: usize, max: usize },
    /// A null byte, which no database text can hold.
    #[error("{field} contains a null byte, which is not allowed")]
    NullByte { field: &'static str },
}

/// A message to an agent: 1 to 100,000 characters, not only white space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageText(String);

/// Why somebody decided as they did: up to 2,000 characters, may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reason(String);

impl MessageText {
    /// Parses what a person typed; `field` names the input in the error.
    pub fn parse(field: &'static str, text: impl Into<String>) -> Result<Self, TextError> {
        let text = bounded(field, text.into(), MESSAGE_MAX_CHARS)?;
        if text.trim().is_empty() {
            return Err(TextError::Empty { field, max: MESSAGE_MAX_CHARS });
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A title for a session that begins with this message: its first line, cut.
    pub fn title(&self) -> String {
        let line = self.0.trim().lines().next().unwrap_or_default();
        if line.chars().count() <= 80 {
            return line.to_owned();
        }
        let cut: String = line.chars().take(79).collect();
        // Between two words, unless the line is one long word.
        let end = cut.rfind(' ').filter(|end| *end > 40).unwrap_or(cut.len());
        format!("{}…", cut[..end].trim_end())
    }
}

impl Reason {
    /// Parses what a person typed; `field` names the input in the error.
    pub fn parse(field: &'static str, text: impl Into<String>) -> Result<Self, TextError> {
        bounded(field, text.into(), REASON_MAX_CHARS).map(Self)
    }

    /// The same where one must be given.
    pub fn required(field: &'static str, text: impl Into<String>) -> Result<Self, TextError> {
        let reason = Self::parse(field, text)?;
        if reason.0.trim().is_empty() { Err(TextError::Empty { field, max: REASON_MAX_CHARS }) } else { Ok(reason) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn bounded(field: &'static str, text: String, max: usize) -> Result<String, TextError> {
    if text.contains('\0') {
        return Err(TextError::NullByte { field });
    }
    // Bytes bound characters from above, so the common case counts nothing.
    if text.len() > max {
        let got = text.chars().count();
        if got > max {
            return Err(TextError::TooLong { field, got, max });
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_between_1_and_100_000_characters() {
        assert!(MessageText::parse("text", "ä".repeat(100_000)).is_ok());
        let long = MessageText::parse("text", "ä".repeat(100_001)).unwrap_err();
        assert_eq!(long, TextError::TooLong { field: "text", got: 100_001, max: 100_000 });
        assert_eq!(MessageText::parse("text", " \n").unwrap_err(), TextError::Empty { field: "text", max: 100_000 });
        assert_eq!(MessageText::parse("text", "a\0b").unwrap_err(), TextError::NullByte { field: "text" });
    }

    #[test]
    fn a_title_is_the_first_line() {
        assert_eq!(MessageText::parse("text", "\nfix it\nplease").unwrap().title(), "fix it");
        assert!(MessageText::parse("text", "word ".repeat(50)).unwrap().title().ends_with("word…"));
        assert_eq!(MessageText::parse("text", "w".repeat(500)).unwrap().title().chars().count(), 80);
    }
}
