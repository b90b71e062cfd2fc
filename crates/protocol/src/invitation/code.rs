//! What is in the QR code.
//!
//! bytes = version (1) ‖ kind (1) ‖ direction (1) ‖ authentication (1) ‖ topic secret (16) ‖ one-time key (32) ‖ expiry in seconds
//! (4) ‖ number of hints (1) ‖ hints ‖ first 4 bytes of SHA-256 of all before. In a URL as base64url.
//!
//! There are two types of code, since confusing them hands an account away: an [`InvitationCode`] is shown by a device
//! that belongs to the account and scanned by the new one; a [`NewcomerCode`] is shown by the new one. The direction is in
//! the bytes, in the text around them (a newcomer's code is no URL that a system would open), and, with everything else in
//! the code, in the prologue of the handshake.
//!
//! A code is no secret for long and none by itself: it says where to meet and whom. Who read it over a shoulder still
//! has to have the digits of their own screen typed into the trusted device.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use crate::channel::Purpose;
use crate::signal::TopicSecret;
use crate::time::Timestamp;

/// Where the `https` twin of a code points. The code is behind the fragment, which no server sees.
pub const WEB_PAGE: &str = "https://halo.example/join#";
const LINK: &str = "halo://join/";
const NEWCOMER: &str = "halo-newcomer:";
/// A code as text; hints that would make it longer are left out. A QR code of version 12 at level M holds 287 bytes.
pub const LONGEST_CODE: usize = 287;
/// Longer text is not looked at.
const LONGEST_TEXT: usize = 1_024;
const VERSION: u8 = 1;
const FIXED: usize = 4 + 16 + 32 + 4 + 1;
const CHECK: usize = 4;
const MOST_HINTS: usize = 8;
const LONGEST_HINT: usize = 128;

/// What an invitation is to. Spaces and contacts have their numbers kept: 2 and 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The account, as another device of it.
    Device = 1,
}

/// How the two make sure of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// The new device shows six digits, which are typed into the trusted one.
    DigitsOnNewDevice = 1,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    TrustedShows = 1,
    NewcomerShows = 2,
}

/// Where to meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// A signaller: `ws://…` or `wss://…`, printable ASCII, at most 128 characters.
    Signaller(String),
    /// A device's own signaller on the local network.
    Lan(SocketAddr),
}

/// Why a text is no code that can be used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Scan or paste something else.
    #[error("this is no invitation")]
    NotACode,
    /// Copy all of it.
    #[error("the invitation is incomplete or mistyped")]
    Incomplete,
    /// It is the other direction's. A newcomer's code can be read only where the user went to add a new device.
    #[error("this code is for the other device: it asks to be added, or offers to add")]
    OtherDirection,
    /// Update HALO.
    #[error("the invitation is of version {version}")]
    Version {
        /// Which.
        version: u8,
    },
    /// It invites to something that this version does not know.
    #[error("the invitation is of an unknown kind")]
    Kind,
}

/// What every code says.
#[derive(Clone, PartialEq, Eq)]
pub struct Meeting {
    /// To what.
    pub kind: Kind,
    /// How the two make sure of each other.
    pub authentication: Authentication,
    /// Opens the place to meet.
    pub topic: TopicSecret,
    /// One-time X25519 key of whoever shows the code.
    pub key: [u8; 32],
    /// Where to meet, the most useful first.
    pub hints: Vec<Hint>,
    /// Until when, in whole seconds.
    pub expires: Timestamp,
}

impl Meeting {
    fn encode(&self, direction: Direction, longest: usize) -> Vec<u8> {
        let kind = [VERSION, self.kind as u8, direction as u8, self.authentication as u8];
        let expires = u32::try_from(self.expires.seconds()).unwrap_or(u32::MAX).to_be_bytes();
        let mut hints = Vec::new();
        let mut count = 0_u8;
        for hint in self.hints.iter().filter_map(Hint::encode).take(MOST_HINTS) {
            if FIXED + hints.len() + hint.len() + CHECK <= longest {
                hints.extend_from_slice(&hint);
                count += 1;
            }
        }
        let mut bytes =
            [kind.as_slice(), self.topic.expose(), &self.key, &expires, &[count], &hints].concat();
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        bytes
    }

