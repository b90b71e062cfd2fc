//! What a KUBE knows of the devices that were linked through it: its output, its pages, and all of its memory. Needs root.

use std::io::{BufRead as _, BufReader};
use std::net::Ipv4Addr;
use std::process::{Child, Stdio};

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use halo_testing::memory::{Needle, search_in};
use halo_testing::namespaces::Machine;

use crate::networks::{Household, Kube, LABEL, OWNER, SPACE};

/// What a note says.
const CONTENT: &str = "Buy a difference engine, and do not tell Mr Babbage";

/// Something that must not be there, with what it is.
type Secret = (String, Vec<u8>);

/// A key in every form in which one is written.
fn forms(whose: &str, key: &[u8]) -> Vec<Secret> {
    let multibase = format!("z{}", base58(&[&[0xed, 0x01], key].concat()));
    let texts = [HEXLOWER.encode(key), BASE64.encode(key), BASE64URL_NOPAD.encode(key), multibase];
    let written = texts.into_iter().map(String::into_bytes).chain([key.to_vec()]);
    written.map(|bytes| (format!("the key of {whose}"), bytes)).collect()
}

/// As `did:key` writes keys.
fn base58(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut digits: Vec<usize> = Vec::new();
    for byte in bytes {
        let mut carry = usize::from(*byte);
        for digit in &mut digits {
            carry += *digit << 8;
            (*digit, carry) = (carry % 58, carry / 58);
        }
        while carry > 0 {
            digits.push(carry % 58);
            carry /= 58;
        }
    }
    digits.iter().rev().map(|digit| char::from(LETTERS[*digit])).collect()
}

fn text(what: &str, text: &str) -> Secret {
    (what.to_owned(), text.as_bytes().to_vec())
}

/// What is nobody's business: names, keys, content, the code.
fn secrets(home: &Household, code: &str) -> Vec<Secret> {
    let identity = home.ada.world.json(&["identity", "show"]);
    let said = |name: &str| identity[name].as_str().unwrap().to_owned();
    let mut secrets = vec![
        text("the user's name", OWNER),
        text("the name of the device", LABEL),
        text("the name of the space", SPACE),
        text("what a note says", CONTENT),
        text("the identity", said("did").trim_start_matches("did:halo:")),
        text("the identity", said("did_key").trim_start_matches("did:key:")),
        text("the space", &home.space),
        text("the invitation", code.rsplit('/').next().unwrap()),
    ];
    for device in home.ada.devices() {
        let key = HEXLOWER.decode(device["device_key"].as_str().unwrap().as_bytes()).unwrap();
        secrets.extend(forms("a device", &key));
    }
    secrets
}

/// What of some secrets is in the memory of a process.
fn found(pid: u32, secrets: &[Secret]) -> Vec<&str> {
    let is_there = |secret: &&Secret| search_in(pid, &[Needle::new(secret.1.clone())]) > 0;
    secrets.iter().filter(is_there).map(|(what, _)| what.as_str()).collect()
}

/// What of some secrets is in a text.
fn told<'a>(page: &str, secrets: &'a [Secret]) -> Vec<&'a str> {
    let is_there = |secret: &&Secret| page.as_bytes().windows(secret.1.len()).any(|bytes| bytes == secret.1);
    secrets.iter().filter(is_there).map(|(what, _)| what.as_str()).collect()
}

