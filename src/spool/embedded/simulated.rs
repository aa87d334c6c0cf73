//! A disk in memory that forgets, at a crash, what was not synced: writes are lost, torn by sectors or kept, names come
//! and go in any combination. It counts the operations, and fails or crashes at the one it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{Disk, DiskFile};

const SECTOR: usize = 512;

/// A reproducible source of chance.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    pub(super) fn coin(&mut self) -> bool {
        self.below(2) == 1
    }
}

/// What goes wrong at an operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    /// The power goes.
    Crash,
    /// Input/output error.
    Broken,
    /// No space left.
    Full,
    /// A fault of the engine itself.
    Panic,
}

#[derive(Clone)]
pub(super) struct SimulatedDisk(Arc<Mutex<World>>);

struct World {
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes of names that are not synced, each with what it links or unlinks.
    unsynced: Vec<Vec<(String, Option<usize>)>>,
    directories: BTreeSet<String>,
    durable_directories: BTreeSet<String>,
    operations: u64,
    trouble: BTreeMap<u64, Trouble>,
    is_full: bool,
    chance: Chance,
    /// Counts the starts; what was opened before the last one does nothing any more.
    life: u64,
    is_crashed: bool,
}

#[derive(Clone, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    dirty: Vec<Range<usize>>,
}

impl Content {
    fn sync(&mut self) {
        self.durable.clone_from(&self.now);
        self.dirty.clear();
    }

    /// Keeps some of what was not synced.
    fn tear(&mut self, chance: &mut Chance) {
        let keeps = chance.below(4);
        for sector in self.dirty_sectors() {
            let is_kept = match keeps {
                0 => false,
                1 => true,
                2 => chance.below(8) > 0,
                _ => chance.coin(),
            };
            if is_kept {
                let length = self.durable.len().max(sector.end);
                self.durable.resize(length, 0);
                self.durable[sector.clone()].copy_from_slice(&self.now[sector]);
            } else if keeps == 2 {
                // Only a beginning was written.
                break;
            }
        }
        self.dirty.clear();
    }

    /// Returns what was not synced, cut at the sectors' borders.
    fn dirty_sectors(&self) -> Vec<Range<usize>> {
        let cut = |range: &Range<usize>| {
            let (first, last) = (range.start / SECTOR, range.end.div_ceil(SECTOR));
            let range = range.clone();
            (first..last).map(move |n| range.start.max(n * SECTOR)..range.end.min((n + 1) * SECTOR))
        };
        let sectors = self.dirty.iter().flat_map(cut);
        let there = self.now.len();
        sectors.filter(|sector| sector.end <= there).collect()
    }
}

