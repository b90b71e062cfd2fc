//! A disk whose power is cut: what a process did to its files, and every way a disk could have left them.
//!
//! [`Recorder`] notes each write and each synchronisation of another process, below everything that it is made of.
//! [`Recording::cut`] replays the notes up to a moment. What was synchronised by then is there; of the rest each piece of
//! 512 bytes may be there or not, whatever the order it was written in, and so may each name in a directory.
//!
//! A file can be told what was acknowledged: a process that writes a line into `acks`, beside the files it is about,
//! says so in the order of everything else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;

/// What a disk writes as a whole.
const SECTOR: usize = 512;
/// Where acknowledgements are told.
const ACKS: &str = "acks";

static LIBRARY: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let (source, library) = (dir.path().join("disk.c"), dir.path().join("disk.so"));
    std::fs::write(&source, include_str!("disk.c")).unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let built = Command::new(compiler)
        .args(["-shared", "-fPIC", "-O1", "-pthread", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status()
        .unwrap();
    assert!(built.success(), "the C compiler makes the library that takes notes");
    (dir, library)
});

/// Takes notes of what a process does to the files of one directory.
pub struct Recorder {
    dir: PathBuf,
    notes: TempDir,
    before: Files,
}

/// Files by their path under the directory.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

impl Recorder {
    /// Before the process starts: everything that is there now is durable.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        let dir = dir.canonicalize().unwrap();
        Self { before: read(&dir), dir, notes: tempfile::tempdir().unwrap() }
    }

    /// What the process needs in its environment.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        vec![
            ("LD_PRELOAD", text(&LIBRARY.1)),
            ("HALO_DISK_DIR", text(&self.dir)),
            ("HALO_DISK_NOTES", text(&self.notes.path().join("notes"))),
        ]
    }

    /// After the process ended.
    #[must_use]
    pub fn finish(self) -> Recording {
        let notes = std::fs::read(self.notes.path().join("notes")).unwrap_or_default();
        Recording { before: self.before, events: events(&notes) }
    }
}

/// What a process did.
pub struct Recording {
    before: Files,
    events: Vec<Event>,
}

enum Event {
    Create(PathBuf),
    Write { path: PathBuf, at: usize, bytes: Vec<u8> },
    Resize { path: PathBuf, length: usize },
    Sync(PathBuf),
    SyncDirectory(PathBuf),
    Remove(PathBuf),
    Rename { from: PathBuf, to: PathBuf },
}

/// What becomes of what was not synchronised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// None of it is there.
    Lost,
    /// All of it is there: the process died, and the machine went on.
    Kept,
    /// Each write is there or not, in whatever order they were made.
    Reordered,
    /// Each sector is there or not; where there was none before, one that is not may hold anything.
    Torn,
}

impl Fate {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Lost, Self::Kept, Self::Reordered, Self::Torn];
}

impl Recording {
    /// How many moments there are.
    #[must_use]
    pub fn moments(&self) -> usize {
        self.events.len() + 1
    }

    /// The moments at which something had just been acknowledged.
    #[must_use]
    pub fn acknowledgements(&self) -> Vec<usize> {
        let told = self.events.iter().enumerate().filter(|(_, event)| ack(event).is_some());
        told.map(|(at, _)| at + 1).collect()
    }

    /// What was acknowledged before a moment, line by line.
    #[must_use]
    pub fn acknowledged(&self, moment: usize) -> Vec<String> {
        let told: Vec<u8> =
            self.events[..moment].iter().filter_map(ack).flat_map(|bytes| bytes.iter().copied()).collect();
        String::from_utf8(told).unwrap().lines().map(str::to_owned).collect()
    }

    /// The same process on a disk that says it has synchronised and has not.
    #[must_use]
    pub fn on_a_disk_that_lies(self) -> Self {
        let events = self.events.into_iter().filter(|event| !matches!(event, Event::Sync(_))).collect();
        Self { before: self.before, events }
    }

