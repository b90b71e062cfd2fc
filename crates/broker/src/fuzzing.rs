//! What reads foreign bytes, for `fuzz/`.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use crate::address::Address;

/// A form or a query, and a DPoP proof.
pub fn openid(bytes: &[u8]) {
    crate::openid::fuzz(bytes);
}

/// The head of a request: a method, an address, and a line for each header.
pub fn head(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let method = Method::from_bytes(lines.next().unwrap_or_default()).unwrap_or(Method::GET);
    let Ok(uri) = Uri::try_from(lines.next().unwrap_or_default()) else { return };
    let mut headers = HeaderMap::new();
    for line in lines.take(64) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = HeaderName::from_bytes(parts.next().unwrap_or_default());
        let value = HeaderValue::from_bytes(parts.next().unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    for (over_socket, from_browser) in [(false, false), (false, true), (true, false)] {
        let _ = crate::evidence::read_headers(
            &method,
            &uri,
            &headers,
            Address { port: 47110 },
            over_socket,
            from_browser,
        );
    }
}

/// Reads a frame of a DXOS client, and its payload as every message that one can be.
pub fn rpc(bytes: &[u8]) {
    crate::dxos::fuzz(bytes);
}

/// Reads a line of the SDK, and what it asks for.
pub fn data(bytes: &[u8]) {
    crate::native::fuzz(bytes);
}
