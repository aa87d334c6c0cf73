//! How the senders are judged, and how urgent the message is.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use bytes::Bytes;
use serde::Serialize;

use crate::cli::failure::{Code, Failure};
use crate::cli::output::Output;
use crate::mail::header::MAX_HEADER;
use crate::mail::{Header, MtPriority, ReversePath};
use crate::message::{Collected, HeaderCollector, Inspected, MAX_HOPS, inspect};
use crate::smtp::replies;
use crate::smtp::reply::Reply;
use crate::submission::{Judgement, Profile, judge};

/// How a message is judged.
#[derive(Debug, Serialize)]
pub(super) struct Judged {
    pub(super) outcome: Outcome,
    /// Why: one text for each address that is granted, or what is wrong.
    reasons: Vec<String>,
    /// What is replaced, where senders are rewritten.
    rewritten: Vec<String>,
    /// The reverse-path that is relayed; empty for the null one.
    reverse_path: String,
    /// What a client hears, where the message is refused.
    reply: Option<String>,
    /// The effective priority, 1 to 5.
    priority: u8,
    /// What the message asks for.
    claimed_priority: Option<u8>,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Its senders are authorized.
    Allowed,
    /// It is accepted and waits for an operator, since they are not.
    Held,
    /// It is refused.
    Refused,
    /// It is relayed although they are not.
    Relayed,
    /// It is relayed with others.
    Rewritten,
}

impl Judged {
    /// Judges a message with this reverse-path, and the header of `message` or one with the same sender.
    pub(super) fn new(
        profile: &Profile,
        reverse_path: &ReversePath,
        message: Option<&Path>,
    ) -> Result<Self, Failure> {
        let octets = match (message, reverse_path.mailbox()) {
            (Some(path), _) => header_of(path)?,
            (None, Some(sender)) => Bytes::from(format!("From: <{sender}>\r\n")),
            (None, None) => {
                let text =
                    "with the null reverse-path the header decides: name a file with --message";
                return Err(Failure::new(Code::Usage, text));
            }
        };
        let mut judged = Self {
            outcome: Outcome::Refused,
            reasons: Vec::new(),
            rewritten: Vec::new(),
            reverse_path: text_of(reverse_path),
            reply: None,
            priority: profile.effective_priority(None).number(),
            claimed_priority: None,
        };
        let header = Header::parse(&octets).map_err(|error| error.to_string());
        let read = header.and_then(|header| {
            let inspected = inspect(&header, profile.address_rule);
            inspected
                .map(|inspected| (header, inspected))
                .map_err(|error| error.to_string())
        });
        match read {
            Err(error) => judged.refuse(&replies::MESSAGE_MALFORMED, &error),
            Ok((_, inspected)) if inspected.hops > MAX_HOPS => {
                judged.refuse(&replies::MAIL_LOOP, "");
            }
            Ok((header, inspected)) => {
                judged.judge(profile, reverse_path, &header, &inspected);
            }
        }
        Ok(judged)
    }

    fn judge(
        &mut self,
        profile: &Profile,
        reverse_path: &ReversePath,
        header: &Header<'_>,
        inspected: &Inspected,
    ) {
        let claimed = inspected.mt_priority.map(MtPriority::priority);
        let claimed = claimed.or(inspected.priority);
        self.claimed_priority = claimed.map(crate::mail::Priority::number);
        self.priority = profile.effective_priority(claimed).number();
        match judge(profile, reverse_path, header, inspected) {
            Judgement::Allowed(reason) => {
                self.outcome = Outcome::Allowed;
                self.reasons = reason.describe(SHOWN);
            }
            Judgement::Held(denial) => {
                self.outcome = Outcome::Held;
                self.reasons = vec![denial.to_string()];
            }
            Judgement::Refused(denial) => {
                self.refuse(&replies::SENDER_NOT_AUTHORIZED, &denial.to_string());
            }
            Judgement::Rewritten(rewritten) => {
                self.outcome = Outcome::Rewritten;
                self.reasons = vec![rewritten.denial.to_string()];
                self.rewritten = rewritten.changes.iter().map(ToString::to_string).collect();
                self.reverse_path = text_of(&rewritten.reverse_path);
            }
            Judgement::Tolerated(denial) => {
                self.outcome = Outcome::Relayed;
                self.reasons = vec![denial.to_string()];
            }
        }
    }

    fn refuse(&mut self, reply: &Reply, detail: &str) {
        let line = reply.line_with(detail);
        self.outcome = Outcome::Refused;
        self.reasons = vec![detail.to_owned()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        self.reply = Some(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
    }

    pub(super) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let outcome = match self.outcome {
            Outcome::Allowed => "allowed",
            Outcome::Held => {
                "not allowed, and held until an operator releases it (on_unauthorized = \"hold\")"
            }
            Outcome::Refused => "refused",
            Outcome::Relayed => {
                "not allowed, and relayed all the same (on_unauthorized = \"alert\")"
            }
            Outcome::Rewritten => "not allowed, and rewritten (on_unauthorized = \"rewrite\")",
        };
        output.field("sender", outcome)?;
        for reason in &self.reasons {
            output.field("why", reason)?;
        }
        for change in &self.rewritten {
            output.field("rewritten", change)?;
        }
        if let Some(reply) = &self.reply {
            output.field("client hears", reply)?;
        }
        match self.claimed_priority {
            Some(claimed) => {
                let text = format!("{}; the message asks for {claimed}", self.priority);
                output.field("priority", text)
            }
            None => output.field("priority", self.priority),
        }
    }
}

fn text_of(reverse_path: &ReversePath) -> String {
    reverse_path
        .mailbox()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// Reads the header of a message in a file, with line ends of any kind.
fn header_of(path: &Path) -> Result<Bytes, Failure> {
    let is_input = path.as_os_str() == "-";
    let mut octets = Vec::new();
    let read = if is_input {
        io::stdin().lock().take(MAX_READ).read_to_end(&mut octets)
    } else {
        File::open(path).and_then(|file| file.take(MAX_READ).read_to_end(&mut octets))
    };
    read.map_err(|error| Failure::file(Code::NoInput, "read", path, &error))?;
    let mut collector = HeaderCollector::default();
    Ok(match collector.push(with_crlf(&octets)) {
        Collected::Complete { header, .. } => header,
        Collected::NeedMore => collector.finish(),
        // `Header::parse` says that it is too large.
        Collected::TooLarge => Bytes::from(vec![b'x'; MAX_HEADER + 1]),
    })
}

/// Ends every line with CRLF, as a client does that sends the file.
fn with_crlf(octets: &[u8]) -> Bytes {
    let mut text = Vec::with_capacity(octets.len() + octets.len() / 32);
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(content) => {
                text.extend_from_slice(content.strip_suffix(b"\r").unwrap_or(content));
                text.extend_from_slice(b"\r\n");
            }
            None => text.extend_from_slice(line),
        }
    }
    text.into()
}

/// How much of a message is read: more than any header that is accepted.
const MAX_READ: u64 = 1 << 20;

/// How many addresses are told of.
const SHOWN: usize = 20;
