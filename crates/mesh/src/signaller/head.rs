//! The head of an HTTP request: the little that a signaller needs, within limits.

use httparse::Status;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_tungstenite::tungstenite::handshake::server::{Request, create_response};
use tokio_tungstenite::tungstenite::http::{Method, Version};

/// No head of a client of ours is nearly as long.
const LONGEST: usize = 8 * 1024;
const MOST_HEADERS: usize = 64;

/// A request's head, and what came after it.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) request: Request,
    pub(super) rest: Vec<u8>,
}

/// Why there is no head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeadError {
    /// Answer with this status.
    Bad(u16),
    /// The connection ended.
    Gone,
}

impl Head {
    /// The path that is asked for, without its query.
    pub(super) fn path(&self) -> &str {
        self.request.uri().path()
    }

    /// The answer that turns the connection into a WebSocket, if it was asked for rightly.
    pub(super) fn upgrade(&self) -> Option<Vec<u8>> {
        let response = create_response(&self.request).ok()?;
        let mut bytes = Vec::new();
        tokio_tungstenite::tungstenite::handshake::server::write_response(&mut bytes, &response).ok()?;
        Some(bytes)
    }
}

/// Reads a head. The caller bounds the time.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Head, HeadError> {
    // Read in place: a second buffer would stay for as long as the connection does.
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if let Some(head) = parse(&bytes)? {
            return Ok(head);
        }
        if bytes.len() >= LONGEST {
            return Err(HeadError::Bad(431));
        }
        if !matches!(stream.read_buf(&mut bytes).await, Ok(length) if length > 0) {
            return Err(HeadError::Gone);
        }
    }
}

/// A whole head, or `None` while more is to come.
fn parse(bytes: &[u8]) -> Result<Option<Head>, HeadError> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(bytes) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::Bad(431)),
        Err(_) => return Err(HeadError::Bad(400)),
    };
    let method = Method::from_bytes(parsed.method.unwrap_or_default().as_bytes());
    let method = method.map_err(|_| HeadError::Bad(400))?;
    if method != Method::GET {
        return Err(HeadError::Bad(405));
    }
    let version = if parsed.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    let mut request = Request::builder().method(method).uri(parsed.path.unwrap_or_default()).version(version);
    // Others are nobody's business: proxies write there whom they ask for.
    for header in parsed.headers.iter().filter(|header| is_wanted(header.name)) {
        request = request.header(header.name, header.value);
    }
    let request = request.body(()).map_err(|_| HeadError::Bad(400))?;
    let rest = bytes.get(length..).unwrap_or_default().to_vec();
    Ok(Some(Head { request, rest }))
}

/// Whether the handshake of RFC 6455 needs it.
fn is_wanted(header: &str) -> bool {
    ["Connection", "Upgrade", "Sec-WebSocket-Version", "Sec-WebSocket-Key"]
        .iter()
        .any(|name| header.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &str = "GET /signal HTTP/1.1\r\nHost: kube\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nmore";

    #[test]
    fn a_head_is_read_and_what_follows_is_kept() {
        let head = parse(ASKED.as_bytes()).unwrap().unwrap();
        assert_eq!((head.path(), head.rest.as_slice()), ("/signal", b"more".as_slice()));
        let answer = String::from_utf8(head.upgrade().unwrap()).unwrap();
        // The example of RFC 6455 §1.3.
        assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
        let cut = ASKED.as_bytes().split_last_chunk::<10>().unwrap().0;
        assert!(parse(cut).unwrap().is_none(), "more is to come");
    }

    #[test]
    fn what_is_no_head_is_answered_as_such() {
        assert_eq!(parse(b"POST / HTTP/1.1\r\n\r\n").err(), Some(HeadError::Bad(405)));
        assert_eq!(parse(b"\x16\x03\x01 TLS\r\n\r\n").err(), Some(HeadError::Bad(400)));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(65));
        assert_eq!(parse(many.as_bytes()).err(), Some(HeadError::Bad(431)));
        let plain = parse(b"GET /signal HTTP/1.1\r\n\r\n").unwrap().unwrap();
        assert!(plain.upgrade().is_none(), "nobody asked for a WebSocket");
    }

    #[tokio::test]
    async fn an_endless_head_is_cut_off() {
        let endless = [b"GET /".to_vec(), vec![b'a'; 9000]].concat();
        assert_eq!(read(&mut endless.as_slice()).await.err(), Some(HeadError::Bad(431)));
        assert_eq!(read(&mut b"GET / HT".as_slice()).await.err(), Some(HeadError::Gone));
    }
}
