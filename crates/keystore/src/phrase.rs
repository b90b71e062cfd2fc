//! What a person types: a passphrase, or the 24 words.

use bip39::Mnemonic;
use zeroize::Zeroizing;

use crate::error::KeystoreError;
use crate::secret::Secret;

/// A passphrase; wiped when dropped, never printed.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes what was typed.
    #[must_use]
    pub fn new(typed: String) -> Self {
        Self(Zeroizing::new(typed))
    }

    /// How many characters it has.
    #[must_use]
    pub fn chars(&self) -> usize {
        self.0.chars().count()
    }

    pub(crate) fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Twenty-four words (BIP-39, English), the paper form of 32 bytes.
pub struct Phrase(pub(crate) Secret);

impl Phrase {
    /// Reads 24 words; case and white space do not matter.
    ///
    /// # Errors
    /// [`KeystoreError::BadPhrase`] says which place is wrong, never which word.
    pub fn parse(typed: &str) -> Result<Self, KeystoreError> {
        let bad = |what: String| KeystoreError::BadPhrase { what };
        // Far more than 24 of the longest words.
        if typed.len() > 1024 {
            return Err(bad("there is far more text than that".into()));
        }
        let words = Zeroizing::new(typed.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase());
        let count = words.split(' ').filter(|word| !word.is_empty()).count();
        if count != 24 {
            return Err(bad(format!("there are {count} words")));
        }
        let mnemonic = Mnemonic::parse_in_normalized(bip39::Language::English, &words).map_err(|error| {
            bad(match error {
                bip39::Error::UnknownWord(place) => {
                    format!("word {} is not in the list", place.saturating_add(1))
                }
                _ => "the last word does not fit the others, so one of them is wrong".into(),
            })
        })?;
        let entropy = Zeroizing::new(mnemonic.to_entropy());
        let mut secret = Secret::zero();
        match <&[u8; 32]>::try_from(entropy.as_slice()) {
            Ok(bytes) => secret.expose_mut().copy_from_slice(bytes),
            Err(_) => return Err(bad("it is of another length".into())),
        }
        Ok(Self(secret))
    }

    /// The words, separated by single spaces.
    #[must_use]
    pub fn words(&self) -> Zeroizing<String> {
        let mut words = Zeroizing::new(String::with_capacity(24 * 9));
        // 32 bytes are a length that BIP-39 knows, so there always are words.
        if let Ok(mnemonic) = Mnemonic::from_entropy(self.0.expose()) {
            for word in mnemonic.words() {
                if !words.is_empty() {
                    words.push(' ');
                }
                words.push_str(word);
            }
        }
        words
    }
}
