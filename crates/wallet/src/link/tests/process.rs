//! The other processes of the tests inside.

/// Not a test: the other process's side.
#[test]
fn child() {
    let Some((role, dir)) = halo_testing::process::role() else { return };
    match role.as_str() {
        "removal" => crate::link::tests::powercut::remove(&dir),
        other => panic!("no such role: {other}"),
    }
}
