//! Whole sessions: the same octets in other pieces give the same replies and messages, every reply is a line, and
//! no message holds a bare newline.
#![no_main]

use std::sync::Arc;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use posthouse::clock::{Clock as _, SystemClock, Timestamp};
use posthouse::identity::{AccountName, Identity, Proof};
use posthouse::mail::Domain;
use posthouse::smtp::replies;
use posthouse::smtp::sasl::Credentials;
use posthouse::smtp::server::{
    AuthEquals, AuthRule, BareNewlines, Began, CertificateRule, Keywords, Limits, Question,
    Session, Settings, ShownCertificate, Step, Terms, Timeouts, TlsFacts, TlsMode,
};

fn identity(proof: Proof) -> Identity {
    Identity {
        account: AccountName::parse("alice").expect("a name"),
        tenant: None,
        proof,
    }
}

fn settings(flags: u8) -> Settings {
    Settings {
        hostname: Domain::parse("relay.example").expect("a domain"),
        tls: match flags & 3 {
            0 => TlsMode::Implicit,
            1 => TlsMode::Off,
            _ => TlsMode::StartTls,
        },
        auth: match flags >> 2 & 3 {
            0 => AuthRule::AfterTls,
            1 => AuthRule::Off,
            _ => AuthRule::Always,
        },
        mechanisms: Settings::with_external(&Settings::mechanisms_with_tokens()),
        certificates: CertificateRule::Off,
        discarded: Keywords::default(),
        auth_equals: AuthEquals::Absent,
        bare_newlines: match flags & 16 {
            0 => BareNewlines::Repair,
            _ => BareNewlines::Refuse,
        },
        limits: Limits {
            message_size: 4096,
            recipients: 5,
            errors: 100,
            ..Limits::default()
        },
        timeouts: Timeouts::default(),
    }
}

struct Driver {
    session: Session,
    now: Instant,
    written: Vec<u8>,
    message: Vec<u8>,
    messages: Vec<Vec<u8>>,
    is_closed: bool,
}

impl Driver {
    fn new(flags: u8, now: Instant) -> Self {
        let settings = settings(flags);
        let is_implicit = settings.tls == TlsMode::Implicit;
        let neighbour = (flags & 32 != 0).then(|| identity(Proof::Network));
        let began = Began {
            instant: now,
            civil: Timestamp::from_unix_millis(1_795_243_860_000),
        };
        let mut session = Session::new(Arc::new(settings), neighbour, "session 1", began);
        if is_implicit {
            session.tls_started(facts());
        }
        Self {
            session,
            now,
            written: Vec::new(),
            message: Vec::new(),
            messages: Vec::new(),
            is_closed: false,
        }
    }

    fn feed(&mut self, octets: &[u8], cut: usize) {
        self.run();
        for piece in octets.chunks(cut) {
            self.session.receive(piece);
            self.run();
        }
    }

    /// Takes steps until the session wants to read.
    fn run(&mut self) {
        while !self.is_closed {
            match self.session.poll(self.now) {
                Step::Ask(question) => self.answer(question),
                Step::Body(octets) => self.message.extend_from_slice(&octets),
                Step::Close => self.is_closed = true,
                Step::Discard => self.message.clear(),
                Step::Read { deadline } => {
                    assert!(deadline > self.now);
                    return;
                }
                Step::StartTls => self.session.tls_started(facts()),
                Step::Write(octets) => self.written.extend_from_slice(&octets),
            }
        }
    }

    fn answer(&mut self, question: Question) {
        let session = &mut self.session;
        match question {
            Question::Credentials(ask) => {
                let is_right = match ask.credentials() {
                    Credentials::Password { password, .. } => password.expose() == "secret",
                    Credentials::Token { token, .. } => token.expose() == "secret",
                    Credentials::Certificate { authzid } => authzid.is_none(),
                    Credentials::Scram { .. } => false,
                };
                if is_right {
                    ask.accept(session, identity(Proof::Password));
                } else {
                    ask.refuse(session, &replies::AUTH_FAILED);
                }
            }
            Question::Scram(ask) => ask.refuse(session, &replies::AUTH_FAILED),
            Question::Sender(ask) => ask.allow(session, Terms::default()),
            Question::Recipient(ask) => ask.allow(session),
            Question::Message(ask) => {
                assert!(!ask.envelope().recipients.is_empty());
                let _envelope = ask.begin(session);
            }
            Question::Commit(ask) => {
                self.messages.push(std::mem::take(&mut self.message));
                ask.committed(session, "ID");
            }
        }
    }
}

fn facts() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3",
        cipher: "TEST",
        exporter: None,
        certificate: ShownCertificate::Known,
    }
}

fuzz_target!(|octets: &[u8]| {
    let [flags, cut, octets @ ..] = octets else {
        return;
    };
    let now = SystemClock.instant() + Duration::from_secs(1);
    let (mut whole, mut pieces) = (Driver::new(*flags, now), Driver::new(*flags, now));
    whole.feed(octets, usize::MAX);
    pieces.feed(octets, usize::from(*cut).max(1));
    // What comes with STARTTLS in one piece is dropped (RFC 3207 §6), what comes behind it is not.
    if !whole.written.windows(5).any(|window| window == b"220 2") {
        let text = |driver: &Driver| String::from_utf8_lossy(&driver.written).into_owned();
        assert_eq!(text(&whole), text(&pieces));
        assert_eq!(whole.messages, pieces.messages);
    }
    for driver in [&whole, &pieces] {
        assert!(driver.written.is_empty() || driver.written.ends_with(b"\r\n"));
        for line in driver.written.split_inclusive(|octet| *octet == b'\n') {
            assert!(
                line.ends_with(b"\r\n") && line.len() <= 512,
                "no line of a reply"
            );
            let inner = line.get(..line.len() - 2).unwrap_or_default();
            assert!(!inner.contains(&b'\r') && !inner.contains(&0));
        }
        for message in &driver.messages {
            let text = String::from_utf8_lossy(message).replace("\r\n", "");
            assert!(
                !text.contains(['\r', '\n', '\0']),
                "a bare newline or NUL was kept"
            );
        }
    }
});
