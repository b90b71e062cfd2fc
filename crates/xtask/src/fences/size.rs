//! No file has two subjects: 600 lines outside tests are too many.

use crate::error::Trouble;
use crate::place::Place;

const MOST: usize = 600;
const CODE: [&str; 6] = [".rs", ".ts", ".svelte", ".css", ".js", ".mjs"];

/// Files that are too long.
pub(super) fn faults(place: &Place) -> Result<Vec<String>, Trouble> {
    let mut faults = Vec::new();
    for path in super::sources(place, &CODE)? {
        if is_test(&path) {
            continue;
        }
        let file = place.at(&path);
        let text = std::fs::read_to_string(&file).map_err(Trouble::file(&file))?;
        let lines = product_lines(&text);
        if lines > MOST {
            faults.push(format!("{path} has {lines} lines; {MOST} mean two subjects"));
        }
    }
    Ok(faults)
}

/// Lines before the tests that stand last in a file.
fn product_lines(text: &str) -> usize {
    text.lines().take_while(|line| *line != "#[cfg(test)]").count()
}

fn is_test(path: &str) -> bool {
    path.split('/').any(|part| part == "tests" || part == "test") || path.contains(".test.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_do_not_count() {
        assert_eq!(product_lines("a\nb\n#[cfg(test)]\nmod tests {\n}\n"), 2);
        assert!(is_test("crates/store/tests/it/main.rs"));
        assert!(is_test("ui/src/state/wallet.test.ts"));
        assert!(!is_test("crates/wallet/src/attestation.rs"));
    }
}
