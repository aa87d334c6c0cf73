//! The session: octets and answers in, steps out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use zeroize::Zeroize as _;

use crate::clock::Timestamp;
use crate::identity::Identity;
use crate::smtp::command::begins_with_auth;
use crate::smtp::foreign::Foreign;
use crate::smtp::line::LineSplitter;
use crate::smtp::replies;
use crate::smtp::reply::Reply;
use crate::smtp::sasl::Mechanism;
use crate::smtp::sasl::scram::Key;

use super::question::Question;
use super::settings::{AuthRule, Limits, Settings, TlsMode};
use super::state::{Part, Receiving, State};

/// One client connection, from greeting to close (RFC 5321 §3), without the connection.
///
/// Call [`Session::poll`] until it says [`Step::Read`]; then give it what was read and poll again. Answer every
/// question before the next poll. The session never blocks, never fails and reads no clock.
#[derive(Debug)]
pub struct Session {
    pub(super) settings: Arc<Settings>,
    pub(super) state: State,
    pub(super) client: Client,
    pub(super) counts: Counts,
    pub(super) tls: Option<TlsFacts>,
    pub(super) identity: Option<Identity>,
    /// Who the client is by its network; a login stands above it.
    neighbour: Option<Identity>,
    pub(super) body: VecDeque<Bytes>,
    pub(super) steps: VecDeque<Step>,
    input: BytesMut,
    output: BytesMut,
    /// Whether the last reply may not wait for those behind it (RFC 2920 §3.2).
    pub(super) ends_group: bool,
    splitter: LineSplitter,
    label: String,
    began: Began,
    /// The time of the last poll.
    now: Instant,
    waiting_since: Option<Instant>,
    /// When the message that is coming in began.
    message_since: Option<Instant>,
    stopping: Stopping,
    /// The other protocol that the client speaks.
    pub(super) foreign: Option<Foreign>,
}

/// What the session wants next.
#[derive(Debug)]
#[must_use = "the session stands still until its step is taken"]
pub enum Step {
    /// Answer this question.
    Ask(Question),
    /// Octets of the message, in order, unstuffed, lines ended by CRLF.
    Body(Bytes),
    /// Close the connection.
    Close,
    /// The message in progress is over: throw away what was kept of it.
    Discard,
    /// Read into [`Session::receive`], then poll; or poll after the deadline, which gives a 421.
    Read {
        /// Until when to wait.
        deadline: Instant,
    },
    /// Do the TLS handshake, then call [`Session::tls_started`]. What the client sent before is gone.
    StartTls,
    /// Write these octets, then poll.
    Write(Bytes),
}

/// When a session began, by both clocks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Began {
    /// What deadlines are made of.
    pub instant: Instant,
    /// What a client is told in EHLO; nothing is decided by it.
    pub civil: Timestamp,
}

/// What a TLS handshake came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsFacts {
    /// Such as `TLSv1.3`.
    pub version: &'static str,
    /// Such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// The exporter of TLS 1.3 that SCRAM-SHA-256-PLUS binds to (RFC 9266), where that is offered.
    pub exporter: Option<Key>,
}

/// What the client said of itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Client {
    /// The argument of EHLO or HELO; empty before.
    pub helo: Box<str>,
    /// How it greeted.
    pub greeting: Greeting,
}

/// How a client greeted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Greeting {
    /// With EHLO: extensions may be used.
    Extended,
    /// Not yet.
    #[default]
    None,
    /// With HELO: no extensions.
    Plain,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) errors: u32,
    /// Refusals to come that are not the client's errors.
    pub(super) excused: u32,
    pub(super) auth_failures: u32,
    pub(super) idle_commands: u32,
    pub(super) messages: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stopping {
    Crowded,
    No,
    Soon,
}

impl Session {
    /// Makes the session of a new connection. `identity` is who the client is by its network, if it is somebody.
    ///
    /// `label` stands in parentheses behind every refusal, so that a person can quote it and an operator find the
    /// session in the log; an empty one is left out.
    pub fn new(
        settings: Arc<Settings>,
        identity: Option<Identity>,
        label: &str,
        began: Began,
    ) -> Self {
        Self {
            settings,
            state: State::Connected,
            client: Client::default(),
            counts: Counts::default(),
            tls: None,
            identity: identity.clone(),
            neighbour: identity,
            body: VecDeque::new(),
            steps: VecDeque::new(),
            input: BytesMut::new(),
            output: BytesMut::new(),
            ends_group: false,
            splitter: LineSplitter::default(),
            label: if label.is_empty() {
                String::new()
            } else {
                format!(" ({label})")
            },
            began,
            now: began.instant,
            waiting_since: None,
            message_since: None,
            stopping: Stopping::No,
            foreign: None,
        }
    }

