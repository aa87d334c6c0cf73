//! What a session asks whoever drives it. A question is consumed by its answer: a second one does not compile.

use crate::clock::Timestamp;
use crate::identity::Identity;
use crate::mail::{
    BodyType, DeliverBy, Envelope, Lines, MtPriority, Recipient, ReversePath, TlsRequest,
};
use crate::smtp::parameter::MailParameters;
use crate::smtp::replies;
use crate::smtp::reply::Reply;
use crate::smtp::sasl::Credentials;
use crate::smtp::sasl::scram::{ClientFirst, Keys, Proven};

use super::session::Session;
use super::state::{Start, State, Transaction};

/// A decision that the session needs before it reads on.
#[derive(Debug)]
pub enum Question {
    /// A client wants to log in.
    Credentials(AskCredentials),
    /// A client wants to prove that it knows a password.
    Scram(AskScram),
    /// A client names the sender of a message.
    Sender(AskSender),
    /// A client names a recipient.
    Recipient(AskRecipient),
    /// The envelope is complete and the message follows.
    Message(AskMessage),
    /// The message is complete.
    Commit(AskCommit),
}

/// May this client be whom it says?
#[derive(Debug)]
#[must_use = "the session waits for the answer"]
pub struct AskCredentials {
    pub(super) credentials: Credentials,
}

impl AskCredentials {
    /// Returns what the client gave.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Answers: yes, as this identity.
    pub fn accept(self, session: &mut Session, identity: Identity) {
        match self.credentials {
            Credentials::Scram {
                proven: Proven::Right(message),
                ..
            } => session.prove(&message, identity),
            Credentials::Certificate { .. }
            | Credentials::Password { .. }
            | Credentials::Scram { .. }
            | Credentials::Token { .. } => session.authenticated(identity),
        }
    }

    /// Answers: no. A 535 counts as a failed login; where a token is refused, the client is first told why (RFC 7628
    /// §3.2.3), and hears the 535 when it has taken note.
    pub fn refuse(self, session: &mut Session, reply: &Reply) {
        let is_failure = reply.code() == replies::AUTH_FAILED.code();
        match self.credentials {
            Credentials::Token { .. } if is_failure => session.explain_refusal(),
            Credentials::Certificate { .. }
            | Credentials::Password { .. }
            | Credentials::Scram { .. }
            | Credentials::Token { .. } => session.not_authenticated(reply),
        }
    }
}

/// What is kept of the password of this name?
#[derive(Debug)]
#[must_use = "the session waits for the answer"]
pub struct AskScram {
    pub(super) first: ClientFirst,
}

impl AskScram {
    /// Returns the user name.
    pub fn name(&self) -> &str {
        &self.first.name
    }

    /// Answers: this; for a name that is nobody's what no password fits. `nonce` is fresh from the system's random
    /// generator, printable ASCII without commas.
    pub fn go_on(self, session: &mut Session, keys: Keys, nonce: &str) {
        session.scram_answered(self.first.answer(keys, nonce));
    }

    /// Answers: nobody logs in now.
    pub fn refuse(self, session: &mut Session, reply: &Reply) {
        session.not_authenticated(reply);
    }
}

/// May a message with this reverse-path be sent?
#[derive(Debug)]
#[must_use = "the session waits for the answer"]
pub struct AskSender {
    pub(super) reverse_path: ReversePath,
    pub(super) parameters: MailParameters,
}

impl AskSender {
    /// Returns the reverse-path.
    pub fn reverse_path(&self) -> &ReversePath {
        &self.reverse_path
    }

    /// Returns what else MAIL asks for. All of it is offered, and within the limits that need no clock.
    pub fn parameters(&self) -> &MailParameters {
        &self.parameters
    }

