//! The primitives that Noise runs on: the same crates as everything else here, and no randomness of its own.
//!
//! A handshake draws one ephemeral key. Its bytes come from whoever starts the handshake, are given out once, and
//! a second demand fails.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use sha2::{Digest, Sha256};
use snow::Error;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// X25519, ChaCha20-Poly1305, SHA-256, and the bytes of one ephemeral key.
pub(super) struct Primitives {
    pub(super) ephemeral: Zeroizing<[u8; 32]>,
}

impl CryptoResolver for Primitives {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Once(Some(self.ephemeral.clone()))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| Box::<X25519>::default() as Box<dyn Dh>)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        matches!(choice, HashChoice::SHA256).then(|| Box::<Hash256>::default() as Box<dyn Hash>)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        matches!(choice, CipherChoice::ChaChaPoly).then(|| Box::<ChaCha>::default() as Box<dyn Cipher>)
    }
}

/// Thirty-two bytes, once.
struct Once(Option<Zeroizing<[u8; 32]>>);

impl Random for Once {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        let bytes = self.0.take().ok_or(Error::Rng)?;
        if dest.len() != bytes.len() {
            return Err(Error::Rng);
        }
        dest.copy_from_slice(bytes.as_slice());
        Ok(())
    }
}

#[derive(Default)]
struct X25519 {
    private: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl X25519 {
    fn take(&mut self, private: [u8; 32]) {
        self.private = Zeroizing::new(private);
        self.public = PublicKey::from(&StaticSecret::from(private)).to_bytes();
    }
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, private: &[u8]) {
        let mut key = [0; 32];
        key.iter_mut().zip(private).for_each(|(to, from)| *to = *from);
        self.take(key);
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut key = [0; 32];
        rng.try_fill_bytes(&mut key)?;
        self.take(key);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        self.private.as_slice()
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        // Noise pads public keys to the longest there are; ours have 32 bytes.
        let public = public.first_chunk::<32>().ok_or(Error::Dh)?;
        let shared = StaticSecret::from(*self.private).diffie_hellman(&PublicKey::from(*public));
        // A point of small order agrees on the same thing with everybody.
        if !shared.was_contributory() {
            return Err(Error::Dh);
        }
        out.get_mut(..32).ok_or(Error::Dh)?.copy_from_slice(shared.as_bytes());
        Ok(())
    }
}

#[derive(Default)]
struct Hash256(Sha256);

impl Hash for Hash256 {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        self.0 = Sha256::default();
    }

    fn input(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn result(&mut self, out: &mut [u8]) {
        let digest = std::mem::take(&mut self.0).finalize();
        out.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    }
}

#[derive(Default)]
struct ChaCha {
    key: Zeroizing<[u8; 32]>,
}

/// Noise's nonce for ChaCha20-Poly1305: four zero bytes, and the number with its least significant byte first.
pub(super) fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce.iter_mut().skip(4).zip(number.to_le_bytes()).for_each(|(to, from)| *to = from);
    Nonce::from(nonce)
}

impl Cipher for ChaCha {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.key = Zeroizing::new(*key);
    }

    fn encrypt(&self, number: u64, aad: &[u8], plain: &[u8], out: &mut [u8]) -> usize {
        // What does not fit is not written, and the short answer fails the handshake at the other end.
        let sealed =
            ChaCha20Poly1305::new((&*self.key).into()).encrypt(&nonce(number), Payload { msg: plain, aad });
        let sealed = sealed.unwrap_or_default();
        out.iter_mut().zip(&sealed).for_each(|(to, from)| *to = *from);
        sealed.len().min(out.len())
    }

    fn decrypt(&self, number: u64, aad: &[u8], sealed: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let opened =
            ChaCha20Poly1305::new((&*self.key).into()).decrypt(&nonce(number), Payload { msg: sealed, aad });
        let opened = Zeroizing::new(opened.map_err(|_| Error::Decrypt)?);
        out.get_mut(..opened.len()).ok_or(Error::Decrypt)?.copy_from_slice(&opened);
        Ok(opened.len())
    }
}