    fn decode(bytes: &[u8], wanted: Direction) -> Result<Self, CodeError> {
        let (version, _) = bytes.split_first().ok_or(CodeError::Incomplete)?;
        if *version != VERSION {
            return Err(CodeError::Version { version: *version });
        }
        let (said, sum) = bytes.split_last_chunk::<CHECK>().ok_or(CodeError::Incomplete)?;
        if check(said) != *sum {
            return Err(CodeError::Incomplete);
        }
        let (head, rest) = said.split_first_chunk::<4>().ok_or(CodeError::Incomplete)?;
        let (topic, rest) = rest.split_first_chunk::<16>().ok_or(CodeError::Incomplete)?;
        let (key, rest) = rest.split_first_chunk::<32>().ok_or(CodeError::Incomplete)?;
        let (expires, rest) = rest.split_first_chunk::<4>().ok_or(CodeError::Incomplete)?;
        let (count, mut rest) = rest.split_first().ok_or(CodeError::Incomplete)?;
        let [_, kind, direction, authentication] = *head;
        if kind != Kind::Device as u8 || authentication != Authentication::DigitsOnNewDevice as u8 {
            return Err(CodeError::Kind);
        }
        if direction != wanted as u8 {
            return Err(CodeError::OtherDirection);
        }
        if usize::from(*count) > MOST_HINTS || *key == [0; 32] {
            return Err(CodeError::NotACode);
        }
        let mut hints = Vec::new();
        for _ in 0..*count {
            hints.push(Hint::decode(&mut rest).ok_or(CodeError::NotACode)?);
        }
        if !rest.is_empty() {
            return Err(CodeError::NotACode);
        }
        Ok(Self {
            kind: Kind::Device,
            authentication: Authentication::DigitsOnNewDevice,
            topic: TopicSecret::from_bytes(topic).ok_or(CodeError::NotACode)?,
            key: *key,
            hints,
            expires: Timestamp::from_millis(u64::from(u32::from_be_bytes(*expires)) * 1000),
        })
    }
}

/// So that what was cut or mistyped is told from what was never a code. No protection: the handshake covers the code.
fn check(bytes: &[u8]) -> [u8; CHECK] {
    let mut sum = [0; CHECK];
    sum.iter_mut().zip(Sha256::digest(bytes)).for_each(|(to, from)| *to = from);
    sum
}

impl Hint {
    fn encode(&self) -> Option<Vec<u8>> {
        match self {
            Self::Signaller(url) => {
                let (kind, rest) = match url.strip_prefix("wss://") {
                    Some(rest) => (1, rest),
                    None => (2, url.strip_prefix("ws://")?),
                };
                let length = u8::try_from(rest.len()).ok()?;
                is_address(rest).then(|| [&[kind, length], rest.as_bytes()].concat())
            }
            Self::Lan(SocketAddr::V4(address)) => {
                Some([[3].as_slice(), &address.ip().octets(), &address.port().to_be_bytes()].concat())
            }
            Self::Lan(SocketAddr::V6(address)) => {
                Some([[4].as_slice(), &address.ip().octets(), &address.port().to_be_bytes()].concat())
            }
        }
    }

    fn decode(rest: &mut &[u8]) -> Option<Self> {
        let (kind, after) = rest.split_first()?;
        let (hint, after) = match kind {
            1 | 2 => {
                let (length, after) = after.split_first()?;
                let (text, after) = after.split_at_checked(usize::from(*length))?;
                let text = std::str::from_utf8(text).ok().filter(|text| is_address(text))?;
                (Self::Signaller(format!("{}{text}", if *kind == 1 { "wss://" } else { "ws://" })), after)
            }
            3 => {
                let (ip, after) = after.split_first_chunk::<4>()?;
                let (port, after) = after.split_first_chunk::<2>()?;
                (
                    Self::Lan(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(*ip)), u16::from_be_bytes(*port))),
                    after,
                )
            }
            4 => {
                let (ip, after) = after.split_first_chunk::<16>()?;
                let (port, after) = after.split_first_chunk::<2>()?;
                (
                    Self::Lan(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(*ip)), u16::from_be_bytes(*port))),
                    after,
                )
            }
            _ => return None,
        };
        *rest = after;
        Some(hint)
    }
}