    /// The files as they may be found after the power was cut at a moment. `chance` gives random bits.
    pub fn cut(&self, moment: usize, fate: Fate, chance: &mut dyn FnMut() -> u64) -> Files {
        let mut disk = Disk::default();
        for (path, bytes) in &self.before {
            disk.make(path.clone());
            disk.durable.insert(path.clone(), disk.files.len() - 1);
            disk.files.last_mut().unwrap().durable.clone_from(bytes);
        }
        disk.names_to_come.clear();
        self.events[..moment].iter().filter(|event| ack(event).is_none()).for_each(|event| disk.take(event));
        disk.lose(fate, chance)
    }
}

/// Writes files into a directory.
pub fn write(dir: &Path, files: &Files) {
    for (path, bytes) in files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

fn read(dir: &Path) -> Files {
    let (mut files, mut left) = (Files::new(), vec![dir.to_owned()]);
    while let Some(at) = left.pop() {
        for entry in at.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                files.insert(path.strip_prefix(dir).unwrap().to_owned(), std::fs::read(path).unwrap());
            }
        }
    }
    files
}

fn ack(event: &Event) -> Option<&[u8]> {
    match event {
        Event::Write { path, bytes, .. } if path.ends_with(ACKS) => Some(bytes),
        Event::Create(path) if path.ends_with(ACKS) => Some(&[]),
        _ => None,
    }
}

fn events(mut notes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some((kind, rest)) = notes.split_first() {
        let number = |at: usize| {
            usize::try_from(u64::from_le_bytes(rest[at * 8..(at + 1) * 8].try_into().unwrap())).unwrap()
        };
        let (named, at, length) = (number(0), number(1), number(2));
        let text = |bytes: &[u8]| PathBuf::from(std::str::from_utf8(bytes).unwrap());
        let path = text(&rest[24..24 + named]);
        let bytes = &rest[24 + named..24 + named + length];
        events.push(match kind {
            b'C' => Event::Create(path),
            b'W' => Event::Write { path, at, bytes: bytes.to_vec() },
            b'T' => Event::Resize { path, length: at },
            b'S' => Event::Sync(path),
            b'D' => Event::SyncDirectory(path),
            b'U' => Event::Remove(path),
            _ => Event::Rename { from: path, to: text(bytes) },
        });
        notes = &rest[24 + named + length..];
    }
    events
}

/// A file: what is durable of it, and what is to come.
#[derive(Default)]
struct Kept {
    durable: Vec<u8>,
    to_come: Vec<Change>,
}

enum Change {
    Write(usize, Vec<u8>),
    Resize(usize),
}

enum Naming {
    Make(PathBuf, usize),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

#[derive(Default)]
struct Disk {
    files: Vec<Kept>,
    /// What programs see.
    names: BTreeMap<PathBuf, usize>,
    /// What is there after a cut, at least until one of `names_to_come` says otherwise.
    durable: BTreeMap<PathBuf, usize>,
    names_to_come: Vec<Naming>,
}

impl Disk {
    fn make(&mut self, path: PathBuf) {
        self.files.push(Kept::default());
        let file = self.files.len() - 1;
        self.names.insert(path.clone(), file);
        self.names_to_come.push(Naming::Make(path, file));
    }