    /// Takes what was read from the connection, in pieces of any size.
    pub fn receive(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
    }

    /// Takes the result of a handshake: after [`Step::StartTls`], or before the first poll for implicit TLS.
    ///
    /// All that the client said before is forgotten (RFC 3207 §4.2).
    pub fn tls_started(&mut self, facts: TlsFacts) {
        self.tls = Some(facts);
        self.client = Client::default();
        self.identity = self.neighbour.clone();
        if matches!(self.state, State::Handshake) {
            self.state = State::Ready;
        }
        self.progress();
    }

    /// Ends the session at the next pause between messages, with a 421.
    pub fn stop(&mut self) {
        self.stopping = Stopping::Soon;
    }

    /// Ends the session at the next pause between messages, with a 421 that says that others need the place.
    pub fn make_room(&mut self) {
        self.stopping = Stopping::Crowded;
    }

    /// Forgets who the client was: its account has changed. It is now who it is by its network, if it is somebody, and
    /// may log in again.
    pub fn log_out(&mut self, neighbour: Option<Identity>) {
        self.identity.clone_from(&neighbour);
        self.neighbour = neighbour;
    }

    /// Returns whether [`Session::stop`] or [`Session::make_room`] was called.
    pub fn is_stopping(&self) -> bool {
        self.stopping != Stopping::No
    }

    /// Returns whether the octets of a message come in.
    pub fn is_receiving(&self) -> bool {
        matches!(self.state, State::Receiving(_))
    }

    /// Returns the other protocol that the client speaks, where that is why the session is closed.
    pub fn foreign(&self) -> Option<Foreign> {
        self.foreign
    }

    /// Returns its bounds.
    pub fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// Returns the civil time of the last poll, as far as a clock that was not set meanwhile would tell it.
    pub(super) fn civil_time(&self) -> Timestamp {
        let began = self.began;
        began
            .civil
            .after(self.now.saturating_duration_since(began.instant))
    }

