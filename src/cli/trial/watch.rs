//! Shows mail as it arrives in the Maildir.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use mail_parser::MessageParser;

use crate::cli::failure::Failure;
use crate::cli::output::{Output, Style, octets};

/// How often the folder is looked at.
const INTERVAL: Duration = Duration::from_millis(200);

/// How much of a message is read for its subject.
const READ: u64 = 256 << 10;

/// A thread that shows new messages until it is dropped, which shows the last ones.
pub(super) struct Watcher {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Watches a Maildir, which need not exist yet. What has been shown is moved from `new` to `cur`, as mail readers
    /// do with what they have shown.
    pub(super) fn start(mail: PathBuf) -> io::Result<Self> {
        let (stop, stopped) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || watch(&mail, &stopped))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; the trial is over all the same.
            let _ = thread.join();
        }
    }
}

fn watch(mail: &Path, stopped: &Receiver<()>) {
    let mut output = Output::standard();
    loop {
        let is_over = stopped.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout);
        if show_new(mail, &mut output).is_err() || is_over {
            return;
        }
    }
}

fn show_new(mail: &Path, output: &mut Output) -> Result<(), Failure> {
    let Ok(entries) = fs::read_dir(mail.join("new")) else {
        // The first message makes it.
        return Ok(());
    };
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    for path in paths {
        let Some(name) = path.file_name() else {
            continue;
        };
        let mut shown = name.to_owned();
        shown.push(":2,");
        let shown = mail.join("cur").join(shown);
        if fs::rename(&path, &shown).is_ok()
            && let Ok(arrival) = Arrival::read(&shown)
        {
            show(&arrival, &shown, output)?;
        }
    }
    Ok(())
}

fn show(arrival: &Arrival, path: &Path, output: &mut Output) -> Result<(), Failure> {
    let (sender, recipients) = (&arrival.sender, arrival.recipients.join(", "));
    output.styled(
        Style::Green,
        format_args!("mail arrived: {}", arrival.subject),
    )?;
    output.line(format_args!(
        "  from {sender} to {recipients}, {}",
        octets(arrival.size)
    ))?;
    output.line(format_args!("  {}", path.display()))
}

/// What is shown of a message.
#[derive(Debug, Eq, PartialEq)]
struct Arrival {
    sender: String,
    recipients: Vec<String>,
    subject: String,
    size: u64,
}

impl Arrival {
    fn read(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut octets = Vec::new();
        file.take(READ).read_to_end(&mut octets)?;
        Ok(Self::parse(&octets, size))
    }

    fn parse(octets: &[u8], size: u64) -> Self {
        let text = String::from_utf8_lossy(octets);
        let mut arrival = Self {
            sender: "<>".to_owned(),
            recipients: Vec::new(),
            subject: "(no subject)".to_owned(),
            size,
        };
        // The upstream wrote these lines before the message; the first other line is the message's own.
        for line in text.lines() {
            if let Some(sender) = line.strip_prefix("Return-Path: ") {
                sender.clone_into(&mut arrival.sender);
            } else if let Some(recipient) = line.strip_prefix("Delivered-To: ") {
                arrival.recipients.push(recipient.to_owned());
            } else {
                break;
            }
        }
        let message = MessageParser::new().parse_headers(octets);
        if let Some(subject) = message.as_ref().and_then(|message| message.subject()) {
            subject.clone_into(&mut arrival.subject);
        }
        arrival
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrival_has_its_envelope_and_its_decoded_subject() {
        let octets = b"Return-Path: <a@example.com>\nDelivered-To: b@example.net\n\
            Delivered-To: c@example.net\nReceived: from x\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\n\
            Delivered-To: nobody\n";
        let arrival = Arrival::parse(octets, 123);
        assert_eq!(arrival.sender, "<a@example.com>");
        assert_eq!(arrival.recipients, ["b@example.net", "c@example.net"]);
        assert_eq!(arrival.subject, "Grüße");
    }

    #[test]
    fn what_has_been_shown_is_no_longer_new() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["new", "cur"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        File::create(folder.path().join("new/1.a")).unwrap();
        drop(Watcher::start(folder.path().to_owned()).unwrap());
        assert!(folder.path().join("cur/1.a:2,").exists());
        assert!(!folder.path().join("new/1.a").exists());
    }
}
