//! Watching a dialogue: for `test-mail`, and for the log at TRACE.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::clock::Clock;
use crate::smtp::reply::ReceivedReply;
use crate::tls::client::PeerCertificate;
use crate::upstream::probe::{Passed, Step};

/// Somebody who reads along. Secrets and message content never get here.
pub trait Transcript: Send + Sync {
    /// Takes one line of the dialogue. Must not block.
    fn line(&self, line: Line<'_>);

    /// Takes the certificates that the upstream has shown, its own first, whether they are accepted or not. Lines tell
    /// the same in words. Must not block.
    fn certificates(&self, _chain: &[PeerCertificate]) {}

    /// Takes a step that has been done. Lines tell the same in words. Must not block.
    fn step(&self, _step: &Step) {}
}

/// One line of a dialogue, without line end. `Display` writes it behind `C: `, `S: ` or `-- `.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Line<'a> {
    /// What happened besides: an address connected to, TLS started.
    Note(&'a str),
    /// What the upstream said.
    Received(&'a str),
    /// What was sent to it.
    Sent(&'a str),
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Note(text) => write!(f, "-- {text}"),
            Self::Received(text) => write!(f, "S: {text}"),
            Self::Sent(text) => write!(f, "C: {text}"),
        }
    }
}

/// Gives the lines to a transcript, if there is one, and to the log at TRACE.
#[derive(Clone, Default)]
pub(super) struct Observer(Option<Arc<Watch>>);

/// A transcript, and when the last step was done.
struct Watch {
    transcript: Arc<dyn Transcript>,
    clock: Arc<dyn Clock>,
    last: Mutex<Instant>,
}

impl Observer {
    pub(super) fn new(transcript: Arc<dyn Transcript>, clock: Arc<dyn Clock>) -> Self {
        Self(Some(Arc::new(Watch {
            last: Mutex::new(clock.instant()),
            transcript,
            clock,
        })))
    }

    /// Takes a step that has been done; asks for it only where somebody reads.
    pub(super) fn passed(&self, passed: impl FnOnce() -> Passed) {
        let Some(watch) = &self.0 else { return };
        let now = watch.clock.instant();
        let mut last = watch.last.lock().unwrap_or_else(PoisonError::into_inner);
        let took = now.saturating_duration_since(std::mem::replace(&mut last, now));
        drop(last);
        let passed = passed();
        watch.transcript.step(&Step { passed, took });
    }

    /// Returns whether anybody reads; making lines costs more than asking.
    fn is_watching(&self) -> bool {
        self.0.is_some() || tracing::enabled!(tracing::Level::TRACE)
    }

    /// Takes commands as they were written, and the number of content octets behind them.
    pub(super) fn sent(&self, commands: &[u8], content: usize) {
        if !self.is_watching() {
            return;
        }
        for line in String::from_utf8_lossy(commands).lines() {
            self.line(Line::Sent(line));
        }
        if content > 0 {
            self.note(format_args!("{content} octets of the message"));
        }
    }

    /// Takes a line that holds a secret, in the form that may be shown.
    pub(super) fn sent_secret(&self, shown: fmt::Arguments<'_>) {
        if self.is_watching() {
            self.line(Line::Sent(&shown.to_string()));
        }
    }

    pub(super) fn received(&self, reply: &ReceivedReply) {
        if !self.is_watching() {
            return;
        }
        let mut lines = reply.lines.iter().peekable();
        while let Some(text) = lines.next() {
            let separator = if lines.peek().is_some() { '-' } else { ' ' };
            let line = format!("{}{separator}{text}", reply.response.code);
            self.line(Line::Received(&line));
        }
    }

    pub(super) fn note(&self, text: fmt::Arguments<'_>) {
        if self.is_watching() {
            self.line(Line::Note(&text.to_string()));
        }
    }

    /// Takes the certificates that the upstream has shown, its own first.
    pub(super) fn certificates(&self, chain: &[PeerCertificate]) {
        if !self.is_watching() {
            return;
        }
        for (place, certificate) in chain.iter().enumerate() {
            self.note(format_args!("certificate {place}: {certificate}"));
        }
        if let Some(watch) = &self.0 {
            watch.transcript.certificates(chain);
        }
    }

    fn line(&self, line: Line<'_>) {
        tracing::trace!(%line, "dialogue");
        if let Some(watch) = &self.0 {
            watch.transcript.line(line);
        }
    }
}
