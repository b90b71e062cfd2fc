//! What holds in the end.

use halo_echo::replication::Acquaintance;

use super::device::{Device, space};
use super::world::World;

impl World {
    pub(super) fn check(&self) {
        let seed = self.seed;
        // A thief's device may be in after all, where its revocation did not hold; nobody can say what it believes.
        let is_honest = |device: &&Device| device.is_in() && !self.thieves.contains(&device.number);
        let left: Vec<&Device> = self.devices.iter().filter(is_honest).collect();
        for one in &left {
            for other in &left {
                // Each speaks with the other: some may have parted for good, none of whom can hear who is right.
                if one.number < other.number && one.takes(&other.key) && other.takes(&one.key) {
                    self.agree_on_everything(one, other);
                }
            }
            assert!(one.acknowledged.is_subset(&one.disk.content), "seed {seed}: device {} lost", one.number);
            for (feed, found) in one.state.as_ref().unwrap().feeds.get(&space()).into_iter().flatten() {
                let kept = one.disk.blocks.get(feed).map_or(0, Vec::len) as u64;
                let end = found.cut.map_or(u64::MAX, |cut| cut.length);
                assert!(kept <= end, "seed {seed}: device {} has blocks behind a cut", one.number);
            }
        }
        for (epoch, whom) in &self.secret {
            let out = &self.devices[*whom];
            // Unless it was put back.
            if left.iter().all(|device| device.number == *whom || !device.takes(&out.key)) {
                assert!(!out.disk.keys.opens.contains(epoch), "seed {seed}: device {whom} reads on");
            }
        }
    }

    fn agree_on_everything(&self, one: &Device, other: &Device) {
        let says =
            |what: &str| format!("seed {}: {what} of devices {} and {}", self.seed, one.number, other.number);
        let blocks = |device: &Device| {
            let mut blocks = device.disk.timeframe();
            blocks.retain(|_, length| *length > 0);
            blocks
        };
        let (ours, theirs) = (one.state.as_ref().unwrap(), other.state.as_ref().unwrap());
        assert_eq!(one.disk.ids(), other.disk.ids(), "{}", says("credentials"));
        assert_eq!(ours.feeds, theirs.feeds, "{}", says("feeds"));
        assert_eq!(blocks(one), blocks(other), "{}", says("blocks"));
        assert_eq!(one.replica.applied(), other.replica.applied(), "{}", says("what was applied"));
        assert_eq!(one.disk.content, other.disk.content, "{}", says("content"));
    }
}
