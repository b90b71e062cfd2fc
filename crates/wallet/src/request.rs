//! What an app may ask, what the user may answer, and what the app hears.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::asker::{AppKind, Asker, Process};

/// What an app may be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
#[ts(export)]
pub enum Scope {
    /// Sign in.
    #[serde(rename = "openid")]
    OpenId,
    /// Read those profile fields that the user shares.
    #[serde(rename = "profile")]
    Profile,
    /// Know the real identity instead of a private alias.
    #[serde(rename = "halo:identity")]
    Identity,
    /// See spaces: its own, and those the user shares with it.
    #[serde(rename = "halo:spaces")]
    Spaces,
    /// Make spaces, and write in those it sees.
    #[serde(rename = "halo:spaces:write")]
    SpacesWrite,
    /// See the user's devices: what they are called, and which one this is.
    #[serde(rename = "halo:devices")]
    Devices,
    /// See the user's contacts.
    #[serde(rename = "halo:contacts")]
    Contacts,
    /// Invite people into spaces, and accept invitations.
    #[serde(rename = "halo:invitations")]
    Invitations,
}

impl Scope {
    /// Every scope this version understands.
    pub const ALL: [Self; 8] = [
        Self::OpenId,
        Self::Profile,
        Self::Identity,
        Self::Spaces,
        Self::SpacesWrite,
        Self::Devices,
        Self::Contacts,
        Self::Invitations,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenId => "openid",
            Self::Profile => "profile",
            Self::Identity => "halo:identity",
            Self::Spaces => "halo:spaces",
            Self::SpacesWrite => "halo:spaces:write",
            Self::Devices => "halo:devices",
            Self::Contacts => "halo:contacts",
            Self::Invitations => "halo:invitations",
        }
    }

    /// Reads a name from the wire.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// One field of the profile, shared one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum ProfileField {
    /// The display name.
    Name,
    /// The picture.
    Picture,
}

impl ProfileField {
    /// Every field there is.
    pub const ALL: [Self; 2] = [Self::Name, Self::Picture];

    /// The name in a grant.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Picture => "picture",
        }
    }
}

/// The words that prove that a page and this wallet talk to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// A stock client: the page that the broker serves shows these words, and so does the prompt.
    Shown([String; 3]),
    /// First contact of an app on the SDK: the user must pick these among four triples.
    Picked([String; 3]),
    /// Nothing to compare: the instance key is known, or the asker has no screen of its own.
    None,
}

/// A request to sign in, as the broker hands it over.
#[derive(Debug, Clone)]
pub struct SignInRequest {
    /// The evidence.
    pub asker: Asker,
    /// What it asks for; always contains [`Scope::OpenId`].
    pub scopes: BTreeSet<Scope>,
    /// CIBA's `binding_message`: shown here and in the app, so that the user can see that both mean the same.
    pub binding_message: Option<String>,
    /// Words to compare.
    pub comparison: Comparison,
    /// The app wants a prompt even where a grant would answer (`prompt=login` or `prompt=consent`).
    pub force_prompt: bool,
    /// How long the asker waits.
    pub expires_in: Duration,
}

/// Names one pending request; unguessable.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(transparent)]
#[ts(export)]
pub struct RequestId(pub String);

/// Names one grant: sixteen bytes, in hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(transparent)]
#[ts(export)]
pub struct GrantId(pub String);

impl GrantId {
    /// Writes the bytes of a grant's id in hex.
    #[must_use]
    pub fn of(bytes: &[u8; 16]) -> Self {
        Self(data_encoding::HEXLOWER.encode(bytes))
    }
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The user (or a standing grant) said yes.
    Approved(GrantId),
    /// The user said no, or picked the wrong words.
    Denied,
    /// Refused without a prompt: this app was told no several times just now.
    Muted,
    /// Nobody answered in time.
    Expired,
    /// The wallet was locked meanwhile.
    Locked,
    /// The asker went away.
    Withdrawn,
}

/// Something about an asker that the user should know before answering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[ts(export)]
pub enum Warning {
    /// It says it is a web page, but is not a browser.
    NotABrowser,
    /// The process behind the connection could not be found.
    UnknownProcess,
    /// The address contains letters that can be mistaken for others; shown in punycode.
    International,
    /// The address is close to one the user already knows.
    LooksLike {
        /// The known address.
        known: String,
    },
    /// The connection of the page is not encrypted and it is not on this machine.
    Insecure,
}

/// Who asks, in the words a prompt needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct AskerView {
    /// What the app calls itself, cleaned; show it as a claim ("calls itself …").
    pub name: Option<String>,
    /// Web or native.
    pub kind: AppKind,
    /// Origin (punycode) of a web app.
    pub origin: Option<String>,
    /// The part of the origin's host that somebody registered, to be set in bold: `example` of `a.b.example`.
    pub registrable_domain: Option<String>,
    /// The id the app gave; equals the origin for web apps.
    pub client_id: String,
    /// The process that asks.
    pub process: Option<Process>,
    /// What is odd about it.
    pub warnings: Vec<Warning>,
}

/// A space that the user may share with an app while letting it in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct SpaceChoice {
    /// `B…`.
    pub id: String,
    /// What it is called.
    pub name: Option<String>,
}

/// A pending request, as window and command line show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct RequestView {
    /// Name of the request.
    pub id: RequestId,
    /// Who asks.
    pub app: AskerView,
    /// Everything asked for.
    pub scopes: Vec<Scope>,
    /// The part of `scopes` that an existing grant does not cover; equals `scopes` for a new app.
    pub new_scopes: Vec<Scope>,
    /// The app already has a grant and asks for more, or from another place.
    pub known: bool,
    /// Profile fields that would be shared if the user leaves the choice as it is.
    pub fields: Vec<ProfileField>,
    /// Where the app asks for spaces: those that it does not see yet. None of them is shared unless the user says so.
    pub spaces: Vec<SpaceChoice>,
    /// The message shown on both sides (CIBA).
    pub binding_message: Option<String>,
    /// Words that the page shows too; the user compares.
    pub compare_words: Option<[String; 3]>,
    /// Four triples, of which the user picks the one the page shows.
    pub word_choices: Option<Vec<[String; 3]>>,
    /// Milliseconds since the epoch.
    #[ts(type = "number")]
    pub created: u64,
    /// Milliseconds since the epoch; afterwards the request counts as denied.
    #[ts(type = "number")]
    pub expires: u64,
}

/// The user's yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Approval {
    /// The picked words, where the request lists `word_choices`.
    #[serde(default)]
    pub words: Option<[String; 3]>,
    /// The scopes granted; a subset of those asked, `None` for all of them.
    #[serde(default)]
    pub scopes: Option<Vec<Scope>>,
    /// The profile fields shared; `None` for what the request suggests.
    #[serde(default)]
    pub fields: Option<Vec<ProfileField>>,
    /// Show the real identity (only where [`Scope::Identity`] was asked for); default: a private alias.
    #[serde(default)]
    pub identity: bool,
    /// Spaces it shall see besides its own (only where [`Scope::Spaces`] is granted); default: none.
    #[serde(default)]
    pub spaces: Vec<String>,
}

/// Through what the user answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnsweredBy {
    /// The window: a click in the first half second, or within half a second of a move, is not an answer.
    Window,
    /// The command line, where nothing can slip under a double click.
    Command,
}
