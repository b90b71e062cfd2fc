//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use url::Url;

/// The meeting place for HALO devices: signalling, STUN and TURN. It cannot read what goes through it.
#[derive(Debug, Parser)]
#[command(name = "kube", version)]
pub(crate) struct Command {
    #[command(subcommand)]
    pub(crate) action: Action,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Serve until SIGTERM or Ctrl-C. Prints one line of JSON when ready.
    Serve(Serve),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where signalling, /health and /metrics are served.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:47180")]
    pub(crate) listen: SocketAddr,
    /// A directory for what should outlive a restart: the secret behind TURN's passwords.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// How clients reach this server, if not by its own address: https://host:port.
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<Url>,
    /// Certificate chain for TLS, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Where STUN and TURN are served (UDP): ADDR:PORT, or off. Without it, port 3478 of this machine's address.
    #[arg(long, value_name = "ADDR")]
    pub(crate) turn: Option<TurnAt>,
    /// Let TURN relay to private and loopback addresses too. For a KUBE within one network, and for tests.
    #[arg(long)]
    pub(crate) turn_allow_private: bool,
}

/// Where TURN is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnAt {
    Off,
    At(SocketAddr),
}

impl FromStr for TurnAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| "give ADDR:PORT, or off".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_what_they_say() {
        let parse = |args: &[&str]| Command::try_parse_from([&["kube", "serve"], args].concat());
        let Ok(Command { action: Action::Serve(serve) }) = parse(&[]) else { panic!("nothing is needed") };
        assert_eq!((serve.listen.port(), serve.turn), (47_180, None));
        assert!(parse(&["--tls-cert", "a.pem"]).is_err(), "a certificate without its key");
        assert!(parse(&["--turn", "here"]).is_err());
        assert!(parse(&["--nats", "nats://x"]).is_err(), "nothing is accepted that does nothing");
        let Ok(Command { action: Action::Serve(serve) }) = parse(&["--turn", "off"]) else { panic!("off") };
        assert_eq!(serve.turn, Some(TurnAt::Off));
    }
}
