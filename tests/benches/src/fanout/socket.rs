//! The client's end of a WebSocket, as little of it as is needed: short texts out, unfragmented texts in. A library's
//! checks and copies would cost as much as the server's own work for each frame.

use anyhow::{Context, ensure};
use daybook_tests::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How much is read at once.
const CHUNK: usize = 8 * 1024;
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;

/// An open socket.
pub struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What of the buffer was given out.
    taken: usize,
}

impl Socket {
    /// Opens one as somebody who is signed in.
    pub async fn open(client: &Client) -> anyhow::Result<Self> {
        let Client { address, cookie } = client;
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET /graphql/ws HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\nCookie: {cookie}\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut socket = Self { stream, buffer: vec![], taken: 0 };
        loop {
            let end = socket.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            if let Some(end) = end {
                ensure!(socket.buffer.starts_with(b"HTTP/1.1 101"), "the server does not open a socket");
                socket.taken = end + 4;
                return Ok(socket);
            }
            ensure!(socket.read().await?, "the server hung up");
        }
    }

    /// Sends a text, masked with zeros.
    pub async fn send(&mut self, text: &str) -> anyhow::Result<()> {
        let length = u16::try_from(text.len()).context("only short texts are sent")?;
        let mut frame = vec![TEXT, 0x80 | 126];
        frame.extend(length.to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        Ok(self.stream.write_all(&frame).await?)
    }

    /// The next text; `None` when the server hung up. May be dropped while it waits.
    pub async fn next(&mut self) -> anyhow::Result<Option<&str>> {
        loop {
            let Some((kind, head, length)) = header(&self.buffer[self.taken..]) else {
                if !self.read().await? {
                    return Ok(None);
                }
                continue;
            };
            let from = self.taken + head;
            if self.buffer.len() < from + length {
                if !self.read().await? {
                    return Ok(None);
                }
                continue;
            }
            self.taken = from + length;
            match kind {
                TEXT => return Ok(Some(std::str::from_utf8(&self.buffer[from..from + length])?)),
                CLOSE => return Ok(None),
                _ => {}
            }
        }
    }

    async fn read(&mut self) -> anyhow::Result<bool> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.reserve(CHUNK);
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }
}

/// A frame's kind, and the lengths of its head and of its text, once they are there.
fn header(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (kind, short) = (*bytes.first()?, *bytes.get(1)?);
    Some(match short {
        126 => (kind, 4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (kind, 10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (kind, 2, usize::from(short)),
    })
}

#[cfg(test)]
mod tests {
    use super::header;

    #[test]
    fn lengths_are_written_in_three_ways() {
        assert_eq!(header(&[0x81, 5]), Some((0x81, 2, 5)));
        assert_eq!(header(&[0x81, 126, 1, 0]), Some((0x81, 4, 256)));
        assert_eq!(header(&[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]), Some((0x81, 10, 65_536)));
        assert_eq!(header(&[0x81, 126, 1]), None);
    }
}
