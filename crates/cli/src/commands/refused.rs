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
    let source = Source::of(agree.passphrase_stdin);
    if !agree.yes && std::io::stdin().is_terminal() {
        let devices = ask(&mut client, "devices.list").await?;
        let one = members(&refused).find(|one| text(one, "admission") == id);
        let what = one.map(|one| claims(one, &devices)).unwrap_or_default();
        let warning = "It will read everything in your spaces, and sign in as you.\n";
        let typed = source.read(&format!("{what}{warning}Type `agree` if you added it yourself"))?;
        if typed.trim() != "agree" {
            return Err(Failure::new("cli.declined", "nothing was agreed"));
        }
    }
    let mut wanted = super::lock::presence(&mut client, source).await?;
    if let Some(members) = wanted.as_object_mut() {
        members.insert("admission".to_owned(), id.clone().into());
    }
    client.call("devices.agree", wanted).await?;
    out.answer(&json!({"agreed": id}), |page| page.good("Agreed: it is one of your devices."));
    Ok(())
}

/// Devices that a new device let in, with what can be done about each.
pub(super) fn shown(page: &Page<'_>, refused: &Value, devices: &Value, now: u64) -> String {
    let lines = members(refused).map(|one| {
        let (id, by) = (short(&text(one, "admission")), text(one, "by"));
        let of = members(devices).find(|device| text(device, "device_key") == by);
        let of = of.unwrap_or(&Value::Null);
        let time = |of: &Value| ago(of.get("added").and_then(Value::as_u64).unwrap_or_default(), now);
        let host = quoted(&text(of, "label"));
        let (name, platform) = (quoted(&text(one, "label")), text(one, "platform"));
        let mut lines = vec![format!(
            "{}  {}  {platform}  {}",
            page.strong(&id),
            page.strong(&name),
            page.alert("not let in"),
        )];
        lines.push(format!(
            "  {host}, which was added {}, added it {}. You have not agreed.",
            time(of),
            time(one)
        ));
        lines.extend(claims(one, devices).lines().map(|line| format!("  {line}")));
        lines.push(match one.get("hindrance").and_then(Value::as_str) {
            None => format!("  If it is yours: `halo devices agree {id}`."),
            Some("new") => "  If it is yours, agree on another device: this one is new itself.".to_owned(),
            Some("let_it_in") => "  If it is yours, agree on another device: this one let it in.".to_owned(),
            Some(_) => "  It cannot be agreed with here: that would put this device out.".to_owned(),
        });
        if of.get("current") != Some(&Value::Bool(true)) {
            lines.push(format!(
                "  If not: `halo devices revoke {}` puts out {host}, and it with that one.",
                short(&by)
            ));
        }
        lines.join("\n")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What a device that is not let in says of those that are.
fn claims(one: &Value, devices: &Value) -> String {
    let removes: Vec<String> = one
        .get("removes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let named = members(devices).filter(|device| removes.contains(&text(device, "device_key")));
    let (this, others): (Vec<&Value>, Vec<&Value>) =
        named.partition(|device| device.get("current") == Some(&Value::Bool(true)));
    let mut names: Vec<String> = others.iter().map(|device| quoted(&text(device, "label"))).collect();
    let mut said = String::new();
    if !this.is_empty() {
        names.push("this device".to_owned());
    }
    if !names.is_empty() {
        said = format!("It says that these were removed: {}.\n", names.join(", "));
    }
    if !this.is_empty() {
        said.push_str(
            "Your other devices may not speak with this one meanwhile: do the same on each of them.\n",
        );
    }
    said
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
        let device = |key: &str, label: &str, added: u64| json!({"device_key": key, "label": label, "added": added, "current": key == "aa11"});
        let devices = json!([
            device("aa11", "Laptop", 0),
            device("bb22", "Desk", 0),
            device("cc33", "Phone", 22 * HOUR)
        ]);
        let refused = json!([{
            "admission": "0123456789abcdef", "device_key": "dd44", "label": "Laptop\u{1b}[2J X", "platform": "linux",
            "by": "cc33", "added": 23 * HOUR, "removes": removes, "hindrance": hindrance,
        }]);
        shown(&Out::new(false).page(), &refused, &devices, 24 * HOUR)
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
