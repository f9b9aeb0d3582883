//! HTTP/1.1 by hand: one request a connection, every header as the test wants it.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Sends a request and does not wait for its answer.
pub async fn send(address: &str, method: &str, path: &str, headers: &str, body: &str) -> io::Result<TcpStream> {
    let mut socket = TcpStream::connect(address).await?;
    let host = if headers.to_lowercase().contains("host:") { String::new() } else { format!("Host: {address}\r\n") };
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\n{host}{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).await?;
    socket.write_all(body.as_bytes()).await?;
    socket.flush().await?;
    Ok(socket)
}

/// Sends a request and reads the answer. `headers` are whole lines, each with its line end.
pub async fn exchange(address: &str, method: &str, path: &str, headers: &str, body: &str) -> io::Result<Answer> {
    let mut socket = send(address, method, path, headers, body).await?;
    let mut bytes = vec![];
    socket.read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes);
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the answer is cut");
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(cut)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
    let answer = Answer { status, head: head.to_owned(), body: body.to_owned() };
    let whole = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(body.len());
    if body.len() < whole { Err(cut()) } else { Ok(answer) }
}
