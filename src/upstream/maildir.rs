//! An upstream that keeps mail in a local folder instead of sending it: for trials and staging.
//!
//! The folder is a Maildir: a message is written below `tmp`, synced, and renamed into `new`, so that readers never
//! see half of one. Before the message stand `Return-Path:` with the reverse-path (RFC 5321 §4.4) and one
//! `Delivered-To:` for each recipient (RFC 9228). Lines end with LF, as mail readers expect of a file.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use tokio::fs::{DirBuilder, File, OpenOptions};
use tokio::io::{AsyncWriteExt as _, BufWriter};

use crate::body::Body;
use crate::clock::Clock;
use crate::identity::UpstreamName;
use crate::mail::{
    Attempt, Cause, EnhancedStatusCode, Failure, Handover, Health, Outcome, RecipientIndex,
    Response, Stage,
};
use crate::upstream::{Order, Upstream};

/// Settings of a Maildir.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The configured name.
    pub name: UpstreamName,
    /// The folder that holds `tmp`, `new` and `cur`; made where it is missing, for its owner alone.
    pub directory: PathBuf,
}

/// A Maildir that takes messages over.
pub struct MaildirUpstream {
    settings: Settings,
    clock: Arc<dyn Clock>,
    /// The part of file names that tells machines on a shared folder apart.
    host: String,
    /// The part of file names that tells messages of one process apart.
    written: AtomicU64,
}

/// Writes at once. More would only compete for the same disk.
pub const CONNECTIONS: usize = 4;

/// Recipients of one file.
const RECIPIENTS: usize = 1000;

/// Octets gathered before they are written.
const GATHER: usize = 64 << 10;

impl MaildirUpstream {
    /// Makes an upstream. Touches nothing: the folder is made by the first attempt.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        let system = rustix::system::uname();
        let host = system.nodename().to_string_lossy();
        Self {
            settings,
            clock,
            host: host.replace(['/', ':'], "_"),
            written: AtomicU64::new(0),
        }
    }

    /// Writes a message and makes it durable; returns the name of its file.
    async fn keep(&self, mut order: Order<'_>) -> io::Result<String> {
        for folder in ["tmp", "new", "cur"] {
            let made = DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(self.settings.directory.join(folder))
                .await;
            made?;
        }
        let name = self.file_name();
        let temporary = self.settings.directory.join("tmp").join(&name);
        let kept = self.settings.directory.join("new");
        let written = match write(&temporary, &trace(&order), order.body.as_mut()).await {
            Ok(()) => tokio::fs::rename(&temporary, kept.join(&name)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            // What is left in `tmp` is no message; readers of a Maildir remove it after 36 hours.
            let _ = tokio::fs::remove_file(&temporary).await;
            return Err(error);
        }
        File::open(&kept).await?.sync_all().await?;
        Ok(name)
    }

    /// Makes a name that no other message has: time, process, count, host.
    fn file_name(&self) -> String {
        let now = self.clock.now().unix_millis();
        let (seconds, millis) = (now / 1000, now % 1000);
        let (process, count) = (
            std::process::id(),
            self.written.fetch_add(1, Ordering::Relaxed),
        );
        format!("{seconds}.M{millis}P{process}Q{count}.{}", self.host)
    }
}

#[async_trait]
impl Upstream for MaildirUpstream {
    fn name(&self) -> &UpstreamName {
        &self.settings.name
    }

    fn recipients(&self) -> usize {
        RECIPIENTS
    }

    async fn attempt(&self, order: Order<'_>) -> Attempt {
        let recipients = order.recipients;
        match self.keep(order).await {
            Ok(name) => {
                let response = Response {
                    code: 250,
                    status: EnhancedStatusCode::parse("2.0.0"),
                    text: format!("kept as {name}").into(),
                };
                let kept = Outcome::Relayed(response, Handover::Final);
                all(recipients, &kept, Health::Good)
            }
            Err(error) => {
                let directory = self.settings.directory.display();
                let text = format!("cannot keep the message in {directory}: {error}");
                let failure = Failure::new(Stage::Content, Cause::Broken(text.into()));
                all(recipients, &Outcome::Deferred(failure), Health::Unreachable)
            }
        }
    }

    async fn tidy(&self, _now: Instant) {}
}

fn all(recipients: &[RecipientIndex], outcome: &Outcome, health: Health) -> Attempt {
    Attempt {
        outcomes: recipients
            .iter()
            .map(|&index| (index, outcome.clone()))
            .collect(),
        health,
        host: None,
        via: None,
    }
}

/// Returns the lines before the message: who sent it, and for whom it is.
fn trace(order: &Order<'_>) -> String {
    let mut lines = format!("Return-Path: {}\n", order.envelope.reverse_path);
    for index in order.recipients {
        let recipient = order.envelope.recipients.get(usize::from(index.0));
        if let Some(recipient) = recipient {
            let mailbox = recipient.forward_path.mailbox();
            // Writing to a `String` cannot fail.
            let _ = writeln!(lines, "Delivered-To: {mailbox}");
        }
    }
    lines
}

