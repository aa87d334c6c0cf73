//! What every check needs: the file, and a place for what it finds.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::config::diagnostic::{Diagnostic, Severity, Source};
use crate::config::effective::{Row, Setting, effective, places};
use crate::config::expiry::Expiry;
use crate::config::read;

/// A file that is being checked.
pub(in crate::config) struct Context {
    source: Arc<Source>,
    diagnostics: Vec<Diagnostic>,
    /// What the values that are checked belong to, in words.
    subject: String,
    expiries: Vec<Expiry>,
    /// Keys that are there but wrong; they have been reported.
    removed: HashSet<read::Path>,
    /// Whether users other than owner and group can read the file.
    pub(in crate::config) is_readable_by_others: bool,
    /// The paths that were asked for; behind a cell since who asks for one changes nothing else.
    named: RefCell<BTreeSet<PathBuf>>,
    /// Where the server keeps what is its own, as the file says.
    pub(in crate::config) data_dir: PathBuf,
}

impl Context {
    pub(in crate::config) fn new(
        source: &Arc<Source>,
        removed: HashSet<read::Path>,
        is_readable_by_others: bool,
    ) -> Self {
        Self {
            source: Arc::clone(source),
            diagnostics: Vec::new(),
            subject: String::new(),
            expiries: Vec::new(),
            removed,
            is_readable_by_others,
            named: RefCell::default(),
            data_dir: PathBuf::new(),
        }
    }

    /// Records an error. An empty place stands for a value that is in no file.
    pub(in crate::config) fn error(
        &mut self,
        place: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.record(Severity::Error, place, message.into(), hint.into());
    }

    /// Records a warning.
    pub(in crate::config) fn warning(
        &mut self,
        place: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.record(Severity::Warning, place, message.into(), hint.into());
    }

    /// Says what the values that follow belong to: `upstream main`.
    pub(in crate::config) fn turn_to(&mut self, subject: impl Into<String>) {
        self.subject = subject.into();
    }

    /// Records when something ends that belongs to what was turned to last: `the secret`.
    pub(in crate::config) fn ends(
        &mut self,
        place: Range<usize>,
        what: &str,
        ends: Timestamp,
        repair: &'static str,
    ) {
        let what = format!("{what} of {}", self.subject);
        let expiry = Expiry::new(what, ends, repair, (&self.source, place));
        self.expiries.push(expiry);
    }

    /// Gives out what ends.
    pub(in crate::config) fn take_expiries(&mut self) -> Vec<Expiry> {
        std::mem::take(&mut self.expiries)
    }

    /// Records that a key is missing in the table at `place`, unless it is there and wrong.
    pub(in crate::config) fn missing(
        &mut self,
        place: Range<usize>,
        path: &[&str],
        hint: impl Into<String>,
    ) {
        if !self.is_wrong(path) {
            let key = path.last().copied().unwrap_or_default();
            self.error(place, format!("`{key}` is missing"), hint);
        }
    }

    /// Returns whether a key is in the file but had to be left out since it is wrong.
    pub(in crate::config) fn is_wrong(&self, path: &[&str]) -> bool {
        let path: read::Path = path.iter().map(|key| (*key).to_owned()).collect();
        self.removed.contains(&path)
    }

    /// Returns whether anything in a table had to be left out since it is wrong.
    pub(in crate::config) fn is_wrong_below(&self, path: &[&str]) -> bool {
        let is_below = |removed: &read::Path| {
            let start = removed.iter().map(String::as_str).take(path.len());
            start.eq(path.iter().copied())
        };
        self.removed.iter().any(is_below)
    }

    /// Returns a path of the file as seen from here: relative ones start at the folder of the file.
    pub(in crate::config) fn path(&self, path: &Path) -> PathBuf {
        let folder = self.source.path.parent().unwrap_or(Path::new(""));
        let path = folder.join(path);
        if let Ok(mut named) = self.named.try_borrow_mut() {
            named.insert(path.clone());
        }
        path
    }

    /// Gives out the paths that were asked for, and that of the file itself.
    pub(in crate::config) fn take_named(&self) -> BTreeSet<PathBuf> {
        let mut named = self.named.take();
        named.insert(self.source.path.clone());
        named
    }

    /// Returns all settings of the table at `path`: `rows`, each replaced by what is written, and what is written besides.
    pub(in crate::config) fn effective(&self, path: &[&str], rows: Vec<Row>) -> Vec<Setting> {
        effective(&self.source, path, rows)
    }

    /// Returns the place of each value that is written in the table at `path`, by its key in it.
    pub(in crate::config) fn places(&self, path: &[&str]) -> HashMap<String, Range<usize>> {
        places(&self.source, path)
    }

    /// Returns the place of `part`, a piece of the text that stands at `place`; all of it where the piece is written
    /// with escapes.
    pub(in crate::config) fn place_of(&self, part: &str, place: &Range<usize>) -> Range<usize> {
        let text = self.source.text.get(place.clone()).unwrap_or_default();
        match text.find(part) {
            Some(at) if !part.is_empty() => {
                let start = place.start + at;
                start..start + part.len()
            }
            _ => place.clone(),
        }
    }

    pub(in crate::config) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }

    fn record(&mut self, severity: Severity, place: Range<usize>, message: String, hint: String) {
        let place = (place.start < place.end).then_some(place);
        let diagnostic = Diagnostic::new(severity, &self.source, place, message).with_hint(hint);
        // What several tables inherit is checked for each of them.
        if !self.diagnostics.contains(&diagnostic) {
            self.diagnostics.push(diagnostic);
        }
    }
}
