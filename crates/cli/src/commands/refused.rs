//! `halo devices refused` and `halo devices agree`: devices that a new device let in, and the user's word on them.

use std::io::IsTerminal;
use std::path::Path;

use serde_json::{Value, json};

use super::devices::members;
use crate::args::AgreeDevice;
use crate::connect::{ask, choose, connect};
use crate::error::Failure;
use crate::secret::Source;
use crate::show::{Out, Page, ago, now, short, text};

pub(super) async fn list(profile: &Path, out: &Out) -> Result<(), Failure> {
    let mut client = connect(profile).await?;
    let refused = ask(&mut client, "devices.refused").await?;
    let devices = ask(&mut client, "devices.list").await?;
    out.answer(&refused, |page| match shown(page, &refused, &devices, now()) {
        none if none.is_empty() => "No device waits for your word.".to_owned(),
        some => some,
    });
    Ok(())
}

pub(super) async fn agree(profile: &Path, agree: &AgreeDevice, out: &Out) -> Result<(), Failure> {
    let mut client = connect(profile).await?;
    let refused = ask(&mut client, "devices.refused").await?;
    let ids: Vec<&str> = members(&refused).filter_map(|one| one.get("admission")?.as_str()).collect();
    let id = choose(&ids, &agree.id)?;
    let one = members(&refused).find(|one| text(one, "admission") == id).unwrap_or(&Value::Null);
    let source = Source::of(agree.passphrase_stdin);
    if !agree.yes && std::io::stdin().is_terminal() {
        let devices = ask(&mut client, "devices.list").await?;
        let typed = source.read(&question(one, &devices, now()))?;
        if typed.trim() != "agree" {
            return Err(Failure::new("cli.declined", "nothing was agreed"));
        }
    }
    let mut wanted = super::lock::presence(&mut client, source).await?;
    if let Some(members) = wanted.as_object_mut() {
        members.insert("admission".to_owned(), id.clone().into());
        // What is agreed with is what was shown.
        let brings = items(one, "brings").map(|brought| text(brought, "device_key")).collect();
        members.insert("brings".to_owned(), brings);
        members.insert("puts_out".to_owned(), items(one, "puts_out").cloned().collect());
    }
    client.call("devices.agree", wanted).await?;
    out.answer(&json!({"agreed": id}), |page| page.good("Agreed: it is one of your devices."));
    Ok(())
}

/// What the user is asked before a device is let in.
fn question(one: &Value, devices: &Value, now: u64) -> String {
    let them = if items(one, "brings").next().is_some() { "all of them" } else { "it" };
    let name = named(one);
    format!(
        "{name}: {}\n{}{}It will read everything in your spaces, sign in as you, and can remove your other devices. After a day it can add \
         more.\nType `agree` if you added {them} yourself",
        added_by(one, devices, now),
        claims(one, devices),
        effects(one, devices),
    )
}

