//! Why a command failed: a stable code, what happened, and what to do next.

use std::process::ExitCode;

use halo_broker::BrokerError;
use halo_broker::control::ControlError;
use halo_wallet::WalletError;

/// A failure, ready to be shown.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Stable, for scripts.
    pub(crate) code: String,
    /// What happened.
    pub(crate) message: String,
}

impl Failure {
    /// Any failure.
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }

    /// The arguments, or what came on standard input, make no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new("cli.usage", message)
    }

    /// A file or stream failed.
    pub(crate) fn io(what: &str, error: &std::io::Error) -> Self {
        Self::new("cli.io", format!("{what}: {error}"))
    }

    /// What the user can do about it, if anything.
    pub(crate) fn next_step(&self) -> Option<&'static str> {
        Some(match self.code.as_str() {
            "control.not_running" => "Start HALO, or run `halo daemon`.",
            "control.refused" => "Run this as the user who started HALO.",
            "wallet.locked" | "keystore.passphrase_required" => "Run `halo unlock`.",
            "wallet.no_identity" => "Run `halo init --name NAME` to create one.",
            "wallet.identity_exists" => "Name another directory with --profile for another identity.",
            "wallet.held" => "Use that one, or end it first. `halo status` shows how it is.",
            "wallet.rolled_back" => {
                "If you put an older copy there yourself, run `halo unlock --accept-older`; else somebody else did."
            }
            "wallet.not_found" => {
                "`halo requests list`, `halo apps list` and `halo spaces list` show what there is."
            }
            "cli.problems" => {
                "`halo doctor --rebuild` makes indexes anew; what else is wrong needs a copy from before."
            }
            "keystore.wrong_passphrase" => "Try again; nothing has changed.",
            "keystore.no_keychain" => {
                "There is no keychain here. `halo init --keychain none --passphrase-stdin` keeps the root secret in a \
                 file that your passphrase seals."
            }
            "keystore.keychain_locked" => "Unlock the keychain of your desktop, then try again.",
            "keystore.keychain_timed_out" => {
                "Your desktop may be asking for the keychain's password: look for it."
            }
            "keystore.keychain_denied" | "keystore.keychain_unreliable" => {
                "Look at the settings of your keychain. A new profile can do without: `halo init --keychain none \
                 --passphrase-stdin`."
            }
            "keystore.entry_missing" | "keystore.entry_changed" => {
                "Nothing was deleted. Bring that keychain back from a copy, or `halo recover` your 24 words in another \
                 profile."
            }
            "keystore.root_mismatch" | "store.wrong_key" => {
                "Nothing was changed. The folder may be another profile's: put the right one back."
            }
            "keystore.sealed_damaged" | "store.damaged" | "store.missing" | "wallet.damaged" => {
                "Nothing was changed. Put a copy of the profile's folder back, or `halo recover` your 24 words in another \
                 profile."
            }
            "keystore.kdf_below_floor" | "keystore.kdf_above_ceiling" => {
                "Do not type your passphrase here. Put a copy of the profile's folder back."
            }
            "keystore.newer_format" | "store.newer_version" => "Install the newer version again.",
            "invitation.burnt" => {
                "If you mistyped, make a new code. If not, somebody else read it: make the new one where nobody can see it."
            }
            "invitation.expired" | "invitation.cancelled" | "invitation.timeout" | "invitation.error" => {
                "`halo devices invite` makes a new code."
            }
            "device.probation" => "Do it on another device of yours: this one is new itself.",
            "device.phrase_needed" => "That device was there first. `--phrase-stdin` takes your 24 words.",
            "wallet.changed" => "`halo devices refused` shows what it would do now.",
            "store.disk_full" => "Free some space, and try again.",
            _ => return None,
        })
    }

    /// 2 usage, 3 locked, 4 denied, 5 not found, 6 network, 1 anything else.
    pub(crate) fn exit_status(&self) -> u8 {
        match self.code.as_str() {
            "cli.usage"
            | "control.bad_params"
            | "wallet.bad_input"
            | "wallet.mismatch"
            | "keystore.bad_phrase"
            | "keystore.file_needs_passphrase" => 2,
            "wallet.locked" | "keystore.passphrase_required" | "keystore.keychain_locked" => 3,
            "wallet.wrong_words"
            | "control.refused"
            | "keystore.wrong_passphrase"
            | "keystore.keychain_denied"
            | "invitation.burnt"
            | "device.probation"
            | "device.phrase_needed"
            | "cli.declined" => 4,
            "wallet.not_found" | "wallet.no_identity" | "cli.not_found" => 5,
            "control.not_running"
            | "control.broken"
            | "broker.no_port"
            | "invitation.timeout"
            | "invitation.unreachable" => 6,
            _ => 1,
        }
    }

    /// The same, for the end of `main`.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit_status())
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        Self { code: error.code, message: error.message }
    }
}

impl From<WalletError> for Failure {
    fn from(error: WalletError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<BrokerError> for Failure {
    fn from(error: BrokerError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
