//! From a passphrase to a key: Argon2id (RFC 9106).

use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};

use crate::error::KeystoreError;
use crate::phrase::Passphrase;
use crate::secret::Secret;

/// What one try at a passphrase costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KdfCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes. One: more help only whoever really computes them at once, which attackers do.
    pub lanes: u32,
}

/// The time one try should take here.
const TARGET: Duration = Duration::from_millis(700);
const AT_LEAST: Duration = Duration::from_millis(550);
const MIB: u32 = 1024;

impl KdfCost {
    /// The least: RFC 9106's second recommendation, 64 MiB and three passes.
    pub const FLOOR: Self = Self { memory_kib: 64 * MIB, iterations: 3, lanes: 1 };
    /// The most: beyond it a file could only mean to exhaust this machine.
    pub const CEILING: Self = Self { memory_kib: 1024 * MIB, iterations: 20, lanes: 8 };

    /// Refuses parameters outside floor and ceiling; comes before any derivation.
    pub(crate) const fn check(self) -> Result<(), KeystoreError> {
        if self.memory_kib < Self::FLOOR.memory_kib
            || self.iterations < Self::FLOOR.iterations
            || self.lanes < 1
        {
            return Err(KeystoreError::KdfBelowFloor);
        }
        if self.memory_kib > Self::CEILING.memory_kib
            || self.iterations > Self::CEILING.iterations
            || self.lanes > Self::CEILING.lanes
        {
            return Err(KeystoreError::KdfAboveCeiling);
        }
        Ok(())
    }

    /// Derives the key that wraps the root.
    pub(crate) fn derive(self, passphrase: &Passphrase, salt: &[u8; 16]) -> Result<Secret, KeystoreError> {
        self.check()?;
        let memory = KeystoreError::System { what: "memory for the key derivation" };
        let Ok(params) = Params::new(self.memory_kib, self.iterations, self.lanes, Some(32)) else {
            return Err(memory);
        };
        let mut key = Secret::zero();
        let began = Instant::now();
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.expose(), salt, key.expose_mut())
            .map_err(|_| memory)?;
        // `cargo xtask bench unlock` reads this.
        let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(took_us, memory_kib = self.memory_kib, "a key was derived from a passphrase");
        Ok(key)
    }
}

/// Finds the cost that takes between half a second and a second on this machine: more memory first, since
/// memory is what attackers pay for. Takes about two seconds.
#[must_use]
pub fn calibrate() -> KdfCost {
    let passphrase = Passphrase::new("calibration".to_owned());
    let mut cost = KdfCost::FLOOR;
    // Four rounds settle it: each scales by what the last one measured.
    for _ in 0..4 {
        let began = Instant::now();
        if cost.derive(&passphrase, &[0; 16]).is_err() {
            return KdfCost::FLOOR;
        }
        let took = began.elapsed();
        if took >= AT_LEAST {
            return cost;
        }
        cost = scaled(cost, took);
    }
    cost
}

/// The cost that should take [`TARGET`], if `cost` took `took`.
fn scaled(cost: KdfCost, took: Duration) -> KdfCost {
    let wanted = u128::from(cost.memory_kib) * TARGET.as_millis() / took.as_millis().max(1);
    let memory_kib = u32::try_from(wanted).unwrap_or(u32::MAX);
    if memory_kib <= KdfCost::CEILING.memory_kib {
        return KdfCost { memory_kib: memory_kib / MIB * MIB, ..cost };
    }
    let passes = u128::from(cost.iterations) * wanted / u128::from(KdfCost::CEILING.memory_kib);
    let iterations = u32::try_from(passes).unwrap_or(u32::MAX).min(KdfCost::CEILING.iterations);
    KdfCost { memory_kib: KdfCost::CEILING.memory_kib, iterations, ..cost }
}

#[cfg(test)]
mod tests {
    use super::*;

    // threat: 31
    #[test]
    fn a_cost_below_the_floor_or_beyond_the_ceiling_is_refused_before_deriving() {
        let passphrase = Passphrase::new("correct horse".into());
        for low in [
            KdfCost { memory_kib: 64 * MIB - 1, ..KdfCost::FLOOR },
            KdfCost { iterations: 2, ..KdfCost::FLOOR },
            KdfCost { lanes: 0, ..KdfCost::FLOOR },
        ] {
            assert!(matches!(low.derive(&passphrase, &[0; 16]), Err(KeystoreError::KdfBelowFloor)));
        }
        for high in [
            KdfCost { memory_kib: u32::MAX, ..KdfCost::FLOOR },
            KdfCost { iterations: 21, ..KdfCost::FLOOR },
            KdfCost { lanes: 9, ..KdfCost::FLOOR },
        ] {
            assert!(matches!(high.derive(&passphrase, &[0; 16]), Err(KeystoreError::KdfAboveCeiling)));
        }
    }

    #[test]
    fn scaling_aims_at_the_target_and_stays_below_the_ceiling() {
        let twice = scaled(KdfCost::FLOOR, TARGET / 2);
        assert_eq!(twice, KdfCost { memory_kib: 128 * MIB, ..KdfCost::FLOOR });
        let fast = scaled(KdfCost::FLOOR, Duration::from_millis(1));
        assert_eq!(fast.memory_kib, KdfCost::CEILING.memory_kib);
        assert!(fast.check().is_ok());
    }
}
