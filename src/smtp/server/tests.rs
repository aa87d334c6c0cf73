//! Dialogues as data: every file of `tests/data/dialogues` is run whole and cut in pieces of many sizes.
//!
//! Lines of a dialogue: `#` comment; `@ key value` setting; `C: ` a line of the client; `R: ` octets of the client
//! with escapes; `W: ` seconds that pass; `S: ` a line of the server; `M: ` a line of the message given out when
//! it is committed; `T:` the handshake; `D:` the message is discarded; `X:` the connection is closed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::clock::{Clock as _, SystemClock, Timestamp};
use crate::identity::{AccountName, Identity, Proof};
use crate::mail::{Domain, Mailbox, Priority};
use crate::smtp::replies;
use crate::smtp::sasl::scram::{Key, Keys, Proven};
use crate::smtp::sasl::{Credentials, Mechanism};

enum Input {
    Octets(Vec<u8>),
    Pause(Duration),
}

struct Dialogue {
    settings: Settings,
    neighbour: Option<Identity>,
    certificate: ShownCertificate,
    turns: Vec<(Vec<Input>, Vec<String>)>,
}

fn identity(name: &str, proof: Proof) -> Identity {
    Identity {
        account: AccountName::parse(name).unwrap(),
        tenant: None,
        proof,
    }
}

/// 2026-11-21T06:51:00Z.
const STARTED: Timestamp = Timestamp::from_unix_millis(1_795_243_860_000);

fn settings() -> Settings {
    Settings {
        hostname: Domain::parse("relay.example").unwrap(),
        tls: TlsMode::StartTls,
        auth: AuthRule::AfterTls,
        mechanisms: Settings::default_mechanisms(),
        certificates: CertificateRule::Off,
        discarded: Keywords::default(),
        auth_equals: AuthEquals::Absent,
        bare_newlines: BareNewlines::Repair,
        // What EHLO offers in the dialogues is what a session always offers.
        limits: Limits {
            future_release: None,
            deliver_by_min: None,
            ..Limits::default()
        },
        timeouts: Timeouts::default(),
    }
}

impl Dialogue {
    fn parse(text: &str) -> Self {
        let mut dialogue = Self {
            settings: settings(),
            neighbour: None,
            certificate: ShownCertificate::Absent,
            turns: vec![(Vec::new(), Vec::new())],
        };
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let (kind, rest) = line.split_at(2);
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            match kind {
                "@ " => dialogue.set(rest),
                "C:" => dialogue.send(Input::Octets(format!("{rest}\r\n").into_bytes())),
                "R:" => dialogue.send(Input::Octets(unescape(rest))),
                "W:" => dialogue.send(Input::Pause(Duration::from_secs(rest.parse().unwrap()))),
                "S:" | "M:" | "T:" | "D:" | "X:" => {
                    dialogue
                        .turns
                        .last_mut()
                        .unwrap()
                        .1
                        .push(line.trim_end().to_owned());
                }
                _ => panic!("a line of no known kind: {line}"),
            }
        }
        dialogue
    }

    fn send(&mut self, input: Input) {
        if !self.turns.last().unwrap().1.is_empty() {
            self.turns.push((Vec::new(), Vec::new()));
        }
        self.turns.last_mut().unwrap().0.push(input);
    }

    fn set(&mut self, line: &str) {
        let (key, value) = line.split_once(' ').unwrap();
        let settings = &mut self.settings;
        let number = || value.parse::<u32>().unwrap();
        let span = || Duration::from_secs(number().into());
        match (key, value) {
            ("tls", "off") => settings.tls = TlsMode::Off,
            ("tls", "implicit") => settings.tls = TlsMode::Implicit,
            ("auth", "always") => settings.auth = AuthRule::Always,
            ("mechanisms", names) => {
                let names = names.split(' ').map(|name| Mechanism::parse(name).unwrap());
                settings.mechanisms = names.collect();
            }
            ("client_certificate", "required") => settings.certificates = CertificateRule::Required,
            ("shows", "known") => self.certificate = ShownCertificate::Known,
            ("shows", "trusted") => self.certificate = ShownCertificate::Trusted,
            ("shows", "worthless") => self.certificate = ShownCertificate::Worthless,
            ("auth", "off") => settings.auth = AuthRule::Off,
            ("auth_equals", "true") => settings.auth_equals = AuthEquals::Offered,
            ("discard", names) => {
                let keywords = names.split(' ').map(|name| Keyword::parse(name).unwrap());
                settings.discarded = keywords.collect();
            }
            ("bare_newlines", "refuse") => settings.bare_newlines = BareNewlines::Refuse,
            ("network", name) => self.neighbour = Some(identity(name, Proof::Network)),
            ("message_size", _) => settings.limits.message_size = number().into(),
            ("recipients", _) => settings.limits.recipients = u16::try_from(number()).unwrap(),
            ("errors", _) => settings.limits.errors = number(),
            ("idle_commands", _) => settings.limits.idle_commands = number(),
            ("messages", _) => settings.limits.messages = number(),
            ("future_release", _) => settings.limits.future_release = Some(span()),
            ("deliver_by_min", _) => settings.limits.deliver_by_min = Some(span()),
            _ => panic!("unknown setting: {line}"),
        }
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match (octet, octet == b'\\') {
            (_, false) => octet,
            _ => match rest.next().unwrap() {
                b'r' => b'\r',
                b'n' => b'\n',
                b'0' => 0,
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other,
            },
        });
    }
    octets
}