impl SimulatedDisk {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(World {
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced: Vec::new(),
            directories: BTreeSet::new(),
            durable_directories: BTreeSet::new(),
            operations: 0,
            trouble: BTreeMap::new(),
            is_full: false,
            chance: Chance::new(seed),
            life: 0,
            is_crashed: false,
        })))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many operations that change something there have been.
    pub(super) fn operations(&self) -> u64 {
        self.world().operations
    }

    /// Lets something go wrong at an operation, counted from 0.
    pub(super) fn plan(&self, operation: u64, trouble: Trouble) {
        self.world().trouble.insert(operation, trouble);
    }

    /// Lets all that takes space fail, or no more.
    pub(super) fn set_full(&self, is_full: bool) {
        self.world().is_full = is_full;
    }

    pub(super) fn is_crashed(&self) -> bool {
        self.world().is_crashed
    }

    /// Cuts the power, if that is not done yet, and starts again with what is left.
    pub(super) fn restart(&self) {
        let mut world = self.world();
        let world = &mut *world;
        let chance = &mut world.chance;
        let keeps = chance.below(3);
        for change in std::mem::take(&mut world.unsynced) {
            if keeps == 0 || (keeps == 1 && chance.coin()) {
                apply(&mut world.durable_names, &change);
            }
        }
        if keeps == 0 {
            world.durable_directories.clone_from(&world.directories);
        }
        for content in &mut world.files {
            content.tear(chance);
            content.now.clone_from(&content.durable);
        }
        world.names.clone_from(&world.durable_names);
        world.directories.clone_from(&world.durable_directories);
        world.trouble.clear();
        world.life += 1;
        world.is_crashed = false;
    }

    /// Ends the process and nothing else: what was written is there, but it may still be lost with the power.
    pub(super) fn kill(&self) {
        let mut world = self.world();
        world.trouble.clear();
        world.life += 1;
        world.is_crashed = false;
    }

    /// Replaces octets at the beginning of a file behind the engine's back.
    pub(super) fn write(&self, path: &str, octets: &[u8]) {
        let mut world = self.world();
        let file = world.names[path];
        let content = &mut world.files[file];
        content.now[..octets.len()].copy_from_slice(octets);
        content.durable[..octets.len()].copy_from_slice(octets);
    }

    /// Changes octets of a file behind the engine's back.
    pub(super) fn damage(&self, path: &str, at: usize) {
        let mut world = self.world();
        let file = world.names[path];
        let content = &mut world.files[file];
        content.now[at] ^= 0x55;
        content.durable[at] ^= 0x55;
    }

    /// Cuts a file short behind the engine's back.
    pub(super) fn cut(&self, path: &str, length: usize) {
        let mut world = self.world();
        let file = world.names[path];
        let content = &mut world.files[file];
        content.now.truncate(length);
        content.durable.truncate(length);
    }

    pub(super) fn octets(&self, path: &str) -> Vec<u8> {
        let world = self.world();
        world.files[world.names[path]].now.clone()
    }
}