/// Host and path of a signaller.
fn is_address(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_HINT && text.bytes().all(|byte| byte.is_ascii_graphic())
}

macro_rules! code_type {
    ($(#[$doc:meta])* $name:ident, $direction:expr, $fixed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name {
            meeting: Meeting,
            bytes: Vec<u8>,
        }

        impl $name {
            /// A code that says this. Hints that cannot be written, or for which there is no room, are left out.
            #[must_use]
            pub fn new(meeting: Meeting) -> Self {
                let longest = (LONGEST_CODE - $fixed.len()) / 4 * 3;
                let bytes = meeting.encode($direction, longest);
                // As it will be read: without the hints that were left out.
                let meeting = Meeting::decode(&bytes, $direction).unwrap_or(meeting);
                Self { meeting, bytes }
            }

            /// What it says.
            #[must_use]
            pub const fn meeting(&self) -> &Meeting {
                &self.meeting
            }

            /// What the channel between the two is for: this code and no other.
            #[must_use]
            pub fn purpose(&self) -> Purpose {
                let binding = Sha256::new().chain_update(b"halo invitation v1\0").chain_update(&self.bytes);
                Purpose::Invitation { topic: self.meeting.topic.topic(), binding: binding.finalize().into() }
            }

            pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, CodeError> {
                let meeting = Meeting::decode(bytes, $direction)?;
                Ok(Self { meeting, bytes: bytes.to_vec() })
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.debug_struct(stringify!($name)).field("expires", &self.meeting.expires).finish_non_exhaustive()
            }
        }
    };
}

code_type!(
    /// Shown by a device of the account, scanned by the new one.
    InvitationCode,
    Direction::TrustedShows,
    WEB_PAGE
);
code_type!(
    /// Shown by a new device, scanned by one of the account: "I am new, add me". To be read only where the user went, in
    /// the settings, to add a device, and never from a link.
    NewcomerCode,
    Direction::NewcomerShows,
    NEWCOMER
);

impl InvitationCode {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// As a link, and as what the QR code holds.
    #[must_use]
    pub fn link(&self) -> String {
        format!("{LINK}{}", BASE64URL_NOPAD.encode(&self.bytes))
    }

    /// As a link to a web page, for where `halo://` leads nowhere.
    #[must_use]
    pub fn web_link(&self) -> String {
        format!("{WEB_PAGE}{}", BASE64URL_NOPAD.encode(&self.bytes))
    }

    /// Reads a link of either form.
    ///
    /// # Errors
    /// [`CodeError`].
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let text = text.trim();
        if text.starts_with(NEWCOMER) {
            return Err(CodeError::OtherDirection);
        }
        let code =
            text.strip_prefix(LINK).or_else(|| text.strip_prefix(WEB_PAGE)).ok_or(CodeError::NotACode)?;
        Self::from_bytes(&decoded(code)?)
    }
}

impl NewcomerCode {
    /// As text, and as what the QR code holds. Not a URL: no system opens it.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{NEWCOMER}{}", BASE64URL_NOPAD.encode(&self.bytes))
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`CodeError`].
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let text = text.trim();
        if text.starts_with(LINK) || text.starts_with(WEB_PAGE) {
            return Err(CodeError::OtherDirection);
        }
        Self::from_bytes(&decoded(text.strip_prefix(NEWCOMER).ok_or(CodeError::NotACode)?)?)
    }
}

fn decoded(code: &str) -> Result<Vec<u8>, CodeError> {
    if code.len() > LONGEST_TEXT {
        return Err(CodeError::NotACode);
    }
    BASE64URL_NOPAD.decode(code.as_bytes()).map_err(|_| CodeError::Incomplete)
}
