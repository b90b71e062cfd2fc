//! Two devices exchange what each knows of who is who.

use std::collections::BTreeMap;

use halo_echo::replication::{
    Acquaint, Acquaintance, Introduction, IntroductionEffect, IntroductionError, IntroductionInput,
    MOST_CREDENTIALS,
};
use halo_protocol::Verified;
use halo_protocol::credential::{Assertion, Credential, CredentialId, Draft, IdentityProfile};

use super::NOW;
use crate::keys::Key;

/// The credentials of one device.
#[derive(Default, Clone)]
struct Set(BTreeMap<CredentialId, Vec<u8>>);

impl Set {
    fn with(names: std::ops::Range<u8>) -> Self {
        let mut set = Self::default();
        names.for_each(|name| set.add(&credential(name)));
        set
    }

    fn add(&mut self, credential: &Verified<Credential>) {
        self.0.insert(credential.id(), credential.bytes().to_vec());
    }
}

impl Acquaintance for Set {
    fn ids(&self) -> Vec<CredentialId> {
        self.0.keys().copied().collect()
    }

    fn bytes(&self, id: &CredentialId) -> Option<Vec<u8>> {
        self.0.get(id).cloned()
    }
}

fn credential(name: u8) -> Verified<Credential> {
    let key = Key::new(1);
    let profile = IdentityProfile { display_name: name.to_string(), avatar: None };
    let assertion = Assertion::IdentityProfile(profile);
    let (issuer, subject) = (key.bytes(), key.bytes());
    Draft { issuer, subject, issued: NOW, expires: None, parents: vec![], assertion }.sign(&key).unwrap()
}

/// Lets two devices introduce themselves; one of `lost` messages is lost, without a pattern that would always hit the same ones. Says how
/// many were sent.
fn introduce(sets: &mut [Set; 2], lost: usize) -> usize {
    let mut both = [Introduction::default(), Introduction::default()];
    let (mut inputs, mut count, mut now) = (Vec::new(), 0_usize, NOW);
    for at in 0..2 {
        inputs.push((at, IntroductionInput::Opened));
    }
    loop {
        while !inputs.is_empty() {
            let (at, input) = inputs.remove(0);
            for effect in both[at].handle(input, &sets[at], now).unwrap() {
                match effect {
                    IntroductionEffect::Send(message) => {
                        count += 1;
                        // Knuth's multiplicative hash.
                        let spread = (count.wrapping_mul(2_654_435_761) & 0xffff_ffff) >> 20;
                        if lost == 0 || spread % lost != 0 {
                            let message = Acquaint::decode(&message.encode()).unwrap();
                            inputs.push((1 - at, IntroductionInput::Message(message)));
                        }
                    }
                    IntroductionEffect::Learn(all) => {
                        all.iter().for_each(|credential| sets[at].add(credential));
                        inputs.push((at, IntroductionInput::Grown));
                    }
                }
            }
        }
        let Some(next) = both.iter().filter_map(Introduction::deadline).min() else {
            assert!((0..2).all(|at| both[at].is_settled(&sets[at])));
            return count;
        };
        now = next;
        for at in 0..2 {
            inputs.push((at, IntroductionInput::Tick));
        }
    }
}

#[test]
fn two_devices_come_to_have_the_same_credentials() {
    for lost in [0, 2, 3] {
        let mut sets = [Set::with(0..40), Set::with(30..70)];
        introduce(&mut sets, lost);
        assert_eq!(sets[0].ids(), sets[1].ids());
        assert_eq!(sets[0].0.len(), 70);
    }
    let mut same = [Set::with(0..40), Set::with(0..40)];
    assert_eq!(introduce(&mut same, 0), 2, "who has the same says so and no more");
}

#[test]
fn a_credential_that_nobody_signed_ends_the_introduction() {
    let set = Set::with(0..3);
    let mut introduction = Introduction::default();
    let mut bytes = credential(9).bytes().to_vec();
    bytes[3] ^= 1;
    let message = IntroductionInput::Message(Acquaint::Credentials(vec![bytes]));
    assert_eq!(introduction.handle(message, &set, NOW), Err(IntroductionError::Credential));
    let many = (0..=MOST_CREDENTIALS)
        .map(|number| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&(number as u64).to_be_bytes());
            CredentialId::from_bytes(id)
        })
        .collect();
    let message = IntroductionInput::Message(Acquaint::Ids { ids: many, answer: false });
    assert_eq!(Introduction::default().handle(message, &set, NOW), Err(IntroductionError::TooMany));
}

#[test]
fn a_peer_that_names_credentials_and_never_sends_them_is_dropped() {
    let set = Set::with(0..3);
    let mut introduction = Introduction::default();
    let theirs = Acquaint::Ids { ids: vec![CredentialId::from_bytes([1; 32])], answer: false };
    introduction.handle(IntroductionInput::Opened, &set, NOW).unwrap();
    introduction.handle(IntroductionInput::Message(theirs), &set, NOW).unwrap();
    assert!(!introduction.is_settled(&set));
    let mut tries = 0;
    while let Some(deadline) = introduction.deadline() {
        match introduction.handle(IntroductionInput::Tick, &set, deadline) {
            Ok(effects) => assert_eq!(effects.len(), 1),
            Err(error) => {
                assert_eq!(error, IntroductionError::Silent);
                assert!(tries > 3);
                return;
            }
        }
        tries += 1;
    }
    panic!("it waits for ever");
}
