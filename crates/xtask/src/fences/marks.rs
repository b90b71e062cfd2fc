//! Ties docs/threat-model.md to the tests.
//!
//! A test says which threat it answers in a comment above it or in it: `threat: 7` or `threat: 7, 8`. The document has a
//! section for each threat, and in it a line `Tests:` with their names, written by
//! `cargo xtask fences --write-threats`. A threat without a test is a fault, and so is a name that no marked test has.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use crate::error::Trouble;
use crate::place::Place;
use crate::process::say;

const DOCUMENT: &str = "docs/threat-model.md";

/// The threats that concern what exists; the others come with removed members, KUBE and contacts.
const ROWS: [RangeInclusive<u32>; 4] = [1..=28, 30..=30, 31..=35, 43..=43];

/// Names of tests by the threat they answer.
type Tests = BTreeMap<u32, BTreeSet<String>>;

/// Threats without a test, sections that are missing, and names of tests that are not there.
pub(super) fn faults(place: &Place) -> Result<Vec<String>, Trouble> {
    let tests = marked(place)?;
    let document = place.at(DOCUMENT);
    let text = std::fs::read_to_string(&document).map_err(Trouble::file(&document))?;
    Ok(judge(&tests, &text))
}

/// Writes the `Tests:` lines.
pub(super) fn write(place: &Place) -> Result<(), Trouble> {
    let tests = marked(place)?;
    let document = place.at(DOCUMENT);
    let text = std::fs::read_to_string(&document).map_err(Trouble::file(&document))?;
    std::fs::write(&document, with_names(&tests, &text)).map_err(Trouble::file(&document))?;
    say(&format!("{DOCUMENT} names {} tests", tests.values().map(BTreeSet::len).sum::<usize>()));
    Ok(())
}

fn judge(tests: &Tests, document: &str) -> Vec<String> {
    let sections = sections(document);
    let mut faults = Vec::new();
    for row in ROWS.into_iter().flatten() {
        let Some(names) = tests.get(&row) else {
            faults.push(format!("threat {row} has no test: mark one with `threat: {row}`"));
            continue;
        };
        match sections.get(&row) {
            None => faults.push(format!("{DOCUMENT} has no section \"### {row}. …\"")),
            Some(named) if named.is_empty() => {
                faults.push(format!("{DOCUMENT} names no test for threat {row}"));
            }
            Some(named) => {
                for name in named.difference(names) {
                    faults.push(format!(
                        "{DOCUMENT} names `{name}` for threat {row}, which no test marked so is called"
                    ));
                }
            }
        }
    }
    if !faults.is_empty() {
        faults.push("`cargo xtask fences --write-threats` writes the names anew".into());
    }
    faults
}

/// The names in the `Tests:` lines, by section.
fn sections(document: &str) -> Tests {
    let mut sections = Tests::new();
    let mut row = None;
    for line in document.lines() {
        if line.starts_with('#') {
            row = number_of(line);
            if let Some(row) = row {
                sections.entry(row).or_default();
            }
        } else if let (Some(row), Some(names)) = (row, line.strip_prefix("Tests:")) {
            let names = names.split('`').skip(1).step_by(2).map(str::to_owned);
            sections.entry(row).or_default().extend(names);
        }
    }
    sections
}

