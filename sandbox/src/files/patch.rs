//! The difference between two versions of a file, as a unified diff. It never works longer than its time.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use super::PATCH_BYTES;

/// After this long the diff becomes coarser, never wrong.
const DIFF_TIME: Duration = Duration::from_millis(500);
/// Unchanged lines shown around a change.
const CONTEXT_LINES: usize = 3;

/// A change as text and in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch {
    /// Unified diff; `None` for content that is not text or is above [`PATCH_BYTES`].
    pub text: Option<String>,
    /// Lines that only the version after has.
    pub lines_added: usize,
    /// Lines that only the version before has.
    pub lines_removed: usize,
}

/// Compares two versions; `None` is a file that is not there.
#[must_use]
pub fn patch(before: Option<&[u8]>, after: Option<&[u8]>, path: &str) -> Patch {
    let (Some(old), Some(new)) = (text(before), text(after)) else {
        return Patch::default();
    };
    let diff = TextDiff::configure().timeout(DIFF_TIME).diff_lines(old, new);
    let count = |tag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
    let name = |side: char, content: Option<&[u8]>| match content {
        Some(_) => format!("{side}/{path}"),
        None => "/dev/null".to_owned(),
    };
    let (from, to) = (name('a', before), name('b', after));
    Patch {
        text: Some(diff.unified_diff().context_radius(CONTEXT_LINES).header(&from, &to).to_string()),
        lines_added: count(ChangeTag::Insert),
        lines_removed: count(ChangeTag::Delete),
    }
}

fn text(content: Option<&[u8]>) -> Option<&str> {
    let bytes = content.unwrap_or_default();
    if bytes.len() > PATCH_BYTES || bytes.contains(&0) {
        return None;
    }
    std::str::from_utf8(bytes).ok()
}
