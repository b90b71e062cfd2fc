//! What must never be seen.

use crate::app;
use crate::world::{PASSPHRASE, World};

/// Everything secret in this run, and where it must not appear.
struct Search {
    secrets: Vec<(&'static str, String)>,
}

impl Search {
    fn nothing_in(&self, place: &str, text: &str) {
        for (name, secret) in &self.secrets {
            assert!(!text.contains(secret.as_str()), "{name} was found in {place}");
        }
    }
}

#[test]
fn no_secret_code_or_token_reaches_a_log_an_error_or_the_arguments() {
    let world = World::without_keychain();
    let created = world.init_sealed();
    let phrase = created["phrase"].as_str().unwrap().to_owned();
    let three: Vec<&str> = phrase.split(' ').take(3).collect();
    let mut search = Search {
        secrets: vec![
            ("the passphrase", PASSPHRASE.to_owned()),
            ("a wrong passphrase", "wrong horse battery staple".to_owned()),
            ("the new passphrase", "another passphrase".to_owned()),
            ("three words of the phrase", three.join(" ")),
        ],
    };
    let daemon = world.daemon_logging("trace");
    let mut said = String::new();
    let wrong = world.run_with(&["unlock", "--passphrase-stdin"], "wrong horse battery staple\n");
    said += &(wrong.stdout() + &wrong.stderr());
    let right = world.run_with(&["unlock", "--passphrase-stdin"], &format!("{PASSPHRASE}\n"));
    assert!(right.ok(), "{}", right.stderr());
    said += &(right.stdout() + &right.stderr());
    let asked = app::ask(&daemon, "notes");
    let id = world.json(&["requests", "list"])[0]["id"].as_str().unwrap().to_owned();
    world.json(&["requests", "approve", &id]);
    let (_, tokens) = app::tokens(&daemon, "notes", &asked);
    for name in ["access_token", "refresh_token", "id_token", "proof"] {
        search.secrets.push((name, tokens[name].as_str().unwrap().to_owned()));
    }
    search.secrets.push(("auth_req_id", asked));
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let (_, refreshed) = app::refreshed(&daemon, "notes", refresh);
    search.secrets.push(("the next refresh token", refreshed["refresh_token"].as_str().unwrap().to_owned()));
    let (_, reused) = app::refreshed(&daemon, "notes", refresh);
    said += &reused.to_string();
    let change = world.run_with(&["passphrase", "set"], &format!("{PASSPHRASE}\nanother passphrase\n"));
    assert!(change.ok(), "{}", change.stderr());
    said += &(change.stdout() + &change.stderr());
    let confirmed = world.run_with(&["identity", "phrase", "confirm"], &format!("{phrase}\n"));
    said += &(confirmed.stdout() + &confirmed.stderr());
    let arguments = std::fs::read_to_string(format!("/proc/{}/cmdline", daemon.pid())).unwrap();
    let environment = std::fs::read_to_string(format!("/proc/{}/environ", daemon.pid())).unwrap();

    let (_, log) = daemon.terminate();
    assert!(!log.is_empty(), "there is a log to search");
    search.nothing_in("the log", &log);
    search.nothing_in("what commands say", &said);
    search.nothing_in("the arguments", &arguments);
    search.nothing_in("the environment", &environment);
}

// threat: 31
#[test]
fn the_files_of_a_profile_show_nothing() {
    // Long names: three letters stand in random bytes by chance.
    const NAME: &str = "Augusta Ada King, Countess of Lovelace";
    const APP: &str = "notes-of-the-countess-of-lovelace";
    let world = World::new();
    let created = world.json(&["init", "--name", NAME]);
    let daemon = world.daemon();
    app::ask(&daemon, APP);
    let id = world.json(&["requests", "list"])[0]["id"].as_str().unwrap().to_owned();
    world.json(&["requests", "approve", &id]);
    let member = |name: &str| created[name].as_str().unwrap().to_owned();
    let phrase = member("phrase");
    let plain =
        [NAME, APP, "SQLite format 3", &member("did"), &member("did_key"), &phrase[..phrase.len() / 2]];
    let needles: Vec<(&str, Vec<u8>)> = plain
        .iter()
        .flat_map(|text| {
            let wide = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            [(*text, text.as_bytes().to_vec()), (*text, wide)]
        })
        .collect();
    assert!(needles.iter().all(|(_, bytes)| bytes.len() >= 12), "chance must not find them");
    let mut left = vec![world.profile()];
    let mut files = 0;
    while let Some(dir) = left.pop() {
        for entry in dir.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                for (text, needle) in &needles {
                    let found = bytes.windows(needle.len()).any(|window| window == needle);
                    assert!(!found, "{text:?} can be read in {}", path.display());
                }
                files += 1;
            }
        }
    }
    assert!(files >= 3, "lock, keystore and store were searched");
}

// threat: 34
#[cfg(target_os = "linux")]
#[test]
fn a_daemon_that_was_locked_has_neither_passphrase_nor_words_in_its_memory() {
    use halo_testing::memory::{Needle, search_in};
    let world = World::without_keychain();
    let created = world.init_sealed();
    let phrase = created["phrase"].as_str().unwrap().to_owned();
    let input = format!("{PASSPHRASE}\n");
    let daemon = world.daemon();
    world.run_with(&["--json", "unlock", "--passphrase-stdin"], &input).json();
    let shown =
        world.run_with(&["--json", "identity", "phrase", "show", "--passphrase-stdin"], &input).json();
    assert_eq!(shown["phrase"], phrase.as_str());
    world.run_with(&["--json", "identity", "phrase", "confirm"], &format!("{phrase}\n")).json();
    world.json(&["lock"]);
    let found = |text: &str| search_in(daemon.pid(), &[Needle::new(text.as_bytes().to_vec())]);
    assert!(found(world.profile().to_str().unwrap()) > 0, "the search finds what is there");
    assert_eq!((found(PASSPHRASE), found(&phrase)), (0, 0));
}
