//! Every method of DXOS's client services, by grants of several kinds, and with somebody else's things in mind.

use std::collections::BTreeMap;
use std::time::Duration;

use data_encoding::BASE64_NOPAD;
use futures_util::{SinkExt, StreamExt};
use halo_protocol::dxos::{DxosCredential, DxosPresentation};
use prost::Message as _;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::app::back_channel;
use crate::world::{World, browser};

/// One line a method: service, method, whether it is a stream, and what is to be expected with a full grant, with one
/// that may only read, and with another app's space, document or credential. From the published schema of 0.8.3.
const METHODS: &str = include_str!("dxos_methods.txt");

const APP: &str = "https://app.example";
const READER: &str = "https://reader.example";
const OTHER: &str = "https://other.example";
const FULL: &str = "openid profile halo:spaces halo:spaces:write halo:devices halo:contacts halo:invitations";
/// What stands in the other app's space and nobody else may hear.
const SECRET: &str = "a-secret-of-the-other-app";

/// A client of the RPC, as small as it can be.
struct Client {
    line: WebSocketStream<TcpStream>,
    next: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Rpc {
    #[prost(message, optional, tag = "1")]
    request: Option<Request>,
    #[prost(message, optional, tag = "2")]
    response: Option<Response>,
    #[prost(bool, optional, tag = "3")]
    open: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    open_ack: Option<bool>,
    #[prost(message, optional, tag = "5")]
    stream_close: Option<Id>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Id {
    #[prost(int32, tag = "1")]
    id: i32,
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
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(int32, tag = "1")]
    id: i32,
    #[prost(message, optional, tag = "2")]
    payload: Option<Any>,
    #[prost(message, optional, tag = "3")]
    error: Option<Failure>,
    #[prost(bool, optional, tag = "4")]
    close: Option<bool>,
    #[prost(bool, optional, tag = "5")]
    ready: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Failure {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    message: String,
}

/// A message as its fields: bytes by number.
#[derive(Default, Clone)]
struct Fields(Vec<u8>);

impl Fields {
    fn bytes(mut self, number: u8, bytes: &[u8]) -> Self {
        self.0.push(number << 3 | 2);
        prost::encoding::encode_varint(bytes.len() as u64, &mut self.0);
        self.0.extend(bytes);
        self
    }

    fn key(self, number: u8, key: &[u8]) -> Self {
        let key = Self::default().bytes(1, key).0;
        self.bytes(number, &key)
    }

    fn number(mut self, number: u8, value: u64) -> Self {
        self.0.push(number << 3);
        prost::encoding::encode_varint(value, &mut self.0);
        self
    }
}

/// The first field of that number that holds bytes.
fn field(message: &[u8], wanted: u32) -> Option<Vec<u8>> {
    fields(message, wanted).into_iter().next()
}

fn fields(message: &[u8], wanted: u32) -> Vec<Vec<u8>> {
    let (mut rest, mut found) = (message, Vec::new());
    while !rest.is_empty() {
        let key = prost::encoding::decode_varint(&mut rest).unwrap();
        match key & 7 {
            0 => drop(prost::encoding::decode_varint(&mut rest).unwrap()),
            2 => {
                let length = prost::encoding::decode_varint(&mut rest).unwrap() as usize;
                let (bytes, left) = rest.split_at(length);
                if key >> 3 == u64::from(wanted) {
                    found.push(bytes.to_vec());
                }
                rest = left;
            }
            other => panic!("wire type {other}"),
        }
    }
    found
}

/// What a method said: payloads, or an error.
#[derive(Debug, Clone, PartialEq)]
struct Said {
    payloads: Vec<Vec<u8>>,
    /// What other streams said meanwhile.
    beside: Vec<Vec<u8>>,
    error: Option<(String, String)>,
}

impl Client {
    async fn connect(world: &World, origin: &str, token: &str) -> Result<Self, u16> {
        world.kernel.says(browser());
        let mut request = format!("ws://127.0.0.1:{}/dxos", world.port()).into_client_request().unwrap();
        let encoded = BASE64_NOPAD.encode(token.as_bytes());
        let protocol = format!("base64url.bearer.authorization.dxos.org.{encoded}");
        request.headers_mut().insert("origin", origin.parse().unwrap());
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        let stream = TcpStream::connect(("127.0.0.1", world.port())).await.unwrap();
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((line, _)) => Ok(Self { line, next: 0 }),
            Err(tokio_tungstenite::tungstenite::Error::Http(reply)) => Err(reply.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Signs in, and connects.
    async fn sign_in(world: &World, origin: &str, scope: &str) -> Self {
        let mut http = world.connect(browser()).await;
        let tokens = back_channel(world, &mut http, origin, scope).await;
        Self::connect(world, origin, tokens["access_token"].as_str().unwrap()).await.unwrap()
    }

    async fn begin(&mut self, method: &str, payload: Vec<u8>, stream: bool) -> i32 {
        self.next += 1;
        let payload = Some(Any { type_url: String::new(), value: payload });
        let request = Request { id: self.next, method: method.to_owned(), payload, stream };
        let frame = Rpc { request: Some(request), ..Rpc::default() }.encode_to_vec();
        self.line.send(Message::binary(frame)).await.unwrap();
        self.next
    }

    async fn next(&mut self) -> Response {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(60), self.line.next());
            let Message::Binary(bytes) = message.await.expect("an answer").unwrap().unwrap() else {
                continue;
            };
            if let Some(response) = Rpc::decode(bytes.as_ref()).unwrap().response {
                return response;
            }
        }
    }

    /// Calls a method, or opens a stream and hears what it has to say at once.
    async fn ask(&mut self, method: &str, payload: Vec<u8>, stream: bool) -> Said {
        let id = self.begin(method, payload, stream).await;
        let mut said = Said { payloads: Vec::new(), beside: Vec::new(), error: None };
        // Frames are handled in order: when this is answered, everything before has said what it has to say at once.
        let probe = if stream {
            self.begin("dxos.client.services.SystemService.GetConfig", Vec::new(), false).await
        } else {
            id
        };
        loop {
            let response = self.next().await;
            if response.id == id {
                said.payloads.extend(response.payload.map(|any| any.value));
                said.error = said.error.or(response.error.map(|error| (error.name, error.message)));
            } else {
                said.beside.extend(response.payload.map(|any| any.value));
            }
            if response.id == probe {
                return said;
            }
        }
    }

    async fn call(&mut self, method: &str, payload: Vec<u8>) -> Vec<u8> {
        let said = self.ask(method, payload, false).await;
        assert_eq!(said.error, None, "{method}");
        said.payloads.into_iter().next().unwrap()
    }
}

/// What an app has that another one might want.
#[derive(Clone)]
struct Place {
    space_key: Vec<u8>,
    space_id: String,
    root: String,
    identity_key: Vec<u8>,
    device_key: Vec<u8>,
    halo_key: Vec<u8>,
    credential: Vec<u8>,
}

async fn place(client: &mut Client) -> Place {
    let spaces = client.ask("dxos.client.services.SpacesService.QuerySpaces", Vec::new(), true).await;
    let space = field(&spaces.payloads[0], 1).expect("the default space");
    let identity = client.ask("dxos.client.services.IdentityService.QueryIdentity", Vec::new(), true).await;
    let identity = field(&identity.payloads[0], 1).unwrap();
    let devices = client.ask("dxos.client.services.DevicesService.QueryDevices", Vec::new(), true).await;
    let device = field(&devices.payloads[0], 1).unwrap();
    let key = |message: &[u8], number| field(&field(message, number).unwrap(), 1).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let root = text(field(&field(&space, 3).unwrap(), 22).unwrap());
    let credential =
        client.call("dxos.client.services.IdentityService.CreateAuthCredential", Vec::new()).await;
    Place {
        space_key: key(&space, 1),
        space_id: text(field(&space, 5).unwrap()),
        root: root.strip_prefix("automerge:").unwrap().to_owned(),
        identity_key: key(&identity, 1),
        device_key: key(&device, 1),
        halo_key: key(&identity, 2),
        credential,
    }
}

/// What a client would send with a space, a document or a credential in mind.
fn payload(method: &str, at: &Place) -> Vec<u8> {
    let fields = Fields::default;
    let query = format!(
        r#"{{"type":"options","query":{{"type":"select","filter":{{"type":"object","typename":null,"props":{{}}}}}},"options":{{"spaceIds":["{}"]}}}}"#,
        at.space_id
    );
    let presentation = || fields().bytes(1, &at.credential).0;
    match method {
        "IdentityService.UpdateProfile" => fields().bytes(1, b"Somebody else"),
        "IdentityService.SignPresentation" => fields().bytes(1, &presentation()).bytes(2, b"nonce"),
        "SpacesService.UpdateSpace" => fields().key(1, &at.space_key).number(2, 6),
        "SpacesService.UpdateMemberRole" => {
            fields().key(1, &at.space_key).key(2, &at.identity_key).number(3, 5)
        }
        "SpacesService.AdmitContact" => fields().number(2, 1).key(3, &at.space_key),
        "SpacesService.JoinBySpaceKey" | "SpacesService.CreateEpoch" => fields().key(1, &at.space_key),
        "SpacesService.PostMessage" => {
            fields().key(1, &at.space_key).bytes(2, b"hello").bytes(3, &fields().bytes(1, b"x").0)
        }
        "SpacesService.SubscribeMessages" => fields().key(1, &at.space_key).bytes(2, b"hello"),
        "SpacesService.WriteCredentials" => fields().key(1, &at.space_key).bytes(2, &at.credential),
        "SpacesService.QueryCredentials" => fields().key(1, &at.space_key).number(2, 1),
        "SpacesService.ExportSpace" | "DataService.SubscribeSpaceSyncState" => {
            fields().bytes(1, at.space_id.as_bytes())
        }
        "SpacesService.ImportSpace" => fields().bytes(1, &fields().bytes(1, b"x.tar").bytes(2, b"no tar").0),
        "InvitationsService.CreateInvitation" => fields().number(3, 1).key(9, &at.space_key),
        "InvitationsService.AcceptInvitation" => fields().bytes(1, &fields().number(3, 1).0),
        "InvitationsService.Authenticate" | "InvitationsService.CancelInvitation" => {
            fields().bytes(1, b"an invitation")
        }
        "DataService.Subscribe" => fields().bytes(1, b"mine").bytes(2, at.space_id.as_bytes()),
        "DataService.UpdateSubscription" => fields().bytes(1, b"mine").bytes(3, at.root.as_bytes()),
        "DataService.Update" => {
            let update = fields().bytes(1, at.root.as_bytes()).bytes(2, &[1, 2, 3]).0;
            fields().bytes(1, b"mine").bytes(2, &update)
        }
        "DataService.GetDocumentHeads" | "DataService.Flush" | "DataService.ReIndexHeads" => {
            fields().bytes(1, at.root.as_bytes())
        }
        "QueryService.ExecQuery" => fields().bytes(1, b"q").number(3, 0).bytes(5, query.as_bytes()),
        "NetworkService.UpdateConfig" | "SystemService.UpdateStatus" => fields().number(1, 1),
        _ => fields(),
    }
    .0
}

/// `dxos.client.services.IdentityService` → what is expected, by method.
fn table() -> Vec<(String, String, bool, [String; 3])> {
    let rows = METHODS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|line| {
        let mut words = line.split_whitespace().map(str::to_owned);
        let mut word = || words.next().unwrap_or_else(|| panic!("{line} is too short"));
        let (service, method, way) = (word(), word(), word());
        (service, method, way == "stream", [word(), word(), word()])
    })
    .collect()
}

/// The other app, with something in its space.
async fn other(world: &World) -> (Client, Place) {
    let mut client = Client::sign_in(world, OTHER, FULL).await;
    let mine = place(&mut client).await;
    let id = mine.space_id.parse().unwrap();
    let data = [("title".to_owned(), Value::from(SECRET))].into_iter().collect();
    let put = halo_wallet::PutItem { r#type: Some("e.org/type/Note".into()), data, ..Default::default() };
    world.wallet.put_item(&halo_wallet::By::Owner, id, put).await.unwrap();
    (client, mine)
}

fn check(said: &Said, expected: &str, what: &str) {
    let found = said.error.as_ref().map_or("ok", |(name, _)| name.as_str());
    assert_eq!(found, expected, "{what}: {:?}", said.error);
    if let Some((_, message)) = &said.error {
        assert!(message.len() > 10, "{what} says why: {message:?}");
    }
}

#[test]
fn the_list_of_methods_is_that_of_the_schema() {
    let table = table();
    assert_eq!(table.len(), 89, "methods");
    let mut services: BTreeMap<&str, usize> = BTreeMap::new();
    for (service, ..) in &table {
        *services.entry(service).or_default() += 1;
    }
    assert_eq!(services.len(), 14, "services");
    let counts: Vec<usize> = services.values().copied().collect();
    assert_eq!(counts, [3, 2, 2, 3, 8, 5, 3, 8, 13, 6, 23, 3, 9, 1], "{services:?}");
}

// threat: 20
#[tokio::test]
async fn every_method_of_every_service_answers_and_gives_nothing_more() {
    let world = World::new().await;
    let (_other, theirs) = other(&world).await;
    let mut full = Client::sign_in(&world, APP, FULL).await;
    let mut reader = Client::sign_in(&world, READER, "openid halo:spaces").await;
    let (mine, readers) = (place(&mut full).await, place(&mut reader).await);
    let before = world.wallet.all_spaces().await.unwrap();
    let private: Vec<&[u8]> = vec![
        SECRET.as_bytes(),
        theirs.space_id.as_bytes(),
        theirs.root.as_bytes(),
        &theirs.space_key,
        &theirs.identity_key,
        &theirs.device_key,
        &theirs.halo_key,
        world.wallet.snapshot().identity.clone().unwrap().did_key.as_bytes().to_vec().leak(),
    ];
    let mut failed = Vec::new();
    for (service, method, stream, [by_full, by_reader, foreign]) in table() {
        let name = format!("{service}.{method}");
        let short = format!("{}.{method}", service.rsplit('.').next().unwrap());
        let cases = [
            ("a full grant", &mut full, &mine, by_full),
            ("a reading grant", &mut reader, &readers, by_reader),
        ];
        for (who, client, place, expected) in cases {
            // What is subscribed is subscribed under one name, so that documents can be asked for.
            let said = client.ask(&name, payload(&short, place), stream).await;
            let found = said.error.as_ref().map_or("ok", |(name, _)| name.as_str());
            if found != expected {
                failed.push(format!("{short} with {who}: {found}, not {expected}: {:?}", said.error));
            }
            if said.error.is_some() {
                check(&said, found, &short);
            }
        }
        let said = full.ask(&name, payload(&short, &theirs), stream).await;
        let found = said.error.as_ref().map_or("ok", |(name, _)| name.as_str());
        if found != foreign {
            failed.push(format!("{short} of another app: {found}, not {foreign}: {:?}", said.error));
        }
        for secret in &private {
            let heard = said
                .payloads
                .iter()
                .chain(&said.beside)
                .any(|payload| payload.windows(secret.len()).any(|window| window == *secret));
            assert!(!heard, "{short} tells what is another app's");
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    // Nothing was written where it must not be; what a full grant made is its own.
    let after = world.wallet.all_spaces().await.unwrap();
    let space = |all: &[halo_wallet::SpaceDetails]| {
        all.iter().find(|space| space.id == theirs.space_id).map(|space| (space.items, space.bytes))
    };
    assert_eq!(space(&before), space(&after), "the other app's space is as it was");
    let said = full.ask("dxos.client.services.IdentityService.Invented", Vec::new(), false).await;
    check(&said, "UNKNOWN_METHOD", "a method that does not exist");
}

// threat: 20
#[tokio::test]
async fn without_the_scope_there_is_no_line() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let tokens = back_channel(&world, &mut http, APP, "openid profile halo:devices").await;
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!(Client::connect(&world, APP, token).await.err(), Some(403));
    assert_eq!(Client::connect(&world, APP, "made up").await.err(), Some(401));
}

#[tokio::test]
async fn credentials_and_presentations_verify_and_are_the_app_s_own() {
    let world = World::new().await;
    let (mut other, theirs) = other(&world).await;
    let mut client = Client::sign_in(&world, APP, FULL).await;
    let mine = place(&mut client).await;
    let query = "dxos.client.services.SpacesService.QueryCredentials";

    let all_of = |key: &[u8]| Fields::default().key(1, key).number(2, 1).0;
    let halo = client.ask(query, all_of(&mine.halo_key), true).await.payloads;
    let types: Vec<String> = halo
        .iter()
        .map(|bytes| {
            let credential = DxosCredential::decode(bytes).unwrap();
            credential.verify().unwrap();
            credential.assertion_type().rsplit('.').next().unwrap().to_owned()
        })
        .collect();
    let expected = [
        "SpaceGenesis",
        "SpaceMember",
        "IdentityProfile",
        "AuthorizedDevice",
        "DeviceProfile",
        "SpaceMember",
        "DefaultSpace",
    ];
    assert_eq!(types, expected);
    let of_space = client.ask(query, all_of(&mine.space_key), true).await.payloads;
    let types: Vec<String> = of_space
        .iter()
        .map(|bytes| {
            let credential = DxosCredential::decode(bytes).unwrap();
            credential.verify().unwrap();
            credential.assertion_type().rsplit('.').next().unwrap().to_owned()
        })
        .collect();
    assert_eq!(types, ["SpaceGenesis", "SpaceMember", "Epoch"]);
    let again = client.ask(query, all_of(&mine.halo_key), true).await.payloads;
    assert_eq!(again, halo, "the same credentials the next time");

    // A presentation of them, in answer to a challenge.
    let shown = halo.iter().fold(Fields::default(), |message, credential| message.bytes(1, credential));
    let request = Fields::default().bytes(1, &shown.0).bytes(2, b"challenge").0;
    let presentation = client.call("dxos.client.services.IdentityService.SignPresentation", request).await;
    let read = DxosPresentation::decode(&presentation).unwrap();
    read.verify().unwrap();
    assert_eq!(read.credentials().len(), halo.len());
    assert!(read.payloads()[0].contains("6368616c6c656e6765"), "the nonce is under the signature");

    // Somebody else's credential is not shown as one's own, nor one that was changed.
    for foreign in [theirs.credential.clone(), {
        let mut changed = halo[0].clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        changed
    }] {
        let shown = Fields::default().bytes(1, &foreign).0;
        let request = Fields::default().bytes(1, &shown).0;
        let said = client.ask("dxos.client.services.IdentityService.SignPresentation", request, false).await;
        check(&said, "INVALID", "a credential that is not one's own");
    }

    // A credential that the app brings is kept, told to whoever listens, and shown on.
    let write = "dxos.client.services.SpacesService.WriteCredentials";
    let request = Fields::default().key(1, &mine.halo_key).bytes(2, &mine.credential).0;
    client.call(write, request.clone()).await;
    client.call(write, request).await;
    let more = client.ask(query, all_of(&mine.halo_key), true).await.payloads;
    assert_eq!(more.len(), halo.len() + 1, "once");
    assert!(more.contains(&mine.credential));
    let unseen = other.ask(query, all_of(&theirs.halo_key), true).await.payloads;
    assert!(!unseen.contains(&mine.credential), "and by nobody else");
    let forged = Fields::default().key(1, &mine.halo_key).bytes(2, b"no credential").0;
    check(&client.ask(write, forged, false).await, "INVALID", "what is no credential");
}

#[tokio::test]
async fn devices_are_shown_to_those_who_may_see_them() {
    let world = World::new().await;
    let label = world.wallet.snapshot().identity.clone().unwrap().device_label;
    let query = "dxos.client.services.DevicesService.QueryDevices";
    let shown = |said: Said| {
        let device = field(&said.payloads[0], 1).unwrap();
        let profile = field(&device, 3).unwrap();
        (
            field(&field(&device, 1).unwrap(), 1).unwrap(),
            String::from_utf8(field(&profile, 1).unwrap()).unwrap(),
        )
    };
    let mut full = Client::sign_in(&world, APP, FULL).await;
    let (full_key, full_label) = shown(full.ask(query, Vec::new(), true).await);
    let mut reader = Client::sign_in(&world, READER, "openid halo:spaces").await;
    let (reader_key, reader_label) = shown(reader.ask(query, Vec::new(), true).await);
    assert_eq!((full_label, reader_label.as_str()), (label, "HALO"));
    assert_ne!(full_key, reader_key, "two apps have nothing to compare");
    let real = world.wallet.snapshot().identity.clone().unwrap().device_key;
    assert!(!real.contains(&data_encoding::HEXLOWER.encode(&full_key[1..33])));
}

#[tokio::test]
async fn what_one_line_posts_the_others_in_the_space_hear() {
    let world = World::new().await;
    let mut http = world.connect(browser()).await;
    let tokens = back_channel(&world, &mut http, APP, FULL).await;
    let token = tokens["access_token"].as_str().unwrap();
    let mut one = Client::connect(&world, APP, token).await.unwrap();
    let mut two = Client::connect(&world, APP, token).await.unwrap();
    let mine = place(&mut one).await;
    let listen = "dxos.client.services.SpacesService.SubscribeMessages";
    two.ask(listen, payload("SpacesService.SubscribeMessages", &mine), true).await;
    one.ask(listen, payload("SpacesService.SubscribeMessages", &mine), true).await;
    one.call("dxos.client.services.SpacesService.PostMessage", payload("SpacesService.PostMessage", &mine))
        .await;
    let heard = two.next().await.payload.expect("a message").value;
    assert_eq!(field(&heard, 2).unwrap(), b"hello");
    let own = one.ask("dxos.client.services.SystemService.GetConfig", Vec::new(), false).await;
    assert_eq!(own.payloads.len(), 1, "whoever posts does not hear it");
}

/// The agent's socket of the world, from the process that the kernel is said to see.
#[cfg(unix)]
mod agent {
    use halo_wallet::{Settings, State};
    use tokio::net::UnixStream;

    use super::*;
    use crate::world::program;

    async fn switch(world: &World, on: bool) {
        let settings = Settings { dxos_agent: on, ..world.wallet.snapshot().settings.clone() };
        world.wallet.set_settings(settings).await.unwrap();
    }

    fn socket(world: &World) -> std::path::PathBuf {
        world.dir.path().join("agent").join("agent.sock")
    }

    /// Waits until the socket is there, or is not.
    async fn settled(world: &World, there: bool) {
        let settled = async {
            while UnixStream::connect(socket(world)).await.is_ok() != there {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), settled).await.expect("the switch is followed");
    }

    async fn connect(world: &World, path: &str) -> Result<WebSocketStream<UnixStream>, u16> {
        world.kernel.says(program(path));
        let stream = UnixStream::connect(socket(world)).await.unwrap();
        match tokio_tungstenite::client_async("ws://localhost/", stream).await {
            Ok((line, _)) => Ok(line),
            Err(tokio_tungstenite::tungstenite::Error::Http(reply)) => Err(reply.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    const NODE: &str = "/usr/bin/node";

    // threat: 20
    #[tokio::test]
    async fn the_agent_s_socket_is_there_when_it_is_switched_on_and_asks_once() {
        let world = World::new().await;
        assert!(!socket(&world).exists(), "off until somebody wants it");
        switch(&world, true).await;
        settled(&world, true).await;

        let (line, ()) = tokio::join!(connect(&world, NODE), async {
            let asked = world.prompt().await;
            assert_eq!(asked.app.client_id, NODE, "the prompt says which program");
            assert_eq!(asked.app.process.as_ref().and_then(|process| process.path.as_deref()), Some(NODE));
            world.approve().await;
        });
        let mut line = line.unwrap();
        let hello = line.next().await.unwrap().unwrap();
        assert_eq!(hello.into_data().as_ref(), [0x18, 1], "it opens the conversation");

        // Again without a question, and another program with one.
        let mut again = connect(&world, NODE).await.unwrap();
        assert!(world.wallet.snapshot().requests.is_empty());
        let (refused, ()) = tokio::join!(connect(&world, "/usr/bin/other"), world.deny());
        assert_eq!(refused.err(), Some(403));

        // Who is revoked is cut off, and asks again.
        let grant = world.wallet.snapshot().apps[0].id.clone();
        world.wallet.revoke(&grant).await.unwrap();
        while again.next().await.is_some_and(|message| message.is_ok()) {}
        let (line, ()) = tokio::join!(connect(&world, NODE), async {
            world.approve().await;
        });
        let mut line = line.unwrap();

        // Switching it off ends what is open, and takes the socket away.
        switch(&world, false).await;
        settled(&world, false).await;
        while line.next().await.is_some_and(|message| message.is_ok()) {}
        assert!(!socket(&world).exists());
        assert_eq!(world.wallet.snapshot().state, State::Unlocked);
    }

    // threat: 20
    #[tokio::test]
    async fn a_browser_or_a_page_gets_nothing_from_the_agent_s_socket() {
        let world = World::new().await;
        switch(&world, true).await;
        settled(&world, true).await;
        world.kernel.says(browser());
        let stream = UnixStream::connect(socket(&world)).await.unwrap();
        let refused = tokio_tungstenite::client_async("ws://localhost/", stream).await;
        assert!(refused.is_err(), "a browser has the other door");
        world.kernel.says(program(NODE));
        let mut request = "ws://localhost/".into_client_request().unwrap();
        request.headers_mut().insert("origin", "https://app.example".parse().unwrap());
        let stream = UnixStream::connect(socket(&world)).await.unwrap();
        assert!(tokio_tungstenite::client_async(request, stream).await.is_err(), "nor has a page");
        assert!(world.wallet.snapshot().requests.is_empty(), "and nobody was asked");
        world.wallet.lock().await.unwrap();
        assert_eq!(connect(&world, NODE).await.err(), Some(503), "a locked wallet says so");
    }
}
