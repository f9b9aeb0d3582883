//! What a model sees of long output: its head and its tail. It never cuts in silence, nor inside a character.

/// Bytes of output that a model sees: 32 KiB.
pub const SEEN_BYTES: usize = 32 * 1024;

/// Keeps the head and the tail of a text, with a marker of what was cut between them.
#[must_use]
pub fn bounded(text: &str) -> String {
    if text.len() <= SEEN_BYTES {
        return text.to_owned();
    }
    let head = text.floor_char_boundary(SEEN_BYTES / 2);
    let tail = text.ceil_char_boundary(text.len() - SEEN_BYTES / 2);
    let cut = tail - head;
    format!("{}\n[… {cut} bytes cut here …]\n{}", &text[..head], &text[tail..])
}

/// Keeps the beginning of a text, at most `bytes` bytes.
pub(super) fn shortened(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(bytes)])
}
