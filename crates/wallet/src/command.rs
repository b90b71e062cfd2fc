//! Arguments of the wallet's commands.

use halo_keystore::{KeychainChoice, Passphrase};
use zeroize::Zeroizing;

use crate::asker::AppKind;
use crate::request::GrantId;

/// How to make an identity.
pub struct CreateIdentity {
    /// Display name, 1–64 characters after trimming.
    pub name: String,
    /// Optional where the keychain keeps the root; at least 8 characters.
    pub passphrase: Option<Passphrase>,
    /// Where the root goes.
    pub keychain: KeychainChoice,
}

/// How to bring an identity back from its 24 words.
pub struct RecoverIdentity {
    /// The words, separated by white space.
    pub phrase: Zeroizing<String>,
    /// Display name; profiles are not part of the words.
    pub name: String,
    /// As in [`CreateIdentity`].
    pub passphrase: Option<Passphrase>,
    /// As in [`CreateIdentity`].
    pub keychain: KeychainChoice,
}

/// What a new identity is.
pub struct Created {
    /// `did:halo:B…`.
    pub did: String,
    /// `did:key:z6Mk…`.
    pub did_key: String,
    /// Device key in hex.
    pub device_key: String,
    /// The 24 words; `None` after a recovery, where the user has them.
    pub phrase: Option<Zeroizing<String>>,
}

/// A change of the profile; `None` leaves a field as it is.
pub struct ProfileChange {
    /// New display name.
    pub name: Option<String>,
    /// New picture (PNG, JPEG or WebP, at most 8 KiB), or `Some(None)` to remove it.
    pub avatar: Option<Option<Vec<u8>>>,
}

/// What tokens are bound to, besides the grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// A DPoP key, by RFC 7638 thumbprint.
    Instance(String),
    /// A web origin.
    Origin(String),
    /// An executable.
    Process(String),
}

/// How the app got here.
pub enum Exchange {
    /// With a code or an approved back-channel request.
    Fresh,
    /// With a refresh token.
    Refresh(Zeroizing<String>),
}

/// What the broker needs to answer `/token`.
pub struct TokenRequest {
    /// The grant; for a refresh the token itself says which.
    pub grant: Option<GrantId>,
    /// Who the request comes from.
    pub client_id: String,
    /// Its kind.
    pub kind: AppKind,
    /// `iss` of the ID token.
    pub issuer: String,
    /// The app's nonce.
    pub nonce: Option<String>,
    /// CIBA: the request this answers; repeated in the ID token.
    pub auth_req_id: Option<String>,
    /// What the tokens are bound to.
    pub binding: Binding,
    /// Fresh or refreshed.
    pub exchange: Exchange,
}

/// What an app gets. The access token is the broker's own.
pub struct Tokens {
    /// The grant they hang on.
    pub grant: GrantId,
    /// The subject (`did:key:…`).
    pub sub: String,
    /// ID token, signed by the client key.
    pub id_token: String,
    /// Portable proof.
    pub proof: String,
    /// The next refresh token.
    pub refresh_token: Zeroizing<String>,
    /// Space-separated scopes.
    pub scope: String,
}

/// Claims of `/userinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserInfo {
    /// The subject.
    pub sub: String,
    /// Display name, if shared.
    pub name: Option<String>,
    /// Picture as a `data:` URL, if shared.
    pub picture: Option<String>,
}
