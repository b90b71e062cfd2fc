//! The 24 words: show them, see that they were written down, take them off this device.

use halo_keystore::Passphrase;
use halo_protocol::audit::AuditEvent;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::engine::clock;
use crate::error::WalletError;
use crate::handle::{Wallet, beside};
use crate::open::{Open, setting, slot};
use crate::random::random;
use crate::view::PhraseState;

/// Words to re-enter: enough to show that the paper is at hand.
const QUIZ: usize = 3;
const WORDS: u8 = 24;

impl Wallet {
    /// The 24 words, after the passphrase where one is set.
    ///
    /// # Errors
    /// [`WalletError::NotFound`] once they were removed from this device; a wrong passphrase.
    pub async fn reveal_phrase(
        &self,
        passphrase: Option<Passphrase>,
    ) -> Result<Zeroizing<String>, WalletError> {
        self.check_presence(passphrase).await?;
        self.try_job(|engine| {
            let open = engine.unlocked()?;
            let words = words(open)?;
            open.record(clock(), AuditEvent::PhraseShown, |_| Ok(()))?;
            Ok(words)
        })
        .await
    }

    /// Three places, from 1 to 24, of words to re-enter.
    ///
    /// # Errors
    /// [`WalletError::NotFound`] once the words were removed from this device.
    pub async fn phrase_quiz(&self) -> Result<Vec<u8>, WalletError> {
        self.try_job(|engine| {
            if engine.unlocked()?.phrase == PhraseState::Forgotten {
                return Err(GONE);
            }
            let mut places = Vec::new();
            while places.len() < QUIZ {
                let [byte] = random()?;
                let place = byte % WORDS + 1;
                // 240 is the largest multiple of 24 in a byte: no place is likelier than another.
                if byte < 240 && !places.contains(&place) {
                    places.push(place);
                }
            }
            places.sort_unstable();
            engine.quiz = places.clone();
            Ok(places)
        })
        .await
    }

    /// Takes the words re-entered at the places of the last [`Self::phrase_quiz`].
    ///
    /// # Errors
    /// [`WalletError::BadInput`] if one is wrong or other places were asked for.
    pub async fn confirm_phrase(&self, answers: Vec<(u8, String)>) -> Result<(), WalletError> {
        self.try_job(move |engine| {
            let quiz = std::mem::take(&mut engine.quiz);
            let open = engine.unlocked()?;
            let words = words(open)?;
            let words: Vec<&str> = words.split(' ').collect();
            let bad = |what: &str| Err(WalletError::BadInput { what: what.to_owned() });
            let mut places: Vec<u8> = answers.iter().map(|(place, _)| *place).collect();
            places.sort_unstable();
            if quiz.is_empty() || places != quiz {
                return bad("other words were asked for");
            }
            let right = answers.iter().all(|(place, word)| {
                let word = Zeroizing::new(word.trim().to_lowercase());
                words
                    .get(usize::from(*place).saturating_sub(1))
                    .is_some_and(|right| right.as_bytes().ct_eq(word.as_bytes()).into())
            });
            if !right {
                engine.quiz = quiz;
                return bad("a word is not the one at its place");
            }
            open.record(clock(), AuditEvent::PhraseConfirmed, |tx| {
                tx.put_setting(setting::PHRASE_CONFIRMED, &true)
            })?;
            open.phrase = PhraseState::Confirmed;
            engine.changed();
            Ok(())
        })
        .await
    }

    /// Takes the identity's secrets off this device. Only the paper brings them back.
    ///
    /// # Errors
    /// [`WalletError::BadInput`] before the words were confirmed; a wrong passphrase.
    pub async fn forget_phrase(&self, passphrase: Option<Passphrase>) -> Result<(), WalletError> {
        self.check_presence(passphrase).await?;
        self.try_job(|engine| {
            let open = engine.unlocked()?;
            match open.phrase {
                PhraseState::Forgotten => return Err(GONE),
                PhraseState::Unconfirmed => {
                    return Err(WalletError::BadInput {
                        what: "confirm the 24 words first: without them nothing brings this identity back"
                            .into(),
                    });
                }
                PhraseState::Confirmed => {}
            }
            open.record(clock(), AuditEvent::PhraseForgotten, |tx| tx.delete_sealed(slot::IDENTITY))?;
            open.phrase = PhraseState::Forgotten;
            engine.keep_mark();
            engine.changed();
            Ok(())
        })
        .await
    }

    /// Checks the passphrase where one is set: an unlocked wallet may have been left alone.
    pub(crate) async fn check_presence(&self, passphrase: Option<Passphrase>) -> Result<(), WalletError> {
        let keystore = self
            .try_job(|engine| {
                engine.unlocked()?;
                engine.keystore.clone().ok_or(WalletError::NoIdentity)
            })
            .await?;
        beside(move || {
            if keystore.needs_passphrase()? {
                let passphrase = passphrase.ok_or(halo_keystore::KeystoreError::PassphraseRequired)?;
                keystore.check_passphrase(&passphrase)?;
            }
            Ok(())
        })
        .await
    }
}

const GONE: WalletError = WalletError::NotFound { what: "the phrase" };

fn words(open: &Open) -> Result<Zeroizing<String>, WalletError> {
    let sealed = open.store.sealed(slot::IDENTITY)?.ok_or(GONE)?;
    Ok(open.keys.open_identity(&sealed)?.phrase().words())
}