/// What a client hears over a limit.
const OVER: &str = "over the limit of 100 messages a minute; goes on at 2026-11-25T10:00:12Z";

fn facts(certificate: ShownCertificate) -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3",
        cipher: "TEST",
        exporter: Some(Key([7; 32])),
        certificate,
    }
}

/// Drives a session as the connection does, and writes down what it says.
struct Driver {
    session: Session,
    certificate: ShownCertificate,
    now: Instant,
    written: Vec<u8>,
    message: Vec<u8>,
    events: Vec<String>,
}

impl Driver {
    fn new(dialogue: &Dialogue) -> Self {
        let now = SystemClock.instant();
        let mut session = Session::new(
            Arc::new(dialogue.settings.clone()),
            dialogue.neighbour.clone(),
            "",
            Began {
                instant: now,
                civil: STARTED,
            },
        );
        if dialogue.settings.tls == TlsMode::Implicit {
            session.tls_started(facts(dialogue.certificate));
        }
        Self {
            session,
            certificate: dialogue.certificate,
            now,
            written: Vec::new(),
            message: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Takes steps until the session wants to read.
    fn run(&mut self) {
        loop {
            match self.session.poll(self.now) {
                Step::Ask(question) => self.answer(question),
                Step::Body(octets) => self.message.extend_from_slice(&octets),
                Step::Close => return self.event("X:"),
                Step::Discard => {
                    self.message.clear();
                    self.event("D:");
                }
                Step::Read { deadline } => {
                    assert!(deadline > self.now);
                    return self.flush();
                }
                Step::StartTls => {
                    self.event("T:");
                    self.session.tls_started(facts(self.certificate));
                }
                Step::Write(octets) => self.written.extend_from_slice(&octets),
            }
        }
    }

    fn flush(&mut self) {
        let written = String::from_utf8(std::mem::take(&mut self.written)).unwrap();
        self.events.extend(
            written
                .split_terminator("\r\n")
                .map(|line| format!("S: {line}").trim_end().to_owned()),
        );
    }

    fn event(&mut self, event: &str) {
        self.flush();
        if self.events.last().is_none_or(|last| last != "X:") {
            self.events.push(event.to_owned());
        }
    }

    fn answer(&mut self, question: Question) {
        let session = &mut self.session;
        match question {
            Question::Credentials(ask) => log_in(ask, session),
            Question::Scram(ask) => {
                let keys = pencil();
                ask.go_on(session, keys, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
            }
            Question::Sender(ask) => judge_sender(ask, session),
            Question::Recipient(ask) => judge_recipient(ask, session),
            Question::Message(ask) => {
                if ask.envelope().recipients.len() == 3 {
                    ask.refuse(session, &replies::SPOOL_FULL, "");
                } else {
                    let _envelope = ask.begin(session);
                }
            }
            Question::Commit(ask) => {
                let message =
                    String::from_utf8_lossy(&std::mem::take(&mut self.message)).into_owned();
                let lines = message
                    .split_terminator("\r\n")
                    .map(|line| format!("M: {line}").trim_end().to_owned());
                self.events.extend(lines);
                ask.committed(session, "ID");
            }
        }
    }

    fn feed(&mut self, octets: &[u8], cut: usize) {
        for piece in octets.chunks(cut) {
            self.session.receive(piece);
            self.run();
        }
    }
}

fn log_in(ask: AskCredentials, session: &mut Session) {
    let (name, password) = match ask.credentials() {
        Credentials::Password { name, password } => (name, password),
        Credentials::Scram {
            name,
            proven: Proven::Right(_),
        } => {
            let identity = identity(&name.clone(), Proof::Password);
            return ask.accept(session, identity);
        }
        Credentials::Certificate { authzid } => {
            return match authzid.as_deref() {
                None | Some("alice") => ask.accept(session, identity("alice", Proof::Certificate)),
                Some(_) => ask.refuse(session, &replies::CERTIFICATE_REFUSED),
            };
        }
        Credentials::Scram { .. } | Credentials::Token { .. } => {
            return ask.refuse(session, &replies::AUTH_FAILED);
        }
    };
    match (name.as_str(), password.expose()) {
        ("alice", "secret") => ask.accept(session, identity("alice", Proof::Password)),
        ("busy", _) => ask.refuse(session, &replies::AUTH_TOO_MANY_SESSIONS),
        ("slow", _) => ask.refuse(session, &replies::AUTH_UNAVAILABLE),
        _ => ask.refuse(session, &replies::AUTH_FAILED),
    }
}

fn judge_sender(ask: AskSender, session: &mut Session) {
    let asked = ask.parameters();
    let terms = Terms {
        release: asked.hold.map(|hold| hold.release(STARTED)),
        deliver_by: asked.by.map(|by| by.deadline(STARTED)),
        new_priority: asked
            .mt_priority
            .filter(|asked| asked.value() > 5)
            .map(|asked| asked.within(Priority::High)),
    };
    let is_forbidden = |mailbox: &Mailbox| mailbox.domain().as_ascii() == "forbidden.example";
    let is_over = ask.parameters().size == Some(4242);
    if is_over {
        ask.refuse(session, &replies::OVER_QUOTA, OVER);
    } else if ask.reverse_path().mailbox().is_some_and(is_forbidden) {
        ask.refuse(session, &replies::SENDER_NOT_AUTHORIZED, "somebody else");
    } else {
        ask.allow(session, terms);
    }
}

fn judge_recipient(ask: AskRecipient, session: &mut Session) {
    let forward_path = &ask.recipient().forward_path;
    match forward_path.mailbox().domain().as_ascii() {
        "nowhere.example" => ask.refuse(session, &replies::SENDING_DISABLED, ""),
        "unrouted.example" => ask.refuse(session, &replies::RECIPIENT_NOT_ROUTED, ""),
        "over.example" => ask.refuse(session, &replies::OVER_QUOTA, OVER),
        _ => ask.allow(session),
    }
}

fn run_dialogue(dialogue: &Dialogue, cut: usize, name: &str) {
    let mut driver = Driver::new(dialogue);
    driver.run();
    for (inputs, expected) in &dialogue.turns {
        let mut pending = Vec::new();
        for input in inputs {
            match input {
                Input::Octets(octets) => pending.extend_from_slice(octets),
                Input::Pause(span) => {
                    driver.feed(&std::mem::take(&mut pending), cut);
                    driver.now += *span;
                    driver.run();
                }
            }
        }
        driver.feed(&pending, cut);
        let got = by_side(std::mem::take(&mut driver.events));
        assert_eq!(got, by_side(expected.clone()), "{name}, in pieces of {cut}");
    }
}

/// Parts what goes over the wire from what goes to the store: between the two there is no order.
fn by_side(events: Vec<String>) -> (Vec<String>, Vec<String>) {
    events
        .into_iter()
        .partition(|event| event.starts_with(['S', 'T', 'X']))
}

fn dialogues() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/dialogues");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 10, "the dialogues are missing");
    files
}

#[test]
fn every_dialogue_goes_as_written_whole_and_in_pieces() {
    for file in dialogues() {
        let dialogue = Dialogue::parse(&fs::read_to_string(&file).unwrap());
        // What a client sends before the handshake is dropped only if it arrives before it.
        let is_injection = file.to_string_lossy().contains("same_packet");
        let cuts: &[usize] = if is_injection {
            &[usize::MAX]
        } else {
            &[usize::MAX, 1, 2, 3, 5, 7, 11, 64]
        };
        for &cut in cuts {
            run_dialogue(&dialogue, cut, &file.display().to_string());
        }
    }
}

fn free_session() -> Driver {
    let mut settings = settings();
    settings.limits.errors = 1000;
    let dialogue = Dialogue {
        settings,
        neighbour: Some(identity("net", Proof::Network)),
        certificate: ShownCertificate::Absent,
        turns: Vec::new(),
    };
    let mut driver = Driver::new(&dialogue);
    driver.feed(b"EHLO x\r\n", usize::MAX);
    driver
}

#[test]
fn a_stopped_session_ends_between_messages_and_not_in_one() {
    let mut driver = free_session();
    driver.feed(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", usize::MAX);
    driver.session.stop();
    driver.events.clear();
    driver.feed(b"DATA\r\n\r\nx\r\n.\r\n", usize::MAX);
    assert_eq!(
        driver.events,
        [
            "M:",
            "M: x",
            "S: 354 end data with <CR><LF>.<CR><LF>",
            "S: 250 2.0.0 ok: queued as ID",
            "S: 421 4.3.2 shutting down; try again later",
            "X:"
        ]
    );
}

#[test]
fn an_international_host_name_is_said_in_a_labels() {
    let mut dialogue = Dialogue::parse("@ tls off");
    dialogue.settings.hostname = Domain::parse("bücher.example").unwrap();
    let mut driver = Driver::new(&dialogue);
    driver.feed(b"HELO x\r\nEHLO x\r\n", usize::MAX);
    let expected = [
        "S: 220 xn--bcher-kva.example ESMTP posthouse",
        "S: 250 xn--bcher-kva.example",
        "S: 250-xn--bcher-kva.example",
    ];
    assert_eq!(driver.events[..3], expected);
}

#[test]
fn replies_leave_together_only_where_they_may_wait_for_each_other() {
    let mut driver = free_session();
    let group = b"MAIL FROM:<a@b>\r\nRSET\r\nNOOP\r\nRSET\r\nFROB\r\nRSET\r\nRSET\r\n";
    driver.session.receive(group);
    let mut lines = Vec::new();
    loop {
        match driver.session.poll(driver.now) {
            Step::Ask(question) => driver.answer(question),
            Step::Write(octets) => lines.push(octets.split(|octet| *octet == b'\n').count() - 1),
            Step::Read { .. } => break,
            step @ (Step::Body(_) | Step::Close | Step::Discard | Step::StartTls) => {
                panic!("{step:?}")
            }
        }
    }
    assert_eq!(lines, [3, 2, 2]);
}

#[test]
fn a_stopped_session_does_not_wait_for_a_login() {
    let mut driver = free_session();
    driver.feed(b"AUTH LOGIN\r\n", usize::MAX);
    driver.session.stop();
    driver.events.clear();
    driver.run();
    let farewell = "S: 421 4.3.2 shutting down; try again later";
    assert_eq!(driver.events, [farewell, "X:"]);
}

proptest! {
    #[test]
    fn any_octets_in_any_pieces_give_the_same_steps(
        stream in "(MAIL FROM:<a@b>\r\n|RCPT TO:<c@d>\r\n|DATA\r\n|BDAT 3\r\n|BDAT 2 LAST\r\n|RSET\r\n|NOOP\r\n|\\.\r\n|a\n|x\r|[ -~]{0,5}|\r\n){0,30}",
        cut in 1usize..9,
    ) {
        let (mut whole, mut cut_up) = (free_session(), free_session());
        whole.feed(stream.as_bytes(), usize::MAX);
        cut_up.feed(stream.as_bytes(), cut);
        prop_assert_eq!(by_side(whole.events), by_side(cut_up.events));
    }

    #[test]
    fn no_octets_make_a_session_panic(octets: Vec<u8>) {
        let mut driver = free_session();
        driver.feed(&octets, 7);
    }
}

/// The keys of RFC 7677 §3: the password is `pencil`.
fn pencil() -> Keys {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let key = |text: &str| Key(STANDARD.decode(text).unwrap().try_into().unwrap());
    Keys {
        iterations: 4096,
        salt: STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().into(),
        stored_key: key("WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="),
        server_key: key("wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="),
    }
}
