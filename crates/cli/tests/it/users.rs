//! Another user of this machine, for real: the kernel says so. Only root can be two users, so only root runs these.
#![cfg(target_os = "linux")]

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::world::World;

/// Nobody.
const OTHER: u32 = 65_534;

fn can_be_two() -> bool {
    let root = std::fs::metadata("/proc/self").is_ok_and(|of| std::os::unix::fs::MetadataExt::uid(&of) == 0);
    if !root {
        println!("not root: this test was not run");
    }
    root
}

/// Runs a script as the other user; what it printed.
fn as_other(script: &str) -> String {
    let mut bash = Command::new("bash");
    bash.args(["-c", script]).uid(OTHER).gid(OTHER).current_dir("/").stdin(Stdio::null());
    let output = bash.output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

// threat: 19
#[test]
fn another_user_reaches_neither_broker_nor_socket_nor_profile() {
    if !can_be_two() {
        return;
    }
    let world = World::without_keychain();
    world.init_sealed();
    let daemon = world.daemon();
    let get = |path: &str| {
        let port = daemon.port();
        format!(
            "exec 3<>/dev/tcp/127.0.0.1/{port}; \
             printf 'GET {path} HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\nConnection: close\\r\\n\\r\\n' >&3; cat <&3"
        )
    };
    for path in ["/.well-known/halo", "/.well-known/openid-configuration", "/jwks"] {
        let answer = as_other(&get(path));
        assert!(answer.starts_with("HTTP/1.1 403"), "{path}: {answer}");
    }
    // Even with the way to them open, the files themselves are closed.
    let socket = world.control_socket();
    for dir in socket.ancestors().skip(1).take_while(|dir| dir.starts_with(world.home())) {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    for file in [socket.clone(), socket.with_file_name("broker.json"), socket.with_file_name("broker.sock")] {
        assert!(file.exists());
        let read = as_other(&format!("cat '{}' && echo read", file.display()));
        assert!(read.contains("Permission denied") || read.contains("No such device"), "{read}");
    }
    let profile = world.profile();
    let listed = as_other(&format!("ls '{}'", profile.display()));
    assert!(listed.contains("Permission denied"), "{listed}");
    assert_eq!(world.json(&["status"])["state"], "locked", "its user still reaches it");
}