impl World {
    /// Counts an operation. `Err` where it fails; `Ok(true)` where the power goes while it is done.
    fn operate(&mut self, takes_space: bool) -> io::Result<bool> {
        self.check()?;
        let operation = self.operations;
        self.operations += 1;
        if takes_space && self.is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        match self.trouble.get(&operation) {
            Some(Trouble::Crash) => {
                self.is_crashed = true;
                Ok(true)
            }
            Some(Trouble::Broken) => Err(broken()),
            Some(Trouble::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(Trouble::Panic) => panic!("the disk panics, as a test wants it"),
            None => Ok(false),
        }
    }

    fn check(&self) -> io::Result<()> {
        if self.is_crashed {
            Err(broken())
        } else {
            Ok(())
        }
    }

    fn change(&mut self, change: Vec<(String, Option<usize>)>) {
        apply(&mut self.names, &change);
        self.unsynced.push(change);
    }
}

fn apply(names: &mut BTreeMap<String, usize>, change: &[(String, Option<usize>)]) {
    for (name, file) in change {
        match file {
            Some(file) => names.insert(name.clone(), *file),
            None => names.remove(name),
        };
    }
}

fn directory_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn broken() -> io::Error {
    io::Error::from_raw_os_error(5)
}

fn outcome(is_crash: bool) -> io::Result<()> {
    if is_crash { Err(broken()) } else { Ok(()) }
}

impl Disk for SimulatedDisk {
    fn create(&self, path: &str, reserve: u64) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world();
        let is_crash = world.operate(true)?;
        if world.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !world.directories.contains(directory_of(path)) && !directory_of(path).is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = world.files.len();
        world.files.push(Content {
            now: vec![0; usize::try_from(reserve).unwrap()],
            ..Content::default()
        });
        world.change(vec![(path.to_owned(), Some(file))]);
        outcome(is_crash)?;
        Ok(Box::new(SimulatedFile {
            disk: self.clone(),
            file,
            life: world.life,
            end: 0,
        }))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let world = self.world();
        world.check()?;
        let file = world.names.get(path).copied();
        Ok(Box::new(SimulatedFile {
            disk: self.clone(),
            file: file.ok_or(io::ErrorKind::NotFound)?,
            life: world.life,
            end: usize::MAX,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.world();
        let is_crash = world.operate(false)?;
        let file = world
            .names
            .get(from)
            .copied()
            .ok_or(io::ErrorKind::NotFound)?;
        world.change(vec![(from.to_owned(), None), (to.to_owned(), Some(file))]);
        outcome(is_crash)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut world = self.world();
        let is_crash = world.operate(false)?;
        if !world.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.change(vec![(path.to_owned(), None)]);
        outcome(is_crash)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        let mut world = self.world();
        let is_crash = world.operate(true)?;
        world.directories.insert(path.to_owned());
        outcome(is_crash)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let mut world = self.world();
        let is_crash = world.operate(false)?;
        outcome(is_crash)?;
        let world = &mut *world;
        let (synced, rest) = std::mem::take(&mut world.unsynced)
            .into_iter()
            .partition(|change| change.iter().any(|(name, _)| directory_of(name) == path));
        world.unsynced = rest;
        let synced: Vec<Vec<(String, Option<usize>)>> = synced;
        for change in synced {
            apply(&mut world.durable_names, &change);
        }
        if path.is_empty() {
            world.durable_directories.clone_from(&world.directories);
        }
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let world = self.world();
        world.check()?;
        let names = world.names.keys();
        Ok(names
            .filter(|name| directory_of(name) == path)
            .map(|name| {
                name.rsplit_once('/')
                    .map_or(&**name, |(_, name)| name)
                    .to_owned()
            })
            .collect())
    }

    fn free_space(&self) -> io::Result<u64> {
        let world = self.world();
        world.check()?;
        Ok(if world.is_full { 0 } else { 1 << 40 })
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    file: usize,
    life: u64,
    end: usize,
}

impl SimulatedFile {
    fn world(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = self.disk.world();
        if world.life != self.life {
            return Err(broken());
        }
        Ok(world)
    }
}

impl DiskFile for SimulatedFile {
    fn append(&mut self, pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
        let octets: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| piece.iter().copied())
            .collect();
        let mut world = self.world()?;
        let operation = world.operate(true);
        // Even a write that fails may have written something.
        let written = match &operation {
            Ok(_) => octets.len(),
            Err(_) if world.is_crashed => 0,
            Err(_) => usize::try_from(world.chance.below(octets.len() as u64 + 1)).unwrap(),
        };
        let (begin, end) = (self.end, self.end + written);
        let content = &mut world.files[self.file];
        if content.now.len() < end {
            content.now.resize(end, 0);
        }
        content.now[begin..end].copy_from_slice(&octets[..written]);
        content.dirty.push(begin..end);
        drop(world);
        self.end = end;
        outcome(operation?)
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.world()?;
        let world = &mut *world;
        let operation = world.operate(false);
        let content = &mut world.files[self.file];
        match operation {
            Ok(false) => {
                content.sync();
                Ok(())
            }
            // The crash decides what is left.
            Ok(true) => Err(broken()),
            Err(error) => {
                // What was dirty is clean now, on the disk or not, and the next sync will find nothing to do.
                if !world.is_crashed {
                    content.tear(&mut world.chance);
                }
                Err(error)
            }
        }
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut world = self.world()?;
        let is_crash = world.operate(false)?;
        let length = usize::try_from(length).unwrap();
        let is_lucky = world.chance.coin();
        let content = &mut world.files[self.file];
        content.now.resize(length, 0);
        if is_lucky {
            content.durable.truncate(length);
        }
        outcome(is_crash)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let world = self.world()?;
        world.check()?;
        let content = &world.files[self.file].now;
        let begin = usize::try_from(offset).unwrap().min(content.len());
        let length = buffer.len().min(content.len() - begin);
        buffer[..length].copy_from_slice(&content[begin..begin + length]);
        Ok(length)
    }

    fn length(&self) -> io::Result<u64> {
        let world = self.world()?;
        world.check()?;
        Ok(world.files[self.file].now.len() as u64)
    }
}
