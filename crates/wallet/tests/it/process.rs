//! The other processes of these tests.

/// Not a test: the other process's side.
#[test]
fn child() {
    let Some((role, dir)) = halo_testing::process::role() else { return };
    match role.as_str() {
        #[cfg(target_os = "linux")]
        "powercut" => crate::powercut::write(&dir),
        other => panic!("no such role: {other}"),
    }
}