    fn file(&mut self, path: &Path) -> Option<&mut Kept> {
        self.files.get_mut(*self.names.get(path)?)
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Create(path) => self.make(path.clone()),
            // A file that has no name any more is nobody's to find.
            Event::Write { path, at, bytes } => {
                if let Some(file) = self.file(path) {
                    file.to_come.push(Change::Write(*at, bytes.clone()));
                }
            }
            Event::Resize { path, length } => {
                if let Some(file) = self.file(path) {
                    file.to_come.push(Change::Resize(*length));
                }
            }
            Event::Sync(path) => {
                if let Some(file) = self.file(path) {
                    for change in std::mem::take(&mut file.to_come) {
                        file.durable = changed(std::mem::take(&mut file.durable), &change);
                    }
                }
            }
            Event::SyncDirectory(dir) => {
                let naming = std::mem::take(&mut self.names_to_come);
                for naming in naming {
                    let path = match &naming {
                        Naming::Make(path, _) | Naming::Remove(path) | Naming::Rename(_, path) => path,
                    };
                    if path.parent() == Some(dir) {
                        name(&mut self.durable, naming);
                    } else {
                        self.names_to_come.push(naming);
                    }
                }
            }
            Event::Remove(path) => {
                self.names.remove(path);
                self.names_to_come.push(Naming::Remove(path.clone()));
            }
            Event::Rename { from, to } => {
                if let Some(file) = self.names.remove(from) {
                    self.names.insert(to.clone(), file);
                }
                self.names_to_come.push(Naming::Rename(from.clone(), to.clone()));
            }
        }
    }

    fn lose(mut self, fate: Fate, chance: &mut dyn FnMut() -> u64) -> Files {
        // Directories are kept in order, by every file system we know: some first part of the changes is there.
        let named = match fate {
            Fate::Lost => 0,
            Fate::Kept => self.names_to_come.len(),
            _ => below(chance, self.names_to_come.len() + 1),
        };
        for naming in self.names_to_come.drain(..named) {
            name(&mut self.durable, naming);
        }
        let mut files = Files::new();
        for (path, file) in self.durable {
            let Kept { mut durable, to_come } = std::mem::take(&mut self.files[file]);
            for change in &to_come {
                let there = match fate {
                    Fate::Lost => false,
                    Fate::Kept => true,
                    Fate::Reordered => chance().is_multiple_of(2),
                    Fate::Torn => match change {
                        Change::Resize(_) => chance().is_multiple_of(2),
                        Change::Write(at, bytes) => {
                            durable = torn(durable, *at, bytes, chance);
                            false
                        }
                    },
                };
                if there {
                    durable = changed(durable, change);
                }
            }
            files.insert(path, durable);
        }
        files
    }
}

fn name(names: &mut BTreeMap<PathBuf, usize>, naming: Naming) {
    match naming {
        Naming::Make(path, file) => drop(names.insert(path, file)),
        Naming::Remove(path) => drop(names.remove(&path)),
        Naming::Rename(from, to) => {
            if let Some(file) = names.remove(&from) {
                names.insert(to, file);
            }
        }
    }
}

fn changed(mut file: Vec<u8>, change: &Change) -> Vec<u8> {
    match change {
        Change::Resize(length) => file.resize(*length, 0),
        Change::Write(at, bytes) => {
            let end = at + bytes.len();
            file.resize(file.len().max(end), 0);
            file[*at..end].copy_from_slice(bytes);
        }
    }
    file
}

/// Some sectors of a write are there. The file grew all the same, or not: by as much as is there.
fn torn(mut file: Vec<u8>, at: usize, bytes: &[u8], chance: &mut dyn FnMut() -> u64) -> Vec<u8> {
    let mut done = 0;
    while done < bytes.len() {
        let from = at + done;
        let length = (SECTOR - from % SECTOR).min(bytes.len() - done);
        let before = file.len();
        match chance() % 3 {
            0 => {}
            // A place that was never written may hold what was there long ago.
            1 if before < from + length && chance().is_multiple_of(2) => {
                file.resize(from + length, 0);
                file[before.max(from)..].iter_mut().for_each(|byte| *byte = chance().to_le_bytes()[0]);
            }
            _ => file = changed(file, &Change::Write(from, bytes[done..done + length].to_vec())),
        }
        done += length;
    }
    file
}

fn below(chance: &mut dyn FnMut() -> u64, end: usize) -> usize {
    usize::try_from(chance() % end as u64).unwrap()
}
