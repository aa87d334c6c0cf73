//! What the tests share: settings with short limits, an order, a transcript.

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthouse::body::InMemory;
use posthouse::clock::SystemClock;
use posthouse::dkim::Signers;
use posthouse::dns::StaticResolver;
use posthouse::identity::UpstreamName;
use posthouse::mail::{
    Attempt, Cause, Domain, Envelope, Failure, ForwardPath, Health, Mailbox, Outcome, Priority,
    Recipient, RecipientIndex, ReversePath, Stage,
};
use posthouse::secret::Secret;
use posthouse::upstream::smtp::{
    Credential, Line, Login, PlainTextLogin, Settings, SmtpUpstream, Smtputf8, Timeouts, TlsPolicy,
    Transcript, Unfit, Verification, Vouching,
};
use posthouse::upstream::{Order, Upstream};

use crate::fake_upstream::FakeUpstream;

pub(crate) const MESSAGE: &str = "Subject: test\r\n\r\n.dot\r\nend\r\n";

/// Settings for a server, with limits that no healthy exchange on loopback reaches.
pub(crate) fn settings(upstream: &FakeUpstream) -> Settings {
    Settings {
        name: UpstreamName::parse("main").unwrap(),
        profile: None,
        host: "localhost".to_owned(),
        port: upstream.address.port(),
        mx: false,
        helo: Domain::parse("relay.example").unwrap(),
        tls: TlsPolicy::Disabled,
        verification: Verification::SystemRoots,
        vouching: Vouching::default(),
        login: None,
        envelope_sender: None,
        local_address: None,
        connections: 4,
        messages_per_connection: 100,
        recipients_per_message: 100,
        bandwidth: None,
        keep_idle: Duration::from_mins(1),
        smtputf8: Smtputf8::Auto,
        eight_bit: Unfit::Convert,
        long_lines: Unfit::Convert,
        signers: Signers::default(),
        timeouts: patient(),
    }
}

pub(crate) fn patient() -> Timeouts {
    let limit = Duration::from_secs(20);
    Timeouts {
        connect: limit,
        command: limit,
        data: limit,
        final_reply: limit,
    }
}

/// Limits for tests in which the upstream is silent.
pub(crate) fn impatient() -> Timeouts {
    let limit = Duration::from_millis(300);
    Timeouts {
        connect: Duration::from_secs(20),
        command: limit,
        data: limit,
        final_reply: limit,
    }
}

/// Trusts the server's own certificate and nothing else.
pub(crate) fn trusting(
    upstream: &FakeUpstream,
    tls: TlsPolicy,
) -> (Settings, tempfile::NamedTempFile) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(upstream.certificate.as_bytes()).unwrap();
    let settings = Settings {
        tls,
        verification: Verification::Authority(file.path().to_owned()),
        ..settings(upstream)
    };
    (settings, file)
}

pub(crate) fn login(over_plain_text: PlainTextLogin) -> Login {
    Login {
        username: "user".to_owned(),
        credential: Credential::Password(Secret::new("secret".to_owned())),
        over_plain_text,
    }
}

pub(crate) fn start(settings: Settings) -> SmtpUpstream {
    let localhost = [std::net::Ipv4Addr::LOCALHOST.into()];
    let resolver = StaticResolver::default().with_host("localhost", &localhost);
    SmtpUpstream::new(settings, Arc::new(resolver), Arc::new(SystemClock)).unwrap()
}

pub(crate) fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).unwrap()
}

pub(crate) fn envelope(recipients: &[&str]) -> Envelope {
    let recipient = |text: &&str| Recipient::new(ForwardPath::from(mailbox(text)));
    Envelope {
        recipients: recipients.iter().map(recipient).collect(),
        ..Envelope::new(ReversePath::Mailbox(mailbox("s@example.com")))
    }
}

pub(crate) fn all(envelope: &Envelope) -> Vec<RecipientIndex> {
    (0..u16::try_from(envelope.recipients.len()).unwrap())
        .map(RecipientIndex)
        .collect()
}

pub(crate) fn order<'a>(
    envelope: &'a Envelope,
    recipients: &'a [RecipientIndex],
    message: &[u8],
) -> Order<'a> {
    Order {
        envelope,
        recipients,
        priority: Priority::Normal,
        body: Box::new(InMemory::new(message.to_vec().into())),
    }
}

/// Relays a message to some recipients.
pub(crate) async fn relay(upstream: &SmtpUpstream, recipients: &[&str], message: &[u8]) -> Attempt {
    let envelope = envelope(recipients);
    upstream
        .attempt(order(&envelope, &all(&envelope), message))
        .await
}

/// Relays the usual message to one recipient.
pub(crate) async fn relay_one(upstream: &SmtpUpstream) -> Attempt {
    relay(upstream, &["r@example.net"], MESSAGE.as_bytes()).await
}

/// Returns the outcomes in short: `relayed 250`, `deferred Sender 450`, `rejected Recipient 550`, `unknown Final`.
pub(crate) fn short(attempt: &Attempt) -> Vec<String> {
    let stage_and_code = |failure: &Failure| {
        let Cause::Response(response) = &failure.cause else {
            return format!("{:?}", failure.stage);
        };
        format!("{:?} {}", failure.stage, response.code)
    };
    let text = |outcome: &Outcome| match outcome {
        Outcome::Relayed(response, _) => format!("relayed {}", response.code),
        Outcome::Deferred(failure) => format!("deferred {}", stage_and_code(failure)),
        Outcome::Rejected(failure) => format!("rejected {}", stage_and_code(failure)),
        Outcome::Unknown(failure) => format!("unknown {}", stage_and_code(failure)),
    };
    attempt
        .outcomes
        .iter()
        .map(|(_, outcome)| text(outcome))
        .collect()
}

/// Asserts that the one recipient was relayed.
#[track_caller]
pub(crate) fn assert_relayed(attempt: &Attempt) {
    assert_eq!(short(attempt), ["relayed 250"], "{attempt:?}");
    assert_eq!(attempt.health, Health::Good);
}

/// Asserts that the one recipient was deferred at a stage; returns the failure's text.
#[track_caller]
pub(crate) fn assert_deferred(attempt: &Attempt, at: Stage, health: &Health) -> String {
    let Outcome::Deferred(failure) = &attempt.outcomes[0].1 else {
        panic!("{attempt:?}")
    };
    assert_eq!(
        (failure.stage, &attempt.health),
        (at, health),
        "{attempt:?}"
    );
    failure.to_string()
}

/// Keeps the lines of a dialogue.
#[derive(Default)]
pub(crate) struct Lines(Mutex<Vec<String>>);

impl Lines {
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }
}

impl Transcript for Lines {
    fn line(&self, line: Line<'_>) {
        self.0.lock().unwrap().push(line.to_string());
    }
}
