//! The Unix socket where DXOS's clients look for an agent (`fromAgent`), for as long as the user has it switched on.
//!
//! No token comes here: who connects is the process that the kernel names. The first time the user is asked, and the
//! connection waits for the answer; afterwards the grant answers for that executable, as a refresh token does that is
//! bound to it. The attack that remains is that of every native app: a program that runs another one's executable.
//!
//! The folder is in `/tmp`, where anybody may have been first: what others can write into is not used.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Extension, State};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::get;
use halo_wallet::{AppKind, Asker, Comparison, GrantId, Outcome, Process, Scope, SignInRequest};
use http::StatusCode;

use super::{Grant, peer};
use crate::evidence::Caller;
use crate::line::{FRAME, Place};
use crate::openid::{OAuthError, PATIENCE};
use crate::serve::{Connections, Door};
use crate::socket;
use crate::state::Face;

/// `DX_RUNTIME` of `@dxos/client` 0.8.3.
const RUNTIME: &str = "/tmp/dx/run";
const SOCKET: &str = "agent.sock";
/// What is asked for: a client cannot say what it wants. The user may grant less.
const SCOPES: [Scope; 4] = [Scope::OpenId, Scope::Profile, Scope::Spaces, Scope::SpacesWrite];

/// Where `fromAgent` looks: in the folder of `DX_PROFILE`, or of `default`.
pub(crate) fn folder() -> PathBuf {
    let profile = std::env::var("DX_PROFILE").ok();
    let is_name = |name: &String| !name.is_empty() && name != "." && name != ".." && !name.contains('/');
    let profile = profile.filter(is_name).unwrap_or_else(|| "default".to_owned());
    Path::new(RUNTIME).join("profile").join(profile)
}

/// Listens while the settings say so.
pub(crate) async fn keep(face: Arc<Face>, connections: Arc<Connections>, folder: PathBuf) {
    let router = Router::new()
        .route("/", get(connect))
        .fallback(|| async { OAuthError::status(StatusCode::NOT_FOUND, "there is nothing here") })
        .layer(from_fn_with_state(Arc::clone(&face), crate::serve::gate))
        .with_state(Arc::clone(&face));
    let mut watch = face.wallet.watch();
    let stopping = face.stopping.clone();
    let mut open: Option<Open> = None;
    loop {
        match (face.wallet.snapshot().settings.dxos_agent, &open) {
            (true, None) => open = Open::at(&folder, &face, &router, &connections).await,
            (false, Some(_)) => open = None,
            _ => {}
        }
        // Dropping what is open closes it.
        tokio::select! {
            event = watch.next() => if event.is_none() { return },
            () = stopping.begun() => return,
        }
    }
}

/// The socket while it is there.
struct Open {
    path: PathBuf,
    door: tokio::task::JoinHandle<()>,
}

impl Open {
    async fn at(
        folder: &Path,
        face: &Arc<Face>,
        router: &Router,
        connections: &Arc<Connections>,
    ) -> Option<Self> {
        let refused = |error: &dyn std::fmt::Display| {
            tracing::warn!(%error, folder = %folder.display(), "DXOS apps cannot find HALO as their agent");
        };
        if let Err(error) = private_path(folder) {
            refused(&error);
            return None;
        }
        // An agent of DXOS, or HALO with another profile: it was first.
        if socket::connect(folder, SOCKET).await.is_ok() {
            refused(&"another agent listens there");
            return None;
        }
        let listener = socket::bind(folder, SOCKET).inspect_err(|error| refused(error)).ok()?;
        let door = tokio::spawn(Door::new(face, router, connections).serve_unix(listener));
        Some(Self { path: folder.join(SOCKET), door })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.door.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Makes a folder whose every part below the temporary one is this user's alone to write.
fn private_path(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    // The temporary folder itself is everybody's, and sticky: nobody takes away what is another's in it.
    let shared = Path::new("/tmp");
    let below = folder.strip_prefix(shared).unwrap_or(folder);
    let mut path = if below == folder { PathBuf::new() } else { shared.to_owned() };
    let mut mine = below != folder;
    for part in below.components() {
        path.push(part);
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) => mine = true,
            Err(_) => {}
        }
        // Not through a link that somebody else laid.
        let found = std::fs::symlink_metadata(&path)?;
        let theirs = found.uid() != rustix::process::geteuid().as_raw() || found.mode() & 0o022 != 0;
        if mine && (!found.is_dir() || theirs) {
            let what = format!("{} can be written by others", path.display());
            return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, what));
        }
    }
    Ok(())
}

