//! `halo devices` and `halo invitations`: the machines that are you.

use std::io::{IsTerminal, Write};
use std::path::Path;

use halo_broker::control::{Client, Items};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::args::{Devices, Invitations, InviteDevice, JoinDevice, RevokeDevice};
use crate::connect::{ask, choose, connect};
use crate::error::Failure;
use crate::secret::{Source, into_value};
use crate::show::{self, Out, Page, ago, now, short, text};

pub(super) async fn run(profile: &Path, command: Devices, out: &Out) -> Result<(), Failure> {
    match command {
        Devices::Invite(invite) => self::invite(profile, &invite, out).await,
        Devices::Join(join) => self::join(profile, join, out).await,
        Devices::List => {
            let mut client = connect(profile).await?;
            let devices = ask(&mut client, "devices.list").await?;
            let refused = ask(&mut client, "devices.refused").await?;
            out.answer(&devices, |page| {
                let lists = [list(page, &devices), super::refused::shown(page, &refused, &devices, now())];
                lists.into_iter().filter(|list| !list.is_empty()).collect::<Vec<_>>().join("\n\n")
            });
            Ok(())
        }
        Devices::Rename { device_key, label } => {
            let mut client = connect(profile).await?;
            let key = full_key(&mut client, &device_key).await?;
            client.call("devices.rename", json!({"device_key": key, "label": label})).await?;
            out.answer(&json!({"renamed": key}), |_| "Renamed.".to_owned());
            Ok(())
        }
        Devices::Revoke(revoke) => self::revoke(profile, revoke, out).await,
        Devices::Undo { device_key } => {
            let mut client = connect(profile).await?;
            let key = full_key(&mut client, &device_key).await?;
            client.call("devices.undo", json!({"device_key": key})).await?;
            out.answer(&json!({"revoked": key}), |_| "Undone: it is none of your devices.".to_owned());
            Ok(())
        }
        Devices::Refused => super::refused::list(profile, out).await,
        Devices::Agree(agree) => super::refused::agree(profile, &agree, out).await,
    }
}

/// `halo invitations`.
pub(super) async fn invitations(profile: &Path, command: Invitations, out: &Out) -> Result<(), Failure> {
    let mut client = connect(profile).await?;
    let invitations = ask(&mut client, "invitations.list").await?;
    match command {
        Invitations::List => out.answer(&invitations, |page| open_ones(page, &invitations)),
        Invitations::Cancel { id } => {
            let ids: Vec<String> = members(&invitations).map(|one| text(one, "invitation_id")).collect();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let id = choose(&ids, &id)?;
            client.call("invitations.cancel", json!({"id": id})).await?;
            out.answer(&json!({"cancelled": id}), |_| "Withdrawn.".to_owned());
        }
    }
    Ok(())
}

async fn invite(profile: &Path, invite: &InviteDevice, out: &Out) -> Result<(), Failure> {
    let mut client = connect(profile).await?;
    let invitation = match &invite.asking {
        None => client.call("devices.invite", json!({"expires": invite.expires})).await?,
        Some(code) => {
            beware(invite)?;
            let presence = super::lock::presence(&mut client, Source::of(invite.passphrase_stdin)).await?;
            let mut asking = json!({"url": code});
            if let (Some(to), Some(from)) = (asking.as_object_mut(), presence.as_object()) {
                to.extend(from.clone());
            }
            client.call("devices.add_asking", asking).await?
        }
    };
    let id = text(&invitation, "invitation_id");
    let url = text(&invitation, "url");
    out.answer(&json!({"invitation_id": id, "url": invitation.get("url")}), |page| offered(page, &url));
    if invite.qr && !out.json() && !url.is_empty() {
        show::line(&in_terminal(&halo_wallet::code_in_blocks(&url)?));
    }
    let mut states = connect(profile).await?.stream("invitations.watch", json!({"id": id})).await?;
    let mut typed = None;
    let mut asked = false;
    while let Some(state) = next(&mut states, &mut typed).await {
        let state = match state {
            Step::State(state) => state,
            Step::Typed(digits) => {
                let digits = match digits {
                    Ok(digits) => digits,
                    Err(failure) => {
                        client.call("invitations.cancel", json!({"id": id})).await?;
                        return Err(failure);
                    }
                };
                let digits = json!({"id": id, "digits": into_value(digits)});
                if let Err(error) = client.call("invitations.enter", digits).await {
                    // What wrong digits come to is the next state. Anything else, such as too few, withdraws it: standard
                    // input was asked once.
                    let invitations = ask(&mut client, "invitations.list").await?;
                    let open = members(&invitations)
                        .any(|one| text(one, "invitation_id") == id && ended(one).is_none());
                    if open {
                        client.call("invitations.cancel", json!({"id": id})).await?;
                        return Err(error.into());
                    }
                }
                continue;
            }
        };
        out.answer(&state, |page| invitation_words(page, &state));
        if text(&state, "state") == "READY_FOR_AUTHENTICATION" && !asked {
            asked = true;
            typed = Some(read_digits());
        }
        if let Some(end) = ended(&state) {
            return end;
        }
    }
    Err(Failure::new("control.broken", "HALO ended before the device was let in"))
}

