//! The seeds of the private aliases, and what else comes of the first of them: where the devices of an identity meet.
//!
//! The first seed comes from the 24 words (decision 0005). Whoever stole a device knows it, so after a removal fresh aliases come
//! of the content key of an epoch of the HALO space, of which decision 0025 says who may know it. Such a seed has a name, which
//! says nothing of it: whoever was given another content key for that epoch sees that it is another one.
//! The attack that remains: everything that comes of the first seed (old aliases, files for oneself) is known to the thief as well.
//!
//! What is kept, and given to a device that comes:
//!
//! ```text
//! 1 ‖ has an address (0 or 1) ‖ address (32) ‖ count ‖ count × (epoch, most significant byte first (4) ‖ seed (32))
//! ```
//!
//! There is one seed, for epoch 0. Earlier builds made further ones, and before that kept the first seed alone, 32 bytes.

use halo_protocol::credential::SeedName;
use halo_protocol::{AgreementKey, HybridId, Recipient, SealTo};
use zeroize::Zeroizing;

use crate::content::ContentKey;
use crate::dxos::{DxosRole, DxosSigner};
use crate::error::KeystoreError;
use crate::hpke_box::{self, Opener};
use crate::keys::{IdentitySecrets, Keys, WEAK};
use crate::labels;
use crate::secret::Secret;
use crate::signers::AliasSigner;

const CLOSED: KeystoreError = KeystoreError::SealedValue { what: "alias seed" };
const UNSEALABLE: KeystoreError = KeystoreError::System { what: "seal" };
const VERSION: u8 = 1;
/// Seeds that are read.
const MOST_SEEDS: usize = 64;
/// The `info` of HPKE.
const SEEDS_INFO: &[u8] = b"halo alias seeds v1";

/// A seed of private aliases: what apps know the user by comes of it.
pub struct AliasSeed(Secret);

impl AliasSeed {
    /// What a grant says instead of it.
    #[must_use]
    pub fn name(&self) -> SeedName {
        SeedName::from_bytes(*self.0.derive(labels::SEED_NAME, &[]).expose())
    }

    /// Signs as the alias that one app knows.
    ///
    /// # Errors
    /// [`KeystoreError::System`] never in practice: of 2^252 keys one is weak.
    pub fn alias(&self, app: &str, epoch: u32) -> Result<AliasSigner, KeystoreError> {
        let salt = [&epoch.to_be_bytes(), app.as_bytes()].concat();
        AliasSigner::new(self.0.derive(labels::ALIAS, &salt)).ok_or(WEAK)
    }

    /// Signs for `role` before the DXOS app that knows the user by this alias.
    ///
    /// # Errors
    /// As [`Self::alias`].
    pub fn dxos(&self, role: DxosRole<'_>, app: &str, epoch: u32) -> Result<DxosSigner, KeystoreError> {
        DxosSigner::derived(&self.0, role, app, epoch)
    }
}

impl ContentKey {
    /// The seed of those aliases that are made under an epoch of the HALO space.
    #[must_use]
    pub fn alias_seed(&self) -> AliasSeed {
        AliasSeed(self.derive(labels::EPOCH_ALIAS_SEED))
    }
}

/// The seeds that are kept.
pub(crate) struct Seeds {
    /// What [`IdentitySecrets::halo_address`] gives, where it is known.
    address: Option<Secret>,
    /// From which epoch of an alias on it holds; ascending, the first from 0.
    seeds: Vec<(u32, Secret)>,
}

impl Seeds {
    fn of(identity: &IdentitySecrets) -> Self {
        let root = &identity.phrase.0;
        Self {
            address: Some(Secret::copy(&identity.halo_address())),
            seeds: vec![(0, root.derive(labels::ALIAS_SEED, &[]))],
        }
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        // As large as it gets, so that growing leaves no copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(35 + 36 * MOST_SEEDS));
        bytes.extend([VERSION, u8::from(self.address.is_some())]);
        bytes.extend(self.address.as_ref().map_or(&[0; 32], Secret::expose));
        bytes.push(u8::try_from(self.seeds.len()).unwrap_or(u8::MAX));
        for (epoch, seed) in &self.seeds {
            bytes.extend(epoch.to_be_bytes());
            bytes.extend(seed.expose());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        if let Ok(only) = <&[u8; 32]>::try_from(bytes) {
            return Some(Self { address: None, seeds: vec![(0, Secret::copy(only))] });
        }
        let ([version, has_address], rest) = bytes.split_first_chunk::<2>()?;
        let (address, rest) = rest.split_first_chunk::<32>()?;
        let ([count], mut rest) = rest.split_first_chunk::<1>()?;
        let address = match has_address {
            0 => None,
            1 => Some(Secret::copy(address)),
            _ => return None,
        };
        let mut seeds: Vec<(u32, Secret)> = Vec::new();
        while let Some((epoch, more)) = rest.split_first_chunk::<4>() {
            let (seed, more) = more.split_first_chunk::<32>()?;
            seeds.push((u32::from_be_bytes(*epoch), Secret::copy(seed)));
            rest = more;
        }
        let begins = seeds.first().is_some_and(|(epoch, _)| *epoch == 0);
        let ascends = seeds.is_sorted_by(|(one, _), (next, _)| one < next);
        let whole = rest.is_empty() && seeds.len() == usize::from(*count) && seeds.len() <= MOST_SEEDS;
        (*version == VERSION && begins && ascends && whole).then_some(Self { address, seeds })
    }

    fn at(&self, epoch: u32) -> Option<&Secret> {
        self.seeds.iter().rev().find(|(from, _)| *from <= epoch).map(|(_, seed)| seed)
    }
}

impl Keys {
    /// Seals the first seed of an identity's aliases for the store.
    ///
    /// # Errors
    /// [`KeystoreError::System`] without randomness.
    pub fn seal_alias_seed(&self, identity: &IdentitySecrets) -> Result<Vec<u8>, KeystoreError> {
        self.seal_seeds(&Seeds::of(identity).encode())
    }

