//! The clients: one thread, any number of sessions, each message numbered.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use posthouse::clock::{Clock, SystemClock};
use posthouse::schedule::Chance;
use rustls::ClientConfig;

use super::ledger::Ledger;
use super::message;
use super::message::Template;
use super::wire::{Poller, Wire};

/// What the generator does.
#[derive(Clone)]
pub(crate) struct Load {
    /// Where it submits.
    pub(crate) address: SocketAddr,
    /// Connections at once.
    pub(crate) sessions: usize,
    /// Messages in all, numbered from `first`.
    pub(crate) count: u64,
    /// The first message's number.
    pub(crate) first: u64,
    /// Octets of a message.
    pub(crate) size: usize,
    /// How commands and content are put together.
    pub(crate) flow: Flow,
    /// Whether and how sessions are encrypted.
    pub(crate) security: Security,
    /// User name and password for AUTH PLAIN.
    pub(crate) login: Option<(String, String)>,
    /// What becomes of a session after a message.
    pub(crate) reuse: Reuse,
    /// Time between the answer to one message of a session and the start of the next; none: as fast as it goes.
    pub(crate) pace: Option<Pace>,
    /// Value of `X-Priority:`.
    pub(crate) priority: Option<u8>,
    /// When to give up.
    pub(crate) limit: Duration,
}

/// A time between messages, any from `least` to `most`, all equally often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) least: Duration,
    pub(crate) most: Duration,
}

impl Pace {
    /// Always the same time.
    pub(crate) fn every(time: Duration) -> Self {
        Self {
            least: time,
            most: time,
        }
    }

    fn next(self, chance: &mut Chance) -> Duration {
        let room = self.most.saturating_sub(self.least);
        self.least + room.mul_f64(chance.next_fraction())
    }
}

/// How commands and content are put together (RFC 2920, RFC 3030).
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Flow {
    /// One command at a time.
    Lockstep,
    /// MAIL, RCPT and DATA in one write, then the content.
    Envelope,
    /// The content and the next message's MAIL, RCPT and DATA in one write.
    Group,
    /// MAIL, RCPT, BDAT and the content in one write, four messages in flight.
    Chunks,
}

/// Whether and how sessions are encrypted.
#[derive(Clone)]
pub(crate) enum Security {
    /// Not at all.
    Plain,
    /// By STARTTLS.
    StartTls(Arc<ClientConfig>),
    /// From the first octet.
    Implicit(Arc<ClientConfig>),
}

/// What becomes of a session after a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reuse {
    /// It sends the next.
    Keep,
    /// It ends; the next message has its own.
    PerMessage,
}

/// Submits the whole load.
///
/// # Errors
///
/// Any reply that is not the expected one, a connection that breaks, and the end of the time.
pub(crate) fn run(load: &Load, ledger: &Ledger) -> io::Result<()> {
    let mut work = Work {
        load,
        ledger,
        poller: Poller::new()?,
        template: Template::new(load.size, load.priority),
        next: load.first,
        chance: Chance::new(load.first),
    };
    let mut sessions = Vec::with_capacity(load.sessions);
    for token in 0..load.sessions {
        sessions.push(Some(Session::open(&work, token)?));
    }
    let deadline = SystemClock.instant() + load.limit;
    let mut ready = Vec::new();
    let mut living = sessions.len();
    while living > 0 {
        work.poller.wait(
            load.pace.map_or(TICK, |pace| pace.least.min(TICK)),
            &mut ready,
        )?;
        let now = SystemClock.instant();
        if now > deadline {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the load did not end in time",
            ));
        }
        if load.pace.is_some() {
            ready.clear();
            ready.extend(0..sessions.len());
        }
        for &token in &ready {
            if let Some(session) = sessions[token].as_mut()
                && !session.advance(&mut work, now)?
            {
                sessions[token] = None;
                living -= 1;
            }
        }
    }
    Ok(())
}

/// What all sessions share.
struct Work<'a> {
    load: &'a Load,
    ledger: &'a Ledger,
    poller: Poller,
    template: Template,
    next: u64,
    chance: Chance,
}

impl Work<'_> {
    fn number(&mut self) -> Option<u64> {
        let number = self.next;
        (number < self.load.first + self.load.count).then(|| {
            self.next += 1;
            number
        })
    }
}