/// The existing device shows a code and the new one reads it. The other way round is how accounts are stolen.
fn beware(invite: &InviteDevice) -> Result<(), Failure> {
    if invite.yes || !std::io::stdin().is_terminal() {
        return Ok(());
    }
    let typed = Source::Terminal.read(
        "Whoever gets you to do this with a code of theirs becomes you. Go on only if the code is on the screen of a \
         machine that you own, started yourself, and are looking at. Type `mine` to go on",
    )?;
    if typed.trim() != "mine" {
        return Err(Failure::new("cli.declined", "nothing was done with the code"));
    }
    Ok(())
}

async fn join(profile: &Path, join: JoinDevice, out: &Out) -> Result<(), Failure> {
    let mut client = connect(profile).await?;
    let status = ask(&mut client, "status").await?;
    if text(&status, "state") != "empty" {
        return Err(Failure::new("wallet.identity_exists", "this profile has an identity already"));
    }
    let mut wanted = super::found::protection(&join.protection)?;
    if let Some(members) = wanted.as_object_mut() {
        members.insert("label".to_owned(), join.name.into());
        members.insert("url".to_owned(), json!(join.url));
    }
    let begun = client.call("devices.join", wanted).await?;
    let mut states = connect(profile).await?.stream("join.watch", json!({})).await?;
    let url = text(&begun, "url");
    if join.url.is_none() && !url.is_empty() {
        out.answer(&json!({"url": url}), |page| offered(page, &url));
        if join.qr && !out.json() {
            show::line(&in_terminal(&halo_wallet::code_in_blocks(&url)?));
        }
    }
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let state = tokio::select! {
            state = states.next() => state,
            // Joining goes on in the daemon, which would take no other link until this one expires.
            _ = &mut interrupted => {
                client.call("join.cancel", json!({})).await?;
                return Err(Failure::new("cli.interrupted", "joining was given up; nothing is left behind"));
            }
        };
        let Some(mut state) = state else { break };
        if let Some(members) = state.as_object_mut() {
            let digits = members.remove("digits").filter(|digits| !digits.is_null());
            if let Some(digits) = digits {
                members.insert("code".to_owned(), digits);
            }
        }
        out.answer(&state, |page| join_words(page, &state));
        let done = text(&state, "state") != "SUCCESS" || state.get("in_step") == Some(&Value::Bool(true));
        if let Some(end) = ended(&state).filter(|_| done) {
            return end;
        }
    }
    Err(Failure::new("control.broken", "HALO ended before this device was in step"))
}

async fn revoke(profile: &Path, revoke: RevokeDevice, out: &Out) -> Result<(), Failure> {
    let mut client = connect(profile).await?;
    let key = full_key(&mut client, &revoke.device_key).await?;
    let source = Source::of(revoke.passphrase_stdin || revoke.phrase_stdin);
    if !revoke.yes && std::io::stdin().is_terminal() {
        let removal = client.call("devices.removal", json!({"device_key": key})).await?;
        let warning = consequences(&removal);
        let typed = source.read(&format!("{warning}Type `remove` to go on"))?;
        if typed.trim() != "remove" {
            return Err(Failure::new("cli.declined", "nothing was removed"));
        }
    }
    let phrase = revoke.phrase_stdin.then(|| source.read("The 24 words")).transpose()?;
    let mut wanted = super::lock::presence(&mut client, source).await?;
    if let Some(members) = wanted.as_object_mut() {
        members.insert("device_key".to_owned(), key.into());
        members.insert("phrase".to_owned(), json!(phrase.map(into_value)));
    }
    let removal = client.call("devices.revoke", wanted).await?;
    out.answer(&removal, |page| removed(page, &removal));
    Ok(())
}

