//! What can be typed.

mod data;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use data::{FindItems, InSpace, ItemPlace, Items, Spaces};

/// HALO, the identity wallet on your own machine.
#[derive(Parser)]
#[command(name = "halo", version, propagate_version = true, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// Directory of the profile [default: HALO_PROFILE, or `halo` in the platform's data directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) profile: Option<PathBuf>,
    /// Print one JSON value, for scripts
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Create an identity in this profile
    Init(Init),
    /// Bring an identity back from its 24 words
    Recover(Recover),
    /// Serve this profile without a window, until SIGTERM
    Daemon(Daemon),
    /// Where the profile stands
    Status,
    /// Close the store and forget every key
    Lock,
    /// Open a profile that is locked
    Unlock(Unlock),
    /// Set or remove the passphrase
    #[command(subcommand)]
    Passphrase(Passphrase),
    /// What apps ask for
    #[command(subcommand)]
    Requests(Requests),
    /// Apps you let in
    #[command(subcommand)]
    Apps(Apps),
    /// Your identity
    #[command(subcommand)]
    Identity(Identity),
    /// Your devices
    #[command(subcommand)]
    Devices(Devices),
    /// Invitations that can still be used
    #[command(subcommand)]
    Invitations(Invitations),
    /// How your devices stand to each other
    #[command(subcommand)]
    Sync(Sync),
    /// Spaces: what apps keep with you
    #[command(subcommand)]
    Spaces(Spaces),
    /// What is in a space
    #[command(subcommand)]
    Items(Items),
    /// When the wallet locks by itself, and how the window looks
    #[command(subcommand)]
    Settings(Settings),
    /// The log of everything that was allowed, refused and used
    Audit(Audit),
    /// Check everything that is kept here against everything else
    Doctor {
        /// Make indexes anew that are not what is in their documents
        #[arg(long)]
        rebuild: bool,
    },
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(clap::Args)]
pub(crate) struct Init {
    /// Your name, as you want apps to see it
    #[arg(long)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) protection: Protection,
}

#[derive(clap::Args)]
pub(crate) struct Recover {
    /// Read the 24 words from standard input (one line; before the passphrase)
    #[arg(long)]
    pub(crate) phrase_stdin: bool,
    /// Your name: the words do not hold it
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// A server where your other devices can be met; repeat for several
    #[arg(long = "kube", value_name = "URL")]
    pub(crate) kubes: Vec<String>,
    #[command(flatten)]
    pub(crate) protection: Protection,
}

/// How the new profile is protected.
#[derive(clap::Args)]
pub(crate) struct Protection {
    /// Protect it with a passphrase, read from standard input (one line)
    #[arg(long)]
    pub(crate) passphrase_stdin: bool,
    /// Where the device's root secret is kept
    #[arg(long, value_enum, default_value_t = Keychain::Auto)]
    pub(crate) keychain: Keychain,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Keychain {
    /// The keychain of the system; where there is none, this says so
    Auto,
    /// The keychain of the system
    Os,
    /// A file sealed by the passphrase
    None,
}

impl Keychain {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Os => "os",
            Self::None => "none",
        }
    }
}

