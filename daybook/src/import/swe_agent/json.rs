//! Walks a JSON document and knows at every value where it stands, so that a complaint can name the place.

use serde_json::{Map, Value};

use super::super::error::ImportError;

/// How many keys an error lists.
const LISTED_KEYS: usize = 8;
/// How much of a key an error shows, in characters.
const SHOWN_KEY_CHARS: usize = 40;

/// A value and its place in the file.
#[derive(Debug, Clone)]
pub struct At<'a> {
    value: &'a Value,
    place: String,
}

/// Parses the file; the error tells a file that was cut off from one that never was JSON.
pub fn parse(bytes: &[u8]) -> Result<Value, ImportError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        if error.is_eof() {
            return ImportError::Truncated { line, column };
        }
        let words = error.to_string();
        let reason = words.split(" at line ").next().unwrap_or(&words).to_owned();
        ImportError::NotJson { reason, line, column }
    })
}

/// The keys of an object in words, a few of them.
pub fn keys(object: &Map<String, Value>) -> String {
    if object.is_empty() {
        return "an object without keys".into();
    }
    let shown = object.keys().take(LISTED_KEYS);
    let shown: Vec<String> =
        shown.map(|key| format!("{:?}", key.chars().take(SHOWN_KEY_CHARS).collect::<String>())).collect();
    let more = if object.len() > LISTED_KEYS { format!(" and {} more", object.len() - LISTED_KEYS) } else { "".into() };
    format!("the keys {}{more}", shown.join(", "))
}

/// What kind of value this is, in words.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

impl<'a> At<'a> {
    /// A value under the name of its place.
    pub fn new(value: &'a Value, place: impl Into<String>) -> Self {
        Self { value, place: place.into() }
    }

    /// The value itself.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// Where it stands.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The value under a key of this object; null counts as absent.
    pub fn field(&self, key: &str) -> Result<Option<At<'a>>, ImportError> {
        let object = self.value.as_object().ok_or_else(|| self.wrong("an object"))?;
        let value = object.get(key).filter(|value| !value.is_null());
        let place = if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) };
        Ok(value.map(|value| At { value, place }))
    }

    /// The text under a key of this object; null counts as absent.
    pub fn field_text(&self, key: &str) -> Result<Option<String>, ImportError> {
        self.field(key)?.map(|field| field.text()).transpose()
    }

    /// The entries of this list.
    pub fn items(&self) -> Result<impl Iterator<Item = At<'a>> + use<'a>, ImportError> {
        let list = self.value.as_array().ok_or_else(|| self.wrong("a list"))?;
        let place = self.place.clone();
        Ok(list.iter().enumerate().map(move |(i, value)| At { value, place: format!("{place}[{i}]") }))
    }

    /// This text, as a database can hold it: a null byte, which it cannot, becomes the replacement character. Line
    /// ends of a terminal become those of a file.
    pub fn text(&self) -> Result<String, ImportError> {
        let text = self.value.as_str().ok_or_else(|| self.wrong("a text"))?;
        Ok(text.replace("\r\n", "\n").replace('\0', "\u{fffd}"))
    }

    /// This text, or the texts of this list of parts (`[{"type": "text", "text": …}]`), as later releases write it.
    pub fn text_or_parts(&self) -> Result<String, ImportError> {
        if !self.value.is_array() {
            return if self.value.is_string() { self.text() } else { Err(self.wrong("a text or a list of parts")) };
        }
        let mut parts = vec![];
        for part in self.items()? {
            parts.extend(part.field_text("text")?);
        }
        Ok(parts.join("\n"))
    }

    /// This whole number, not negative.
    pub fn count(&self) -> Result<u64, ImportError> {
        self.value.as_u64().ok_or_else(|| self.wrong("a whole number, zero or more"))
    }

    /// This value is not what it should be.
    pub fn wrong(&self, expected: &'static str) -> ImportError {
        let found = match self.value {
            // A number's own digits say more than its kind where another number was expected.
            Value::Number(number) => number.to_string(),
            other => kind(other).to_owned(),
        };
        let place = if self.place.is_empty() { "the file".into() } else { self.place.clone() };
        ImportError::Shape { place, found, expected }
    }
}
