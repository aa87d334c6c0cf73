//! Commands: may this one run now, and what it does.

use std::sync::Arc;

use crate::identity::Identity;
use crate::mail::{Hold, Mailbox, Recipient, ReversePath};
use crate::smtp::command::{ChunkEnd, Command, CommandError};
use crate::smtp::data::{DataDecoder, DataLimits, Framing};
use crate::smtp::foreign::Foreign;
use crate::smtp::parameter::{MailParameters, ParameterError};
use crate::smtp::replies;
use crate::smtp::reply::Reply;
use crate::smtp::sasl::scram::{Binding, ServerFirst};
use crate::smtp::sasl::{Exchange, Mechanism, Next};

use super::question::{AskCredentials, AskMessage, AskRecipient, AskScram, AskSender, Question};
use super::session::{Client, Greeting, Session, Step};
use super::settings::AuthRule;
use super::state::{Part, Receiving, Skipping, Start, State, Transaction};

impl Session {
    /// Takes a line: a response inside AUTH, a command anywhere else.
    pub(super) fn line(&mut self, line: &[u8]) {
        if let Some(exchange) = self.take_exchange() {
            let next = exchange.respond(line);
            return self.continue_auth(next);
        }
        let settings = Arc::clone(&self.settings);
        match Command::parse(line, &settings.hostname) {
            Ok(command) => {
                self.ends_group = !command.may_be_grouped();
                self.command(command);
            }
            Err(error) => {
                self.ends_group = error == CommandError::Unknown;
                self.refuse_line(error);
            }
        }
    }

    fn refuse_line(&mut self, error: CommandError) {
        match error {
            CommandError::Foreign(foreign) => self.turn_away(foreign),
            CommandError::Parameter(ParameterError::Invalid) => {
                self.reply(&replies::INVALID_PARAMETER, "");
            }
            CommandError::Parameter(ParameterError::Unknown) => {
                self.reply(&replies::UNKNOWN_PARAMETER, "");
            }
            CommandError::Recipient(error) => {
                self.reply(&replies::RECIPIENT_SYNTAX, &error.to_string());
            }
            CommandError::Sender(error) => self.reply(&replies::SENDER_SYNTAX, &error.to_string()),
            CommandError::Syntax => self.reply(&replies::SYNTAX_ERROR, ""),
            CommandError::Unknown => self.reply(&replies::UNKNOWN_COMMAND, ""),
        }
    }