/// Devices that a new device let in, with what can be done about each.
pub(super) fn shown(page: &Page<'_>, refused: &Value, devices: &Value, now: u64) -> String {
    let lines = members(refused).map(|one| {
        let (id, of) = (short(&text(one, "admission")), host(one, devices));
        let (name, platform) = (quoted(&text(one, "label")), text(one, "platform"));
        let mut lines = vec![format!(
            "{}  {}  {platform}  {}",
            page.strong(&id),
            page.strong(&name),
            page.alert("not let in"),
        )];
        lines.push(format!("  {} You have not agreed.", added_by(one, devices, now)));
        let what = claims(one, devices) + &effects(one, devices);
        lines.extend(what.lines().map(|line| format!("  {line}")));
        lines.push(match one.get("hindrance").and_then(Value::as_str) {
            None => format!("  If it is yours: `halo devices agree {id}`."),
            Some("new") => "  If it is yours, agree on another device: this one is new itself.".to_owned(),
            Some("let_it_in") => "  If it is yours, agree on another device: this one let it in.".to_owned(),
            Some("others_first") => "  If it is yours, settle the ones before first.".to_owned(),
            Some("removes_this") => {
                "  It cannot be agreed with here: that would put this device out.".to_owned()
            }
            Some(_) => "  It cannot be agreed with here: it would not be let in all the same.".to_owned(),
        });
        if of.get("current") != Some(&Value::Bool(true)) {
            let (key, host) = (short(&text(one, "by")), quoted(&text(of, "label")));
            lines.push(format!(
                "  If not: `halo devices revoke {key}` puts out {host}, and it with that one."
            ));
        }
        lines.join("\n")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The device that let it in.
fn host<'a>(one: &Value, devices: &'a Value) -> &'a Value {
    let by = text(one, "by");
    members(devices).find(|device| text(device, "device_key") == by).unwrap_or(&Value::Null)
}

/// Who let it in, and when.
fn added_by(one: &Value, devices: &Value, now: u64) -> String {
    let time = |of: &Value| ago(of.get("added").and_then(Value::as_u64).unwrap_or_default(), now);
    let host = host(one, devices);
    format!("{}, which was added {}, added it {}.", quoted(&text(host, "label")), time(host), time(one))
}

/// What agreeing does besides letting it in.
fn effects(one: &Value, devices: &Value) -> String {
    let mut said = String::new();
    let brings: Vec<String> = items(one, "brings").map(named).collect();
    if !brings.is_empty() {
        said.push_str(&format!("If you agree, these come in as well: {}.\n", brings.join(", ")));
    }
    let puts_out = names(items(one, "puts_out"), devices);
    if !puts_out.is_empty() {
        said.push_str(&format!("If you agree, these are put out: {}.\n", puts_out.join(", ")));
    }
    said
}

/// What a device that is not let in says of those that are.
fn claims(one: &Value, devices: &Value) -> String {
    let removes = names(items(one, "removes"), devices);
    let mut said = String::new();
    if !removes.is_empty() {
        said.push_str(&format!("It says that these were removed: {}.\n", removes.join(", ")));
    }
    if removes.iter().any(|name| name == THIS) {
        said.push_str(
            "Your other devices may not speak with this one meanwhile: do the same on each of them.\n",
        );
    }
    said
}

const THIS: &str = "this device";

/// Devices by their keys, this one last.
fn names<'a>(keys: impl Iterator<Item = &'a Value>, devices: &Value) -> Vec<String> {
    let keys: Vec<&Value> = keys.collect();
    let named =
        members(devices).filter(|device| device.get("device_key").is_some_and(|key| keys.contains(&key)));
    let (this, others): (Vec<&Value>, Vec<&Value>) =
        named.partition(|device| device.get("current") == Some(&Value::Bool(true)));
    let others = others.iter().map(|device| quoted(&text(device, "label")));
    others.chain(this.iter().map(|_| THIS.to_owned())).collect()
}

fn items<'a>(of: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    of.get(member).and_then(Value::as_array).into_iter().flatten()
}

/// A device that is not let in, by what it says of itself.
fn named(device: &Value) -> String {
    let platform = text(device, "platform");
    let system = if platform.is_empty() { "unknown system" } else { &platform };
    format!("{} ({system})", quoted(&text(device, "label")))
}