    /// Returns who the client is, if it has logged in or is known by its network.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Returns what the client said of itself.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns what the handshake came to, inside TLS.
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_ref()
    }

    /// Returns the next step. After [`Step::Close`] there is only another [`Step::Close`].
    pub fn poll(&mut self, now: Instant) -> Step {
        self.now = now;
        loop {
            if let Some(step) = self.next_ready() {
                return step;
            }
            // A client that pipelines and does not read must not have its replies gathered without end.
            let ends_group = std::mem::take(&mut self.ends_group) && !self.output.is_empty();
            if ends_group || self.output.len() > MAX_OUTPUT {
                return Step::Write(self.output.split().freeze());
            }
            if !self.advance() {
                return self.pause(now);
            }
        }
    }

    fn next_ready(&mut self) -> Option<Step> {
        self.body
            .pop_front()
            .map(Step::Body)
            .or_else(|| self.steps.pop_front())
    }

    /// Does what can be done without more input; returns whether anything was done.
    fn advance(&mut self) -> bool {
        match self.state {
            State::Asking => {
                debug_assert!(false, "a question was dropped without an answer");
                self.close(&replies::INTERNAL_ERROR);
                true
            }
            State::Connected => {
                self.greet();
                true
            }
            State::Closing | State::Handshake => false,
            State::Authenticating(_) | State::Ready if self.is_stopping() => {
                let reply = match self.stopping {
                    Stopping::Crowded => &replies::TOO_MANY_CONNECTIONS,
                    Stopping::No | Stopping::Soon => &replies::SHUTTING_DOWN,
                };
                self.close(reply);
                true
            }
            State::Receiving(Receiving {
                part: Part::BetweenChunks,
                ..
            })
            | State::Authenticating(_)
            | State::Ready
            | State::Transaction(_) => self.read_line(),
            State::Receiving(_) => self.read_body(),
            State::Skipping(_) => self.skip(),
        }
    }

    /// Nothing more can be done: write what is due, or wait.
    fn pause(&mut self, now: Instant) -> Step {
        if !self.output.is_empty() {
            return Step::Write(self.output.split().freeze());
        }
        match self.state {
            State::Closing => Step::Close,
            State::Handshake => Step::StartTls,
            State::Asking
            | State::Authenticating(_)
            | State::Connected
            | State::Ready
            | State::Receiving(_)
            | State::Skipping(_)
            | State::Transaction(_) => self.wait(now),
        }
    }

    fn wait(&mut self, now: Instant) -> Step {
        self.let_go();
        let (deadline, reply) = self.deadline(now);
        if now < deadline {
            return Step::Read { deadline };
        }
        self.close(reply);
        Step::Write(self.output.split().freeze())
    }

    /// Gives back the memory of what is done: most sessions wait for most of their time.
    fn let_go(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        if !matches!(self.state, State::Receiving(_)) {
            self.output = BytesMut::new();
            self.body = VecDeque::new();
            self.steps = VecDeque::new();
        }
    }

    /// Returns until when the client is waited for, and what it hears then.
    fn deadline(&mut self, now: Instant) -> (Instant, &'static Reply) {
        let timeouts = &self.settings.timeouts;
        let since = *self.waiting_since.get_or_insert(now);
        let State::Receiving(receiving) = &self.state else {
            self.message_since = None;
            let deadline = since + timeouts.command;
            let login = self.began.instant + timeouts.before_auth;
            return match self.identity {
                None if login < deadline => (login, &replies::LOGIN_TIMEOUT),
                _ => (deadline, &replies::TIMEOUT),
            };
        };
        let message_since = *self.message_since.get_or_insert(now);
        let patience = match receiving.part {
            Part::BetweenChunks => timeouts.command,
            Part::Chunk(_) | Part::Dots | Part::LastChunk(_) => timeouts.data,
        };
        let whole = message_since + timeouts.data.saturating_mul(MESSAGE_TIMEOUTS);
        ((since + patience).min(whole), &replies::TIMEOUT)
    }

    /// Takes a command line or a line of AUTH, if one is there.
    fn read_line(&mut self) -> bool {
        if let Some(foreign) = self.foreign_octets() {
            self.input.clear();
            self.turn_away(foreign);
            return true;
        }
        let limits = &self.settings.limits;
        let is_auth = self.is_authenticating() || begins_with_auth(&self.input);
        let limit = if is_auth {
            limits.auth_line
        } else {
            limits.command_line
        };
        let Some(line) = self.splitter.take(&mut self.input, limit) else {
            return false;
        };
        self.progress();
        if let Ok(mut line) = line {
            self.line(&line);
            if is_auth {
                line.zeroize();
            }
        } else if self.is_authenticating() {
            // The exchange is over; what follows is a command again (RFC 4954 §4).
            self.state = State::Ready;
            self.reply(&replies::AUTH_LINE_TOO_LONG, "");
        } else {
            self.reply(&replies::LINE_TOO_LONG, "");
        }
        self.limit_errors();
        true
    }

    /// Returns the binary protocol of what comes in the place of a command.
    fn foreign_octets(&self) -> Option<Foreign> {
        let is_command = !self.is_authenticating() && self.splitter.is_at_start();
        Foreign::of_octets(&self.input).filter(|_| is_command)
    }

    fn is_authenticating(&self) -> bool {
        matches!(self.state, State::Authenticating(_))
    }

    fn read_body(&mut self) -> bool {
        if self.input.is_empty() && !self.is_chunk_complete() {
            return false;
        }
        self.progress();
        self.body_octets();
        true
    }

    fn skip(&mut self) -> bool {
        let State::Skipping(skipping) = &mut self.state else {
            return false;
        };
        let here = self
            .input
            .len()
            .min(usize::try_from(skipping.octets).unwrap_or(usize::MAX));
        let _skipped = self.input.split_to(here);
        skipping.octets -= here as u64;
        if skipping.octets > 0 {
            return false;
        }
        let reply = skipping.reply;
        self.answer(State::Ready, &reply, "");
        true
    }

    /// Notes that the client has done something whole, so that its time begins anew.
    pub(super) fn progress(&mut self) {
        self.waiting_since = None;
    }

    pub(super) fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Writes a reply and counts it where it is a refusal.
    pub(super) fn reply(&mut self, reply: &Reply, detail: &str) {
        if reply.is_positive() {
            self.output.extend_from_slice(&reply.line_with(detail));
            return;
        }
        match self.counts.excused {
            0 => self.counts.errors += 1,
            _ => self.counts.excused -= 1,
        }
        // The label stands at the end however long the detail is.
        let room = MAX_DETAIL.saturating_sub(self.label.len());
        let mut line = reply
            .line_with(&detail.chars().take(room).collect::<String>())
            .to_vec();
        line.splice(line.len() - 2..line.len() - 2, self.label.bytes());
        self.output.extend_from_slice(&line);
    }

    /// Writes a whole reply of several lines.
    pub(super) fn write(&mut self, octets: &[u8]) {
        self.output.extend_from_slice(octets);
    }

    /// Lets the refusal that follows not count as an error of the client's.
    pub(super) fn excuse(&mut self) {
        self.counts.excused += 1;
    }

    /// Goes to a state with a reply.
    pub(super) fn answer(&mut self, state: State, reply: &Reply, detail: &str) {
        self.state = state;
        self.progress();
        if reply.code() == CLOSING_CODE {
            return self.close(reply);
        }
        self.reply(reply, detail);
        self.limit_errors();
    }

    /// Writes the last reply.
    pub(super) fn close(&mut self, reply: &Reply) {
        if matches!(self.state, State::Receiving(_)) {
            self.steps.push_back(Step::Discard);
        }
        self.reply(reply, "");
        self.state = State::Closing;
    }

    /// Closes without a word.
    pub(super) fn hang_up(&mut self) {
        if matches!(self.state, State::Receiving(_)) {
            self.steps.push_back(Step::Discard);
        }
        self.state = State::Closing;
    }

    fn limit_errors(&mut self) {
        let limits = &self.settings.limits;
        let excess = if self.counts.errors > limits.errors {
            &replies::TOO_MANY_ERRORS
        } else if self.counts.idle_commands > limits.idle_commands {
            &replies::TOO_MANY_COMMANDS
        } else {
            return;
        };
        if !matches!(self.state, State::Closing) {
            self.close(excess);
        }
    }

    fn greet(&mut self) {
        let greeting = format!(
            "220 {} ESMTP posthouse\r\n",
            self.settings.hostname.as_ascii()
        );
        self.write(greeting.as_bytes());
        self.state = State::Ready;
    }

    /// Throws away what the client sent before TLS: it must not be executed inside (RFC 3207 §6).
    pub(super) fn begin_tls(&mut self) {
        self.input.clear();
        self.splitter = LineSplitter::default();
        self.reply(&replies::READY_FOR_TLS, "");
        self.state = State::Handshake;
    }

    /// Returns whether AUTH is offered now.
    pub(super) fn offers_auth(&self) -> bool {
        match self.settings.auth {
            AuthRule::AfterTls => self.tls.is_some(),
            AuthRule::Always => true,
            AuthRule::Off => false,
        }
    }

    /// Returns the mechanisms of AUTH that this session can use, in the order of the offer.
    pub(super) fn mechanisms(&self) -> impl Iterator<Item = Mechanism> + '_ {
        let all = self.settings.mechanisms.iter().copied();
        all.filter(|mechanism| match mechanism {
            Mechanism::ScramSha256Plus => {
                self.tls.as_ref().is_some_and(|tls| tls.exporter.is_some())
            }
            Mechanism::External
            | Mechanism::Login
            | Mechanism::OAuthBearer
            | Mechanism::Plain
            | Mechanism::ScramSha256
            | Mechanism::XOAuth2 => true,
        })
    }

    /// Returns whether a mechanism is among them.
    pub(super) fn offers(&self, mechanism: Mechanism) -> bool {
        self.mechanisms().any(|offered| offered == mechanism)
    }

    /// Returns whether REQUIRETLS is offered now: only where this session is encrypted itself (RFC 8689 §2).
    pub(super) fn offers_require_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Returns whether STARTTLS is offered now.
    pub(super) fn offers_starttls(&self) -> bool {
        self.settings.tls == TlsMode::StartTls && self.tls.is_none()
    }
}

/// The code that announces the end of the connection (RFC 5321 §3.8).
const CLOSING_CODE: u16 = 421;

/// Replies that may wait to be written, in octets, before no more commands are read.
const MAX_OUTPUT: usize = 16 << 10;

/// How many times its `data` timeout a whole message may take: two hours by default.
const MESSAGE_TIMEOUTS: u32 = 40;

/// The longest detail of a refusal, in octets: with the longest text of a reply it stays below the 512 octets of a
/// line (RFC 5321 §4.5.3.1.5).
const MAX_DETAIL: usize = 400;