/// Either end of the wait for somebody who types.
enum Step {
    State(Value),
    Typed(Result<Zeroizing<String>, Failure>),
}

type Typed = oneshot::Receiver<Result<Zeroizing<String>, Failure>>;

/// What comes first: the next state, or the digits. `None` when nothing follows.
async fn next(states: &mut Items, typed: &mut Option<Typed>) -> Option<Step> {
    let Some(waiting) = typed else { return states.next().await.map(Step::State) };
    tokio::select! {
        state = states.next() => state.map(Step::State),
        digits = waiting => {
            *typed = None;
            Some(Step::Typed(digits.unwrap_or_else(|_| Err(Failure::usage("no digits were typed")))))
        }
    }
}

/// Reads one line beside everything else. The thread waits for input that may never come, and ends with the program.
fn read_digits() -> Typed {
    let (send, typed) = oneshot::channel();
    std::thread::spawn(move || {
        if std::io::stdin().is_terminal() {
            let mut stderr = std::io::stderr().lock();
            let _ = write!(stderr, "The six digits on its screen: ");
            let _ = stderr.flush();
        }
        let _ = send.send(Source::Lines.read("The six digits on the screen of the new device"));
    });
    typed
}

/// The result of the whole, once nothing follows.
fn ended(state: &Value) -> Option<Result<(), Failure>> {
    let failed = |code: &str, message: &str| {
        let error = state.get("error").filter(|error| error.is_object());
        let code = error.map_or_else(|| code.to_owned(), |error| text(error, "code"));
        let message = error.map_or_else(|| message.to_owned(), |error| text(error, "message"));
        Some(Err(Failure { code, message }))
    };
    match text(state, "state").as_str() {
        "SUCCESS" => Some(Ok(())),
        "CANCELLED" => failed("invitation.cancelled", "the invitation was withdrawn"),
        "TIMEOUT" => failed("invitation.timeout", "the other device went silent"),
        "ERROR" => failed("invitation.error", "the device was not let in"),
        "EXPIRED" => failed("invitation.expired", "the code was not used in time"),
        _ => None,
    }
}

fn offered(page: &Page<'_>, url: &str) -> String {
    format!(
        "Give this to the other device, as a link or as a picture:\n{}\n{}",
        page.strong(url),
        page.faint("It is of no use to anybody without the six digits.")
    )
}

/// Dark on light, whatever the colours of the terminal are: cameras do not read the inverse.
fn in_terminal(blocks: &str) -> String {
    if !std::io::stdout().is_terminal() {
        return blocks.trim_end().to_owned();
    }
    let lines: Vec<String> = blocks.lines().map(|line| format!("\x1b[40;97m{line}\x1b[0m")).collect();
    lines.join("\n")
}

fn invitation_words(page: &Page<'_>, state: &Value) -> String {
    let guest = state.get("guest").filter(|guest| guest.is_object());
    let who = guest.map_or_else(
        || "a device".to_owned(),
        |guest| format!("\"{}\" ({})", text(guest, "label"), text(guest, "platform")),
    );
    match text(state, "state").as_str() {
        "INIT" => page.faint("Waiting for the other device."),
        "CONNECTING" => page.faint("A device has read the code."),
        "CONNECTED" => format!("It calls itself {}.", page.strong(&who)),
        "READY_FOR_AUTHENTICATION" => {
            format!("{} wants to become one of your devices and shows six digits.", page.strong(&who))
        }
        "AUTHENTICATING" => page.faint("Letting it in."),
        "SUCCESS" => page.good(&format!("{who} is one of your devices now.")),
        other => page.faint(&other.to_lowercase()),
    }
}