    fn command(&mut self, command: Command<'_>) {
        match command {
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial),
            Command::Bdat { size, end } => self.bdat(size, end),
            Command::Data => self.data(),
            Command::Ehlo(name) => self.ehlo(name),
            Command::Expn => self.idle(&replies::NOT_IMPLEMENTED),
            Command::Helo(name) => self.helo(name),
            Command::Help => self.idle(&replies::HELP),
            Command::Mail(reverse_path, parameters) => self.mail(reverse_path, parameters),
            Command::Noop => self.idle(&replies::OK),
            Command::Quit => {
                self.discard();
                self.close(&replies::GOODBYE);
            }
            Command::Rcpt(recipient) => self.rcpt(recipient),
            Command::Rset => {
                self.discard();
                self.idle(&replies::OK);
            }
            Command::StartTls => self.starttls(),
            Command::Vrfy => self.idle(&replies::VRFY_UNCERTAIN),
        }
    }

    /// Ends a session that is none. Whoever speaks a binary protocol understands no reply, and has had the greeting.
    pub(super) fn turn_away(&mut self, foreign: Foreign) {
        self.foreign = Some(foreign);
        match foreign {
            Foreign::Http | Foreign::Ssh => self.close(&replies::NOT_SMTP),
            Foreign::Proxy => self.close(&replies::PROXY_NOT_TAKEN),
            Foreign::Rdp | Foreign::Tls => self.hang_up(),
        }
    }

    /// A command that brings no message nearer.
    fn idle(&mut self, reply: &Reply) {
        self.counts.idle_commands += 1;
        self.reply(reply, "");
    }

    /// Ends the transaction, if there is one.
    fn discard(&mut self) {
        if matches!(self.state, State::Receiving(_)) {
            self.steps.push_back(Step::Discard);
        }
        self.state = State::Ready;
    }

    fn helo(&mut self, name: &str) {
        self.counts.idle_commands += 1;
        self.discard();
        self.client = Client {
            helo: name.into(),
            greeting: Greeting::Plain,
        };
        let line = format!("250 {}\r\n", self.settings.hostname.as_ascii());
        self.write(line.as_bytes());
    }

    fn ehlo(&mut self, name: &str) {
        self.counts.idle_commands += 1;
        self.discard();
        self.client = Client {
            helo: name.into(),
            greeting: Greeting::Extended,
        };
        let reply = self.offer();
        self.write(&reply);
    }

    fn starttls(&mut self) {
        if self.tls.is_some() {
            return self.reply(&replies::BAD_SEQUENCE, "TLS is in use already");
        }
        if !self.offers_starttls() {
            return self.reply(&replies::NOT_IMPLEMENTED, "");
        }
        if !matches!(self.state, State::Ready) {
            return self.reply(&replies::BAD_SEQUENCE, "a message is in progress");
        }
        self.begin_tls();
    }

    fn auth(&mut self, mechanism: &str, initial: Option<&str>) {
        if self.settings.auth == AuthRule::Off {
            return self.reply(&replies::NOT_IMPLEMENTED, "");
        }
        if !matches!(self.state, State::Ready) {
            return self.reply(&replies::BAD_SEQUENCE, "a message is in progress");
        }
        if !self.offers_auth() {
            return self.reply(&replies::ENCRYPTION_REQUIRED, "");
        }
        if self.client.greeting == Greeting::None {
            return self.reply(&replies::BAD_SEQUENCE, "say EHLO first");
        }
        if self.identity.as_ref().is_some_and(Identity::has_logged_in) {
            return self.reply(&replies::BAD_SEQUENCE, "already logged in");
        }
        match Mechanism::parse(mechanism).filter(|mechanism| self.offers(*mechanism)) {
            Some(mechanism) => {
                let next = Exchange::begin(mechanism, initial, self.binding(mechanism));
                self.continue_auth(next);
            }
            None => self.reply(&replies::UNKNOWN_MECHANISM, ""),
        }
    }

    fn continue_auth(&mut self, next: Next) {
        match next {
            Next::Challenge(exchange, reply) => {
                self.state = State::Authenticating(exchange);
                self.reply(&reply, "");
            }
            Next::Credentials(credentials) => {
                self.ask(Question::Credentials(AskCredentials { credentials }));
            }
            Next::LoggedIn(identity) => self.authenticated(*identity),
            Next::Refused(reply) => self.not_authenticated(&reply),
            Next::ScramKeys(first) => self.ask(Question::Scram(AskScram { first })),
        }
    }

    /// Returns what SCRAM must bind to.
    fn binding(&self, mechanism: Mechanism) -> Binding {
        let exporter = self.tls.as_ref().and_then(|tls| tls.exporter);
        let is_bound = mechanism == Mechanism::ScramSha256Plus;
        match exporter {
            Some(key) if is_bound => Binding::Exporter(key),
            _ if self.offers(Mechanism::ScramSha256Plus) => Binding::Downgrade,
            _ => Binding::None,
        }
    }

    /// Goes on with the server's answer to a client's first message.
    pub(super) fn scram_answered(&mut self, server: ServerFirst) {
        self.write(&replies::challenge(server.message().as_bytes()));
        self.state = State::Authenticating(Exchange::ScramLast(Box::new(server)));
    }

    /// Proves to the client that the server knows the password too; its empty response completes the login.
    pub(super) fn prove(&mut self, message: &str, identity: Identity) {
        self.write(&replies::challenge(message.as_bytes()));
        self.state = State::Authenticating(Exchange::ScramProved(Box::new(identity)));
    }

    pub(super) fn authenticated(&mut self, identity: Identity) {
        self.identity = Some(identity);
        self.answer(State::Ready, &replies::AUTHENTICATED, "");
    }

    /// Tells a client why its token is refused. The failure is counted with the reply that follows.
    pub(super) fn explain_refusal(&mut self) {
        let state = State::Authenticating(Exchange::TokenRefused);
        self.answer(state, &replies::TOKEN_CHALLENGE, "");
    }

    pub(super) fn not_authenticated(&mut self, reply: &Reply) {
        self.counts.auth_failures += u32::from(reply.code() == replies::AUTH_FAILED.code());
        self.answer(State::Ready, reply, "");
        let is_over = self.counts.auth_failures >= self.settings.limits.auth_failures;
        if is_over && !matches!(self.state, State::Closing) {
            self.close(&replies::TOO_MANY_LOGINS);
        }
    }

    pub(super) fn ask(&mut self, question: Question) {
        self.state = State::Asking;
        self.steps.push_back(Step::Ask(question));
    }

    fn mail(&mut self, reverse_path: ReversePath, parameters: MailParameters) {
        if !matches!(self.state, State::Ready) {
            return self.reply(&replies::BAD_SEQUENCE, "a message is in progress");
        }
        if self.client.greeting == Greeting::None {
            return self.reply(&replies::BAD_SEQUENCE, "say EHLO first");
        }
        if self.identity.is_none() {
            let reply = if self.offers_auth() || !self.offers_starttls() {
                replies::AUTH_REQUIRED
            } else {
                replies::STARTTLS_REQUIRED
            };
            return self.reply(&reply, "");
        }
        if self.client.greeting == Greeting::Plain && !parameters.is_empty() {
            return self.reply(&replies::UNKNOWN_PARAMETER, "");
        }
        if parameters.require_tls.is_some() && !self.offers_require_tls() {
            return self.reply(&replies::UNKNOWN_PARAMETER, "");
        }
        if parameters
            .size
            .is_some_and(|size| size > self.settings.limits.message_size)
        {
            return self.refuse_size();
        }
        if parameters.smtputf8.is_none() && !reverse_path.is_ascii() {
            return self.reply(&replies::SMTPUTF8_REQUIRED, "");
        }
        if let Some((reply, detail)) = self.fault_of_timing(&parameters) {
            return self.reply(&reply, &detail);
        }
        if self.counts.messages >= self.settings.limits.messages {
            return self.close(&replies::TOO_MANY_MESSAGES);
        }
        self.ask(Question::Sender(AskSender {
            reverse_path,
            parameters,
        }));
    }

    /// Returns what is wrong with HOLDFOR, HOLDUNTIL and BY, as far as that needs no clock.
    fn fault_of_timing(&self, parameters: &MailParameters) -> Option<(Reply, String)> {
        let limits = &self.settings.limits;
        match (parameters.hold, limits.future_release) {
            (Some(_), None) => return Some((replies::UNKNOWN_PARAMETER, String::new())),
            (Some(Hold::For(span)), Some(longest)) if span > longest => {
                let detail = format!("the limit is {} seconds", longest.as_secs());
                return Some((replies::HELD_TOO_LONG, detail));
            }
            (None, _) | (Some(Hold::For(_) | Hold::Until(_)), Some(_)) => {}
        }
        match (parameters.by, limits.deliver_by_min) {
            (Some(_), None) => Some((replies::UNKNOWN_PARAMETER, String::new())),
            (Some(by), Some(least)) if by.is_below(least) => {
                let detail = format!("at least {} seconds", least.as_secs());
                Some((replies::DEADLINE_TOO_NEAR, detail))
            }
            (None, _) | (Some(_), Some(_)) => None,
        }
    }

    pub(super) fn refuse_size(&mut self) {
        let limit = format!("the limit is {} octets", self.settings.limits.message_size);
        self.reply(&replies::MESSAGE_TOO_LARGE, &limit);
    }

    fn rcpt(&mut self, recipient: Recipient) {
        match self.take_transaction() {
            Some(transaction) => self.rcpt_in(transaction, recipient),
            None => self.reply(
                &replies::BAD_SEQUENCE,
                "MAIL comes before RCPT, RCPT before the message",
            ),
        }
    }

    fn rcpt_in(&mut self, transaction: Transaction, recipient: Recipient) {
        let is_full =
            transaction.envelope.recipients.len() >= usize::from(self.settings.limits.recipients);
        let is_plain = recipient.notify.is_none() && recipient.original.is_none();
        let fault = if is_full {
            replies::TOO_MANY_RECIPIENTS
        } else if self.client.greeting == Greeting::Plain && !is_plain {
            replies::UNKNOWN_PARAMETER
        } else if !transaction.envelope.smtputf8
            && !Mailbox::is_ascii(recipient.forward_path.mailbox())
        {
            replies::SMTPUTF8_REQUIRED
        } else {
            return self.ask(Question::Recipient(AskRecipient {
                transaction,
                recipient,
            }));
        };
        self.state = State::Transaction(transaction);
        if is_full {
            // A client that sends a large list in several messages must not run into the limit of errors.
            self.excuse();
        }
        self.reply(&fault, "");
    }

    fn data(&mut self) {
        match self.take_transaction() {
            Some(transaction) if transaction.envelope.recipients.is_empty() => {
                self.state = State::Transaction(transaction);
                self.reply(&replies::NO_RECIPIENTS, "");
            }
            Some(transaction) => self.ask(Question::Message(AskMessage {
                transaction,
                start: Start::Data,
            })),
            None => self.reply(
                &replies::BAD_SEQUENCE,
                "MAIL and RCPT come before DATA, and DATA does not mix with BDAT",
            ),
        }
    }

    fn bdat(&mut self, size: u64, end: ChunkEnd) {
        if size > self.settings.limits.message_size {
            // So large a chunk is not even skipped.
            self.refuse_size();
            return self.close(&replies::CHUNK_TOO_LARGE);
        }
        if let State::Receiving(receiving) = &mut self.state {
            receiving.part = Part::of_chunk(size, end);
            return;
        }
        match self.take_transaction() {
            Some(transaction) if !transaction.envelope.recipients.is_empty() => {
                let start = Start::Chunk { size, end };
                self.ask(Question::Message(AskMessage { transaction, start }));
            }
            Some(_) => self.skip_chunk(size, replies::NO_RECIPIENTS),
            None => self.skip_chunk(size, replies::NO_MESSAGE),
        }
    }

    /// Without a message the octets of a chunk follow all the same (RFC 3030 §2).
    pub(super) fn skip_chunk(&mut self, octets: u64, reply: Reply) {
        self.state = State::Skipping(Skipping { octets, reply });
    }

    pub(super) fn begin_message(&mut self, start: Start) {
        let limits = DataLimits {
            size: self.settings.limits.message_size,
            line: self.settings.limits.data_line,
            bare_newlines: self.settings.bare_newlines,
        };
        let (framing, part) = match start {
            Start::Chunk { size, end } => (Framing::Counted, Part::of_chunk(size, end)),
            Start::Data => {
                self.reply(&replies::START_DATA, "");
                (Framing::Dots, Part::Dots)
            }
        };
        self.progress();
        self.state = State::Receiving(Receiving {
            decoder: DataDecoder::new(framing, limits),
            part,
        });
    }

    /// Takes the transaction out of the state, where there is one; the state is then for the caller to set.
    fn take_transaction(&mut self) -> Option<Transaction> {
        if !matches!(self.state, State::Transaction(_)) {
            return None;
        }
        let State::Transaction(transaction) = std::mem::replace(&mut self.state, State::Ready)
        else {
            return None;
        };
        Some(transaction)
    }

    fn take_exchange(&mut self) -> Option<Exchange> {
        if !matches!(self.state, State::Authenticating(_)) {
            return None;
        }
        let State::Authenticating(exchange) = std::mem::replace(&mut self.state, State::Ready)
        else {
            return None;
        };
        Some(exchange)
    }
}
