//! What in a configuration comes to an end: secrets, keys and certificates.

use std::ops::Range;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Severity, Source};
use crate::clock::Timestamp;

/// A secret, key or certificate that the configuration names and whose end is known. Nothing here looks at a clock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expiry {
    /// What ends, such as `the secret of upstream main`.
    pub what: String,
    /// When it ends: from then on it counts no more.
    pub ends: Timestamp,
    /// What a person must do before.
    pub repair: &'static str,
    source: Arc<Source>,
    span: Range<usize>,
}

impl Expiry {
    pub(super) fn new(
        what: String,
        ends: Timestamp,
        repair: &'static str,
        (source, span): (&Arc<Source>, Range<usize>),
    ) -> Self {
        Self {
            what,
            ends,
            repair,
            source: Arc::clone(source),
            span,
        }
    }

    /// Returns where it stands: `posthouse.toml:12:3`.
    pub fn place(&self) -> String {
        let diagnostic = self.warning("");
        let path = diagnostic.path().display();
        match diagnostic.position() {
            Some((line, column)) => format!("{path}:{line}:{column}"),
            None => path.to_string(),
        }
    }

    /// Makes a warning of it: what is said follows its name.
    pub fn warning(&self, said: &str) -> Diagnostic {
        let message = format!("{} {said}", self.what);
        let span = Some(self.span.clone());
        Diagnostic::new(Severity::Warning, &self.source, span, message).with_hint(self.repair)
    }
}
