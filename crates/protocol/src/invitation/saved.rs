//! An invitation that outlives a restart.

use prost::Message;

use super::code::InvitationCode;
use super::host::{Host, Known, Stage};
use super::host_io::HostEffect;
use super::message::{KeysWire, ProfileWire};
use super::profile::clean_profile;
use crate::channel::OneTimeSecret;
use crate::time::Timestamp;

/// Why something kept is no invitation that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the invitation that was kept cannot be read")]
pub struct SavedError;

/// What outlives a restart.
#[derive(Clone, PartialEq, Message)]
struct Saved {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(bytes = "vec", tag = "2")]
    code: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    secret: Vec<u8>,
    #[prost(string, tag = "4")]
    label: String,
    #[prost(uint32, tag = "5")]
    ready: u32,
    #[prost(message, optional, tag = "6")]
    guest: Option<SavedGuest>,
}

#[derive(Clone, PartialEq, Message)]
struct SavedGuest {
    #[prost(message, optional, tag = "1")]
    keys: Option<KeysWire>,
    #[prost(message, optional, tag = "2")]
    profile: Option<ProfileWire>,
    #[prost(uint64, tag = "3")]
    until: u64,
}

const SAVED: u32 = 1;
const LONGEST_SAVED: usize = 8 * 1024;

impl Host {
    pub(super) fn save(&self, effects: &mut Vec<HostEffect>) {
        let Some(code) = &self.resumable else { return };
        let guest = match &self.stage {
            Stage::Admitting { known, until, .. } => Some(SavedGuest {
                keys: Some((&known.keys).into()),
                profile: Some((&known.profile).into()),
                until: until.as_millis(),
            }),
            _ => None,
        };
        let saved = Saved {
            version: SAVED,
            code: code.as_bytes().to_vec(),
            secret: self.rendezvous.secret().map(|secret| secret.expose().to_vec()).unwrap_or_default(),
            label: self.label.clone(),
            ready: self.ready,
            guest,
        };
        effects.push(HostEffect::Save(saved.encode_to_vec()));
    }

    /// Goes on with an invitation that was kept ([`HostEffect::Save`]). Whoever was there has to come again.
    ///
    /// # Errors
    /// [`SavedError`].
    pub fn resume(saved: &[u8]) -> Result<Self, SavedError> {
        if saved.len() > LONGEST_SAVED {
            return Err(SavedError);
        }
        let saved = Saved::decode(saved).map_err(|_| SavedError)?;
        if saved.version != SAVED {
            return Err(SavedError);
        }
        let code = InvitationCode::from_bytes(&saved.code).map_err(|_| SavedError)?;
        let secret = OneTimeSecret::from_bytes(saved.secret.as_slice().try_into().map_err(|_| SavedError)?);
        if secret.public() != code.meeting().key {
            return Err(SavedError);
        }
        let mut host = Self::offer(code, secret, &saved.label, true);
        host.ready = saved.ready;
        if let Some(guest) = saved.guest {
            let keys = guest.keys.as_ref().ok_or(SavedError)?;
            host.stage = Stage::Admitting {
                connection: None,
                known: Known {
                    keys: keys.try_into().map_err(|()| SavedError)?,
                    profile: clean_profile(&guest.profile.ok_or(SavedError)?.into()),
                },
                admission: None,
                until: Timestamp::from_millis(guest.until),
            };
        }
        Ok(host)
    }
}

/// Reads any bytes as an invitation that was kept.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    let _ = Host::resume(bytes);
}