fn join_words(page: &Page<'_>, state: &Value) -> String {
    let host = state.get("host").filter(|host| host.is_object());
    let host =
        host.map_or_else(|| "your other device".to_owned(), |host| format!("\"{}\"", text(host, "label")));
    let progress = state.get("progress").unwrap_or(&Value::Null);
    let of = |member: &str| progress.get(member).and_then(Value::as_u64).unwrap_or_default();
    match text(state, "state").as_str() {
        "INIT" => page.faint("Looking for the other device."),
        "CONNECTING" | "CONNECTED" => page.faint(&format!("Connected to {host}.")),
        "READY_FOR_AUTHENTICATION" => {
            format!("Type these six digits on {host}:  {}", page.strong(&text(state, "code")))
        }
        "AUTHENTICATING" => page.faint("The digits were right."),
        "SUCCESS" if state.get("in_step") == Some(&Value::Bool(true)) => page.good("Everything is here."),
        "SUCCESS" => page.faint(&format!("{} of {} changes are here.", of("done"), of("total"))),
        other => page.faint(&other.to_lowercase()),
    }
}

/// What is said before a device is removed.
fn consequences(removal: &Value) -> String {
    let mut warning = String::new();
    if removal.get("last") == Some(&Value::Bool(true)) {
        warning.push_str("This is your last device: everything in your spaces is lost with it.\n");
    }
    let only: Vec<String> = removal
        .get("only_there")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(show::plain))
        .collect();
    if !only.is_empty() {
        warning.push_str(&format!("Not everything in {} has reached another device.\n", only.join(", ")));
    }
    warning
}

fn removed(page: &Page<'_>, removal: &Value) -> String {
    let mut lines = vec![page.good("Removed: it reads nothing that is written from now on.")];
    let aliases = removal.get("aliases").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if !aliases.is_empty() {
        lines.push("If somebody else has it, it can still sign in to these apps as you:".to_owned());
        lines.extend(aliases.iter().map(|alias| {
            format!("  {}  {}", page.strong(&short(&text(alias, "grant"))), text(alias, "client_id"))
        }));
        lines.push(page.faint("`halo apps fresh-alias ID` gives an app an account that it never knew."));
    }
    lines.join("\n")
}

pub(super) fn list(page: &Page<'_>, devices: &Value) -> String {
    let now = now();
    let lines: Vec<String> = members(devices)
        .map(|device| {
            let flag = |member: &str| device.get(member) == Some(&Value::Bool(true));
            let time = |member: &str| device.get(member).and_then(Value::as_u64);
            let seen = match (time("revoked"), time("last_seen")) {
                (Some(at), _) => page.faint(&format!("removed {}", ago(at, now))),
                _ if flag("current") => page.good("this one"),
                _ if flag("online") => page.good("connected"),
                (None, Some(at)) => page.faint(&format!("last seen {}", ago(at, now))),
                (None, None) => page.faint("not seen yet"),
            };
            let fresh = match time("probation_until") {
                Some(until) if until > now && !flag("current") => {
                    page.alert("  new: `halo devices undo` takes it back")
                }
                _ => String::new(),
            };
            let paused = match flag("suspended") {
                true => page.alert("  paused: given nothing until `halo devices refused` is settled"),
                false => String::new(),
            };
            format!(
                "{}  {}  {}  {seen}{fresh}{paused}",
                page.strong(&short(&text(device, "device_key"))),
                page.strong(&text(device, "label")),
                text(device, "platform"),
            )
        })
        .collect();
    lines.join("\n")
}

fn open_ones(page: &Page<'_>, invitations: &Value) -> String {
    let lines: Vec<String> = members(invitations)
        .map(|one| {
            let state = text(one, "state").to_lowercase().replace('_', " ");
            format!("{}  {state}  {}", page.strong(&short(&text(one, "invitation_id"))), text(one, "url"))
        })
        .collect();
    if lines.is_empty() { "There are no invitations.".to_owned() } else { lines.join("\n") }
}

pub(super) fn members(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The whole key of the device whose key begins so.
async fn full_key(client: &mut Client, key: &str) -> Result<String, Failure> {
    let devices = ask(client, "devices.list").await?;
    let keys: Vec<&str> = members(&devices).filter_map(|device| device.get("device_key")?.as_str()).collect();
    choose(&keys, key)
}
