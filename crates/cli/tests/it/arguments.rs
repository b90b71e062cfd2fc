//! What can be typed, and what is said about mistakes.

use crate::world::World;

#[test]
fn a_mistake_in_the_arguments_is_status_2() {
    let world = World::without_keychain();
    assert_eq!(world.run(&["fly"]).status(), 2);
    assert_eq!(world.run(&["requests", "approve"]).status(), 2);
    let ran = world.run(&["--json", "fly"]);
    assert_eq!(ran.status(), 2);
    assert_eq!(ran.error_code(), "cli.usage");
    assert_eq!(world.run(&["audit", "--since", "yesterday"]).status(), 2);
}

#[test]
fn help_and_version_are_no_mistakes() {
    let world = World::without_keychain();
    let help = world.run(&["--help"]);
    assert!(help.ok());
    for command in ["init", "daemon", "status", "unlock", "requests", "apps", "identity", "settings", "audit"]
    {
        assert!(help.stdout().contains(command), "{command} is missing in: {}", help.stdout());
    }
    assert!(world.run(&["--version"]).stdout().starts_with("halo "));
}

#[test]
fn completions_know_every_command() {
    let world = World::without_keychain();
    for shell in ["bash", "zsh", "fish"] {
        let script = world.run(&["completions", shell]);
        assert!(script.ok());
        assert!(script.stdout().contains("passphrase"), "{shell}");
    }
}

#[test]
fn a_command_that_needs_a_wallet_starts_none() {
    let world = World::without_keychain();
    for args in [
        &["lock"][..],
        &["unlock"],
        &["requests", "list"],
        &["apps", "list"],
        &["identity", "show"],
        &["audit"],
    ] {
        let ran = world.run(&[&["--json"], args].concat());
        assert_eq!((ran.status(), ran.error_code().as_str()), (6, "control.not_running"), "{args:?}");
    }
    let words = world.run(&["lock"]);
    assert!(words.stderr().contains("halo daemon"), "it says what to do: {}", words.stderr());
    assert!(!world.profile().exists(), "nothing was made");
}

#[test]
fn without_a_keychain_the_way_out_is_named_and_nothing_is_made() {
    let world = World::without_keychain();
    let ran = world.run(&["--json", "init", "--name", "Ada"]);
    assert_eq!(ran.status(), 1);
    assert_eq!(ran.error_code(), "keystore.no_keychain");
    let words = world.run(&["init", "--name", "Ada"]);
    assert!(words.stderr().contains("--keychain none --passphrase-stdin"), "{}", words.stderr());
    assert_eq!(world.json(&["status"])["state"], "empty");
}

#[test]
fn a_sealed_file_wants_a_passphrase() {
    let world = World::without_keychain();
    let ran = world.run(&["--json", "init", "--name", "Ada", "--keychain", "none"]);
    assert_eq!(ran.status(), 2, "{}", ran.stderr());
    let short = world.run_with(
        &["--json", "init", "--name", "Ada", "--keychain", "none", "--passphrase-stdin"],
        "short\n",
    );
    assert_eq!(short.status(), 2, "{}", short.stderr());
    assert!(!short.stderr().contains("short\n"), "what was read is not repeated");
    assert_eq!(world.json(&["status"])["state"], "empty");
}
