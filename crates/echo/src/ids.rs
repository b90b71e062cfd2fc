//! Names of documents and spaces, as DXOS writes them.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use crate::error::EchoError;

/// Names a document: a version 4 UUID, in text as Automerge Repo writes it (base58 with a checksum).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId([u8; 16]);

impl DocumentId {
    /// From sixteen random bytes; the bits that say "version 4" (RFC 9562 §5.4) are set here.
    #[must_use]
    pub const fn from_random(mut bytes: [u8; 16]) -> Self {
        let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
        *version = (*version & 0x0f) | 0x40;
        *variant = (*variant & 0x3f) | 0x80;
        Self(bytes)
    }

    /// The sixteen bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Takes sixteen bytes that are a version 4 UUID.
    ///
    /// # Errors
    /// [`EchoError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EchoError> {
        let bytes: [u8; 16] =
            bytes.try_into().map_err(|_| EchoError::malformed("document id", "it has not 16 bytes"))?;
        if Self::from_random(bytes).0 == bytes {
            Ok(Self(bytes))
        } else {
            Err(EchoError::malformed("document id", "it is not a UUID of version 4"))
        }
    }

    /// The address that Automerge Repo and DXOS use: `automerge:…`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("automerge:{self}")
    }

    /// Reads `automerge:…`, heads behind `#` left aside.
    ///
    /// # Errors
    /// [`EchoError::Malformed`].
    pub fn from_url(url: &str) -> Result<Self, EchoError> {
        let rest = url
            .strip_prefix("automerge:")
            .ok_or_else(|| EchoError::malformed("document address", "it does not begin with automerge:"))?;
        rest.split('#').next().unwrap_or_default().parse()
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&bs58::encode(&self.0).with_check().into_string())
    }
}

impl FromStr for DocumentId {
    type Err = EchoError;

    fn from_str(text: &str) -> Result<Self, EchoError> {
        if text.len() > 40 {
            return Err(EchoError::malformed("document id", "it is too long"));
        }
        let bytes = bs58::decode(text)
            .with_check(None)
            .into_vec()
            .map_err(|error| EchoError::malformed("document id", error))?;
        Self::from_bytes(&bytes)
    }
}

/// Names a space: `B` and the base32 (RFC 4648, upper case, no padding) of the first 20 bytes of SHA-256 of its
/// key, as DXOS derives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpaceId([u8; 20]);

impl SpaceId {
    /// The id of the space with this key.
    #[must_use]
    pub fn of_key(key: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let mut id = [0; 20];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self(id)
    }
}

impl fmt::Display for SpaceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "B{}", BASE32_NOPAD.encode(&self.0))
    }
}

impl FromStr for SpaceId {
    type Err = EchoError;

    fn from_str(text: &str) -> Result<Self, EchoError> {
        let malformed = || EchoError::malformed("space id", "it is not B and 32 letters of base32");
        let rest = text.strip_prefix('B').filter(|rest| rest.len() == 32).ok_or_else(malformed)?;
        let bytes = BASE32_NOPAD.decode(rest.as_bytes()).map_err(|_| malformed())?;
        bytes.try_into().map(Self).map_err(|_| malformed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_id_reads_back_and_a_wrong_letter_is_noticed() {
        let id = DocumentId::from_random([7; 16]);
        assert_eq!(id.to_string().parse::<DocumentId>(), Ok(id));
        assert_eq!(DocumentId::from_url(&format!("{}#abc", id.url())), Ok(id));
        let wrong =
            id.to_string().replace(|first: char| first == id.to_string().chars().next().unwrap(), "z");
        assert!(wrong.parse::<DocumentId>().is_err());
        // Real ones, from Automerge Repo.
        assert!("2MyFpifogq6hUEMRX2jEBgLBpgeg".parse::<DocumentId>().is_ok());
        assert!("c7GxHGEEP7QY64rZwCiSLCqz8Bd".parse::<DocumentId>().is_ok());
    }

    #[test]
    fn a_space_id_is_the_one_dxos_derives() {
        // From the vectors of @dxos/client 0.8.3: a key of 65 bytes.
        let key = "04431469201f13ba560cd8e6e87c6bd4c1b94a11ceb495dbc13a51b92176abb19a22e319de867b06d46e3aef351271a5e41d633a9734b7113c19585f3fb50cee3d";
        let key = data_encoding::HEXLOWER.decode(key.as_bytes()).unwrap();
        let id = SpaceId::of_key(&key);
        assert_eq!(id.to_string(), "BAGC6WZ3ZCGBSOKRSEMIDTDQ6ZGWUTQAI");
        assert_eq!(id.to_string().parse::<SpaceId>(), Ok(id));
        assert!("BAGC6".parse::<SpaceId>().is_err());
    }
}
