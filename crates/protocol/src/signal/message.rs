//! What a client and a signaller say to each other: protobuf messages, one a WebSocket message.
//!
//! A client may be in several topics over one connection. A signaller keeps nothing that it has forwarded.

use prost::{Message, Oneof};

use super::{PeerId, Topic};

/// What one peer sends to another at once, sealed.
pub const LONGEST_PAYLOAD: usize = 64 * 1024;
/// An encoded message; longer ones are not read.
pub const LONGEST_MESSAGE: usize = LONGEST_PAYLOAD + 1024;
/// Peers of one topic.
pub const MOST_PEERS: usize = 256;
/// Servers that a signaller names for ICE, and addresses of each.
const MOST_ICE: usize = 8;
/// An address, user name or credential of one.
const LONGEST_TEXT: usize = 512;

/// From a client to its signaller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage {
    /// Meet whoever is at this topic. Answered by [`ServerMessage::Joined`] or [`ServerMessage::Refused`].
    Join {
        /// Where.
        topic: Topic,
    },
    /// Leave a topic.
    Leave {
        /// Which.
        topic: Topic,
    },
    /// Forward this.
    Send {
        /// Where both are.
        topic: Topic,
        /// To whom.
        to: PeerId,
        /// Sealed; at most [`LONGEST_PAYLOAD`].
        payload: Vec<u8>,
    },
    /// Ask for STUN and TURN servers. Answered by [`ServerMessage::IceServers`].
    AskIceServers,
}

/// From a signaller to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerMessage {
    /// You are at the topic.
    Joined {
        /// Which.
        topic: Topic,
        /// Your name there.
        you: PeerId,
        /// Who was there before you; at most [`MOST_PEERS`].
        peers: Vec<PeerId>,
    },
    /// Somebody came.
    PeerJoined {
        /// Where.
        topic: Topic,
        /// Who.
        peer: PeerId,
    },
    /// Somebody went, or lost the connection.
    PeerLeft {
        /// From where.
        topic: Topic,
        /// Who.
        peer: PeerId,
    },
    /// A peer says this.
    Payload {
        /// Where.
        topic: Topic,
        /// Who, as the signaller says; the seal proves it.
        from: PeerId,
        /// Sealed.
        payload: Vec<u8>,
    },
    /// What you asked for will not be done.
    Refused {
        /// Concerning which topic; `None` for the connection.
        topic: Option<Topic>,
        /// Why.
        why: Refusal,
    },
    /// Servers that help to find a direct path, with credentials for a limited time.
    IceServers {
        /// At most eight.
        servers: Vec<IceServer>,
    },
}

/// A STUN or TURN server.
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    /// `stun:…`, `turn:…`; at most eight.
    pub urls: Vec<String>,
    /// User name; empty for STUN.
    pub username: String,
    /// Password; empty for STUN.
    pub credential: String,
}

impl std::fmt::Debug for IceServer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("IceServer").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// Why a signaller does not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Slow down; try again in a minute.
    #[error("too many messages or joins")]
    TooMany = 1,
    /// As many are at the topic as may be.
    #[error("the topic is full")]
    Full = 2,
    /// The peer is gone.
    #[error("no such peer is at the topic")]
    NoSuchPeer = 3,
    /// Not a message, or too long a one.
    #[error("the message cannot be read")]
    Malformed = 4,
    /// The peer takes things slower than they are sent.
    #[error("the peer does not keep up")]
    Slow = 5,
    /// The server is going away; use another.
    #[error("the server is closing")]
    Closing = 6,
    /// Join first.
    #[error("not at that topic")]
    NotJoined = 7,
}

/// Why some bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signalling message cannot be read: {why}")]
pub struct MessageError {
    why: &'static str,
}

const fn no(why: &'static str) -> MessageError {
    MessageError { why }
}

#[derive(Clone, PartialEq, Message)]
struct ClientWire {
    #[prost(oneof = "ClientSaid", tags = "1, 2, 3, 4")]
    said: Option<ClientSaid>,
}

#[derive(Clone, PartialEq, Oneof)]
enum ClientSaid {
    #[prost(message, tag = "1")]
    Join(AtTopic),
    #[prost(message, tag = "2")]
    Leave(AtTopic),
    #[prost(message, tag = "3")]
    Send(PayloadWire),
    #[prost(message, tag = "4")]
    AskIceServers(Nothing),
}

