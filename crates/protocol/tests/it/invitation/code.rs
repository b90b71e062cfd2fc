//! The code: short, whole, and of one direction.

use halo_protocol::Timestamp;
use halo_protocol::channel::OneTimeSecret;
use halo_protocol::invitation::{
    CodeError, Hint, InvitationCode, LONGEST_CODE, Meeting, NewcomerCode, WEB_PAGE,
};
use halo_protocol::signal::TopicSecret;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::party::{EXPIRY, code, meeting, newcomer_code, secret};

fn typical() -> InvitationCode {
    let hints = vec![
        Hint::Signaller("wss://kube.example.org/signal".into()),
        Hint::Signaller("wss://signal.second-server.example/signal".into()),
        Hint::Lan("192.168.178.23:47120".parse().unwrap()),
        Hint::Lan("[fd00::1234:5678:9abc:def0]:47120".parse().unwrap()),
    ];
    InvitationCode::new(Meeting { hints, ..meeting(&secret()) })
}

#[test]
fn a_code_reads_back_in_both_of_its_forms() {
    let code = typical();
    for link in [code.link(), code.web_link(), format!("  {}\n", code.link())] {
        let read = InvitationCode::parse(&link).unwrap();
        assert!(read == code, "{link}");
        assert_eq!(read.meeting().hints.len(), 4);
        assert_eq!(read.purpose(), code.purpose());
    }
    let newcomer = newcomer_code();
    assert!(NewcomerCode::parse(&newcomer.text()).unwrap() == newcomer);
}

#[test]
fn a_typical_code_fits_a_comfortable_picture() {
    let code = typical();
    assert!(code.link().len() <= 220, "{}", code.link().len());
    assert!(code.web_link().len() <= LONGEST_CODE);
    let crowd = (0..50)
        .map(|number| Hint::Signaller(format!("wss://a-rather-long-name-{number}.example.org/signal")));
    let crowded = InvitationCode::new(Meeting { hints: crowd.collect(), ..meeting(&secret()) });
    assert!(crowded.web_link().len() <= LONGEST_CODE && !crowded.meeting().hints.is_empty());
    assert!(InvitationCode::parse(&crowded.link()).unwrap() == crowded, "hints without room are left out");
}

#[test]
fn the_secret_of_a_web_link_is_behind_the_fragment() {
    let link = code().web_link();
    let (sent, kept) = link.split_once('#').unwrap();
    assert_eq!(format!("{sent}#"), WEB_PAGE);
    assert!(kept.len() > 60);
}

#[test]
fn a_code_shows_nothing_of_its_secrets_when_printed() {
    let shown = format!("{:?} {:?}", code(), newcomer_code());
    assert!(shown.contains("expires") && !shown.contains("3, 3") && shown.len() < 200, "{shown}");
}

#[test]
fn whatever_is_in_a_code_is_in_its_purpose() {
    let purpose = code().purpose();
    let others = [
        Meeting { topic: TopicSecret::from_bytes(&[4; 16]).unwrap(), ..meeting(&secret()) },
        Meeting { key: OneTimeSecret::from_bytes([43; 32]).public(), ..meeting(&secret()) },
        Meeting { hints: vec![], ..meeting(&secret()) },
        Meeting { expires: Timestamp::from_millis(EXPIRY.as_millis() + 1000), ..meeting(&secret()) },
    ];
    for other in others {
        assert_ne!(InvitationCode::new(other).purpose(), purpose);
    }
    assert_ne!(newcomer_code().purpose(), purpose, "and the direction");
}

#[test]
fn a_cut_or_mistyped_code_says_that_it_is_incomplete() {
    let link = code().link();
    for cut in "halo://join/".len() + 6..link.len() {
        let error = InvitationCode::parse(&link[..cut]).unwrap_err();
        assert_eq!(error, CodeError::Incomplete, "cut at {cut}");
    }
    let mut letters: Vec<char> = link.chars().collect();
    for at in "halo://join/".len() + 2..letters.len() {
        let before = letters[at];
        letters[at] = if before == 'A' { 'B' } else { 'A' };
        let text: String = letters.iter().collect();
        assert!(InvitationCode::parse(&text).is_err(), "letter {at}");
        letters[at] = before;
    }
}