fn quoted(name: &str) -> String {
    if name.is_empty() { "a device without a name".to_owned() } else { format!("\"{name}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 60 * 60 * 1_000;

    /// What is said where the phone, new itself, let in something that calls itself Laptop X; this device is the laptop.
    fn said(removes: &[&str], hindrance: &Value) -> String {
        let (devices, refused) = household(removes, hindrance);
        shown(&Out::new(false).page(), &refused, &devices, 24 * HOUR)
    }

    fn household(removes: &[&str], hindrance: &Value) -> (Value, Value) {
        let device = |key: &str, label: &str, added: u64| json!({"device_key": key, "label": label, "added": added, "current": key == "aa11"});
        let devices = json!([
            device("aa11", "Laptop", 0),
            device("bb22", "Desk", 0),
            device("cc33", "Phone", 22 * HOUR)
        ]);
        let refused = json!([{
            "admission": "0123456789abcdef", "device_key": "dd44", "label": "Laptop\u{1b}[2J X", "platform": "linux",
            "by": "cc33", "added": 23 * HOUR, "removes": removes, "hindrance": hindrance, "brings": [], "puts_out": removes,
        }]);
        (devices, refused)
    }

    // threat: 29
    #[test]
    fn whoever_is_asked_reads_who_it_is_who_let_it_in_and_what_comes_with_it() {
        let (devices, mut refused) = household(&[], &Value::Null);
        let alone = question(&refused[0], &devices, 24 * HOUR);
        assert!(alone.starts_with("\"Laptop"), "{alone}");
        assert!(
            alone.contains("X\" (linux): \"Phone\", which was added 2 h ago, added it 1 h ago."),
            "{alone}"
        );
        assert!(
            alone.contains("can remove your other devices") && alone.ends_with("if you added it yourself"),
            "{alone}"
        );
        assert!(!alone.contains("If you agree") && !alone.contains('\u{1b}'), "{alone}");
        refused[0]["brings"] = json!([
            {"device_key": "ee55", "label": "Watch\u{1b}[2J", "platform": "android"},
            {"device_key": "ff66", "label": "", "platform": null},
        ]);
        refused[0]["puts_out"] = json!(["aa11", "bb22"]);
        let all = question(&refused[0], &devices, 24 * HOUR);
        assert!(all.contains("(android), a device without a name (unknown system).\n"), "{all}");
        assert!(all.contains("these are put out: \"Desk\", this device.\n"), "{all}");
        assert!(all.ends_with("if you added all of them yourself") && !all.contains('\u{1b}'), "{all}");
    }

    #[test]
    fn both_answers_are_named_with_who_let_it_in() {
        let said = said(&[], &Value::Null);
        assert!(said.contains("\"Phone\", which was added 2 h ago, added it 1 h ago."), "{said}");
        assert!(said.contains("halo devices agree 01234567`"), "{said}");
        assert!(said.contains("halo devices revoke cc33`"), "{said}");
        assert!(!said.contains("removed:") && !said.contains('\u{1b}'), "{said}");
    }

    #[test]
    fn a_suspended_device_is_paused_in_the_list_and_only_that_one() {
        let devices = json!([
            {"device_key": "aa11", "label": "Laptop", "suspended": false},
            {"device_key": "bb22", "label": "Desk", "suspended": true},
        ]);
        let list = crate::commands::devices::list(&Out::new(false).page(), &devices);
        let paused: Vec<bool> =
            list.lines().map(|line| line.contains("paused: given nothing until")).collect();
        assert_eq!(paused, [false, true], "{list}");
    }

    #[test]
    fn where_this_device_cannot_agree_it_says_why() {
        for (hindrance, why) in [
            ("new", "new itself"),
            ("let_it_in", "this one let it in"),
            ("removes_this", "put this device out"),
            ("in_vain", "not be let in all the same"),
            ("others_first", "settle the ones before"),
        ] {
            let said = said(&[], &json!(hindrance));
            assert!(said.contains(why) && !said.contains("devices agree"), "{said}");
        }
    }

    #[test]
    fn where_all_are_suspended_it_says_that_each_has_to_be_asked() {
        let some = said(&["bb22"], &Value::Null);
        assert!(some.contains("removed: \"Desk\".") && !some.contains("each of them"), "{some}");
        let all = said(&["aa11", "bb22"], &json!("removes_this"));
        assert!(all.contains("removed: \"Desk\", this device."), "{all}");
        assert!(all.contains("do the same on each of them") && all.contains("revoke cc33"), "{all}");
    }
}
