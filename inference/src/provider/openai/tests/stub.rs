//! A server for tests that answers one request with exactly the bytes it was given, in exactly those pieces.
//!
//! Never understands what it is asked.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What happens after the last piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The server closes the connection.
    Close,
    /// The server keeps it open and waits for the client to close it.
    Hold,
}

/// A running stub.
pub struct Stub {
    /// What to configure as the base address.
    pub base_url: String,
    /// Told when the whole request has come.
    pub asked: oneshot::Receiver<()>,
    /// The request as it came, once the connection is over.
    pub request: JoinHandle<String>,
}

/// Serves one connection.
pub async fn serve(pieces: Vec<Vec<u8>>, end: End) -> Stub {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (tell_asked, asked) = oneshot::channel();
    let request = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        let request = read_request(&mut socket).await;
        let _ = tell_asked.send(());
        for piece in pieces {
            // The client may have hung up already, which some tests want.
            if socket.write_all(&piece).await.is_err() {
                return request;
            }
            tokio::task::yield_now().await;
        }
        if end == End::Hold {
            let mut rest = Vec::new();
            let _ = socket.read_to_end(&mut rest).await;
        }
        request
    });
    Stub { base_url, asked, request }
}

async fn read_request(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        assert_ne!(socket.read_buf(&mut bytes).await.unwrap(), 0, "the request is cut");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .to_lowercase()
            .split_once("content-length: ")
            .map_or(0, |(_, rest)| rest.lines().next().unwrap().trim().parse::<usize>().unwrap());
        if body.len() >= length {
            return text;
        }
    }
}

/// A response head that announces chunks.
pub fn chunked_head() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec()
}

/// One chunk of the chunked encoding.
pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// The chunk that ends a body.
pub fn last_chunk() -> Vec<u8> {
    b"0\r\n\r\n".to_vec()
}

/// A whole response with a body of known length.
pub fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len()).into_bytes()
}

/// The bytes in pieces that end at the given offsets.
pub fn cut(bytes: &[u8], offsets: &[usize]) -> Vec<Vec<u8>> {
    let mut offsets: Vec<usize> = offsets.iter().map(|offset| offset % (bytes.len() + 1)).collect();
    offsets.push(bytes.len());
    offsets.sort_unstable();
    let mut from = 0;
    let pieces = offsets.into_iter().map(|to| bytes[std::mem::replace(&mut from, to)..to].to_vec());
    pieces.filter(|piece| !piece.is_empty()).collect()
}
