//! Asks the server whether it serves, by beginning a session as every client does: no file can say it as truly.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::runtime;

/// The user and the database have the same name.
pub(super) const DATABASE: &str = "daybook";
const PROTOCOL_3_0: i32 = 196_608;
const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// An error message is a few hundred bytes.
const MESSAGE_LIMIT: u64 = 4 << 10;
/// `cannot_connect_now`: starting, recovering or stopping.
const NOT_NOW: &[u8] = b"C57P03\0";

/// What the server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A session may begin.
    Ready,
    /// It is there, and starts, recovers or stops.
    NotYet,
    /// Nobody answers.
    Nothing,
}

/// Asks the server whose socket is in this folder.
pub(super) fn ask(folder: &Path) -> Answer {
    exchange(folder).unwrap_or(Answer::Nothing)
}

fn exchange(folder: &Path) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(runtime::socket(folder))?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.set_write_timeout(Some(ANSWER_LIMIT))?;
    stream.write_all(&startup_message())?;
    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    if head[0] == b'R' {
        stream.write_all(&TERMINATE)?;
        return Ok(Answer::Ready);
    }
    let mut message = Vec::new();
    stream.take(MESSAGE_LIMIT).read_to_end(&mut message)?;
    let not_now = message.windows(NOT_NOW.len()).any(|window| window == NOT_NOW);
    Ok(if not_now { Answer::NotYet } else { Answer::Nothing })
}

fn startup_message() -> Vec<u8> {
    let mut body = PROTOCOL_3_0.to_be_bytes().to_vec();
    for text in ["user", DATABASE, "database", DATABASE] {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    let length = (body.len() + size_of::<i32>()) as u32;
    let mut message = length.to_be_bytes().to_vec();
    message.extend(body);
    message
}
