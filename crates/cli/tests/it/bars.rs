//! How far something long has come: at a terminal, and nowhere else.

use std::process::{Command, Stdio};

use crate::world::World;

/// Runs the command in a terminal of its own; what the terminal showed.
fn at_a_terminal(world: &World, args: &[&str]) -> String {
    let words: Vec<String> = args.iter().map(|word| format!("'{word}'")).collect();
    let halo = world.halo(&[]);
    let mut command = Command::new("script");
    command.env_clear().envs(halo.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let line = format!("{} {}", halo.get_program().to_str().unwrap(), words.join(" "));
    let output = command
        .env("TERM", "xterm")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_bar_is_shown_at_a_terminal_and_nothing_on_a_pipe() {
    let world = World::new();
    world.init();
    let _daemon = world.daemon();
    let space = world.json(&["spaces", "create", "--name", "Household"])["id"].as_str().unwrap().to_owned();
    for title in ["Milk", "Bread"] {
        let data = format!(r#"{{"title":"{title}"}}"#);
        world.json(&["items", "put", &data, "--space", &space, "--type", "example.org/type/Task"]);
    }
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    let shown = at_a_terminal(&world, &["spaces", "export", &space, &file("one")]);
    assert!(shown.contains('%') && shown.contains("Written to"), "{shown:?}");
    let shown = at_a_terminal(&world, &["spaces", "import", &file("one")]);
    assert!(shown.contains('%') && shown.contains("has everything"), "{shown:?}");
    let shown = at_a_terminal(&world, &["doctor"]);
    let parts = ["Database", "Documents", "Blocks", "Indexes"];
    assert!(parts.iter().any(|part| shown.contains(part)) && shown.contains("as it should be"), "{shown:?}");
    let shown = at_a_terminal(&world, &["--json", "doctor"]);
    assert_eq!(shown.trim().lines().count(), 1, "a script in a terminal gets its one value: {shown:?}");
    assert!(!shown.contains('\u{1b}'), "{shown:?}");

    for args in [&["spaces", "export", &space, &file("two")][..], &["doctor"]] {
        let ran = world.run(args);
        assert!(ran.ok() && !ran.stdout().contains('%'), "{}", ran.stdout());
        assert_eq!(ran.stderr(), "", "a pipe is no terminal");
    }
}
