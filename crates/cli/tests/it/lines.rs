//! The lines that apps write over: the SDK's, in JSON, and that of DXOS's clients, in protobuf.

use std::net::TcpStream;
use std::time::Duration;

use data_encoding::BASE64_NOPAD;
use prost::Message as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

/// A daemon that is there answers within this.
const PATIENCE: Duration = Duration::from_secs(60);

fn connect(port: u16, path: &str, token: &str) -> Option<WebSocket<TcpStream>> {
    let mut request = format!("ws://127.0.0.1:{port}{path}").into_client_request().unwrap();
    let token = BASE64_NOPAD.encode(token.as_bytes());
    let protocol = format!("base64url.bearer.authorization.dxos.org.{token}");
    request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
    let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    Some(client(request, stream).ok()?.0)
}

/// The SDK's line.
pub(crate) struct Sdk(WebSocket<TcpStream>);

impl Sdk {
    pub(crate) fn open(port: u16, token: &str) -> Option<Self> {
        connect(port, "/halo/data", token).map(Self)
    }

    /// The answer, a result or an error; nothing once nobody is there.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Option<Value> {
        let frame = json!({ "id": 1, "method": method, "params": params });
        self.0.send(Message::text(frame.to_string())).ok()?;
        loop {
            match self.0.read().ok()? {
                Message::Text(text) => return serde_json::from_str(text.as_str()).ok(),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }
}

/// The line of DXOS's clients, with one stream of documents open.
pub(crate) struct Dxos {
    line: WebSocket<TcpStream>,
    next: i32,
}

const SUBSCRIPTION: &str = "the only one";

impl Dxos {
    pub(crate) fn open(port: u16, token: &str, space: &str) -> Option<Self> {
        let mut dxos = Self { line: connect(port, "/dxos", token)?, next: 1 };
        dxos.say(Content::OpenAck(true))?;
        let subscribe = Named { id: SUBSCRIPTION.into(), of: space.into() }.encode_to_vec();
        dxos.request("DataService.Subscribe", subscribe, true)?.ok()?;
        Some(dxos)
    }

    /// Changes documents: acknowledged, refused with these words, or nobody is there.
    pub(crate) fn update(&mut self, updates: Vec<(String, Vec<u8>)>) -> Option<Result<(), String>> {
        let updates =
            updates.into_iter().map(|(document_id, mutation)| Update { document_id, mutation }).collect();
        let request = Updates { subscription: SUBSCRIPTION.into(), updates };
        self.request("DataService.Update", request.encode_to_vec(), false)
    }

    /// Any bytes at all, as a payload.
    pub(crate) fn request(
        &mut self,
        method: &str,
        value: Vec<u8>,
        stream: bool,
    ) -> Option<Result<(), String>> {
        let id = self.next;
        self.next += 1;
        let payload = Some(Any { type_url: String::new(), value });
        self.say(Content::Request(Request { id, method: method.into(), payload, stream }))?;
        loop {
            let Message::Binary(bytes) = self.line.read().ok()? else { continue };
            let Some(Content::Response(response)) = Frame::decode(bytes).ok()?.content else { continue };
            if response.id == id {
                let refused = response.error.map(|error| error.message.unwrap_or_default());
                return Some(refused.map_or(Ok(()), Err));
            }
        }
    }

    fn say(&mut self, content: Content) -> Option<()> {
        let bytes = Frame { content: Some(content) }.encode_to_vec();
        self.line.send(Message::binary(bytes)).ok()
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct Frame {
    #[prost(oneof = "Content", tags = "1, 2, 4")]
    content: Option<Content>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Content {
    #[prost(message, tag = "1")]
    Request(Request),
    #[prost(message, tag = "2")]
    Response(Response),
    #[prost(bool, tag = "4")]
    OpenAck(bool),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(int32, tag = "1")]
    id: i32,
    #[prost(string, tag = "2")]
    method: String,
    #[prost(message, optional, tag = "3")]
    payload: Option<Any>,
    #[prost(bool, tag = "4")]
    stream: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(int32, tag = "1")]
    id: i32,
    #[prost(message, optional, tag = "3")]
    error: Option<RpcError>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RpcError {
    #[prost(string, optional, tag = "2")]
    message: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Named {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    of: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Updates {
    #[prost(string, tag = "1")]
    subscription: String,
    #[prost(message, repeated, tag = "2")]
    updates: Vec<Update>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Update {
    #[prost(string, tag = "1")]
    document_id: String,
    #[prost(bytes = "vec", tag = "2")]
    mutation: Vec<u8>,
}