fn with_names(tests: &Tests, document: &str) -> String {
    let mut text = String::with_capacity(document.len());
    let mut row = None;
    for line in document.lines() {
        if line.starts_with('#') {
            row = number_of(line);
        }
        match row.and_then(|row| tests.get(&row)) {
            Some(names) if line.starts_with("Tests:") => {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                text.push_str("Tests: ");
                text.push_str(&names.join(", "));
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

/// The number of a heading `### 7. squats our port`.
fn number_of(heading: &str) -> Option<u32> {
    heading.strip_prefix("### ")?.split_once('.')?.0.parse().ok()
}

/// All marked tests of the repository.
fn marked(place: &Place) -> Result<Tests, Trouble> {
    let mut tests = Tests::new();
    for path in super::sources(place, &[".rs", ".ts", ".mts", ".js", ".mjs", ".svelte"])? {
        if path.starts_with("crates/xtask/") {
            continue;
        }
        let file = place.at(&path);
        let text = std::fs::read_to_string(&file).map_err(Trouble::file(&file))?;
        for (row, name) in marks(&text) {
            tests.entry(row).or_default().insert(name);
        }
    }
    Ok(tests)
}

/// The marks in one file, each with the name of its test.
fn marks(text: &str) -> Vec<(u32, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut marks = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(rows) = rows_of(line) else { continue };
        if let Some(name) = below(&lines, at).or_else(|| around(&lines, at)) {
            marks.extend(rows.into_iter().map(|row| (row, name.clone())));
        }
    }
    marks
}

/// The test that begins below a mark: only comments and attributes stand between.
fn below(lines: &[&str], mark: usize) -> Option<String> {
    let mut rest = lines.iter().enumerate().skip(mark + 1).skip_while(|(_, line)| {
        let line = line.trim();
        line.is_empty() || line.starts_with(['/', '*', '#']) || line == ")]"
    });
    let (at, _) = rest.next()?;
    name_at(lines, at)
}

/// The test that a mark stands in.
fn around(lines: &[&str], mark: usize) -> Option<String> {
    let depth = |at: usize| lines.get(at).map_or(0, |line| line.len() - line.trim_start().len());
    (0..mark).rev().filter(|at| depth(*at) < depth(mark)).find_map(|at| name_at(lines, at))
}

/// The name of the test that begins on a line; TypeScript may have it on the next one.
fn name_at(lines: &[&str], at: usize) -> Option<String> {
    let line = lines.get(at)?;
    name_of(line).or_else(|| name_of(&format!("{line}{}", lines.get(at + 1)?.trim_start())))
}

/// The threats of a comment `// threat: 7, 8`.
fn rows_of(line: &str) -> Option<Vec<u32>> {
    let line = line.trim_start();
    let comment = line.trim_start_matches(['/', '*', '!', ' ']);
    if !line.starts_with(['/', '*']) {
        return None;
    }
    let (rest, _) = comment.strip_prefix("threat:").map(|rest| rest.split_once('(').unwrap_or((rest, "")))?;
    let rows: Vec<u32> = rest.split([',', ' ']).filter_map(|row| row.trim().parse().ok()).collect();
    (!rows.is_empty()).then_some(rows)
}

/// The name of the test that begins on this line, in Rust or TypeScript.
fn name_of(line: &str) -> Option<String> {
    let line = line.trim_start();
    let rust = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
    if let Some(rest) = rust {
        return rest.split(['(', '<']).next().map(str::to_owned);
    }
    // test('…'), it('…'), await t.test("…")
    let called = ["test(", "it(", "test.for(", "test.each("].iter().find_map(|call| line.split_once(call))?.1;
    let quote = called.chars().next().filter(|first| ['\'', '"', '`'].contains(first))?;
    called.get(1..)?.split(quote).next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "    // threat: 7, 8\n    #[test]\n    fn a_squatter_is_noticed() {}\n\
                        // threat: 9 (codes)\nawait t.test('a code works once', () => {});\n";

    fn tests_of(text: &str) -> Tests {
        let mut tests = Tests::new();
        for (row, name) in marks(text) {
            tests.entry(row).or_default().insert(name);
        }
        tests
    }

    #[test]
    fn marks_are_read_in_both_languages() {
        let name = |name: &str| name.to_owned();
        assert_eq!(
            marks(CODE),
            [
                (7, name("a_squatter_is_noticed")),
                (8, name("a_squatter_is_noticed")),
                (9, name("a code works once"))
            ]
        );
    }

    #[test]
    fn a_mark_in_a_test_is_of_that_test() {
        let code = "fn outer() {\n    // threat: 1\n    let x = 1;\n}\n\nfn next() {}\n";
        assert_eq!(marks(code), [(1, "outer".to_owned())]);
        let code = "// threat: 2\n#[expect(\n)]\n#[test]\nfn first() {}\ntest(\n  'long name',\n";
        assert_eq!(marks(code), [(2, "first".to_owned())]);
        assert_eq!(marks("  // threat: 3\n  test(\n    'long name',\n"), [(3, "long name".to_owned())]);
    }

    #[test]
    fn a_threat_without_a_test_and_a_name_without_a_test_are_faults() {
        let document = "### 7. squats\nTests: `a_squatter_is_noticed`, `gone`\n### 8. relays\nTests:\n";
        let faults = judge(&tests_of(CODE), document);
        assert!(faults.iter().any(|fault| fault.contains("`gone` for threat 7")), "{faults:?}");
        assert!(faults.iter().any(|fault| fault.contains("no test for threat 8")), "{faults:?}");
        assert!(faults.iter().any(|fault| fault.contains("no section \"### 9.")), "{faults:?}");
        assert!(faults.iter().any(|fault| fault.contains("threat 10 has no test")), "{faults:?}");
    }

    #[test]
    fn the_names_are_written_into_their_sections() {
        let written =
            with_names(&tests_of(CODE), "### 7. squats\n\nText.\n\nTests:\n\n### 99. other\n\nTests: none\n");
        assert_eq!(
            written,
            "### 7. squats\n\nText.\n\nTests: `a_squatter_is_noticed`\n\n### 99. other\n\nTests: none\n"
        );
    }
}
