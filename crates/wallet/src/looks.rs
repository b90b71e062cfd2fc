//! Which spaces somebody looks at: what this device lacks of those is to come before what it lacks of others.
//!
//! The window says which space it shows. Of apps it is known what they ask for and write: a space counts as looked at for
//! some minutes after that, since an app that shows a space asks again whenever something in it changes. What the wallet
//! asks itself, to see whether the answer of a live query is still the same, is no look: by what comes, a space would be
//! looked at for as long as something comes.
//!
//! The rule guarded here: looking changes in which order things come, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use halo_echo::SpaceId;
use halo_protocol::Timestamp;

use crate::engine::clock;
use crate::error::WalletError;
use crate::handle::Wallet;

/// So long after somebody asked for something in a space it still counts as looked at.
const LASTS: Duration = Duration::from_secs(5 * 60);

/// The spaces that are looked at.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    shown: Option<SpaceId>,
    used: BTreeMap<SpaceId, Timestamp>,
    /// What peers were told.
    told: BTreeSet<SpaceId>,
}

impl Looks {
    /// The window shows a space, or none any more.
    pub(crate) const fn show(&mut self, space: Option<SpaceId>) {
        self.shown = space;
    }

    /// Somebody asked for something in a space, or wrote there.
    pub(crate) fn at(&mut self, space: SpaceId, now: Timestamp) {
        self.used.insert(space, now);
    }

    /// Whether peers were told that somebody looks at a space.
    pub(crate) fn told(&self, space: &SpaceId) -> bool {
        self.told.contains(space)
    }

    /// What peers are to be told now: of which spaces somebody looks at them, or nobody any more.
    pub(crate) fn news(&mut self, now: Timestamp) -> Vec<(SpaceId, bool)> {
        self.used.retain(|_, at| at.plus(LASTS) > now);
        let looked: BTreeSet<SpaceId> = self.used.keys().copied().chain(self.shown).collect();
        if looked == self.told {
            return Vec::new();
        }
        let news = looked.symmetric_difference(&self.told).map(|space| (*space, looked.contains(space)));
        let news = news.collect();
        self.told = looked;
        news
    }

    /// When there may be news without anybody doing anything.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.used.values().map(|at| at.plus(LASTS)).min()
    }
}

impl Wallet {
    /// Says which space the user looks at, or that it is none any more. What this device lacks of it comes first.
    ///
    /// # Errors
    /// [`WalletError::Locked`].
    pub async fn look_at_space(&self, space: Option<SpaceId>) -> Result<(), WalletError> {
        self.try_job(move |engine| {
            engine.unlocked()?.spaces.looks.show(space);
            Ok(())
        })
        .await
    }
}

impl crate::open::Open {
    /// Somebody asked for something in a space, or wrote there.
    pub(crate) fn look(&mut self, space: SpaceId) {
        self.spaces.looks.at(space, clock());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_000_000_000);

    #[test]
    fn a_space_is_looked_at_while_it_is_shown_and_for_minutes_after_it_was_used() {
        let [home, garden] = [[1; 32], [2; 32]].map(|key| SpaceId::of_key(&key));
        let mut looks = Looks::default();
        assert_eq!((looks.news(NOON), looks.deadline()), (vec![], None));
        looks.show(Some(home));
        looks.at(garden, NOON);
        let mut both = vec![(home, true), (garden, true)];
        both.sort();
        assert_eq!(looks.news(NOON), both);
        assert_eq!(looks.news(NOON), [], "they were told");
        assert!(looks.told(&home) && looks.told(&garden));
        let later = looks.deadline().unwrap();
        assert_eq!(later, NOON.plus(LASTS));
        assert_eq!(looks.news(later), [(garden, false)]);
        assert_eq!((looks.deadline(), looks.news(later.plus(LASTS))), (None, vec![]), "it is still shown");
        looks.show(None);
        assert_eq!(looks.news(later), [(home, false)]);
        assert!(!looks.told(&home));
    }
}
