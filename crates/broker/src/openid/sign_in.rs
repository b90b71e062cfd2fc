//! What an app asks for when it wants the user to sign in, whichever way it came.

use std::collections::BTreeSet;
use std::time::Duration;

use halo_wallet::{Asker, Comparison, Scope, SignInRequest};

use super::client::Client;
use super::error::OAuthError;
use super::params::Params;

/// How long the user has, unless the app says less.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// Less than this no user can make.
const LEAST_PATIENCE: u64 = 10;
/// Scopes of versions to come, and of this one: unknown ones with this prefix are not ignored.
const OUR_SCOPES: &str = "halo:";

/// What an app asks for.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) client: Client,
    pub(super) scopes: BTreeSet<Scope>,
    pub(super) nonce: Option<String>,
    pub(super) binding_message: Option<String>,
    pub(super) claimed_name: Option<String>,
    /// Thumbprint of the DPoP key that signed the request.
    pub(super) instance: Option<String>,
    /// The app wants a prompt whatever was granted.
    pub(super) force_prompt: bool,
    /// The app wants no prompt whatever is missing.
    pub(super) quiet: bool,
    pub(super) patience: Duration,
}

impl Wish {
    /// Reads what every way has in common.
    pub(super) fn read(
        params: &Params,
        client: Client,
        instance: Option<String>,
    ) -> Result<Self, OAuthError> {
        for (name, error) in
            [("request", "request_not_supported"), ("registration", "registration_not_supported")]
        {
            if params.get(name).is_some() {
                return Err(OAuthError::new(error, format!("{name} is not supported")));
            }
        }
        let prompts: Vec<&str> = params.short("prompt", 64)?.unwrap_or_default().split_whitespace().collect();
        let quiet = prompts.contains(&"none");
        if quiet && prompts.len() > 1 {
            return Err(OAuthError::invalid_request("prompt=none goes with nothing else"));
        }
        let binding_message = params.get("binding_message");
        if binding_message.is_some_and(|message| message.len() > 256) {
            return Err(OAuthError::new(
                "invalid_binding_message",
                "binding_message is longer than 256 bytes",
            ));
        }
        let forced = prompts.iter().any(|prompt| matches!(*prompt, "login" | "consent" | "select_account"));
        Ok(Self {
            client,
            scopes: scopes(params.short("scope", 1_024)?.unwrap_or_default())?,
            nonce: params.short("nonce", 512)?.map(str::to_owned),
            binding_message: binding_message.map(str::to_owned),
            claimed_name: params.short("halo_name", 256)?.map(str::to_owned),
            instance,
            // How long ago the user signed in is not remembered, so any bound on it means: now.
            force_prompt: forced || params.get("max_age").is_some(),
            quiet,
            patience: patience(params.get("requested_expiry"))?,
        })
    }

    /// As the wallet takes it.
    pub(super) fn request(&self, asker: Asker, comparison: Comparison, unsure: bool) -> SignInRequest {
        let first_contact = matches!(comparison, Comparison::Picked(_));
        SignInRequest {
            asker,
            scopes: self.scopes.clone(),
            binding_message: self.binding_message.clone(),
            comparison,
            force_prompt: self.force_prompt || first_contact || unsure,
            expires_in: self.patience,
        }
    }
}

/// Reads `scope`. Unknown names are ignored (OpenID Connect Core §3.1.2.1), except ours: an app that asks for
/// contacts must not believe that it got them.
fn scopes(text: &str) -> Result<BTreeSet<Scope>, OAuthError> {
    let mut scopes = BTreeSet::new();
    for name in text.split_ascii_whitespace() {
        match Scope::parse(name) {
            Some(scope) => {
                scopes.insert(scope);
            }
            None if name.starts_with(OUR_SCOPES) => {
                return Err(OAuthError::new("invalid_scope", "a scope is not available in this version"));
            }
            None => {}
        }
    }
    if scopes.contains(&Scope::OpenId) {
        Ok(scopes)
    } else {
        Err(OAuthError::new("invalid_scope", "scope must contain openid"))
    }
}

fn patience(requested: Option<&str>) -> Result<Duration, OAuthError> {
    let Some(text) = requested else { return Ok(PATIENCE) };
    let seconds: u64 = text
        .parse()
        .ok()
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| OAuthError::invalid_request("requested_expiry is not a positive number"))?;
    Ok(Duration::from_secs(seconds.clamp(LEAST_PATIENCE, PATIENCE.as_secs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_scopes_are_ignored_and_unavailable_ones_refused() {
        let ours = scopes("openid profile email offline_access").unwrap();
        assert_eq!(ours, BTreeSet::from([Scope::OpenId, Scope::Profile]));
        assert!(scopes("profile").is_err(), "without openid there is nothing to grant");
        assert_eq!(scopes("openid halo:everything").unwrap_err().error, "invalid_scope");
    }

    #[test]
    fn patience_has_bounds() {
        assert_eq!(patience(None).unwrap(), PATIENCE);
        assert_eq!(patience(Some("1")).unwrap(), Duration::from_secs(LEAST_PATIENCE));
        assert_eq!(patience(Some("99999999")).unwrap(), PATIENCE);
        for bad in ["0", "-1", "soon", "1.5"] {
            assert!(patience(Some(bad)).is_err(), "{bad}");
        }
    }
}