async fn write(path: &Path, trace: &str, body: &mut dyn Body) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .await?;
    let mut file = BufWriter::with_capacity(GATHER, file);
    file.write_all(trace.as_bytes()).await?;
    let mut line_ends = LineEnds::default();
    while let Some(octets) = body.next().await? {
        for part in line_ends.parts(&octets) {
            file.write_all(part).await?;
        }
    }
    file.write_all(line_ends.rest()).await?;
    file.flush().await?;
    file.get_ref().sync_all().await
}

/// Turns CRLF into LF, wherever the octets are cut.
#[derive(Default)]
struct LineEnds {
    /// The last octet so far was a CR, which has not been given on.
    holds_cr: bool,
}

impl LineEnds {
    /// Returns the octets in parts that are to be written one after the other.
    fn parts<'a>(&mut self, octets: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let held: &[u8] = match octets.first() {
            Some(b'\n') | None => b"",
            Some(_) => self.rest(),
        };
        let (now, holds_cr) = match octets.split_last() {
            Some((b'\r', before)) => (before, true),
            Some(_) => (octets, false),
            None => (octets, self.holds_cr),
        };
        self.holds_cr = holds_cr;
        let lines = now.split_inclusive(|&octet| octet == b'\n');
        let lines = lines.flat_map(|line| match line.strip_suffix(b"\r\n") {
            Some(text) => [text, b"\n"],
            None => [line, b""],
        });
        std::iter::once(held).chain(lines)
    }

    /// Returns what is held back.
    fn rest(&self) -> &'static [u8] {
        if self.holds_cr { b"\r" } else { b"" }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::body::InMemory;
    use crate::clock::SystemClock;
    use crate::mail::{Domain, Envelope, ForwardPath, Priority, Recipient, ReversePath};

    fn envelope(recipients: &[&str]) -> Envelope {
        let here = Domain::parse("relay.example").unwrap();
        let recipient = |text: &&str| {
            let path = ForwardPath::take(&format!("<{text}>"), &here).unwrap().0;
            Recipient::new(path)
        };
        Envelope {
            recipients: recipients.iter().map(recipient).collect(),
            ..Envelope::new(ReversePath::take("<a@example.com>").unwrap().0)
        }
    }

    async fn attempt(directory: &Path, message: &'static [u8]) -> Attempt {
        let settings = Settings {
            name: UpstreamName::parse("local").unwrap(),
            directory: directory.to_owned(),
        };
        let upstream = MaildirUpstream::new(settings, Arc::new(SystemClock));
        let order = Order {
            envelope: &envelope(&["b@example.net", "c@example.net", "d@example.net"]),
            recipients: &[RecipientIndex(0), RecipientIndex(2)],
            priority: Priority::Normal,
            body: Box::new(InMemory::new(Bytes::from_static(message))),
        };
        upstream.attempt(order).await
    }

    fn files(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries
            .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect()
    }

    #[tokio::test]
    async fn a_message_is_kept_with_its_envelope_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("mail");
        let attempt = attempt(&directory, b"Subject: x\r\n\r\n.hello\r\n").await;
        assert_eq!(
            files(&directory.join("new")),
            [
                "Return-Path: <a@example.com>\nDelivered-To: b@example.net\n\
                 Delivered-To: d@example.net\nSubject: x\n\n.hello\n"
            ]
        );
        assert_eq!(attempt.health, Health::Good);
        assert!(files(&directory.join("tmp")).is_empty());
    }

    #[tokio::test]
    async fn each_recipient_of_the_order_is_relayed() {
        let folder = tempfile::tempdir().unwrap();
        let attempt = attempt(folder.path(), b"\r\n").await;
        let indices: Vec<_> = attempt.outcomes.iter().map(|(index, _)| index.0).collect();
        assert_eq!(indices, [0, 2]);
        let is_relayed = |outcome: &Outcome| matches!(outcome, Outcome::Relayed(r, Handover::Final) if r.code == 250);
        assert!(
            attempt
                .outcomes
                .iter()
                .all(|(_, outcome)| is_relayed(outcome))
        );
    }

    #[tokio::test]
    async fn mail_waits_while_the_folder_cannot_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let in_the_way = folder.path().join("mail");
        std::fs::File::create(&in_the_way).unwrap();
        let attempt = attempt(&in_the_way, b"\r\n").await;
        assert_eq!(attempt.health, Health::Unreachable);
        assert!(matches!(attempt.outcomes[0].1, Outcome::Deferred(_)));
    }

    proptest! {
        #[test]
        fn line_ends_are_the_same_however_the_octets_are_cut(
            text in "([a\\r\\n]|\\r\\n){0,20}",
            cuts in proptest::collection::vec(0_usize..40, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut line_ends = LineEnds::default();
            let mut written = Vec::new();
            for pair in cuts.windows(2) {
                written.extend(line_ends.parts(&text.as_bytes()[pair[0]..pair[1]]).flatten());
            }
            written.extend(line_ends.rest());
            prop_assert_eq!(String::from_utf8(written).unwrap(), text.replace("\r\n", "\n"));
        }
    }
}
