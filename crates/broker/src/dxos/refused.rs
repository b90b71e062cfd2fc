//! Methods that answer nobody but to say why not, and those whose whole answer is that there is nothing.

use super::peer::Failure;

const HALO_S: &str = "FORBIDDEN";
const NOT_HERE: &str = "NOT_SUPPORTED";

/// What a method says: a name for programs, a reason for people.
const REFUSED: [(&str, &str, &str); 29] = [
    ("FunctionRegistryService.Register", NOT_HERE, FUNCTIONS),
    ("FunctionRegistryService.UpdateRegistration", NOT_HERE, FUNCTIONS),
    ("FunctionRegistryService.Unregister", NOT_HERE, FUNCTIONS),
    ("DevicesService.UpdateDevice", HALO_S, "devices are named in HALO, not by apps"),
    ("EdgeAgentService.CreateAgent", NOT_HERE, "there are no agents on other people's machines here"),
    ("IdentityService.RequestRecoveryChallenge", HALO_S, RECOVERY),
    ("IdentityService.RecoverIdentity", HALO_S, RECOVERY),
    ("IdentityService.CreateRecoveryCredential", HALO_S, RECOVERY),
    ("NetworkService.JoinSwarm", NOT_HERE, SWARMS),
    ("NetworkService.LeaveSwarm", NOT_HERE, SWARMS),
    ("NetworkService.SendMessage", NOT_HERE, SWARMS),
    ("SpacesService.CreateEpoch", NOT_HERE, "HALO begins epochs by itself"),
    ("SystemService.Reset", HALO_S, "a wallet is not reset by an app"),
    ("DevtoolsHost.GetStorageInfo", HALO_S, "how much is stored is shown in HALO"),
    ("DevtoolsHost.ResetStorage", HALO_S, "a wallet is not reset by an app"),
    ("DevtoolsHost.EnableDebugLogging", HALO_S, LOGS),
    ("DevtoolsHost.DisableDebugLogging", HALO_S, LOGS),
    ("DevtoolsHost.SubscribeToKeyringKeys", HALO_S, "keys do not leave HALO"),
    ("DevtoolsHost.SubscribeToSpaces", NOT_HERE, FEEDS),
    ("DevtoolsHost.SubscribeToItems", NOT_HERE, "items are found by queries"),
    ("DevtoolsHost.SubscribeToFeeds", NOT_HERE, FEEDS),
    ("DevtoolsHost.SubscribeToFeedBlocks", NOT_HERE, FEEDS),
    ("DevtoolsHost.SubscribeToMetadata", NOT_HERE, FEEDS),
    ("DevtoolsHost.GetSpaceSnapshot", NOT_HERE, SNAPSHOTS),
    ("DevtoolsHost.SaveSpaceSnapshot", NOT_HERE, SNAPSHOTS),
    ("DevtoolsHost.ClearSnapshots", NOT_HERE, SNAPSHOTS),
    ("DevtoolsHost.GetNetworkPeers", NOT_HERE, SWARMS),
    ("InvitationsService.Authenticate", "NOT_FOUND", "there is no such invitation"),
    ("NetworkService.QuerySwarm", NOT_HERE, SWARMS),
];

const FUNCTIONS: &str = "HALO runs no functions";
const RECOVERY: &str = "an identity is recovered in HALO, with its 24 words";
const SWARMS: &str = "HALO does not lend its network to apps";
const LOGS: &str = "what HALO logs is not an app's to say";
const FEEDS: &str = "the feeds of HALO are not those of DXOS";
const SNAPSHOTS: &str = "snapshots of DXOS's old object format do not exist here";

/// Streams that have nothing to say, and stay open should there ever be.
const SILENT: [&str; 4] = [
    "LoggingService.QueryLogs",
    "NetworkService.SubscribeSwarmState",
    "NetworkService.SubscribeMessages",
    "DevtoolsHost.SubscribeToSignal",
];

/// Streams that say once that there is nothing: an empty list of whatever it is.
const EMPTY: [&str; 6] = [
    "ContactsService.QueryContacts",
    "DevtoolsHost.SubscribeToCredentialMessages",
    "DevtoolsHost.SubscribeToNetworkTopics",
    "DevtoolsHost.SubscribeToSignalStatus",
    "DevtoolsHost.SubscribeToSwarmInfo",
    "TracingService.StreamTrace",
];

/// Why a method does nothing here; also for one that does not exist.
pub(super) fn why_not(method: &str) -> Failure {
    match REFUSED.iter().find(|(name, ..)| *name == method) {
        Some((_, name, why)) => Failure::new(name, *why),
        None => Failure::new("UNKNOWN_METHOD", format!("there is no method {method:?}")),
    }
}

/// Whether a stream has nothing to say.
pub(super) fn is_silent(method: &str) -> bool {
    SILENT.contains(&method)
}

/// Whether a stream says once that there is nothing.
pub(super) fn is_empty(method: &str) -> bool {
    EMPTY.contains(&method)
}
