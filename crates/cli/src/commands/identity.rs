//! `halo identity`: who you are here.

use std::io::IsTerminal;
use std::path::Path;

use data_encoding::BASE64;
use halo_broker::control::Client;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::args::{Forget, Identity, Phrase, SetIdentity};
use crate::connect::{ask, connect};
use crate::error::Failure;
use crate::secret::{Source, into_value};
use crate::show::{Out, Page, text};

use super::lock::presence;

/// How many words there are.
const WORDS: usize = 24;

pub(super) async fn run(profile: &Path, command: Identity, out: &Out) -> Result<(), Failure> {
    let mut client = connect(profile).await?;
    match command {
        Identity::Show => show(&mut client, out).await,
        Identity::Set(set) => {
            client.call("identity.set", changes(set)?).await?;
            show(&mut client, out).await
        }
        Identity::Phrase(Phrase::Show(input)) => {
            let presence = presence(&mut client, Source::of(input.passphrase_stdin)).await?;
            let answer = client.call("identity.phrase.reveal", presence).await?;
            out.answer(&answer, |_| grid(&Zeroizing::new(text(&answer, "phrase"))).to_string());
            Ok(())
        }
        Identity::Phrase(Phrase::Confirm { phrase_stdin }) => {
            confirm(&mut client, Source::of(phrase_stdin), out).await
        }
        Identity::Phrase(Phrase::Forget(forget)) => self::forget(&mut client, &forget, out).await,
    }
}

async fn show(client: &mut Client, out: &Out) -> Result<(), Failure> {
    let identity = ask(client, "identity.show").await?;
    out.answer(&identity, |page| words(page, &identity));
    Ok(())
}

fn words(page: &Page<'_>, identity: &Value) -> String {
    let picture = identity.get("avatar").is_some_and(|avatar| !avatar.is_null());
    page.facts(&[
        ("name", page.strong(&text(identity, "name"))),
        ("picture", if picture { "yes".to_owned() } else { String::new() }),
        ("identity", text(identity, "did")),
        ("did:key", text(identity, "did_key")),
        ("device", format!("{} ({})", text(identity, "device_label"), text(identity, "device_key"))),
        ("24 words", text(identity, "phrase")),
    ])
}

fn changes(set: SetIdentity) -> Result<Value, Failure> {
    let mut changes = serde_json::Map::new();
    if let Some(name) = set.name {
        changes.insert("name".to_owned(), name.into());
    }
    if let Some(file) = set.avatar {
        let picture = std::fs::read(&file)
            .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", file.display())))?;
        changes.insert("avatar".to_owned(), BASE64.encode(&picture).into());
    } else if set.no_avatar {
        changes.insert("avatar".to_owned(), Value::Null);
    }
    Ok(changes.into())
}

async fn confirm(client: &mut Client, source: Source, out: &Out) -> Result<(), Failure> {
    let quiz = ask(client, "identity.phrase.quiz").await?;
    let positions: Vec<usize> = quiz
        .get("positions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|position| usize::try_from(position.as_u64()?).ok())
        .collect();
    let mut answers = Vec::new();
    match source {
        Source::Terminal => {
            for position in positions {
                let word = source.read(&format!("Word {position}"))?;
                answers.push(json!([position, into_value(word)]));
            }
        }
        // A script cannot know which will be asked.
        Source::Lines => {
            let phrase = source.read("The 24 words")?;
            let words: Vec<&str> = phrase.split_whitespace().collect();
            if words.len() != WORDS {
                return Err(Failure::usage(format!("{WORDS} words are expected, not {}", words.len())));
            }
            for position in positions {
                let word = position.checked_sub(1).and_then(|at| words.get(at)).copied().unwrap_or_default();
                answers.push(json!([position, word]));
            }
        }
    }
    client.call("identity.phrase.confirm", json!({ "answers": answers })).await?;
    out.answer(&json!({"phrase": "confirmed"}), |page| {
        page.good("You have the words. `halo identity phrase forget` removes them from this device.")
    });
    Ok(())
}

async fn forget(client: &mut Client, forget: &Forget, out: &Out) -> Result<(), Failure> {
    let source = Source::of(forget.input.passphrase_stdin);
    if !forget.yes && std::io::stdin().is_terminal() {
        let typed =
            source.read("This device will not be able to show the words again. Type `forget` to go on")?;
        if typed.trim() != "forget" {
            return Err(Failure::new("cli.declined", "nothing was removed"));
        }
    }
    let presence = presence(client, source).await?;
    client.call("identity.phrase.forget", presence).await?;
    out.answer(&json!({"phrase": "forgotten"}), |_| "The words are not on this device any more.".to_owned());
    Ok(())
}

/// The words, numbered, in four columns to be read downwards.
pub(super) fn grid(phrase: &str) -> Zeroizing<String> {
    const COLUMNS: usize = 4;
    let words: Vec<&str> = phrase.split_whitespace().collect();
    let rows = words.len().div_ceil(COLUMNS);
    // Large enough not to move.
    let mut grid = Zeroizing::new(String::with_capacity(1024));
    for row in 0..rows {
        for column in 0..COLUMNS {
            let at = column * rows + row;
            if let Some(word) = words.get(at) {
                grid.push_str(&format!("  {:>2} {word:<9}", at + 1));
            }
        }
        while grid.ends_with(' ') {
            grid.pop();
        }
        if row + 1 < rows {
            grid.push('\n');
        }
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_numbered_and_read_downwards() {
        let phrase: Vec<String> = (1..=24).map(|number| format!("w{number}")).collect();
        let grid = grid(&phrase.join(" "));
        let first: Vec<&str> = grid.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(first, ["1", "w1", "7", "w7", "13", "w13", "19", "w19"]);
        assert_eq!(grid.lines().count(), 6);
    }
}
