//! The other processes of these tests.

/// Not a test: the other process's side.
#[test]
fn child() {
    let Some((role, dir)) = halo_testing::process::role() else { return };
    match role.as_str() {
        "hold" => crate::profile::hold(&dir),
        "write" => crate::crash::write(&dir),
        "make" => crate::crash::make(&dir),
        "rush" => crate::format::rush(),
        "remember" => crate::memory::remember(),
        other => panic!("no such role: {other}"),
    }
}
