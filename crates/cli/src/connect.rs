//! The way to the wallet that runs for a profile.

use std::path::{Path, PathBuf};

use halo_broker::control::Client;
use serde_json::{Value, json};

use crate::error::Failure;

/// The directory of the profile, absolute.
pub(crate) fn profile(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let profile = match named {
        Some(profile) => profile,
        None => halo_wallet::default_profile()?,
    };
    std::path::absolute(&profile).map_err(|error| Failure::io("the profile cannot be found", &error))
}

/// The wallet of a profile.
pub(crate) async fn connect(profile: &Path) -> Result<Client, Failure> {
    Ok(Client::connect(&halo_wallet::runtime_dir(profile)?).await?)
}

/// The wallet of a profile, if one runs.
pub(crate) async fn connect_if_running(profile: &Path) -> Result<Option<Client>, Failure> {
    match Client::connect(&halo_wallet::runtime_dir(profile)?).await {
        Ok(client) => Ok(Some(client)),
        Err(error) if error.code == "control.not_running" => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// One call without parameters.
pub(crate) async fn ask(client: &mut Client, method: &str) -> Result<Value, Failure> {
    Ok(client.call(method, json!({})).await?)
}

/// The full name of the one entry whose name is `id` or begins with it.
///
/// A name that nothing begins with is passed on as it is: the wallet says that it is not there.
pub(crate) async fn full_id(client: &mut Client, list: &str, id: &str) -> Result<String, Failure> {
    let entries = ask(client, list).await?;
    let ids: Vec<&str> =
        entries.as_array().into_iter().flatten().filter_map(|entry| entry.get("id")?.as_str()).collect();
    choose(&ids, id)
}

/// The one of `ids` that is `id` or begins with it.
pub(crate) fn choose(ids: &[&str], id: &str) -> Result<String, Failure> {
    if ids.contains(&id) || id.is_empty() {
        return Ok(id.to_owned());
    }
    let mut fitting = ids.iter().filter(|other| other.starts_with(id));
    match (fitting.next(), fitting.next()) {
        (Some(_), Some(_)) => Err(Failure::usage(format!("several begin with {id}; type more of it"))),
        (Some(one), None) => Ok((*one).to_owned()),
        _ => Ok(id.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_name_is_enough_if_only_one_begins_so() {
        let ids = ["abc1", "abd2", "abd"];
        assert_eq!(choose(&ids, "abc").unwrap(), "abc1");
        assert_eq!(
            choose(&ids, "abd").unwrap(),
            "abd",
            "the whole of a name wins over the beginning of another"
        );
        assert_eq!(choose(&ids, "ab").unwrap_err().exit_status(), 2);
        assert_eq!(choose(&ids, "x").unwrap(), "x");
        assert_eq!(choose(&ids, "").unwrap(), "", "nothing is the beginning of everything");
    }
}
