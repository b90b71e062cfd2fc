//! DXOS's invitation codes: base 62 of a protobuf message (`@dxos/client` 0.8.3, `InvitationEncoder`).

use serde_json::Value;

use super::schema::INVITATION;
use super::{DxosError, malformed, message};

/// The digits, by value.
pub const INVITATION_ALPHABET: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Longer codes are not read: a delegated one has 461.
const LONGEST: usize = 2_048;

/// Reads an invitation code: its bytes and what they say, with keys in hex.
///
/// # Errors
/// [`DxosError::Malformed`].
pub fn decode_invitation(code: &str) -> Result<(Vec<u8>, Value), DxosError> {
    if code.len() > LONGEST {
        return Err(malformed("the code is too long"));
    }
    // Base x of the whole, as one large number; leading zeros stand for zero bytes.
    let mut bytes: Vec<u8> = Vec::new();
    for letter in code.bytes() {
        let digit = INVITATION_ALPHABET.iter().position(|known| *known == letter);
        let mut carry = digit.ok_or(malformed("the code has a letter that codes do not have"))?;
        for byte in &mut bytes {
            carry += usize::from(*byte) * 62;
            *byte = u8::try_from(carry & 0xff).unwrap_or_default();
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push(u8::try_from(carry & 0xff).unwrap_or_default());
            carry >>= 8;
        }
    }
    bytes.extend(code.bytes().take_while(|letter| *letter == b'0').map(|_| 0));
    bytes.reverse();
    let value = message::decode(&INVITATION, &bytes)?;
    Ok((bytes, value))
}

/// Writes bytes as an invitation code.
#[must_use]
pub fn encode_invitation(bytes: &[u8]) -> String {
    let mut digits: Vec<usize> = Vec::new();
    for byte in bytes {
        let mut carry = usize::from(*byte);
        for digit in &mut digits {
            carry += *digit << 8;
            *digit = carry % 62;
            carry /= 62;
        }
        while carry > 0 {
            digits.push(carry % 62);
            carry /= 62;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).map(|_| 0);
    digits.extend(zeros);
    digits
        .iter()
        .rev()
        .filter_map(|digit| INVITATION_ALPHABET.get(*digit))
        .map(|letter| char::from(*letter))
        .collect()
}