struct Session {
    wire: Wire,
    token: usize,
    expected: VecDeque<Expected>,
    /// The message whose content is being written, and the octets left of it.
    writing: Option<(u64, usize)>,
    /// Messages whose final reply has not come.
    in_flight: usize,
    resume_at: Option<Instant>,
    encrypted: bool,
}

#[derive(Clone, Copy, Debug)]
enum Expected {
    Greeting,
    Hello,
    StartTls,
    Login,
    Mail(u64),
    Recipient(u64),
    Data(u64),
    End(u64),
    Quit,
}

impl Expected {
    fn code(self) -> &'static [u8; 3] {
        match self {
            Self::Greeting | Self::StartTls => b"220",
            Self::Login => b"235",
            Self::Data(_) => b"354",
            Self::Quit => b"221",
            Self::Hello | Self::Mail(_) | Self::Recipient(_) | Self::End(_) => b"250",
        }
    }
}

impl Session {
    fn open(work: &Work<'_>, token: usize) -> io::Result<Self> {
        let mut wire = Wire::connect(work.load.address, &work.poller, token)?;
        let encrypted = match &work.load.security {
            Security::Implicit(config) => {
                wire.start_tls(config)?;
                // Here the client speaks first.
                wire.flush(&work.poller)?;
                true
            }
            Security::Plain | Security::StartTls(_) => false,
        };
        Ok(Self {
            wire,
            token,
            expected: VecDeque::from([Expected::Greeting]),
            writing: None,
            in_flight: 0,
            resume_at: None,
            encrypted,
        })
    }

    /// Reads replies, acts on them, writes. `Ok(false)`: the session is over and no message is left.
    fn advance(&mut self, work: &mut Work<'_>, now: Instant) -> io::Result<bool> {
        let open = self.wire.receive()?;
        while let Some(reply) = self.reply()? {
            if !self.react(reply, work, now)? {
                return self.end(work);
            }
        }
        if self.resume_at.is_some_and(|time| time <= now) {
            self.resume_at = None;
            self.next_message(work);
        }
        if !open {
            let waiting = self.expected.front();
            return Err(io::Error::other(format!(
                "the server closed a session that waited for {waiting:?}"
            )));
        }
        while self.wire.flush(&work.poller)? && self.writing.is_some() {
            self.write_content(work);
        }
        Ok(true)
    }

    /// Takes the last line of the next reply, checks its code and tells what it answers.
    fn reply(&mut self) -> io::Result<Option<Expected>> {
        loop {
            let input = self.wire.input();
            let Some(end) = memchr::memchr(b'\n', input) else {
                return Ok(None);
            };
            let line = &input[..=end];
            if line.get(3) == Some(&b'-') {
                self.wire.take(end + 1);
                continue;
            }
            let expected = self.expected.pop_front();
            let good = expected.is_some_and(|expected| line.starts_with(expected.code()));
            if !good {
                let line = String::from_utf8_lossy(line).trim_end().to_owned();
                return Err(io::Error::other(format!(
                    "for {expected:?} the server said: {line}"
                )));
            }
            self.wire.take(end + 1);
            return Ok(expected);
        }
    }

    /// `Ok(false)`: the server has said goodbye.
    fn react(&mut self, reply: Expected, work: &mut Work<'_>, now: Instant) -> io::Result<bool> {
        match reply {
            Expected::Greeting => self.say(b"EHLO load.example\r\n", Expected::Hello),
            Expected::Hello => self.greeted(work),
            Expected::StartTls => {
                if let Security::StartTls(config) = &work.load.security {
                    self.wire.start_tls(config)?;
                    self.encrypted = true;
                }
                self.say(b"EHLO load.example\r\n", Expected::Hello);
            }
            Expected::Login => self.next_message(work),
            Expected::Mail(number) => {
                if work.load.flow == Flow::Lockstep {
                    message::recipient(number, self.wire.output());
                    self.expected.push_back(Expected::Recipient(number));
                }
            }
            Expected::Recipient(number) => {
                if work.load.flow == Flow::Lockstep {
                    self.say(b"DATA\r\n", Expected::Data(number));
                }
            }
            Expected::Data(number) => self.begin_content(number, work),
            Expected::End(number) => {
                work.ledger.accept(number);
                self.in_flight -= 1;
                self.after_message(work, now);
            }
            Expected::Quit => return Ok(false),
        }
        Ok(true)
    }

