//! Fresh randomness from the operating system.

use data_encoding::HEXLOWER;

use crate::error::WalletError;

/// `N` unpredictable bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], WalletError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| WalletError::BadInput { what: format!("the system gave no randomness: {error}") })?;
    Ok(bytes)
}

/// A name nobody can guess: 128 bits in hex, which no shell and no argument parser takes for something else.
pub(crate) fn random_name() -> Result<String, WalletError> {
    Ok(HEXLOWER.encode(&random::<16>()?))
}