async fn connect(
    State(face): State<Arc<Face>>,
    Extension(caller): Extension<Caller>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, OAuthError> {
    let grant = admit(&face, &caller).await?;
    let place = Place::take(&face)?;
    let upgrade = upgrade.max_message_size(FRAME).max_frame_size(FRAME);
    Ok(upgrade.on_upgrade(move |socket| async move {
        peer::serve(&face, &Grant::Program(grant), socket).await;
        drop(place);
    }))
}

/// The grant of the program that connects; the user is asked if there is none.
async fn admit(face: &Arc<Face>, caller: &Caller) -> Result<GrantId, OAuthError> {
    let no = |why| OAuthError::status(StatusCode::FORBIDDEN, why);
    let process = caller.process().filter(|process| !process.browser && caller.origin().is_none());
    let (process, path) = process
        .and_then(|process| Some((process, process.path.clone()?)))
        .ok_or_else(|| no("which program this is cannot be told"))?;
    if !face.is_open() {
        return Err(OAuthError::locked());
    }
    if let Some(grant) = granted(face, &path) {
        return Ok(grant);
    }
    face.asks
        .take(&path, std::time::Instant::now())
        .map_err(|_| OAuthError::status(StatusCode::TOO_MANY_REQUESTS, "too many requests"))?;
    let request = request(process.clone(), path.clone());
    match face.wallet.ask(request).await?.outcome().await {
        // The wallet knows of the grant before the snapshot does. What the user left out is missing.
        Outcome::Approved(grant) => match face.wallet.spaces(&grant).await {
            Ok(_) => Ok(grant),
            Err(_) => Err(no("this needs the scope halo:spaces")),
        },
        Outcome::Locked => Err(OAuthError::locked()),
        _ => Err(no("the user said no, or nothing")),
    }
}

fn granted(face: &Face, path: &str) -> Option<GrantId> {
    let snapshot = face.wallet.snapshot();
    let mut grants = snapshot.grants.iter().filter(|(_, grant)| {
        grant.kind == AppKind::Native
            && grant.client_id == path
            && grant.process.as_deref() == Some(path)
            && grant.scopes.contains(&Scope::Spaces)
    });
    grants.next().map(|(id, _)| id.clone())
}

/// A program is its executable here, also by name: two of them have nothing in common.
fn request(process: Process, path: String) -> SignInRequest {
    SignInRequest {
        asker: Asker {
            client_id: path,
            kind: AppKind::Native,
            process: Some(process),
            claimed_name: None,
            impostor: false,
            instance: None,
        },
        scopes: SCOPES.into(),
        binding_message: None,
        comparison: Comparison::None,
        force_prompt: false,
        expires_in: PATIENCE,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    // threat: 20
    #[test]
    fn a_folder_that_others_can_write_into_or_laid_a_link_in_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("run").join("profile").join("default");
        private_path(&folder).unwrap();
        private_path(&folder).unwrap();
        assert_eq!(std::fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        let run = dir.path().join("run");
        std::fs::set_permissions(&run, Permissions::from_mode(0o777)).unwrap();
        assert!(private_path(&folder).is_err(), "somebody could put another folder there");
        std::fs::set_permissions(&run, Permissions::from_mode(0o755)).unwrap();
        private_path(&folder).unwrap();
        let linked = dir.path().join("linked");
        symlink(&run, &linked).unwrap();
        assert!(private_path(&linked.join("profile")).is_err(), "not through a link");
    }

    #[test]
    fn the_folder_is_where_dxos_s_clients_look() {
        assert!(folder().starts_with("/tmp/dx/run/profile"));
        assert_eq!(folder().components().count(), 6);
    }
}
