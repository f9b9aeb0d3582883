//! Long texts in events: up to 64 KiB stand in the event itself, longer ones in a blob that the event names.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest text, in bytes, that stands in an event itself.
pub const INLINE_MAX_BYTES: usize = 64 * 1024;
/// How much of a longer text stands in the event as a preview, in bytes.
pub const PREVIEW_BYTES: usize = 2 * 1024;

/// A SHA-256 hash; written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

/// Names a blob of the same book by its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BlobRef {
    /// The hash of all its bytes.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A text of any length as an event carries it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Content {
    /// The whole text, or a preview of it where `blob` is set.
    pub text: String,
    /// Where the whole text is, if it is longer than 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<BlobRef>,
}

impl Content {
    /// A text that fits into an event. Longer texts go through the blob store first, see `commands`.
    pub fn inline(text: impl Into<String>) -> Self {
        let text = text.into();
        debug_assert!(text.len() <= INLINE_MAX_BYTES, "longer texts go through the blob store");
        Self { text, blob: None }
    }

    /// A preview of a text that lies in a blob.
    pub fn in_blob(whole: &str, blob: BlobRef) -> Self {
        Self { text: head(whole, PREVIEW_BYTES).to_owned(), blob: Some(blob) }
    }
}

/// The longest beginning of `text` of at most `max` bytes that ends between two characters.
pub fn head(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Sha256 {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "expected sha256: and 64 hexadecimal digits";
        let hex = text.strip_prefix("sha256:").ok_or(WRONG)?.as_bytes();
        if hex.len() != 64 || !hex.iter().all(u8::is_ascii_hexdigit) {
            return Err(WRONG);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            let digit = |c: u8| (c as char).to_digit(16).unwrap_or_default() as u8;
            *byte = digit(pair[0]) << 4 | digit(pair[1]);
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Sha256 {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sha256".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "sha256:hex" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_reads_back_what_it_wrote() {
        let hash = Sha256(std::array::from_fn(|i| i as u8 * 7));
        assert_eq!(hash.to_string().parse::<Sha256>(), Ok(hash));
        assert!("sha256:00".parse::<Sha256>().is_err());
    }

    #[test]
    fn a_head_never_cuts_a_character() {
        assert_eq!(head("aä", 2), "a");
        assert_eq!(head("aä", 3), "aä");
    }
}
