//! Content keys reach the devices that are named and nobody else, and the seeds of aliases come with them.

use halo_keystore::{AliasSeed, IdentitySecrets, KeychainChoice, Keys};
use halo_protocol::epoch::{Epoch, EpochShare};
use halo_protocol::feed::{BlockHash, BlockHeader, EpochId};
use halo_protocol::{FeedKey, Recipient, SealTo, Sign, SpaceKey};

use crate::world::{World, code};

fn device() -> Keys {
    let world = World::new();
    world.create(KeychainChoice::Os, None).1
}

fn space(keys: &Keys) -> SpaceKey {
    SpaceKey::from_bytes(&keys.space(&[7; 16]).unwrap().public_key()).unwrap()
}

fn hybrid(keys: &Keys) -> SealTo {
    SealTo::Hybrid(keys.hybrid_key().clone())
}

fn header(keys: &Keys, epoch: EpochId) -> BlockHeader {
    let feed = FeedKey::from_bytes(&keys.feed(&space(keys)).unwrap().public_key()).unwrap();
    BlockHeader { feed, sequence: 0, previous: BlockHash::NONE, epoch, payload: [0; 32] }
}

#[test]
fn an_epoch_opens_for_those_it_names_by_either_kind_of_key() {
    let (laptop, phone, old, stranger) = (device(), device(), device(), device());
    let to = [hybrid(&laptop), hybrid(&phone), SealTo::Agreement(old.agreement_key())];
    let (epoch, content) = laptop.begin_epoch(space(&laptop), 0, vec![], vec![], &to).unwrap();
    let read = Epoch::decode(&epoch.encode()).unwrap();
    let header = header(&laptop, epoch.id());
    let sealed = content.seal(&header, b"what is said").unwrap();
    for keys in [&laptop, &phone, &old] {
        let opened = keys.open_epoch(&read).unwrap().open(&header, &sealed).unwrap();
        assert_eq!(opened.as_slice(), b"what is said");
    }
    assert_eq!(code(stranger.open_epoch(&read)), "keystore.sealed_value");
}

// threat: 38
#[test]
fn a_revoked_device_opens_no_epoch_begun_without_it() {
    let (laptop, thief) = (device(), device());
    let space = space(&laptop);
    let (before, first) =
        laptop.begin_epoch(space, 0, vec![], vec![], &[hybrid(&laptop), hybrid(&thief)]).unwrap();
    let (after, second) =
        laptop.begin_epoch(space, 1, vec![before.id()], vec![], &[hybrid(&laptop)]).unwrap();
    assert!(thief.open_epoch(&before).is_ok());
    assert_eq!(code(thief.open_epoch(&after)), "keystore.sealed_value");
    // Nor with what it has: the old content key, or the new one claimed to be sealed to it.
    let header = header(&laptop, after.id());
    let sealed = second.seal(&header, b"news").unwrap();
    assert_eq!(code(first.open(&header, &sealed)), "keystore.sealed_value");
    let mut renamed = after.clone();
    renamed.keys[0].recipient = hybrid(&thief).name();
    assert_eq!(code(thief.open_epoch(&renamed)), "keystore.sealed_value");
    let share = laptop.share_epoch(after.id(), &second, &hybrid(&laptop)).unwrap();
    assert_eq!(code(thief.open_share(&share)), "keystore.sealed_value");
}

#[test]
fn an_epoch_that_was_altered_opens_for_nobody() {
    let laptop = device();
    for to in [hybrid(&laptop), SealTo::Agreement(laptop.agreement_key())] {
        let (epoch, _) = laptop.begin_epoch(space(&laptop), 3, vec![], vec![], &[to]).unwrap();
        let other = Epoch { number: 4, ..epoch.clone() };
        assert_eq!(code(laptop.open_epoch(&other)), "keystore.sealed_value", "the number is covered");
        for at in [0, 31, epoch.keys[0].encapsulated.len() - 1] {
            let mut altered = epoch.clone();
            altered.keys[0].encapsulated[at] ^= 1;
            assert_eq!(code(laptop.open_epoch(&altered)), "keystore.sealed_value", "byte {at}");
        }
        let mut altered = epoch;
        altered.keys[0].sealed[40] ^= 1;
        assert_eq!(code(laptop.open_epoch(&altered)), "keystore.sealed_value");
    }
}

#[test]
fn a_share_gives_one_epoch_to_one_device() {
    let (laptop, phone, stranger) = (device(), device(), device());
    let (epoch, content) = laptop.begin_epoch(space(&laptop), 0, vec![], vec![], &[hybrid(&laptop)]).unwrap();
    for to in [hybrid(&phone), SealTo::Agreement(phone.agreement_key())] {
        let share = laptop.share_epoch(epoch.id(), &content, &to).unwrap();
        let share = EpochShare::decode(&share.encode()).unwrap();
        let header = header(&laptop, epoch.id());
        let sealed = content.seal(&header, b"history").unwrap();
        let opened = phone.open_share(&share).unwrap().open(&header, &sealed).unwrap();
        assert_eq!(opened.as_slice(), b"history");
        assert_eq!(code(stranger.open_share(&share)), "keystore.sealed_value");
        let moved = EpochShare { epoch: EpochId::from_bytes([1; 32]), ..share };
        assert_eq!(code(phone.open_share(&moved)), "keystore.sealed_value", "for another epoch");
    }
}

