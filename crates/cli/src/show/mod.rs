//! What people and scripts read.
//!
//! Everything that came from an app is shown without control characters, so that no name can write to the terminal
//! what the wallet did not say.

mod bar;
mod time;

use std::io::{IsTerminal, Write};

use serde_json::{Value, json};

use crate::error::Failure;

pub(crate) use bar::Bar;
pub(crate) use time::{Since, ago, now, parse_since, until};

/// Where answers go, and in which form.
pub(crate) struct Out {
    json: bool,
    colour: bool,
}

impl Out {
    /// Colours only at a terminal, and only for those who do not mind (<https://no-color.org>).
    pub(crate) fn new(json: bool) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { json, colour: !json && !unwanted && std::io::stdout().is_terminal() }
    }

    /// An answer: as JSON for scripts, in words for people.
    pub(crate) fn answer(&self, value: &Value, words: impl FnOnce(&Page<'_>) -> String) {
        let text = if self.json { value.to_string() } else { words(&self.page()) };
        line(&text);
    }

    /// Words for people.
    pub(crate) const fn page(&self) -> Page<'_> {
        Page { out: self }
    }

    /// Whether scripts read this.
    pub(crate) const fn json(&self) -> bool {
        self.json
    }

    /// A failure, on standard error.
    pub(crate) fn failure(&self, failure: &Failure) {
        let text = if self.json {
            json!({"error": {"code": failure.code, "message": failure.message}}).to_string()
        } else {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let head = if colour { "\x1b[1;31mhalo:\x1b[0m" } else { "halo:" };
            let next = failure.next_step().map(|next| format!("\n{next}")).unwrap_or_default();
            format!("{head} {}{next}", plain(&failure.message))
        };
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }
}

/// Writes one line. Who closed the other end wants no more.
pub(crate) fn line(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}");
    let _ = stdout.flush();
}

/// Writes words for people.
pub(crate) struct Page<'a> {
    out: &'a Out,
}

impl Page<'_> {
    /// What matters most.
    pub(crate) fn strong(&self, text: &str) -> String {
        self.paint("1", &plain(text))
    }

    /// What can be skipped.
    pub(crate) fn faint(&self, text: &str) -> String {
        self.paint("2", &plain(text))
    }

    /// What went well.
    pub(crate) fn good(&self, text: &str) -> String {
        self.paint("32", &plain(text))
    }

    /// What wants attention.
    pub(crate) fn alert(&self, text: &str) -> String {
        self.paint("33", &plain(text))
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.out.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Names and values, the values aligned; empty values are left out.
    pub(crate) fn facts(&self, facts: &[(&str, String)]) -> String {
        let shown: Vec<&(&str, String)> = facts.iter().filter(|(_, value)| !value.is_empty()).collect();
        let width = shown.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let lines: Vec<String> = shown
            .iter()
            .map(|(name, value)| format!("{}  {value}", self.faint(&format!("{name:<width$}"))))
            .collect();
        lines.join("\n")
    }
}

/// Text without control characters and without marks that change its direction.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '\n' => letter,
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            letter if letter.is_control() => '\u{fffd}',
            letter => letter,
        })
        .collect()
}

/// A member as text: itself if it is text, nothing if it is `null` or not there.
pub(crate) fn text(value: &Value, member: &str) -> String {
    match value.get(member) {
        Some(Value::String(text)) => plain(text).replace('\n', " "),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

/// A list of texts as one text.
pub(crate) fn joined(value: &Value, member: &str, between: &str) -> String {
    let texts = value.get(member).and_then(Value::as_array);
    let texts: Vec<String> = texts
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|text| plain(text).replace('\n', " "))
        .collect();
    texts.join(between)
}

/// Beginning of a long name; enough to tell it from others.
pub(crate) fn short(id: &str) -> String {
    id.chars().take(8).collect()
}

/// Bytes in units that people read.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1_000 {
        return format!("{bytes} bytes");
    }
    let mut tenths = bytes / 100;
    let mut unit = UNITS.iter();
    let mut name = unit.next().copied().unwrap_or_default();
    for larger in unit {
        if tenths < 10_000 {
            break;
        }
        (tenths, name) = (tenths / 1_000, larger);
    }
    if tenths < 100 {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    } else {
        format!("{} {name}", tenths / 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // threat: 15
    #[test]
    fn an_app_cannot_write_to_the_terminal() {
        let name = plain("Mail\u{1b}[2J\u{202e}\u{7}\rHALO");
        assert!(!name.contains(['\u{1b}', '\u{202e}', '\u{7}', '\r']), "{name:?}");
        assert!(name.starts_with("Mail"), "what can be read stays");
    }

    #[test]
    fn sizes_are_short() {
        let shown = [0, 999, 1_000, 1_234, 99_949, 1_000_000, 7_654_321_000].map(size);
        assert_eq!(shown, ["0 bytes", "999 bytes", "1.0 kB", "1.2 kB", "99 kB", "1.0 MB", "7.6 GB"]);
    }

    #[test]
    fn facts_are_aligned_and_empty_ones_left_out() {
        let out = Out { json: false, colour: false };
        let page = Page { out: &out };
        let facts = [("name", "Ada".to_owned()), ("nothing", String::new()), ("id", "did:halo:B".to_owned())];
        assert_eq!(page.facts(&facts), "name  Ada\nid    did:halo:B");
    }
}
