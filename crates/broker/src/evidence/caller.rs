//! The evidence about one request, put together.

use halo_wallet::{Binding, Process};

use super::{Owner, Sender};

/// Who sent a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// What the head said.
    pub(crate) sender: Sender,
    /// What the kernel said.
    pub(crate) owner: Owner,
}

/// To what a token is tied: it works only from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Pages of one origin.
    Origin(String),
    /// A program that says it is a page: what it gets is no use to the page, nor the page's to it.
    Impostor {
        /// What it says it is.
        origin: String,
        /// Its executable.
        path: String,
    },
    /// Processes of one executable.
    Program(String),
    /// Programs of a platform whose kernel cannot be asked: tied to a DPoP key or not at all.
    Untold,
}

impl Caller {
    /// The origin, if a page sent it.
    pub(crate) fn origin(&self) -> Option<&str> {
        match &self.sender {
            Sender::Page(origin) => Some(origin),
            Sender::Approval | Sender::Program => None,
        }
    }

    /// The process, if the kernel named one.
    pub(crate) fn process(&self) -> Option<&Process> {
        match &self.owner {
            Owner::Process(process) => Some(process),
            Owner::OtherUser | Owner::Unsure | Owner::Unsupported => None,
        }
    }

    /// The kernel could have named a process and did not: nothing remembered may answer for it.
    pub(crate) fn is_unsure(&self) -> bool {
        self.owner == Owner::Unsure
    }

    /// It is known not to be a browser.
    pub(crate) fn is_program(&self) -> bool {
        self.process().is_some_and(|process| !process.browser)
    }

    /// A page that is not in a browser.
    pub(crate) fn is_impostor(&self) -> bool {
        self.origin().is_some() && self.is_program()
    }

    /// Where tokens for this caller work; `None` if that cannot be said, which rules tokens out.
    pub(crate) fn source(&self) -> Option<Source> {
        let path = self.process().and_then(|process| process.path.clone());
        if let Some(origin) = self.origin().map(str::to_owned) {
            return if self.is_impostor() {
                path.map(|path| Source::Impostor { origin, path })
            } else {
                Some(Source::Origin(origin))
            };
        }
        match &self.owner {
            Owner::Process(_) => path.map(Source::Program),
            Owner::Unsupported => Some(Source::Untold),
            Owner::OtherUser | Owner::Unsure => None,
        }
    }

    /// Whose limits count: a program cannot get more by claiming many origins, nor use up what is somebody else's. Of whom the kernel
    /// could not tell who it is, all count as one.
    pub(crate) fn limited_as(&self) -> String {
        match (&self.owner, self.origin()) {
            (Owner::Process(process), _) if !process.browser => {
                process.path.clone().unwrap_or_else(|| format!("pid {}", process.pid))
            }
            (Owner::Unsure, _) => "unknown".to_owned(),
            // Whoever has a site has as many addresses as they like.
            (_, Some(origin)) => halo_wallet::site(origin),
            (Owner::Process(process), None) => process.name.clone(),
            (_, None) => "unknown".to_owned(),
        }
    }
}

impl Source {
    /// What the wallet binds refresh tokens to: the DPoP key if there is one, else the source.
    pub(crate) fn binding(&self, instance: Option<&str>) -> Option<Binding> {
        match (instance, self) {
            (Some(instance), _) => Some(Binding::Instance(instance.to_owned())),
            (None, Self::Origin(origin)) => Some(Binding::Origin(origin.clone())),
            (None, Self::Program(path)) => Some(Binding::Process(path.clone())),
            (None, Self::Impostor { origin, path }) => Some(Binding::Process(format!("{path} as {origin}"))),
            (None, Self::Untold) => None,
        }
    }
}
