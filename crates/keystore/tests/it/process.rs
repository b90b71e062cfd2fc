//! The other processes of these tests.

/// Not a test: the other process's side.
#[test]
fn child() {
    let Some((role, dir)) = halo_testing::process::role() else { return };
    match role.as_str() {
        "remember" => crate::memory::remember(),
        "create" => crate::secret_service::create(&dir),
        "use" => crate::secret_service::use_it(&dir),
        "try" => crate::secret_service::try_it(&dir),
        other => panic!("no such role: {other}"),
    }
}