proptest! {
    #[test]
    fn any_text_is_a_code_that_reads_back_or_an_error(text in "(halo://join/|https://halo.example/join#|halo-newcomer:)?[A-Za-z0-9_-]{0,200}") {
        if let Ok(code) = InvitationCode::parse(&text) {
            prop_assert!(InvitationCode::parse(&code.link()).unwrap() == code);
        }
        if let Ok(code) = NewcomerCode::parse(&text) {
            prop_assert!(NewcomerCode::parse(&code.text()).unwrap() == code);
        }
    }

    #[test]
    fn any_meeting_reads_back(
        topic in any::<[u8; 16]>(),
        key in any::<[u8; 32]>(),
        seconds in any::<u32>(),
        v4 in prop::collection::vec(any::<([u8; 4], u16)>(), 0..4),
        url in "wss?://[a-z0-9.:/]{1,40}",
    ) {
        prop_assume!(key != [0; 32]);
        let lan = v4.into_iter().map(|(ip, port)| Hint::Lan((ip, port).into()));
        let said = Meeting {
            topic: TopicSecret::from_bytes(&topic).unwrap(),
            key,
            expires: Timestamp::from_millis(u64::from(seconds) * 1000),
            hints: lan.chain([Hint::Signaller(url)]).collect(),
            ..meeting(&secret())
        };
        let read = InvitationCode::parse(&InvitationCode::new(said.clone()).link()).unwrap();
        prop_assert!(read.meeting() == &said);
    }
}

/// Codes that every implementation must take or refuse as we do.
fn vectors() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/invitations.json")
}

/// A code with its check made to fit, whatever else is wrong with it.
fn with_check(mut bytes: Vec<u8>, scheme: &str) -> String {
    use sha2::Digest;
    let check = sha2::Sha256::digest(&bytes);
    bytes.extend_from_slice(&check[..4]);
    format!("{scheme}{}", data_encoding::BASE64URL_NOPAD.encode(&bytes))
}

fn made() -> Vec<Value> {
    let plain = {
        let link = code().link();
        let bytes = data_encoding::BASE64URL_NOPAD.decode(&link.as_bytes()["halo://join/".len()..]).unwrap();
        bytes[..bytes.len() - 4].to_vec()
    };
    let changed = |at: usize, to: u8| {
        let mut bytes = plain.clone();
        bytes[at] = to;
        with_check(bytes, "halo://join/")
    };
    let without_key = {
        let mut bytes = plain.clone();
        bytes[20..52].fill(0);
        with_check(bytes, "halo://join/")
    };
    let hint = |hint: &[u8]| with_check([&plain[..56], &[1], hint].concat(), "halo://join/");
    let longer = with_check([plain.as_slice(), &[0]].concat(), "halo://join/");
    let good = |name: &str, text: String| json!({"name": name, "text": text, "valid": true});
    let bad = |name: &str, text: String, error: &str| json!({"name": name, "text": text, "valid": false, "error": error});
    vec![
        good("link", code().link()),
        good("web link", code().web_link()),
        good("four hints", typical().link()),
        good("no hints", InvitationCode::new(Meeting { hints: vec![], ..meeting(&secret()) }).link()),
        bad("not a link", "https://example.org/".into(), "NotACode"),
        bad("a newcomer's", newcomer_code().text(), "OtherDirection"),
        bad(
            "a newcomer's as a link",
            newcomer_code().text().replace("halo-newcomer:", "halo://join/"),
            "OtherDirection",
        ),
        bad("version 2", changed(0, 2), "Version { version: 2 }"),
        bad("to a space", changed(1, 2), "Kind"),
        bad("no such direction", changed(2, 3), "OtherDirection"),
        bad("no such authentication", changed(3, 9), "Kind"),
        bad("no key", without_key, "NotACode"),
        bad("nine hints", changed(56, 9), "NotACode"),
        bad("hint of no kind", hint(&[9, 1, b'a']), "NotACode"),
        bad("hint beyond the end", hint(&[1, 200, b'a']), "NotACode"),
        bad("hint with a space", hint(&[1, 3, b'a', b' ', b'b']), "NotACode"),
        bad("half an address", hint(&[3, 127, 0]), "NotACode"),
        bad("a byte too many", longer, "NotACode"),
        bad("padding", format!("{}==", code().link()), "Incomplete"),
        bad("cut", code().link()[..60].to_owned(), "Incomplete"),
        bad("empty", "halo://join/".into(), "Incomplete"),
    ]
}

#[test]
#[ignore = "writes vectors/invitations.json"]
fn write_the_codes() {
    std::fs::write(vectors(), serde_json::to_string_pretty(&made()).unwrap() + "\n").unwrap();
}

#[test]
fn published_codes_are_taken_or_refused_as_before() {
    let published: Vec<Value> = serde_json::from_slice(&std::fs::read(vectors()).unwrap()).unwrap();
    assert_eq!(published, made(), "what we write is what was published");
    for vector in published {
        let read = InvitationCode::parse(vector["text"].as_str().unwrap());
        match read {
            Ok(_) => assert_eq!(vector["valid"], true, "{}", vector["name"]),
            Err(error) => {
                assert_eq!(vector["valid"], false, "{}", vector["name"]);
                assert_eq!(format!("{error:?}"), vector["error"].as_str().unwrap(), "{}", vector["name"]);
            }
        }
    }
}
