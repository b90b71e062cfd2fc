//! Three words that two screens can compare.
//!
//! At first contact page and wallet each contribute a nonce, the page committed to its own before it saw the
//! wallet's, and both work out the same three words from the transcript. Somebody in the middle has two
//! transcripts and one guess among 2^24 to make their words agree. The list is not the one of recovery
//! phrases: nobody must get used to typing words of *that* list for a page.

use sha2::{Digest, Sha256};

const LIST: &str = include_str!("../words.txt");
const DOMAIN: &[u8] = b"halo first contact v1";

/// What page and wallet said to each other at first contact, as transmitted.
#[derive(Debug, Clone, Copy)]
pub struct FirstContact<'a> {
    /// Who the app is.
    pub client_id: &'a str,
    /// RFC 7638 thumbprint of the app's instance key.
    pub app_jkt: &'a str,
    /// The nonce the app had committed to (base64url).
    pub app_nonce: &'a str,
    /// The wallet's commitment to its client key (base64url).
    pub wallet_commitment: &'a str,
    /// The wallet's nonce (base64url).
    pub wallet_nonce: &'a str,
    /// The request.
    pub request_id: &'a str,
}

impl FirstContact<'_> {
    /// SHA-256 of the domain and the six texts, each after its length in four bytes, most significant first.
    #[must_use]
    pub fn transcript(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        for part in [
            self.client_id,
            self.app_jkt,
            self.app_nonce,
            self.wallet_commitment,
            self.wallet_nonce,
            self.request_id,
        ] {
            hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().into()
    }
}

/// The words of a transcript: its first three bytes, each a line of the list of 256.
#[must_use]
pub fn words(transcript: &[u8; 32]) -> [&'static str; 3] {
    let [first, second, third, ..] = transcript;
    [first, second, third].map(|byte| LIST.lines().nth(usize::from(*byte)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_256_different_words() {
        let words: Vec<&str> = LIST.lines().collect();
        assert_eq!(words.len(), 256);
        let mut sorted = words.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted, words, "sorted, none twice");
        assert!(words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())));
    }

    #[test]
    fn every_part_of_the_transcript_counts_and_parts_do_not_run_together() {
        let contact = FirstContact {
            client_id: "a",
            app_jkt: "b",
            app_nonce: "c",
            wallet_commitment: "d",
            wallet_nonce: "e",
            request_id: "f",
        };
        let moved = FirstContact { client_id: "ab", app_jkt: "", ..contact };
        assert_ne!(contact.transcript(), moved.transcript());
        let other = FirstContact { request_id: "g", ..contact };
        assert_ne!(contact.transcript(), other.transcript());
    }
}
