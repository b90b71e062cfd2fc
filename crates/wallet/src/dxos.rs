//! What DXOS apps are told about the user, in DXOS's shapes: an identity, devices, credentials, presentations.
//!
//! Every app is told another story with the same plot: keys of its own for identity, devices and HALO space, credentials
//! signed by those, and of the spaces only the ones it sees. Two apps that put their stories side by side learn nothing,
//! unless both were shown the real identity.
//!
//! The attack this guards against is an app that has credentials signed that say more than it was granted: what is signed
//! is built here, and what an app brings itself is only shown on if it is about its own user.

use std::collections::BTreeSet;
use std::time::Duration;

use data_encoding::HEXLOWER;
use halo_echo::{DocumentId, SpaceId};
use halo_keystore::{DxosRole, DxosSigner};
use halo_protocol::audit::AuditEvent;
use halo_protocol::dxos::{
    DxosAssertion, DxosCredential, DxosDraft, DxosError, DxosKey, DxosPresentation, SignDxos, present,
};
use halo_protocol::{DeviceKey, Timestamp};
use sha2::{Digest, Sha256};

use crate::engine::clock;
use crate::error::WalletError;
use crate::grant::Grant;
use crate::handle::{Wallet, beside};
use crate::open::Open;
use crate::request::{GrantId, ProfileField, Scope};
use crate::spaces::SpaceView;
use crate::tokens::shared;
use crate::view::Event;

/// `SpaceMember.Role` of DXOS.
const ADMIN: i32 = 1;
const OWNER: i32 = 4;
/// `DeviceType.NATIVE` of DXOS.
const NATIVE: i32 = 2;
/// Credentials that apps keep in one space.
const MOST_KEPT: usize = 1_000;
/// A larger one is not kept.
const LARGEST_KEPT: usize = 64 * 1024;
/// So often the activity log says that an app had something signed.
const NOTE_EVERY: Duration = Duration::from_secs(60);

const NO_GRANT: WalletError = WalletError::NotFound { what: "the grant" };
const NO_DEFAULT: WalletError = WalletError::NotFound { what: "the default space" };

/// The user, before one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DxosUser {
    /// The key of the identity.
    pub identity_key: DxosKey,
    /// The key of its HALO space.
    pub halo_space_key: DxosKey,
    /// The name, if it is shared.
    pub name: Option<String>,
    /// The devices that the app may know of; this one always.
    pub devices: Vec<DxosDevice>,
}

/// A device, before one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DxosDevice {
    /// Its key, for this app.
    pub key: DxosKey,
    /// Its real key, which is not for apps.
    pub device_key: DeviceKey,
    /// It is this one.
    pub current: bool,
    /// What it is called; `HALO` for apps that may not know.
    pub label: String,
    /// What it runs on.
    pub platform: String,
}

/// Whose credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DxosSpace {
    /// The identity's own space.
    Halo,
    /// A space with items.
    Space(SpaceId),
}

/// A credential, as it goes to an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DxosSaid {
    /// SHA-256 of what is signed.
    pub id: [u8; 32],
    /// The message.
    pub bytes: Vec<u8>,
}

/// Whoever signs before one app, and what they know.
struct Storyteller {
    user: DxosUser,
    identity: DxosSigner,
    halo: DxosSigner,
    device: DxosSigner,
    spaces: Vec<SpaceView>,
    kept: Vec<Vec<u8>>,
}

