//! Who may depend on whom: the table of ARCHITECTURE.md, against what cargo resolved.

use std::collections::{BTreeMap, BTreeSet};

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

const HOUSE: [Room; 8] = [
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
        name: "halo-store",
        may: &["halo-protocol"],
        tests_may: &[],
        never: &["keyring", "axum", "hyper", "tauri", "tokio", "argon2"],
    },
    Room {
        name: "halo-keystore",
        may: &["halo-protocol"],
        tests_may: &[],
        never: &["rusqlite", "libsqlite3-sys", "axum", "hyper", "tauri"],
    },
    Room {
        name: "halo-wallet",
        may: &["halo-protocol", "halo-store", "halo-keystore"],
        tests_may: &[],
        never: &["axum", "hyper", "tauri"],
    },
    Room { name: "halo-broker", may: &["halo-protocol", "halo-wallet"], tests_may: &[], never: &["tauri"] },
    Room { name: "halo-cli", may: &["halo-broker", "halo-wallet"], tests_may: &[], never: &["tauri"] },
    Room { name: "halo-desktop", may: &["halo-broker", "halo-wallet"], tests_may: &[], never: &[] },
    Room { name: "xtask", may: &[], tests_may: &[], never: &["tokio", "rusqlite", "keyring", "tauri"] },
];

/// Dependencies that break the table.
pub(super) fn faults(place: &Place) -> Result<Vec<String>, Trouble> {
    let text = Run::cargo(place).args(["metadata", "--locked", "--format-version", "1"]).output()?;
    let metadata: Metadata = serde_json::from_str(&text)
        .map_err(|error| Trouble::Unexpected(format!("cargo metadata cannot be read: {error}")))?;
    Ok(judge(&Graph::of(&metadata), &HOUSE))
}

fn judge(graph: &Graph<'_>, house: &[Room]) -> Vec<String> {
    let mut faults = Vec::new();
    for member in &graph.members {
        if house.iter().all(|room| room.name != *member) {
            faults.push(format!("{member} is not in the table of fences: say what it may depend on"));
        }
    }
    for room in house {
        for (name, for_tests) in graph.direct(room.name) {
            let allowed = room.may.contains(&name) || (for_tests && room.tests_may.contains(&name));
            if graph.members.contains(name) && !allowed {
                faults.push(format!("{} must not depend on {name}", room.name));
            }
        }
        let reached = graph.reached(room.name);
        for name in room.never.iter().filter(|name| reached.contains(*name)) {
            faults.push(format!("{} reaches {name}: `cargo tree -p {} -i {name}`", room.name, room.name));
        }
    }
    faults
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// `None` for what ships.
    kind: Option<String>,
}

/// What depends on what, by name. Two versions of a crate count as one: a fence against one is a fence against both.
#[derive(Default)]
struct Graph<'a> {
    members: BTreeSet<&'a str>,
    /// For what ships.
    ships: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// For tests and build scripts.
    beside: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Graph<'a> {
    fn of(metadata: &'a Metadata) -> Self {
        let names: BTreeMap<&str, &str> =
            metadata.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
        let name = |id: &str| names.get(id).copied();
        let mut graph = Self {
            members: metadata.workspace_members.iter().filter_map(|id| name(id)).collect(),
            ..Self::default()
        };
        for node in &metadata.resolve.nodes {
            let Some(from) = name(&node.id) else { continue };
            for dependency in &node.deps {
                let Some(to) = name(&dependency.pkg) else { continue };
                let ships = dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
                let edges = if ships { &mut graph.ships } else { &mut graph.beside };
                edges.entry(from).or_default().insert(to);
            }
        }
        graph
    }

    /// What a crate names itself, and whether only its tests do.
    fn direct(&self, name: &str) -> Vec<(&'a str, bool)> {
        let ships = self.ships.get(name).into_iter().flatten().map(|to| (*to, false));
        let beside = self.beside.get(name).into_iter().flatten().map(|to| (*to, true));
        ships.chain(beside).collect()
    }

    /// All that ships with a crate.
    fn reached(&self, name: &str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut left: Vec<&str> = vec![name];
        while let Some(from) = left.pop() {
            for to in self.ships.get(from).into_iter().flatten() {
                if reached.insert(*to) {
                    left.push(to);
                }
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> Graph<'static> {
        let ships = BTreeMap::from([("pure", BTreeSet::from(["far"])), ("far", BTreeSet::from(["tokio"]))]);
        let beside = BTreeMap::from([("pure", BTreeSet::from(["edge"]))]);
        Graph { members: BTreeSet::from(["pure", "edge"]), ships, beside }
    }

    const EDGE: Room = Room { name: "edge", may: &[], tests_may: &[], never: &[] };

    #[test]
    fn what_is_reached_far_down_is_found() {
        let house = [EDGE, Room { name: "pure", may: &[], tests_may: &["edge"], never: &["tokio"] }];
        assert_eq!(judge(&graph(), &house), ["pure reaches tokio: `cargo tree -p pure -i tokio`"]);
    }

    #[test]
    fn a_neighbour_is_only_for_those_who_may() {
        let house = [EDGE, Room { name: "pure", may: &[], tests_may: &[], never: &[] }];
        assert_eq!(judge(&graph(), &house), ["pure must not depend on edge"]);
    }

    #[test]
    fn a_crate_outside_the_table_is_a_fault() {
        let house = [Room { name: "pure", may: &["edge"], tests_may: &[], never: &[] }];
        assert_eq!(
            judge(&graph(), &house),
            ["edge is not in the table of fences: say what it may depend on"]
        );
    }
}
