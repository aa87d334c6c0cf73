//! What is kept of the upstreams over restarts: which are drained and who takes their place, which an operator has parked,
//! and when they were parked. A small file in the data directory, replaced as a whole.

mod stored;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::clock::Timestamp;
use crate::durable;
use crate::identity::UpstreamName;
use crate::relay::{History, Park};

/// The file name in the data directory.
const FILE: &str = "upstreams";

/// The file that earlier versions kept of drained upstreams alone. It is read where the other is not there yet.
const DRAINED: &str = "drained";

/// What is kept of the upstreams.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Register {
    path: PathBuf,
    upstreams: BTreeMap<UpstreamName, Entry>,
}

/// What is kept of one upstream.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Entry {
    drained: Option<Drained>,
    /// By an operator.
    parked: Option<Park>,
    history: History,
}

/// That an upstream is drained.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Drained {
    /// Which other takes its place.
    to: Option<UpstreamName>,
}

impl Register {
    /// Reads the file of a data directory. Where it is not there, nothing is known.
    ///
    /// # Errors
    /// The file cannot be read or understood.
    pub fn load(data_dir: &Path) -> io::Result<Self> {
        let mut register = Self::empty(data_dir);
        register.upstreams = match read(&register.path)? {
            Some(text) => stored::parse(&text)?,
            None => match read(&data_dir.join(DRAINED))? {
                Some(text) => stored::parse_drained(&text)?,
                None => BTreeMap::new(),
            },
        };
        Ok(register)
    }