impl Wallet {
    /// Who the user is to an app.
    ///
    /// # Errors
    /// [`WalletError::Forbidden`] without the scope `halo:spaces`.
    pub async fn dxos_user(&self, grant: &GrantId) -> Result<DxosUser, WalletError> {
        let grant = grant.clone();
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            open.app(&grant, Scope::Spaces)?;
            open.dxos_user(open.grants.get(&grant).ok_or(NO_GRANT)?)
        })
        .await
    }

    /// The credentials of a space: those that say how it came to be and who is in it, and what the app wrote there.
    ///
    /// # Errors
    /// [`WalletError::Forbidden`], [`WalletError::NotFound`] for a space that is not this app's.
    pub async fn dxos_credentials(
        &self,
        grant: &GrantId,
        space: DxosSpace,
    ) -> Result<Vec<DxosSaid>, WalletError> {
        let grant = grant.clone();
        let story = self.try_job(move |engine| engine.unlocked()?.storyteller(&grant, Some(space))).await?;
        beside(move || Ok(story.chain(space)?)).await
    }

    /// Keeps credentials that an app was given about its user, or gives itself: in its own spaces, for itself.
    ///
    /// # Errors
    /// [`WalletError::Forbidden`] without the scope `halo:spaces:write`; [`WalletError::BadInput`] for what does not hold.
    pub async fn keep_dxos_credentials(
        &self,
        grant: &GrantId,
        space: DxosSpace,
        credentials: Vec<Vec<u8>>,
    ) -> Result<(), WalletError> {
        let grant = grant.clone();
        let checked =
            beside(move || credentials.into_iter().map(checked).collect::<Result<Vec<_>, _>>()).await?;
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            let app = open.app(&grant, Scope::SpacesWrite)?;
            let space = open.place_of(&app, space)?;
            let (document, pen) = (place_in(space), open.pen(space));
            if open.kept_in(space)?.len() + checked.len() > MOST_KEPT {
                return Err(bad("at most 1,000 credentials are kept in a space"));
            }
            let done = open.together(space, |open, batch| {
                open.change(batch, document, |held| held.keep_bytes(pen, &checked))
            })?;
            if !done.is_empty() {
                engine.tell(Event::Documents { space, documents: vec![document] });
            }
            Ok(())
        })
        .await
    }

    /// A credential by which this device says that it is the user's.
    ///
    /// # Errors
    /// [`WalletError::Forbidden`] without the scope `halo:spaces`.
    pub async fn dxos_auth(&self, grant: &GrantId) -> Result<Vec<u8>, WalletError> {
        let story = self.story_to_sign(grant, "made a credential").await?;
        beside(move || {
            let chain = story.authorization(&story.device.dxos_key())?;
            let issuer = story.user.identity_key;
            let (subject, assertion) = (issuer.as_bytes().to_vec(), DxosAssertion::Auth);
            let draft = DxosDraft { issuer, subject, issued: clock(), assertion };
            Ok(draft.sign(&story.device, Some(&chain))?.encode()?)
        })
        .await
    }

    /// Adds a proof to a presentation: it is this user who shows these credentials.
    ///
    /// # Errors
    /// [`WalletError::BadInput`] for credentials that do not hold or are not about the user.
    pub async fn dxos_present(
        &self,
        grant: &GrantId,
        presentation: Vec<u8>,
        nonce: Option<Vec<u8>>,
    ) -> Result<Vec<u8>, WalletError> {
        let story = self.story_to_sign(grant, "showed credentials").await?;
        beside(move || {
            let mine = story.keys();
            let shown = DxosPresentation::decode(&presentation)?;
            let is_mine = |credential: &DxosCredential| {
                mine.contains(credential.issuer()) || mine.contains(credential.subject())
            };
            if !shown.credentials().iter().all(is_mine) {
                return Err(bad("a credential is neither by this identity nor about it"));
            }
            let chain = story.authorization(&story.device.dxos_key())?;
            Ok(present(&presentation, nonce.as_deref(), clock(), &story.device, Some(&chain))?)
        })
        .await
    }

    /// Whoever signs for an app, with a line in the activity log.
    async fn story_to_sign(&self, grant: &GrantId, what: &'static str) -> Result<Storyteller, WalletError> {
        let grant = grant.clone();
        self.try_job(move |engine| {
            let open = engine.unlocked()?;
            let story = open.storyteller(&grant, None)?;
            open.note_use(&grant, what)?;
            Ok(story)
        })
        .await
    }
}

/// The document of a space that keeps the credentials which an app brought.
#[must_use]
pub fn place_in(space: SpaceId) -> DocumentId {
    let digest =
        Sha256::new().chain_update(b"halo dxos credentials\0").chain_update(space.to_string()).finalize();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    DocumentId::from_random(bytes)
}

fn checked(bytes: Vec<u8>) -> Result<(String, Vec<u8>), WalletError> {
    if bytes.len() > LARGEST_KEPT {
        return Err(bad("a credential is larger than 64 KiB"));
    }
    let credential = DxosCredential::decode(&bytes)?;
    credential.verify()?;
    Ok((HEXLOWER.encode(&credential.id()), bytes))
}

fn bad(what: impl Into<String>) -> WalletError {
    WalletError::BadInput { what: what.into() }
}

impl From<DxosError> for WalletError {
    fn from(error: DxosError) -> Self {
        Self::BadInput { what: error.to_string() }
    }
}