    /// Answers: yes, on these terms.
    pub fn allow(self, session: &mut Session, terms: Terms) {
        let envelope = Envelope {
            reverse_path: self.reverse_path,
            body: self.parameters.body.unwrap_or(BodyType::SevenBit),
            lines: Lines::Unknown,
            smtputf8: self.parameters.smtputf8.is_some(),
            ret: self.parameters.ret,
            envelope_id: self.parameters.envelope_id,
            hold: self.parameters.hold,
            deliver_by: terms.deliver_by,
            mt_priority: self.parameters.mt_priority,
            tls: match self.parameters.require_tls {
                Some(()) => TlsRequest::Required,
                None => TlsRequest::Unsaid,
            },
            recipients: Vec::new(),
        };
        let state = State::Transaction(Transaction {
            envelope,
            release: terms.release,
        });
        match terms.new_priority {
            Some(priority) => {
                let detail = replies::new_priority(priority);
                session.answer(state, &replies::PRIORITY_CHANGED, &detail);
            }
            None => session.answer(state, &replies::SENDER_OK, ""),
        }
    }

    /// Answers: no.
    pub fn refuse(self, session: &mut Session, reply: &Reply, detail: &str) {
        session.answer(State::Ready, reply, detail);
    }
}

/// On which terms a message is taken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Terms {
    /// When it may first be relayed, where it is to be held (RFC 4865).
    pub release: Option<Timestamp>,
    /// By when it must have been delivered (RFC 2852).
    pub deliver_by: Option<DeliverBy>,
    /// The MT-PRIORITY that it gets instead of the one asked for (RFC 6710).
    pub new_priority: Option<MtPriority>,
}

/// May the message go to this recipient?
#[derive(Debug)]
#[must_use = "the session waits for the answer"]
pub struct AskRecipient {
    pub(super) transaction: Transaction,
    pub(super) recipient: Recipient,
}

impl AskRecipient {
    /// Returns the recipient.
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// Returns the envelope so far.
    pub fn envelope(&self) -> &Envelope {
        &self.transaction.envelope
    }

    /// Answers: yes.
    pub fn allow(mut self, session: &mut Session) {
        self.transaction.envelope.recipients.push(self.recipient);
        session.answer(
            State::Transaction(self.transaction),
            &replies::RECIPIENT_OK,
            "",
        );
    }

    /// Answers: no. The transaction goes on. A 4yz is no error of the client's: it may have a long list of recipients.
    pub fn refuse(self, session: &mut Session, reply: &Reply, detail: &str) {
        if reply.is_transient() {
            session.excuse();
        }
        session.answer(State::Transaction(self.transaction), reply, detail);
    }
}

/// May the message come? Its envelope goes to whoever answers, and stays there.
#[derive(Debug)]
#[must_use = "the session waits for the answer"]
pub struct AskMessage {
    pub(super) transaction: Transaction,
    pub(super) start: Start,
}

impl AskMessage {
    /// Returns the envelope; it has at least one recipient.
    pub fn envelope(&self) -> &Envelope {
        &self.transaction.envelope
    }

    /// Answers: yes. Returns all that was said of the message.
    pub fn begin(self, session: &mut Session) -> Transaction {
        session.begin_message(self.start);
        self.transaction
    }

    /// Answers: no. The transaction stands; of BDAT the chunk is skipped first, and the transaction ends.
    pub fn refuse(self, session: &mut Session, reply: &Reply, detail: &str) {
        match self.start {
            Start::Data => session.answer(State::Transaction(self.transaction), reply, detail),
            Start::Chunk { size, .. } => session.skip_chunk(size, *reply),
        }
    }
}

/// All octets of the message have been given out: is it safe now?
#[derive(Debug)]
#[must_use = "the session waits for the answer"]
pub struct AskCommit {
    pub(super) _answered_once: (),
}

impl AskCommit {
    /// Answers: it is on stable storage. `queue_id` is told to the client.
    pub fn committed(self, session: &mut Session, queue_id: &str) {
        session.committed(queue_id);
    }

    /// Answers: no; the client keeps the message.
    pub fn refuse(self, session: &mut Session, reply: &Reply, detail: &str) {
        session.answer(State::Ready, reply, detail);
    }
}
