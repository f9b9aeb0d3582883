//! The lines of a file, each no longer than a line of an export may be, whatever the file is.

use std::io::{BufRead, Read};

use domain::export::MAX_LINE_BYTES;

/// Where a line stands in its file, its end included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub bytes: u32,
}

/// Reads lines.
pub struct Lines<R> {
    source: R,
    line: Vec<u8>,
    offset: u64,
}

impl<R: BufRead> Lines<R> {
    /// The lines of a file from its beginning.
    pub fn new(source: R) -> Self {
        Self { source, line: vec![], offset: 0 }
    }

    /// The next line, its end included, and its place; of a longer one a piece that is too long.
    pub fn next(&mut self) -> std::io::Result<Option<(Place, &[u8])>> {
        self.line.clear();
        let most = u64::try_from(MAX_LINE_BYTES).expect("it fits") + 1;
        let bytes = self.source.by_ref().take(most).read_until(b'\n', &mut self.line)?;
        if bytes == 0 {
            return Ok(None);
        }
        let place = Place { offset: self.offset, bytes: u32::try_from(bytes).expect("lines are bounded") };
        self.offset += u64::from(place.bytes);
        Ok(Some((place, &self.line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_an_end_takes_no_more_memory_than_a_line_may_have() {
        let mut lines = Lines::new(std::io::BufReader::new(std::io::repeat(b'x').take(1 << 30)));
        let (_, line) = lines.next().unwrap().unwrap();
        assert_eq!(line.len(), MAX_LINE_BYTES + 1);
    }

    #[test]
    fn lines_know_where_they_stand() {
        let mut lines = Lines::new(&b"one\n\nthree"[..]);
        let mut next = || lines.next().unwrap().map(|(place, line)| (place.offset, place.bytes, line.to_vec()));
        assert_eq!(next(), Some((0, 4, b"one\n".to_vec())));
        assert_eq!(next(), Some((4, 1, b"\n".to_vec())));
        assert_eq!(next(), Some((5, 5, b"three".to_vec())));
        assert_eq!(next(), None);
    }
}