impl Open {
    fn dxos_user(&self, grant: &Grant) -> Result<DxosUser, WalletError> {
        let here = self.keys.device_key();
        let listed = grant.scopes.contains(&Scope::Devices);
        let mut devices = Vec::new();
        for (key, device) in &self.state.devices {
            let current = *key == here;
            if device.revoked || !(listed || current) {
                continue;
            }
            let profile = device.profile.as_ref().filter(|_| listed);
            devices.push(DxosDevice {
                key: self.dxos_device(grant, key)?,
                device_key: *key,
                current,
                label: profile.map_or_else(|| "HALO".to_owned(), |profile| profile.label.clone()),
                platform: profile.map_or_else(String::new, |profile| profile.platform.clone()),
            });
        }
        // The order of real keys would tell two apps that they see the same ones.
        devices.sort_by_key(|device| (!device.current, device.key));
        Ok(DxosUser {
            identity_key: self.dxos_signer(grant, DxosRole::Identity)?.dxos_key(),
            halo_space_key: self.dxos_signer(grant, DxosRole::HaloSpace)?.dxos_key(),
            name: shared(grant, ProfileField::Name).then(|| self.name().to_owned()),
            devices,
        })
    }

    fn dxos_device(&self, grant: &Grant, device: &DeviceKey) -> Result<DxosKey, WalletError> {
        Ok(self.dxos_signer(grant, DxosRole::Device(device))?.dxos_key())
    }

    /// With what is kept in `space`.
    fn storyteller(&mut self, id: &GrantId, space: Option<DxosSpace>) -> Result<Storyteller, WalletError> {
        let app = self.app(id, Scope::Spaces)?;
        let kept = match space {
            Some(space) => {
                let place = self.place_of(&app, space)?;
                self.kept_in(place)?
            }
            None => Vec::new(),
        };
        let grant = self.grants.get(id).ok_or(NO_GRANT)?;
        Ok(Storyteller {
            user: self.dxos_user(grant)?,
            identity: self.dxos_signer(grant, DxosRole::Identity)?,
            halo: self.dxos_signer(grant, DxosRole::HaloSpace)?,
            device: self.dxos_signer(grant, DxosRole::Device(&self.keys.device_key()))?,
            spaces: self.spaces_of(&app)?,
            kept,
        })
    }

    /// Where an app's credentials of a space are kept; those of the HALO space are in its default space.
    fn place_of(&self, app: &str, space: DxosSpace) -> Result<SpaceId, WalletError> {
        match space {
            DxosSpace::Halo => {
                let spaces = self.spaces_of(app)?;
                spaces.into_iter().find(|space| space.default).map(|space| space.id).ok_or(NO_DEFAULT)
            }
            DxosSpace::Space(space) if self.spaces.sees(app, space) => Ok(space),
            DxosSpace::Space(_) => Err(crate::spaces::NO_SPACE),
        }
    }

    fn kept_in(&mut self, space: SpaceId) -> Result<Vec<Vec<u8>>, WalletError> {
        let held = self.spaces.hold(&self.store, space, place_in(space))?;
        Ok(held
            .map(|held| held.document.kept_bytes().into_iter().map(|(_, bytes)| bytes).collect())
            .unwrap_or_default())
    }

    /// Says in the activity log that an app had something signed: once in a while, so that it cannot be filled.
    fn note_use(&mut self, id: &GrantId, what: &'static str) -> Result<(), WalletError> {
        let now = clock();
        let grant = self.grants.get(id).ok_or(NO_GRANT)?;
        if grant.row.last_used.is_some_and(|last| now < last.plus(NOTE_EVERY)) {
            return Ok(());
        }
        let key = grant.row.id;
        let event = AuditEvent::Used { grant: key, client: grant.client_id.clone(), what: what.to_owned() };
        self.record(now, event, |tx| tx.touch_grant(&key, now))?;
        if let Some(grant) = self.grants.get_mut(id) {
            grant.row.last_used = Some(now);
        }
        Ok(())
    }
}

impl Storyteller {
    /// Every credential of a space that this app may know.
    fn chain(&self, space: DxosSpace) -> Result<Vec<DxosSaid>, DxosError> {
        let mut said = match space {
            DxosSpace::Halo => self.halo()?,
            DxosSpace::Space(id) => match self.spaces.iter().find(|space| space.id == id) {
                Some(space) => self.space(space)?,
                None => Vec::new(),
            },
        };
        // The app can write there by itself, so what is read is checked like what is brought.
        let kept = self.kept.iter().filter_map(|bytes| {
            let credential = DxosCredential::decode(bytes).ok()?;
            credential.verify().ok()?;
            Some(DxosSaid { id: credential.id(), bytes: bytes.clone() })
        });
        said.extend(kept);
        Ok(said)
    }