#[test]
fn the_words_open_what_was_sealed_to_the_recovery_key() {
    let laptop = device();
    let identity = laptop.make_identity().unwrap();
    let recovery = identity.recovery_key().unwrap();
    let (epoch, content) =
        laptop.begin_epoch(space(&laptop), 0, vec![], vec![], std::slice::from_ref(&recovery)).unwrap();
    // Another machine, with nothing but the words.
    let words = identity.phrase().words();
    let other = device();
    let again = other.identity_from_phrase(halo_keystore::Phrase::parse(&words).unwrap());
    assert_eq!(again.recovery_key().unwrap(), recovery);
    let header = header(&laptop, epoch.id());
    let sealed = content.seal(&header, b"everything").unwrap();
    assert_eq!(again.open_epoch(&epoch).unwrap().open(&header, &sealed).unwrap().as_slice(), b"everything");
    let share = laptop.share_epoch(epoch.id(), &content, &recovery).unwrap();
    assert_eq!(again.open_share(&share).unwrap().open(&header, &sealed).unwrap().as_slice(), b"everything");
    assert_eq!(code(other.open_epoch(&epoch)), "keystore.sealed_value", "the machine alone cannot");
    assert_eq!(again.halo_address(), identity.halo_address());
    let stranger = other.make_identity().unwrap();
    assert_ne!(stranger.halo_address(), identity.halo_address());
    assert_eq!(code(stranger.open_epoch(&epoch)), "keystore.sealed_value");
}

fn with_seed(identity: &IdentitySecrets) -> Keys {
    let mut keys = device();
    let sealed = keys.seal_alias_seed(identity).unwrap();
    keys.load_alias_seed(&sealed).unwrap();
    keys
}

fn alias(keys: &Keys, epoch: u32) -> [u8; 32] {
    keys.alias_seed(epoch).unwrap().alias("https://app.example", epoch).unwrap().public_key()
}

#[test]
fn a_new_device_is_given_the_seeds_and_is_the_same_account() {
    let identity = device().make_identity().unwrap();
    let (laptop, mut phone) = (with_seed(&identity), device());
    let shared = laptop.share_alias_seed(&hybrid(&phone)).unwrap();
    phone.take_alias_seed(&shared).unwrap();
    assert_eq!(alias(&phone, 0), alias(&laptop, 0));
    assert_eq!(phone.meeting_secret().unwrap(), laptop.meeting_secret().unwrap());
    assert_eq!(phone.halo_address(), Some(identity.halo_address()));
    let mut stranger = device();
    assert_eq!(code(stranger.take_alias_seed(&shared)), "keystore.sealed_value");
    for at in (0..shared.len()).step_by(37) {
        let mut altered = shared.clone();
        altered[at] ^= 1;
        assert_eq!(code(phone.take_alias_seed(&altered)), "keystore.sealed_value", "byte {at}");
    }
    assert_eq!(code(stranger.take_alias_seed(&[])), "keystore.sealed_value");
    // And it stays, over a restart.
    let kept = phone.seal_alias_seeds().unwrap();
    phone.load_alias_seed(&kept).unwrap();
    assert_eq!(alias(&phone, 0), alias(&laptop, 0));
}

#[test]
fn the_seed_of_an_epoch_is_the_same_for_whoever_opens_it_and_another_one_has_another_name() {
    let identity = device().make_identity().unwrap();
    let (laptop, phone) = (with_seed(&identity), with_seed(&identity));
    let begin = || laptop.begin_epoch(space(&laptop), 0, vec![], vec![], &[hybrid(&phone)]).unwrap();
    let ((epoch, content), (_, other)) = (begin(), begin());
    let opened = phone.open_epoch(&epoch).unwrap().alias_seed();
    let public = |seed: &AliasSeed| seed.alias("https://app.example", 1).unwrap().public_key();
    assert_eq!(opened.name(), content.alias_seed().name());
    assert_eq!(public(&opened), public(&content.alias_seed()));
    assert_ne!(opened.name(), other.alias_seed().name());
    assert_ne!(public(&opened), public(&other.alias_seed()));
    assert_ne!(public(&opened), alias(&phone, 1), "what the words bring back is another one");
    assert_ne!(opened.name(), phone.alias_seed(0).unwrap().name());
}

#[test]
fn the_seeds_of_another_identity_are_not_taken() {
    let (mut laptop, other) =
        (with_seed(&device().make_identity().unwrap()), with_seed(&device().make_identity().unwrap()));
    let shared = other.share_alias_seed(&hybrid(&laptop)).unwrap();
    let before = alias(&laptop, 0);
    assert_eq!(code(laptop.take_alias_seed(&shared)), "keystore.sealed_value");
    assert_eq!(alias(&laptop, 0), before);
}

#[test]
fn a_share_names_its_recipient_by_the_hash_of_its_key() {
    let laptop = device();
    let (epoch, _) = laptop.begin_epoch(space(&laptop), 0, vec![], vec![], &[hybrid(&laptop)]).unwrap();
    assert_eq!(epoch.keys[0].recipient, Recipient::Hybrid(laptop.hybrid_key().id()));
    assert_eq!(epoch.keys[0].encapsulated.len(), 1_120);
}
