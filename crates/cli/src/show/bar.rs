//! How far something long has come, at a terminal.
//!
//! On standard error, so that an answer can go elsewhere; on a pipe, in a file and for scripts there is nothing.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use super::{Out, text};

/// A bar, from the first thing that is said until it is taken away. Something short shows none.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new(out: &Out) -> Self {
        let shown = !out.json() && std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self(ProgressBar::with_draw_target(None, target))
    }

    /// Shows a step: which part, how many, of how many; a part that cannot count itself shows that it goes on.
    pub(crate) fn show(&self, step: &Value) {
        let number = |name: &str| step.get(name).and_then(Value::as_u64).unwrap_or_default();
        let counted = number("of") > 0;
        let template = if counted { "{msg:<12} [{bar:30}] {percent:>3} %" } else { "{msg:<12} {spinner}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style.progress_chars("=> "));
        }
        self.0.set_message(words(&text(step, "part")));
        if counted {
            self.0.set_length(number("of"));
            self.0.set_position(number("done"));
        } else {
            self.0.tick();
        }
    }

    /// The answer comes; the bar is in its way.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}

fn words(part: &str) -> &'static str {
    match part {
        "read" => "Reading",
        "write" => "Writing",
        "seal" => "Sealing",
        "database" => "Database",
        "documents" => "Documents",
        "blocks" => "Blocks",
        "indexes" => "Indexes",
        _ => "Working",
    }
}