#[derive(Clone, PartialEq, Message)]
struct ServerWire {
    #[prost(oneof = "ServerSaid", tags = "1, 2, 3, 4, 5, 6")]
    said: Option<ServerSaid>,
}

#[derive(Clone, PartialEq, Oneof)]
enum ServerSaid {
    #[prost(message, tag = "1")]
    Joined(JoinedWire),
    #[prost(message, tag = "2")]
    PeerJoined(AtTopic),
    #[prost(message, tag = "3")]
    PeerLeft(AtTopic),
    #[prost(message, tag = "4")]
    Payload(PayloadWire),
    #[prost(message, tag = "5")]
    Refused(RefusedWire),
    #[prost(message, tag = "6")]
    IceServers(IceServersWire),
}

#[derive(Clone, PartialEq, Message)]
struct AtTopic {
    #[prost(bytes = "vec", tag = "1")]
    topic: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    peer: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct PayloadWire {
    #[prost(bytes = "vec", tag = "1")]
    topic: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    peer: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    payload: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct JoinedWire {
    #[prost(bytes = "vec", tag = "1")]
    topic: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    you: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    peers: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct RefusedWire {
    #[prost(bytes = "vec", tag = "1")]
    topic: Vec<u8>,
    #[prost(uint32, tag = "2")]
    why: u32,
}

#[derive(Clone, PartialEq, Message)]
struct IceServersWire {
    #[prost(message, repeated, tag = "1")]
    servers: Vec<IceServerWire>,
}

#[derive(Clone, PartialEq, Message)]
struct IceServerWire {
    #[prost(string, repeated, tag = "1")]
    urls: Vec<String>,
    #[prost(string, tag = "2")]
    username: String,
    #[prost(string, tag = "3")]
    credential: String,
}

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

impl ClientMessage {
    /// The encoded message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let said = match self {
            Self::Join { topic } => ClientSaid::Join(at(*topic, None)),
            Self::Leave { topic } => ClientSaid::Leave(at(*topic, None)),
            Self::Send { topic, to, payload } => ClientSaid::Send(forwarded(*topic, *to, payload)),
            Self::AskIceServers => ClientSaid::AskIceServers(Nothing {}),
        };
        ClientWire { said: Some(said) }.encode_to_vec()
    }

    /// Reads an encoded message.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        short_enough(bytes)?;
        let wire = ClientWire::decode(bytes).map_err(|_| no("it is no such message"))?;
        match wire.said.ok_or(no("it says nothing"))? {
            ClientSaid::Join(wire) => Ok(Self::Join { topic: topic(&wire.topic)? }),
            ClientSaid::Leave(wire) => Ok(Self::Leave { topic: topic(&wire.topic)? }),
            ClientSaid::Send(wire) => Ok(Self::Send {
                topic: topic(&wire.topic)?,
                to: peer(&wire.peer)?,
                payload: payload(wire.payload)?,
            }),
            ClientSaid::AskIceServers(Nothing {}) => Ok(Self::AskIceServers),
        }
    }
}