// threat: 26
#[test]
fn a_kube_that_two_devices_were_linked_through_knows_no_name_no_key_and_no_content() {
    let mut home = Household::new();
    // Everything goes through it, by TURN and by the relay.
    home.ada.machine.drop_udp_with(&home.new.machine);
    let (mut host, code) = home.invite();
    let mut guest = home.join(&code);
    let digits = guest.until("READY_FOR_AUTHENTICATION")["code"].as_str().unwrap().to_owned();
    host.until("READY_FOR_AUTHENTICATION");
    host.types(&digits);
    host.until("SUCCESS");
    assert_eq!((host.end(), guest.end()), (0, 0));
    home.ada.put(&home.space, CONTENT, 50_000);
    home.new.has(&home.space, 2);
    let kube = home.kube.take().unwrap();
    let secrets = secrets(&home, &code);
    let nothing: [&str; 0] = [];

    // While the two talk, and once they are gone.
    assert!(
        search_in(kube.pid(), &[Needle::new(kube.url.clone().into_bytes())]) > 0,
        "the search finds what is there"
    );
    assert_eq!(found(kube.pid(), &secrets), nothing);
    assert!(kube.metric("kube_signal_payloads_total") > 0 && kube.metric("kube_signal_clients") == 2);
    let devices = home.ada.daemon.as_ref().unwrap().pid();
    assert!(!found(devices, &secrets).is_empty(), "and it is in the memory of whom it belongs to");
    home.ada.daemon.take();
    home.new.daemon.take();
    while kube.metric("kube_signal_clients") > 0 {
        std::thread::yield_now();
    }
    assert_eq!(found(kube.pid(), &secrets), nothing);
    assert_eq!(kube.metric("kube_signal_topics"), 0);

    // It has written about nobody, not even where they are. In its memory that is: it carried their packets.
    let page = kube.metrics();
    let (said, logged) = kube.end();
    let mut traces = secrets;
    let addresses = [&home.ada, &home.new].map(|device| device.machine.address().to_string());
    traces.extend(addresses.iter().map(|address| text("an address", address)));
    for page in [&page, &said, &logged] {
        assert_eq!(told(page, &traces), nothing, "{page}");
    }
}

// threat: 26
#[test]
fn a_kube_that_introduces_keeps_no_address_of_anyone() {
    let mut home = Household::without_turn();
    // Nobody sees these on a packet; the devices offer them to each other.
    let hidden = [Ipv4Addr::new(10, 99, 171, 101), Ipv4Addr::new(10, 99, 171, 102)];
    home.ada.machine.add_address(hidden[0]);
    home.new.machine.add_address(hidden[1]);
    home.link();
    home.ada.goes("direct");
    let kube = home.kube.take().unwrap();
    // Somebody comes through a proxy, which says for whom.
    let behind_a_proxy = Ipv4Addr::new(203, 0, 113, 77);
    let mut proxy = connect_for(&kube, &home.ada.machine, behind_a_proxy);
    let seen = [home.ada.machine.address(), home.new.machine.address()];
    let addresses: Vec<Secret> =
        [seen.as_slice(), &hidden, &[behind_a_proxy]].concat().iter().flat_map(written).collect();
    let nothing: [&str; 0] = [];

    // While the two talk, and once they are gone. Nobody else has come yet, whose address would be over theirs.
    assert_eq!(found(kube.pid(), &addresses), nothing);
    assert_eq!(kube.metric("kube_signal_clients"), 3);
    let ada = home.ada.daemon.as_ref().unwrap().pid();
    assert_eq!(
        found(ada, &[seen.as_slice(), &hidden].concat().iter().flat_map(written).collect::<Vec<_>>()).len(),
        8,
        "the devices know all"
    );
    proxy.kill().unwrap();
    proxy.wait().unwrap();
    home.ada.daemon.take();
    home.new.daemon.take();
    while kube.metric("kube_signal_clients") > 0 {
        std::thread::yield_now();
    }
    assert_eq!(found(kube.pid(), &addresses), nothing);
}

/// An address as it is written, and as programs keep it.
fn written(address: &Ipv4Addr) -> [Secret; 2] {
    [
        text(&format!("{address} in text"), &address.to_string()),
        (format!("{address} in bytes"), address.octets().to_vec()),
    ]
}

/// A connection for signalling, as a proxy in front of a KUBE makes it for a client. It stays open.
fn connect_for(kube: &Kube, from: &Machine, client: Ipv4Addr) -> Child {
    let host = kube.url.strip_prefix("ws://").unwrap().strip_suffix("/signal").unwrap();
    let script = format!(
        "exec 3<>/dev/tcp/{}; printf 'GET /signal HTTP/1.1\\r\\nHost: {host}\\r\\nX-Forwarded-For: {client}\\r\\n\
         Connection: Upgrade\\r\\nUpgrade: websocket\\r\\nSec-WebSocket-Version: 13\\r\\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n' >&3; exec cat <&3",
        host.replace(':', "/")
    );
    let mut child = from.command("bash").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut answer = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut answer).unwrap();
    assert_eq!(answer, "HTTP/1.1 101 Switching Protocols\r\n");
    child
}