#[derive(clap::Args)]
pub(crate) struct Daemon {
    /// Listen on this port [default: the first free one of 47110-47114; 0 for any]
    #[arg(long, value_name = "N")]
    pub(crate) listen_port: Option<u16>,
    /// A server where your devices meet, beside those of the settings; repeat for several
    #[arg(long = "kube", value_name = "URL")]
    pub(crate) kubes: Vec<String>,
    /// Whether devices are looked for in the local network [default: as the settings say]
    #[arg(long, value_enum)]
    pub(crate) lan: Option<Lan>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lan {
    /// They are
    On,
    /// They are not
    Off,
}

#[derive(clap::Args)]
pub(crate) struct Unlock {
    /// Read the passphrase from standard input (one line)
    #[arg(long)]
    pub(crate) passphrase_stdin: bool,
    /// Open the store although it is older than it was when it was last open
    #[arg(long)]
    pub(crate) accept_older: bool,
}

#[derive(Subcommand)]
pub(crate) enum Passphrase {
    /// Set or change it; from standard input: the current one if there is one, then the new one, a line each
    Set(PassphraseInput),
    /// Remove it, where the keychain keeps the root secret; from standard input: the current one
    Remove(PassphraseInput),
}

#[derive(clap::Args)]
pub(crate) struct PassphraseInput {
    /// Read from standard input even if that is a terminal
    #[arg(long)]
    pub(crate) passphrase_stdin: bool,
}

#[derive(Subcommand)]
pub(crate) enum Requests {
    /// Those that wait for an answer
    List,
    /// Show what comes in, until interrupted; with --json the list anew at each change
    Watch,
    /// Say yes
    Approve(Approve),
    /// Say no
    Deny {
        /// The request, or the beginning of its name
        id: String,
    },
}

#[derive(clap::Args)]
pub(crate) struct Approve {
    /// The request, or the beginning of its name
    pub(crate) id: String,
    /// The three words that the page shows, where the request offers a choice
    #[arg(long, value_name = "\"A B C\"")]
    pub(crate) words: Option<String>,
    /// Grant only this scope of those asked; repeat for several
    #[arg(long = "scope", value_name = "S")]
    pub(crate) scopes: Vec<String>,
    /// Share only this field of the profile (name, picture); repeat for several
    #[arg(long = "field", value_name = "F", conflicts_with = "no_fields")]
    pub(crate) fields: Vec<String>,
    /// Share nothing of the profile
    #[arg(long)]
    pub(crate) no_fields: bool,
    /// Let it see this space of yours, where it asks for spaces; repeat for several
    #[arg(long = "space", value_name = "ID")]
    pub(crate) spaces: Vec<String>,
    /// Show your real identity, where it was asked for
    #[arg(long, conflicts_with = "alias")]
    pub(crate) identity: bool,
    /// Show an alias that only this app knows (the default)
    #[arg(long)]
    pub(crate) alias: bool,
}

#[derive(Subcommand)]
pub(crate) enum Apps {
    /// All of them, last used first
    List,
    /// Give an app a fresh account that removed devices never knew
    FreshAlias {
        /// The grant, or the beginning of its name
        id: String,
    },
    /// Sign an app out and forget its grant
    Revoke {
        /// The grant, or the beginning of its name
        id: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum Devices {
    /// All of them
    List,
    /// Let a new device in: shows a code, and reads the six digits from standard input
    Invite(InviteDevice),
    /// Make this profile a device of the identity whose code this is
    Join(JoinDevice),
    /// Give a device another name
    Rename {
        /// The device's key, or the beginning of it
        device_key: String,
        /// What it is called from now on
        #[arg(long = "name", value_name = "LABEL")]
        label: String,
    },
    /// Put a device out of everything
    Revoke(RevokeDevice),
    /// Put a device out that is new
    Undo {
        /// The device's key, or the beginning of it
        device_key: String,
    },
    /// Devices that a new device let in, which wait for your word
    Refused,
    /// Agree that such a device was let in: it is yours from then on
    Agree(AgreeDevice),
}

#[derive(clap::Args)]
pub(crate) struct InviteDevice {
    /// How long the code can be used [default: some minutes]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) expires: Option<u64>,
    /// Draw the code as a picture
    #[arg(long)]
    pub(crate) qr: bool,
    /// Let in a device that shows this code of its own, instead of showing one here
    #[arg(long, value_name = "CODE", conflicts_with_all = ["expires", "qr"])]
    pub(crate) asking: Option<String>,
    /// With --asking: read the passphrase from standard input (one line; before the digits)
    #[arg(long, requires = "asking")]
    pub(crate) passphrase_stdin: bool,
    /// With --asking: do not warn
    #[arg(long, requires = "asking")]
    pub(crate) yes: bool,
}

#[derive(clap::Args)]
pub(crate) struct JoinDevice {
    /// The link that the trusted device shows; without it, this one shows a code
    pub(crate) url: Option<String>,
    /// What this device is called
    #[arg(long, value_name = "LABEL")]
    pub(crate) name: String,
    /// Without a link: draw the code as a picture
    #[arg(long, conflicts_with = "url")]
    pub(crate) qr: bool,
    #[command(flatten)]
    pub(crate) protection: Protection,
}

#[derive(clap::Args)]
pub(crate) struct RevokeDevice {
    /// The device's key, or the beginning of it
    pub(crate) device_key: String,
    /// Read the 24 words from standard input (one line; before the passphrase): they have the last word
    #[arg(long)]
    pub(crate) phrase_stdin: bool,
    /// Read the passphrase from standard input, where one is set (one line)
    #[arg(long)]
    pub(crate) passphrase_stdin: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(clap::Args)]
pub(crate) struct AgreeDevice {
    /// What `halo devices refused` calls it, or the beginning of that
    pub(crate) id: String,
    /// Read the passphrase from standard input, where one is set (one line)
    #[arg(long)]
    pub(crate) passphrase_stdin: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Subcommand)]
pub(crate) enum Invitations {
    /// All of them
    List,
    /// Withdraw one
    Cancel {
        /// The invitation, or the beginning of its name
        id: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum Sync {
    /// Who is connected, and who lacks what
    Status {
        /// Again whenever it changes, until interrupted
        #[arg(long)]
        watch: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum Identity {
    /// Who you are here
    Show,
    /// Change your name or picture
    Set(SetIdentity),
    /// The 24 words
    #[command(subcommand)]
    Phrase(Phrase),
}

#[derive(clap::Args)]
#[group(required = true, multiple = true)]
pub(crate) struct SetIdentity {
    /// The new name
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// A picture: PNG, JPEG or WebP, at most 8 KiB
    #[arg(long, value_name = "FILE", conflicts_with = "no_avatar")]
    pub(crate) avatar: Option<PathBuf>,
    /// Remove the picture
    #[arg(long)]
    pub(crate) no_avatar: bool,
}

#[derive(Subcommand)]
pub(crate) enum Phrase {
    /// Print the words
    Show(PassphraseInput),
    /// Prove that you wrote them down
    Confirm {
        /// Read all 24 words from standard input (one line)
        #[arg(long)]
        phrase_stdin: bool,
    },
    /// Remove them from this device, once confirmed
    Forget(Forget),
}

#[derive(clap::Args)]
pub(crate) struct Forget {
    #[command(flatten)]
    pub(crate) input: PassphraseInput,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Subcommand)]
pub(crate) enum Settings {
    /// As they are
    Show,
    /// Change some
    Set(SetSettings),
}

#[derive(clap::Args)]
#[group(required = true, multiple = true)]
pub(crate) struct SetSettings {
    /// Lock after so many minutes in which nobody used window or command; 0 for never
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(0..=1440))]
    pub(crate) auto_lock: Option<u32>,
    /// Lock when the screen locks or the machine sleeps
    #[arg(long, value_name = "on|off")]
    pub(crate) lock_with_screen: Option<OnOff>,
    /// Let programs made for DXOS find HALO where they look for DXOS's agent
    #[arg(long, value_name = "on|off")]
    pub(crate) dxos_agent: Option<OnOff>,
    /// How the window looks
    #[arg(long, value_name = "system|light|dark")]
    pub(crate) theme: Option<Theme>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnOff {
    /// Do
    On,
    /// Do not
    Off,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Theme {
    /// As the desktop says
    System,
    /// Light
    Light,
    /// Dark
    Dark,
}

impl Theme {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

#[derive(clap::Args)]
pub(crate) struct Audit {
    /// Only what happened since: `30m`, `12h`, `7d`, `2026-01-31`, `2026-01-31T12:00:00Z`, or milliseconds
    #[arg(long, value_name = "T", value_parser = crate::show::parse_since)]
    pub(crate) since: Option<crate::show::Since>,
    /// Only events of this name
    #[arg(long)]
    pub(crate) event: Option<String>,
    /// Only what concerns this app
    #[arg(long)]
    pub(crate) app: Option<String>,
    /// At most so many entries [default: 50; all with --since]
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}
