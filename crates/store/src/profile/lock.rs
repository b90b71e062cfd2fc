//! One process a profile.
//!
//! The system's own lock on a file (`flock`), which ends with the process however it ends: no stale lock after a
//! crash. The file says who holds it, for people; the lock, not the text, is what counts.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use crate::error::StoreError;

/// Longer texts are not what [`Lock::take`] wrote.
const LONGEST: u64 = 1024;
/// Looks at a lock whose holder has not written its name yet; it does so at once after taking it.
const LOOKS: u32 = 40;
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// A lock, released when dropped.
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock or says who has it.
    pub(super) fn take(path: &Path, program: &str) -> Result<Self, StoreError> {
        let doing = "take the profile";
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(StoreError::io(doing))?;
        for look in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(StoreError::io(doing)(error)),
                Err(TryLockError::WouldBlock) => {}
            }
            if let Some((pid, program)) = holder(&mut file) {
                return Err(StoreError::Held { pid, program });
            }
            if look == LOOKS {
                return Err(StoreError::Held { pid: 0, program: "another program".to_owned() });
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
        write_holder(&mut file, program).map_err(StoreError::io(doing))?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Whoever comes next must not read a name that is not true any more; closing the file unlocks it.
        let _ = self.file.set_len(0);
    }
}

/// A name is one line: the holder must not be able to write a second one into somebody's terminal.
fn write_holder(file: &mut File, program: &str) -> std::io::Result<()> {
    let program: String = program.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{} {program}", std::process::id())
}

/// Who has it, if that was written completely.
fn holder(file: &mut File) -> Option<(u32, String)> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    let (pid, program) = text.strip_suffix('\n')?.split_once(' ')?;
    let program = program.chars().filter(|c| !c.is_control()).collect();
    Some((pid.parse().ok()?, program))
}