    /// As DXOS begins an identity; feeds are left out, since there are none that apps could follow.
    fn halo(&self) -> Result<Vec<DxosSaid>, DxosError> {
        let me = self.user.identity_key.as_bytes().to_vec();
        let halo = self.user.halo_space_key.as_bytes().to_vec();
        let default = self.spaces.iter().find(|space| space.default);
        let began = Timestamp::from_millis(default.map_or(0, |space| space.created));
        let space_key = || halo.clone();
        let name = || self.user.name.clone();
        let (by_space, by_identity) = (&self.halo, &self.identity);
        let mut said = vec![
            say(by_space, &halo, DxosAssertion::SpaceGenesis { space_key: space_key() }, began)?,
            say(
                by_space,
                &me,
                DxosAssertion::SpaceMember { space_key: space_key(), role: ADMIN, display_name: name() },
                began,
            )?,
        ];
        if name().is_some() {
            let assertion = DxosAssertion::IdentityProfile { display_name: name() };
            said.push(say(by_identity, &me, assertion, began)?);
        }
        for device in &self.user.devices {
            said.push(out(&self.authorization(&device.key)?)?);
            let (label, platform) = (device.label.clone(), device.platform.clone());
            let profile = DxosAssertion::DeviceProfile { label, platform, kind: NATIVE };
            said.push(say(by_identity, device.key.as_bytes(), profile, began)?);
        }
        for space in &self.spaces {
            said.push(self.member(space)?);
        }
        if let Some(default) = default {
            let chain = self.authorization(&self.device.dxos_key())?;
            let assertion = DxosAssertion::DefaultSpace { space_id: default.id.to_string() };
            let draft = DxosDraft { issuer: self.user.identity_key, subject: me, issued: began, assertion };
            said.push(out(&draft.sign(&self.device, Some(&chain))?)?);
        }
        Ok(said)
    }

    /// A space's own key is of a kind that DXOS does not know, so the identity says what it would say there.
    fn space(&self, space: &SpaceView) -> Result<Vec<DxosSaid>, DxosError> {
        let began = Timestamp::from_millis(space.created);
        let genesis = DxosAssertion::SpaceGenesis { space_key: space.key.to_vec() };
        let epoch = DxosAssertion::Epoch { number: 0, automerge_root: space.root.url() };
        Ok(vec![
            say(&self.identity, &space.key, genesis, began)?,
            self.member(space)?,
            say(&self.identity, &space.key, epoch, began)?,
        ])
    }

    fn member(&self, space: &SpaceView) -> Result<DxosSaid, DxosError> {
        let began = Timestamp::from_millis(space.created);
        let (space_key, display_name) = (space.key.to_vec(), self.user.name.clone());
        let assertion = DxosAssertion::SpaceMember { space_key, role: OWNER, display_name };
        say(&self.identity, self.user.identity_key.as_bytes(), assertion, began)
    }

    /// The identity says that a device is its own.
    fn authorization(&self, device: &DxosKey) -> Result<DxosCredential, DxosError> {
        let default = self.spaces.iter().find(|space| space.default);
        let identity_key = self.user.identity_key;
        let draft = DxosDraft {
            issuer: identity_key,
            subject: device.as_bytes().to_vec(),
            issued: Timestamp::from_millis(default.map_or(0, |space| space.created)),
            assertion: DxosAssertion::AuthorizedDevice { identity_key, device_key: *device },
        };
        draft.sign(&self.identity, None)
    }

    /// The keys of the user, in hex.
    fn keys(&self) -> BTreeSet<String> {
        let devices = self.user.devices.iter().map(|device| device.key);
        let keys = devices.chain([self.user.identity_key, self.user.halo_space_key]);
        keys.map(|key| HEXLOWER.encode(key.as_bytes())).collect()
    }
}

fn say(
    by: &DxosSigner,
    subject: &[u8],
    assertion: DxosAssertion,
    issued: Timestamp,
) -> Result<DxosSaid, DxosError> {
    let draft = DxosDraft { issuer: by.dxos_key(), subject: subject.to_vec(), issued, assertion };
    out(&draft.sign(by, None)?)
}

fn out(credential: &DxosCredential) -> Result<DxosSaid, DxosError> {
    Ok(DxosSaid { id: credential.id(), bytes: credential.encode()? })
}