    /// Seals the seeds that are loaded for the store.
    ///
    /// # Errors
    /// [`KeystoreError::System`] without randomness; [`KeystoreError::SealedValue`] if none are.
    pub fn seal_alias_seeds(&self) -> Result<Vec<u8>, KeystoreError> {
        self.seal_seeds(&self.seeds.as_ref().ok_or(CLOSED)?.encode())
    }

    /// Takes in what [`Self::seal_alias_seed`] or [`Self::seal_alias_seeds`] sealed on this device.
    ///
    /// # Errors
    /// [`KeystoreError::SealedValue`].
    pub fn load_alias_seed(&mut self, sealed: &[u8]) -> Result<(), KeystoreError> {
        self.seeds = Some(Seeds::decode(&self.open_seeds(sealed)?).ok_or(CLOSED)?);
        Ok(())
    }

    /// The seed that the 24 words bring back, or what an earlier build made after a theft for this epoch of an alias.
    ///
    /// # Errors
    /// [`KeystoreError::SealedValue`] before [`Self::load_alias_seed`].
    pub fn alias_seed(&self, epoch: u32) -> Result<AliasSeed, KeystoreError> {
        let seed = self.seeds.as_ref().and_then(|seeds| seeds.at(epoch)).ok_or(CLOSED)?;
        Ok(AliasSeed(Secret::copy(seed.expose())))
    }

    /// Seals the seeds for another device of the identity:
    /// kind and name of the recipient (33) ‖ encapsulated key ‖ sealed seeds.
    ///
    /// # Errors
    /// [`KeystoreError::SealedValue`] if none are loaded; [`KeystoreError::System`] without randomness, or for a key that agrees on nothing.
    pub fn share_alias_seed(&self, to: &SealTo) -> Result<Vec<u8>, KeystoreError> {
        let seeds = self.seeds.as_ref().ok_or(CLOSED)?.encode();
        let recipient = to.name().tagged();
        let boxed = hpke_box::seal(to, SEEDS_INFO, &seeds, &recipient).ok_or(UNSEALABLE)?;
        Ok([recipient.as_slice(), &boxed.encapsulated, &boxed.sealed].concat())
    }

    /// Takes in the seeds that whoever lets this device in sealed for it.
    ///
    /// # Errors
    /// [`KeystoreError::SealedValue`] if they are for another device, were altered, or are another identity's.
    pub fn take_alias_seed(&mut self, shared: &[u8]) -> Result<(), KeystoreError> {
        let theirs = opened(&self.opener(), shared).ok_or(CLOSED)?;
        match self.seeds.as_ref().and_then(|ours| ours.at(0)).zip(theirs.at(0)) {
            // The first one is the identity's: another one is another identity's.
            Some((ours, its)) if ours.expose() != its.expose() => Err(CLOSED),
            Some(_) => Ok(()),
            None => {
                self.seeds = Some(theirs);
                Ok(())
            }
        }
    }

    /// Where the devices of the identity meet: 32 secret bytes that all of them share. They stay the same after a theft, since a device
    /// that was away then has to find the others; the thief can see that somebody meets there, and is spoken with by nobody.
    ///
    /// # Errors
    /// [`KeystoreError::SealedValue`] before [`Self::load_alias_seed`].
    pub fn meeting_secret(&self) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
        Ok(Zeroizing::new(*self.own_seed()?.derive(labels::MEETING, &[]).expose()))
    }

    /// Where whoever has nothing but the 24 words looks for the HALO space; `None` if no device that knew told this one.
    #[must_use]
    pub fn halo_address(&self) -> Option<Zeroizing<[u8; 32]>> {
        self.seeds.as_ref()?.address.as_ref().map(|address| Zeroizing::new(*address.expose()))
    }

    /// The seed that the 24 words bring back.
    pub(crate) fn own_seed(&self) -> Result<&Secret, KeystoreError> {
        let first = self.seeds.as_ref().and_then(|seeds| seeds.seeds.first());
        first.map(|(_, seed)| seed).ok_or(CLOSED)
    }
}

fn opened(opener: &Opener, shared: &[u8]) -> Option<Seeds> {
    let (tagged, rest) = shared.split_first_chunk::<33>()?;
    let (kind, name) = tagged.split_first()?;
    let recipient = match kind {
        1 => Recipient::Agreement(AgreementKey::from_bytes(name).ok()?),
        2 => Recipient::Hybrid(HybridId::from_bytes(name.try_into().ok()?)),
        _ => return None,
    };
    let (encapsulated, sealed) = rest.split_at_checked(hpke_box::encapsulated_length(&recipient))?;
    Seeds::decode(&opener.open(&recipient, SEEDS_INFO, encapsulated, sealed, tagged)?)
}
