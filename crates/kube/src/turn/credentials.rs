//! Who may use TURN: whoever the signaller gave a name that has not expired.
//!
//! The name says until when it is good, the password is derived from it, so nothing is kept for anybody, and neither
//! says who somebody is (the scheme of draft-uberti-behave-turn-rest).

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hkdf::Hkdf;
use sha2::Sha256;
use turn::auth::{AuthHandler, generate_auth_key};

/// How long a name is good. Clients get another one with each connection to the signaller.
const LIFE: Duration = Duration::from_secs(12 * 60 * 60);

/// Makes and checks names and passwords.
#[derive(Clone)]
pub(crate) struct Credentials {
    secret: [u8; 32],
}

/// A name and its password.
pub(crate) struct Issued {
    pub(crate) username: String,
    pub(crate) password: String,
}

impl Credentials {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// A name that nobody had before; `nonce` is fresh randomness.
    pub(crate) fn issue(&self, now: SystemTime, nonce: [u8; 8]) -> Issued {
        let until = seconds(now).saturating_add(LIFE.as_secs());
        let username = format!("{until}:{}", HEXLOWER.encode(&nonce));
        let password = self.password(&username);
        Issued { username, password }
    }

    fn password(&self, username: &str) -> String {
        let mut password = [0; 24];
        // 24 bytes are far below what HKDF can give, so this cannot fail.
        let _ = Hkdf::<Sha256>::new(Some(b"halo kube turn"), &self.secret)
            .expand(username.as_bytes(), &mut password);
        BASE64URL_NOPAD.encode(&password)
    }

    /// The key that a request under this name must be signed with, unless its time is over.
    fn key(&self, username: &str, realm: &str, now: SystemTime) -> Result<Vec<u8>, turn::Error> {
        let until = username.split_once(':').and_then(|(until, _)| until.parse::<u64>().ok());
        // A time further away than any that was issued was not issued.
        let horizon = seconds(now).saturating_add(LIFE.as_secs());
        match until {
            Some(until) if seconds(now) < until && until <= horizon => {
                Ok(generate_auth_key(username, realm, &self.password(username)))
            }
            _ => Err(turn::Error::ErrNoSuchUser),
        }
    }
}

impl AuthHandler for Credentials {
    fn auth_handle(&self, username: &str, realm: &str, _from: SocketAddr) -> Result<Vec<u8>, turn::Error> {
        self.key(username, realm, SystemTime::now())
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: SystemTime = UNIX_EPOCH;

    #[test]
    fn a_name_is_good_until_its_time_and_not_a_second_longer() {
        let credentials = Credentials::new([7; 32]);
        let issued = credentials.issue(NOON, [1; 8]);
        let key = credentials.key(&issued.username, "kube", NOON).unwrap();
        assert_eq!(key, generate_auth_key(&issued.username, "kube", &issued.password));
        assert!(credentials.key(&issued.username, "kube", NOON + LIFE - Duration::from_secs(1)).is_ok());
        assert!(credentials.key(&issued.username, "kube", NOON + LIFE).is_err(), "its time is over");
    }

    #[test]
    fn a_name_that_was_made_up_has_another_password() {
        let (ours, theirs) = (Credentials::new([7; 32]), Credentials::new([8; 32]));
        let issued = theirs.issue(NOON, [1; 8]);
        let wanted = ours.key(&issued.username, "kube", NOON).unwrap();
        assert_ne!(wanted, generate_auth_key(&issued.username, "kube", &issued.password));
        for name in ["", "ada", "1", ":", "-1:00", "99999999999999999999:00", "4102444800:00"] {
            assert!(ours.key(name, "kube", NOON).is_err(), "{name} was never issued");
        }
    }
}
