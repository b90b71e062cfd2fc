//! Who may depend on whom: the table of ARCHITECTURE.md, against what cargo resolved.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::error::Trouble;
use crate::place::Place;
use crate::process::Run;

/// A room of the house.
struct Room {
    name: &'static str,
    /// Crates of this workspace it may use.
    may: &'static [&'static str],
    /// Crates of this workspace that its tests may use as well.
    tests_may: &'static [&'static str],
    /// Crates from anywhere that must not be reached through it, however far down.
    never: &'static [&'static str],
}

const HOUSE: [Room; 12] = [
    Room {
        name: "halo-protocol",
        may: &[],
        tests_may: &[],
        // What decides cannot wait, read a file, ask the clock or throw dice.
        never: &[
            "tokio",
            "rusqlite",
            "keyring",
            "axum",
            "hyper",
            "tauri",
            "mio",
            "chrono",
            "time",
            "getrandom",
            "rand",
        ],
    },
    Room {
        name: "halo-echo",
        may: &["halo-protocol"],
        tests_may: &[],
        // What a replica believes follows from documents alone. (Automerge reaches getrandom; our code does not.)
        never: &["tokio", "rusqlite", "keyring", "axum", "hyper", "tauri", "mio", "chrono"],
    },
    Room {
        name: "halo-store",
        may: &["halo-protocol", "halo-echo"],
        tests_may: &["halo-testing"],
        never: &["keyring", "axum", "hyper", "tauri", "tokio", "argon2"],
    },
    Room {
        name: "halo-keystore",
        may: &["halo-protocol"],
        tests_may: &["halo-testing"],
        never: &["rusqlite", "libsqlite3-sys", "axum", "hyper", "tauri"],
    },
    Room {
        name: "halo-mesh",
        may: &["halo-protocol"],
        tests_may: &["halo-testing"],
        // Bytes meet; what they mean is for others.
        never: &["automerge", "rusqlite", "libsqlite3-sys", "keyring", "axum", "hyper", "tauri"],
    },
    Room {
        name: "halo-kube",
        may: &["halo-protocol", "halo-mesh"],
        tests_may: &["halo-testing"],
        never: &["automerge", "rusqlite", "libsqlite3-sys", "keyring", "axum", "hyper", "tauri"],
    },
    Room {
        name: "halo-wallet",
        may: &["halo-protocol", "halo-echo", "halo-store", "halo-keystore", "halo-mesh"],
        tests_may: &["halo-testing"],
        never: &["axum", "hyper", "tauri"],
    },
    Room { name: "halo-broker", may: &["halo-protocol", "halo-wallet"], tests_may: &[], never: &["tauri"] },
    Room {
        name: "halo-cli",
        may: &["halo-broker", "halo-wallet"],
        tests_may: &["halo-echo", "halo-testing"],
        never: &["tauri"],
    },
    Room { name: "halo-desktop", may: &["halo-broker", "halo-wallet"], tests_may: &[], never: &[] },
    Room { name: "halo-testing", may: &[], tests_may: &[], never: &[] },
    Room { name: "xtask", may: &[], tests_may: &[], never: &["tokio", "rusqlite", "keyring", "tauri"] },
];

/// Dependencies that break the table.
pub(super) fn faults(place: &Place) -> Result<Vec<String>, Trouble> {
    let text =
        Run::cargo(place).args(["metadata", "--locked", "--no-deps", "--format-version", "1"]).output()?;
    let metadata: Metadata = serde_json::from_str(&text)
        .map_err(|error| Trouble::Unexpected(format!("cargo metadata cannot be read: {error}")))?;
    let mut faults = neighbours(&metadata.packages, &HOUSE);
    for room in HOUSE.iter().filter(|room| !room.never.is_empty()) {
        faults.extend(forbidden(room, &reached(place, room.name)?));
    }
    Ok(faults)
}

/// Crates of this workspace that a crate uses, but may not.
fn neighbours(packages: &[Package], house: &[Room]) -> Vec<String> {
    let members: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut faults = Vec::new();
    for package in packages {
        let Some(room) = house.iter().find(|room| room.name == package.name) else {
            faults.push(format!("{} is not in the table of fences: say what it may depend on", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let for_tests = dependency.kind.is_some();
            let allowed = room.may.contains(&name) || (for_tests && room.tests_may.contains(&name));
            if members.contains(name) && !allowed {
                faults.push(format!("{} must not depend on {name}", package.name));
            }
        }
    }
    faults
}

/// Crates that a room must not reach, but does.
fn forbidden(room: &Room, reached: &BTreeSet<String>) -> Vec<String> {
    let never = room.never.iter().filter(|name| reached.contains(**name));
    never
        .map(|name| format!("{} reaches {name}: `cargo tree -p {} -i {name}`", room.name, room.name))
        .collect()
}

/// All that ships with a crate, with the features that it alone asks for.
fn reached(place: &Place, name: &str) -> Result<BTreeSet<String>, Trouble> {
    let tree = Run::cargo(place)
        .args(["tree", "--locked", "--package", name, "--edges", "normal,no-proc-macro"])
        .args(["--target", "all", "--prefix", "none"])
        .output()?;
    Ok(tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for what ships.
    kind: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependencies = dependencies
            .iter()
            .map(|(name, kind)| Dependency { name: (*name).to_owned(), kind: kind.map(str::to_owned) });
        Package { name: name.to_owned(), dependencies: dependencies.collect() }
    }

    const EDGE: Room = Room { name: "edge", may: &[], tests_may: &[], never: &[] };

    #[test]
    fn a_neighbour_is_only_for_those_who_may() {
        let packages = [package("edge", &[]), package("pure", &[("edge", None), ("serde", None)])];
        let pure = Room { name: "pure", may: &[], tests_may: &["edge"], never: &[] };
        assert_eq!(neighbours(&packages, &[EDGE, pure]), ["pure must not depend on edge"]);
        let packages = [package("edge", &[]), package("pure", &[("edge", Some("dev"))])];
        let pure = Room { name: "pure", may: &[], tests_may: &["edge"], never: &[] };
        assert!(neighbours(&packages, &[EDGE, pure]).is_empty(), "its tests may");
    }

    #[test]
    fn a_crate_outside_the_table_is_a_fault() {
        let faults = neighbours(&[package("edge", &[]), package("new", &[])], &[EDGE]);
        assert_eq!(faults, ["new is not in the table of fences: say what it may depend on"]);
    }

    #[test]
    fn what_is_reached_and_forbidden_is_a_fault() {
        let room = Room { name: "pure", may: &[], tests_may: &[], never: &["tokio", "rusqlite"] };
        let reached = BTreeSet::from(["serde".to_owned(), "tokio".to_owned()]);
        assert_eq!(forbidden(&room, &reached), ["pure reaches tokio: `cargo tree -p pure -i tokio`"]);
    }
}