    fn greeted(&mut self, work: &mut Work<'_>) {
        if matches!(work.load.security, Security::StartTls(_)) && !self.encrypted {
            self.say(b"STARTTLS\r\n", Expected::StartTls);
        } else if let Some((user, password)) = &work.load.login {
            let secret = STANDARD.encode(format!("\0{user}\0{password}"));
            let line = format!("AUTH PLAIN {secret}\r\n");
            self.say(line.as_bytes(), Expected::Login);
        } else {
            self.next_message(work);
        }
    }

    fn after_message(&mut self, work: &mut Work<'_>, now: Instant) {
        if work.load.reuse == Reuse::PerMessage {
            self.say(b"QUIT\r\n", Expected::Quit);
        } else if let Some(pace) = work.load.pace {
            self.resume_at = Some(now + pace.next(&mut work.chance));
        } else if work.load.flow != Flow::Group || self.in_flight == 0 {
            // In a group the next message has been begun behind the content already.
            self.next_message(work);
        }
    }

    /// Begins as many messages as the flow allows; with none left and none in flight, says goodbye.
    fn next_message(&mut self, work: &mut Work<'_>) {
        while self.in_flight < window(work.load) && self.writing.is_none() {
            let Some(number) = work.number() else { break };
            self.begin(number, work);
        }
        if self.in_flight == 0 && self.expected.is_empty() {
            self.say(b"QUIT\r\n", Expected::Quit);
        }
    }

    fn begin(&mut self, number: u64, work: &mut Work<'_>) {
        self.in_flight += 1;
        if work.load.flow == Flow::Lockstep {
            message::mail(self.wire.output());
            self.expected.push_back(Expected::Mail(number));
            return;
        }
        message::envelope(number, self.wire.output());
        self.expected.push_back(Expected::Mail(number));
        self.expected.push_back(Expected::Recipient(number));
        if work.load.flow == Flow::Chunks {
            let line = format!("BDAT {} LAST\r\n", work.template.octets());
            self.wire.output().extend_from_slice(line.as_bytes());
            self.begin_content(number, work);
        } else {
            self.say(b"DATA\r\n", Expected::Data(number));
        }
    }

    fn begin_content(&mut self, number: u64, work: &mut Work<'_>) {
        let left = work.template.begin(number, self.wire.output());
        self.writing = Some((number, left));
        self.write_content(work);
    }

    /// Appends a step of the content, and at its end the final dot and what the flow puts behind it.
    fn write_content(&mut self, work: &mut Work<'_>) {
        let Some((number, left)) = self.writing.take() else {
            return;
        };
        let left = work.template.go_on(left, self.wire.output());
        if left > 0 {
            self.writing = Some((number, left));
            return;
        }
        if work.load.flow != Flow::Chunks {
            self.wire.output().extend_from_slice(b".\r\n");
        }
        work.ledger.end_of_data(number);
        self.expected.push_back(Expected::End(number));
        let joined = work.load.flow == Flow::Group
            && work.load.reuse == Reuse::Keep
            && work.load.pace.is_none();
        if joined && let Some(number) = work.number() {
            self.begin(number, work);
        }
    }

    fn say(&mut self, line: &[u8], expected: Expected) {
        self.wire.output().extend_from_slice(line);
        self.expected.push_back(expected);
    }

    /// The session has ended in good order; another one takes its place while there are messages.
    fn end(&mut self, work: &mut Work<'_>) -> io::Result<bool> {
        if work.load.reuse == Reuse::Keep || work.next >= work.load.first + work.load.count {
            return Ok(false);
        }
        *self = Self::open(work, self.token)?;
        Ok(true)
    }
}

/// Messages of a session that may be begun without a reply to the one before.
fn window(load: &Load) -> usize {
    match load.flow {
        Flow::Chunks if load.reuse == Reuse::Keep && load.pace.is_none() => 4,
        Flow::Chunks | Flow::Envelope | Flow::Group | Flow::Lockstep => 1,
    }
}

/// The longest wait before the time is looked at.
const TICK: Duration = Duration::from_millis(100);