    /// Says that nothing is known; the file is left as it is.
    pub fn empty(data_dir: &Path) -> Self {
        Self {
            path: data_dir.join(FILE),
            upstreams: BTreeMap::new(),
        }
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Drains an upstream; `to` takes its place. Durable when it returns.
    ///
    /// # Errors
    /// The file cannot be written: nothing has changed.
    pub fn drain(&mut self, upstream: UpstreamName, to: Option<UpstreamName>) -> io::Result<()> {
        self.change(|upstreams| {
            upstreams.entry(upstream).or_default().drained = Some(Drained { to });
        })
    }

    /// Ends the draining of an upstream; returns whether it was drained. Durable when it returns.
    ///
    /// # Errors
    /// The file cannot be written: nothing has changed.
    pub fn end_drain(&mut self, upstream: &str) -> io::Result<bool> {
        let known = self.upstreams.get(upstream);
        if known.is_none_or(|entry| entry.drained.is_none()) {
            return Ok(false);
        }
        self.change(|upstreams| {
            if let Some(entry) = upstreams.get_mut(upstream) {
                entry.drained = None;
            }
        })?;
        Ok(true)
    }

    /// Parks an upstream for an operator. Durable when it returns.
    ///
    /// # Errors
    /// The file cannot be written: nothing has changed.
    pub fn park(&mut self, upstream: UpstreamName, park: Park) -> io::Result<()> {
        self.change(|upstreams| {
            upstreams.entry(upstream).or_default().parked = Some(park);
        })
    }

    /// Ends the parking of an upstream by an operator; returns whether it was parked so. Durable when it returns.
    ///
    /// # Errors
    /// The file cannot be written: nothing has changed.
    pub fn resume(&mut self, upstream: &str) -> io::Result<bool> {
        let known = self.upstreams.get(upstream);
        if known.is_none_or(|entry| entry.parked.is_none()) {
            return Ok(false);
        }
        self.change(|upstreams| {
            if let Some(entry) = upstreams.get_mut(upstream) {
                entry.parked = None;
            }
        })?;
        Ok(true)
    }

    /// Ends the parking of an upstream for whatever reason, where no server runs that would probe it; returns whether it
    /// was parked. Durable when it returns.
    ///
    /// # Errors
    /// The file cannot be written: nothing has changed.
    pub fn resume_unprobed(&mut self, upstream: &str, now: Timestamp) -> io::Result<bool> {
        let is_parked = |entry: &Entry| entry.parked.is_some() || entry.history.failure.is_some();
        if !self.upstreams.get(upstream).is_some_and(is_parked) {
            return Ok(false);
        }
        self.change(|upstreams| {
            if let Some(entry) = upstreams.get_mut(upstream) {
                entry.parked = None;
                entry.history.failure = None;
                entry.history.parkings.end(now);
            }
        })?;
        Ok(true)
    }

    /// Keeps what the relay knows of parkings; writes nothing where it is known already. Durable when it returns.
    ///
    /// # Errors
    /// The file cannot be written: nothing has changed.
    pub fn keep(&mut self, histories: BTreeMap<UpstreamName, History>) -> io::Result<()> {
        if histories == self.histories() {
            return Ok(());
        }
        self.change(|upstreams| {
            for entry in upstreams.values_mut() {
                entry.history = History::default();
            }
            for (upstream, history) in histories {
                upstreams.entry(upstream).or_default().history = history;
            }
        })
    }

    /// Returns the drained upstreams.
    pub fn drained(&self) -> BTreeSet<UpstreamName> {
        let all = self.upstreams.iter();
        let drained = all.filter(|(_, entry)| entry.drained.is_some());
        drained.map(|(name, _)| name.clone()).collect()
    }

    /// Returns which upstream takes the place of which.
    pub fn stand_ins(&self) -> BTreeMap<UpstreamName, UpstreamName> {
        let all = self.upstreams.iter();
        let stand_ins = all.filter_map(|(name, entry)| {
            let to = entry.drained.as_ref()?.to.clone()?;
            Some((name.clone(), to))
        });
        stand_ins.collect()
    }

    /// Returns which upstream takes the place of this one.
    pub fn stand_in(&self, upstream: &UpstreamName) -> Option<&UpstreamName> {
        self.upstreams.get(upstream)?.drained.as_ref()?.to.as_ref()
    }

    /// Returns the upstreams that an operator has parked.
    pub fn parked(&self) -> BTreeMap<UpstreamName, Park> {
        let all = self.upstreams.iter();
        let parked = all.filter_map(|(name, entry)| Some((name.clone(), entry.parked.clone()?)));
        parked.collect()
    }

    /// Returns what is known of parkings.
    pub fn histories(&self) -> BTreeMap<UpstreamName, History> {
        let all = self.upstreams.iter();
        let known = all.filter(|(_, entry)| entry.history != History::default());
        known
            .map(|(name, entry)| (name.clone(), entry.history.clone()))
            .collect()
    }

    fn change(
        &mut self,
        change: impl FnOnce(&mut BTreeMap<UpstreamName, Entry>),
    ) -> io::Result<()> {
        let mut changed = self.clone();
        change(&mut changed.upstreams);
        changed
            .upstreams
            .retain(|_, entry| *entry != Entry::default());
        changed.save()?;
        *self = changed;
        Ok(())
    }

    fn save(&self) -> io::Result<()> {
        durable::replace(&self.path, &stored::write(&self.upstreams)?)?;
        match fs::remove_file(durable::folder_of(&self.path).join(DRAINED)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use super::*;
    use crate::schedule::{Parkings, Reason, Span};

    const T0: Timestamp = Timestamp::from_unix_millis(1_795_243_860_123);

    fn name(text: &str) -> UpstreamName {
        UpstreamName::parse(text).unwrap()
    }

    fn put(path: &Path, text: &str) {
        let mut file = File::create(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn park(text: &str, repair: Option<&str>) -> Park {
        Park {
            since: T0,
            reason: Reason {
                text: text.into(),
                repair: repair.map(Into::into),
            },
        }
    }

    fn history() -> History {
        let ended = Span {
            from: Timestamp::from_unix_millis(1_000),
            until: Timestamp::from_unix_millis(2_001),
        };
        History {
            parkings: Parkings::restore([ended], Some(T0)),
            failure: Some(park("535 no", Some("mend it"))),
        }
    }

    #[test]
    fn what_is_drained_is_drained_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut register = Register::load(folder.path()).unwrap();
        register.drain(name("main"), Some(name("spare"))).unwrap();
        register.drain(name("other"), None).unwrap();
        let mut again = Register::load(folder.path()).unwrap();
        assert_eq!(again, register);
        assert_eq!(again.stand_in(&name("main")), Some(&name("spare")));
        assert!(again.end_drain("main").unwrap());
        assert!(!again.end_drain("main").unwrap());
        let last = Register::load(folder.path()).unwrap();
        assert_eq!(last.drained(), BTreeSet::from([name("other")]));
    }

    #[test]
    fn what_is_parked_is_parked_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut register = Register::load(folder.path()).unwrap();
        register.park(name("main"), park("contract", None)).unwrap();
        register.keep([(name("spare"), history())].into()).unwrap();
        let mut again = Register::load(folder.path()).unwrap();
        assert_eq!(again, register);
        assert_eq!(again.parked()[&name("main")].since, T0);
        assert_eq!(again.histories()[&name("spare")], history());
        assert!(again.resume("main").unwrap());
        assert!(!again.resume("main").unwrap());
        assert!(!again.resume("spare").unwrap());
        assert!(again.parked().is_empty());
    }

    #[test]
    fn without_a_server_an_operator_ends_either_kind() {
        let folder = tempfile::tempdir().unwrap();
        let mut register = Register::load(folder.path()).unwrap();
        register.keep([(name("main"), history())].into()).unwrap();
        let later = T0.after(std::time::Duration::from_secs(5));
        assert!(register.resume_unprobed("main", later).unwrap());
        let kept = &register.histories()[&name("main")];
        assert_eq!((kept.failure.clone(), kept.parkings.open()), (None, None));
        assert_eq!(kept.parkings.ended().len(), 2);
        assert!(!register.resume_unprobed("main", later).unwrap());
    }

    #[test]
    fn the_list_of_an_earlier_version_is_read_and_goes_with_the_first_change() {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join(DRAINED);
        let text = "{\"version\":1,\"upstreams\":[{\"name\":\"main\",\"to\":\"spare\"},{\"name\":\"x\",\"to\":null}]}\n";
        put(&old, text);
        let mut register = Register::load(folder.path()).unwrap();
        assert_eq!(register.stand_in(&name("main")), Some(&name("spare")));
        register.park(name("x"), park("", None)).unwrap();
        assert!(!old.exists());
        let again = Register::load(folder.path()).unwrap();
        assert_eq!(again, register);
        assert_eq!(again.drained().len(), 2);
    }

    #[test]
    fn a_file_of_a_newer_version_is_refused() {
        for file in [FILE, DRAINED] {
            let folder = tempfile::tempdir().unwrap();
            let text = "{\"version\":2,\"upstreams\":[]}";
            put(&folder.path().join(file), text);
            assert!(Register::load(folder.path()).is_err(), "{file}");
        }
    }

    #[test]
    fn nothing_changes_where_the_file_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut register = Register::empty(&folder.path().join("missing"));
        assert!(register.drain(name("main"), None).is_err());
        assert!(register.park(name("main"), park("", None)).is_err());
        assert_eq!(register, Register::empty(&folder.path().join("missing")));
    }
}
