//! A message that an operator sends as an account, to see that its mail goes out: it takes the way of every client's
//! message, but for socket, TLS and login.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tracing::Instrument as _;

use crate::identity::{AccountName, Identity};
use crate::mail::{Mailbox, QueueId};
use crate::smtp::server::{
    AuthEquals, AuthRule, BareNewlines, Began, CertificateRule, Keywords, Limits, Session,
    Settings, Step, Timeouts, TlsMode,
};

use super::decide::Decider;
use super::parts::ServerParts;

/// A message of an operator's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LocalMail {
    /// As whose mail it counts.
    pub account: AccountName,
    /// The reverse-path.
    pub sender: Mailbox,
    /// The one recipient.
    pub recipient: Mailbox,
    /// Header and body, with CRLF line ends.
    pub content: Vec<u8>,
}

/// What became of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LocalAnswer {
    /// The messages that it has become, which are durable; none where it was refused.
    pub ids: Vec<QueueId>,
    /// The last reply, as a client would have got it.
    pub reply: String,
    /// All that was said, each line behind `C: ` or `S: `.
    pub dialogue: Vec<String>,
}

/// There is no such account, or it is disabled.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no account `{0}`, or it is disabled")]
pub struct UnknownAccount(pub AccountName);

/// Takes the message in, or refuses it like a client's.
///
/// # Errors
/// [`UnknownAccount`].
pub async fn submit(
    parts: &Arc<ServerParts>,
    mail: LocalMail,
) -> Result<LocalAnswer, UnknownAccount> {
    let accounts = parts.authenticator.accounts();
    let Some(identity) = accounts.of_operator(mail.account.as_str()) else {
        return Err(UnknownAccount(mail.account));
    };
    let span = tracing::info_span!("session", session = SESSION, peer = %PEER, local_port = 0);
    Ok(Talk::new(parts, identity, &mail)
        .run()
        .instrument(span)
        .await)
}

/// Where it comes from, as far as `Received:` and the journal can tell.
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The number of its session; those of clients count from 0 too, and have their ports.
const SESSION: u64 = 0;

/// Both sides of a session.
struct Talk {
    parts: Arc<ServerParts>,
    session: Session,
    decider: Decider,
    /// What the client still has to say.
    lines: VecDeque<Vec<u8>>,
    answer: LocalAnswer,
}

impl Talk {
    fn new(parts: &Arc<ServerParts>, identity: Identity, mail: &LocalMail) -> Self {
        let hostname = parts.directory().hostname.clone();
        let settings = Settings {
            hostname: hostname.clone(),
            tls: TlsMode::Off,
            auth: AuthRule::Off,
            mechanisms: Arc::new([]),
            certificates: CertificateRule::Off,
            discarded: Keywords::default(),
            auth_equals: AuthEquals::Absent,
            bare_newlines: BareNewlines::Repair,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        };
        let began = Began {
            instant: parts.clock.instant(),
            civil: parts.clock.now(),
        };
        let lines = lines(hostname.as_ascii(), mail);
        Self {
            parts: Arc::clone(parts),
            session: Session::new(Arc::new(settings), Some(identity), "local", began),
            decider: Decider::new(Arc::clone(parts), (PEER, None), SESSION),
            lines: lines.into(),
            answer: LocalAnswer::default(),
        }
    }

    async fn run(mut self) -> LocalAnswer {
        loop {
            match self.session.poll(self.parts.clock.instant()) {
                Step::Ask(question) => {
                    self.decider.answer(question, &mut self.session, None).await;
                }
                Step::Body(octets) => self.decider.body(octets).await,
                Step::Discard => self.decider.discard(),
                Step::Write(octets) => self.hear(&octets),
                Step::Read { .. } => {
                    let is_refused = self.answer.reply.starts_with(['4', '5']);
                    let Some(line) = self.lines.pop_front().filter(|_| !is_refused) else {
                        break;
                    };
                    self.say(&line);
                }
                Step::Close | Step::StartTls => break,
            }
        }
        self.answer.ids = self.decider.into_committed();
        self.answer
    }

    fn hear(&mut self, octets: &[u8]) {
        for line in String::from_utf8_lossy(octets).lines() {
            self.answer.dialogue.push(format!("S: {line}"));
            line.clone_into(&mut self.answer.reply);
        }
    }

    fn say(&mut self, line: &[u8]) {
        let is_content = line.ends_with(END);
        let shown = if is_content {
            format!("-- {} octets of the message", line.len() - END.len())
        } else {
            format!("C: {}", String::from_utf8_lossy(line).trim_end())
        };
        self.answer.dialogue.push(shown);
        self.session.receive(line);
    }
}

/// The line that ends the data.
const END: &[u8] = b".\r\n";

/// What the client says, each when the reply to the one before has come.
fn lines(hostname: &str, mail: &LocalMail) -> Vec<Vec<u8>> {
    let (sender, recipient) = (&mail.sender, &mail.recipient);
    let smtputf8 = if sender.is_ascii() && recipient.is_ascii() {
        ""
    } else {
        " SMTPUTF8"
    };
    let commands = [
        format!("EHLO {hostname}\r\n"),
        format!("MAIL FROM:<{sender}>{smtputf8}\r\n"),
        format!("RCPT TO:<{recipient}>\r\n"),
        "DATA\r\n".to_owned(),
    ];
    let mut lines: Vec<_> = commands.map(String::into_bytes).into();
    lines.push(dotted(&mail.content));
    lines
}

/// Stuffs dots and adds the end (RFC 5321 §4.5.2).
fn dotted(content: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(content.len() + 16);
    for line in content.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            octets.push(b'.');
        }
        octets.extend_from_slice(line);
    }
    if !content.is_empty() && !content.ends_with(b"\r\n") {
        octets.extend_from_slice(b"\r\n");
    }
    octets.extend_from_slice(END);
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_stuffed_and_the_end_stands_on_a_line_of_its_own() {
        assert_eq!(dotted(b".a\r\nb"), b"..a\r\nb\r\n.\r\n");
        assert_eq!(dotted(b"a\r\n"), b"a\r\n.\r\n");
    }
}