impl ServerMessage {
    /// The encoded message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let said = match self {
            Self::Joined { topic, you, peers } => ServerSaid::Joined(JoinedWire {
                topic: topic.as_bytes().to_vec(),
                you: you.as_bytes().to_vec(),
                peers: peers.iter().map(|peer| peer.as_bytes().to_vec()).collect(),
            }),
            Self::PeerJoined { topic, peer } => ServerSaid::PeerJoined(at(*topic, Some(*peer))),
            Self::PeerLeft { topic, peer } => ServerSaid::PeerLeft(at(*topic, Some(*peer))),
            Self::Payload { topic, from, payload } => ServerSaid::Payload(forwarded(*topic, *from, payload)),
            Self::Refused { topic, why } => ServerSaid::Refused(RefusedWire {
                topic: topic.map(|topic| topic.as_bytes().to_vec()).unwrap_or_default(),
                why: *why as u32,
            }),
            Self::IceServers { servers } => ServerSaid::IceServers(IceServersWire {
                servers: servers.iter().cloned().map(IceServerWire::from).collect(),
            }),
        };
        ServerWire { said: Some(said) }.encode_to_vec()
    }

    /// Reads an encoded message.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        short_enough(bytes)?;
        let wire = ServerWire::decode(bytes).map_err(|_| no("it is no such message"))?;
        match wire.said.ok_or(no("it says nothing"))? {
            ServerSaid::Joined(wire) => {
                if wire.peers.len() > MOST_PEERS {
                    return Err(no("it names too many peers"));
                }
                let peers = wire.peers.iter().map(|bytes| peer(bytes)).collect::<Result<_, _>>()?;
                Ok(Self::Joined { topic: topic(&wire.topic)?, you: peer(&wire.you)?, peers })
            }
            ServerSaid::PeerJoined(wire) => {
                Ok(Self::PeerJoined { topic: topic(&wire.topic)?, peer: peer(&wire.peer)? })
            }
            ServerSaid::PeerLeft(wire) => {
                Ok(Self::PeerLeft { topic: topic(&wire.topic)?, peer: peer(&wire.peer)? })
            }
            ServerSaid::Payload(wire) => Ok(Self::Payload {
                topic: topic(&wire.topic)?,
                from: peer(&wire.peer)?,
                payload: payload(wire.payload)?,
            }),
            ServerSaid::Refused(wire) => {
                let concerning = if wire.topic.is_empty() { None } else { Some(topic(&wire.topic)?) };
                Ok(Self::Refused { topic: concerning, why: Refusal::from_number(wire.why)? })
            }
            ServerSaid::IceServers(wire) => {
                if wire.servers.len() > MOST_ICE {
                    return Err(no("it names too many servers"));
                }
                let servers = wire.servers.into_iter().map(IceServer::try_from).collect::<Result<_, _>>()?;
                Ok(Self::IceServers { servers })
            }
        }
    }
}

impl Refusal {
    fn from_number(number: u32) -> Result<Self, MessageError> {
        const ALL: [Refusal; 7] = [
            Refusal::TooMany,
            Refusal::Full,
            Refusal::NoSuchPeer,
            Refusal::Malformed,
            Refusal::Slow,
            Refusal::Closing,
            Refusal::NotJoined,
        ];
        ALL.into_iter().find(|known| *known as u32 == number).ok_or(no("it refuses for no known reason"))
    }
}

impl From<IceServer> for IceServerWire {
    fn from(server: IceServer) -> Self {
        Self { urls: server.urls, username: server.username, credential: server.credential }
    }
}

impl TryFrom<IceServerWire> for IceServer {
    type Error = MessageError;

    fn try_from(wire: IceServerWire) -> Result<Self, MessageError> {
        let texts = wire.urls.iter().chain([&wire.username, &wire.credential]);
        if wire.urls.len() > MOST_ICE || texts.into_iter().any(|text| text.len() > LONGEST_TEXT) {
            return Err(no("a server of it is described at too great length"));
        }
        Ok(Self { urls: wire.urls, username: wire.username, credential: wire.credential })
    }
}

fn at(topic: Topic, peer: Option<PeerId>) -> AtTopic {
    let peer = peer.map(|peer| peer.as_bytes().to_vec()).unwrap_or_default();
    AtTopic { topic: topic.as_bytes().to_vec(), peer }
}

fn forwarded(topic: Topic, peer: PeerId, payload: &[u8]) -> PayloadWire {
    PayloadWire {
        topic: topic.as_bytes().to_vec(),
        peer: peer.as_bytes().to_vec(),
        payload: payload.to_vec(),
    }
}

fn short_enough(bytes: &[u8]) -> Result<(), MessageError> {
    if bytes.len() > LONGEST_MESSAGE { Err(no("it is too long")) } else { Ok(()) }
}

fn topic(bytes: &[u8]) -> Result<Topic, MessageError> {
    bytes.try_into().map(Topic::from_bytes).map_err(|_| no("a topic has 16 bytes"))
}

fn peer(bytes: &[u8]) -> Result<PeerId, MessageError> {
    bytes.try_into().map(PeerId::from_bytes).map_err(|_| no("a peer has 16 bytes"))
}

fn payload(bytes: Vec<u8>) -> Result<Vec<u8>, MessageError> {
    if bytes.len() > LONGEST_PAYLOAD { Err(no("its payload is too long")) } else { Ok(bytes) }
}
