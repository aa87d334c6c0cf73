//! SASL exchanges: no response makes one panic, what a client says is read back, and no proof made with a wrong password
//! succeeds.
#![no_main]

use std::num::NonZeroU32;
use std::sync::LazyLock;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use posthouse::smtp::sasl::scram::{Binding, ClientFirst, Key, Keys, Proven};
use posthouse::smtp::sasl::{Credentials, Exchange, Mechanism, Next};

const ITERATIONS: u32 = 4096;
const SALT: &[u8] = b"salt of 16 bytes";
const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

/// The client's key of a password, and what is kept of it.
struct Password {
    client_key: [u8; 32],
    keys: Keys,
}

static RIGHT: LazyLock<Password> = LazyLock::new(|| Password::new("pencil"));
static WRONG: LazyLock<Password> = LazyLock::new(|| Password::new("pencils"));

impl Password {
    fn new(password: &str) -> Self {
        let mut salted = [0; 32];
        let iterations = NonZeroU32::new(ITERATIONS).expect("it is not 0");
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            SALT,
            password.as_bytes(),
            &mut salted,
        );
        let client_key = sign(&salted, b"Client Key");
        let stored = digest::digest(&digest::SHA256, &client_key);
        Self {
            client_key,
            keys: Keys {
                iterations: ITERATIONS,
                salt: SALT.into(),
                stored_key: Key(stored.as_ref().try_into().expect("32 octets")),
                server_key: Key(sign(&salted, b"Server Key")),
            },
        }
    }

    /// Makes the last message of a client that has this password.
    fn last(&self, (first, server): (&str, &str), bound: &[u8]) -> String {
        let bare = first.splitn(3, ',').nth(2).expect("it has been read");
        let nonce = server.split(',').next().expect("it has a nonce");
        let without_proof = format!("c={},{nonce}", STANDARD.encode(bound));
        let transcript = format!("{bare},{server},{without_proof}");
        let signature = sign(&self.keys.stored_key.0, transcript.as_bytes());
        let proof = std::iter::zip(self.client_key, signature).map(|(key, signed)| key ^ signed);
        let proof = STANDARD.encode(proof.collect::<Vec<_>>());
        format!("{without_proof},p={proof}")
    }
}

fn sign(key: &[u8], message: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    tag.as_ref().try_into().expect("32 octets")
}

fn binding(flags: u8) -> Binding {
    match flags >> 4 & 3 {
        0 => Binding::Downgrade,
        1 => Binding::Exporter(Key([7; 32])),
        _ => Binding::None,
    }
}

/// One first message, and last messages of clients with and without the password, and of nobody.
fn scram(first: &str, last: &str, binding: Binding) {
    let Some(begun) = ClientFirst::parse(first, binding) else {
        return;
    };
    assert!(!begun.name.contains('\0') && !begun.name.is_empty());
    let server = begun.answer(RIGHT.keys.clone(), NONCE);
    let mut parts = first.split(',');
    let mut header = format!(
        "{},{},",
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default()
    );
    let said = server.message().to_owned();
    let bound = |header: &str| {
        let exporter = match binding {
            Binding::Downgrade | Binding::None => &[][..],
            Binding::Exporter(_) => &[7; 32],
        };
        [header.as_bytes(), exporter].concat()
    };
    let right = RIGHT.last((first, &said), &bound(&header));
    assert!(matches!(server.check(&right), Proven::Right(_)), "{right}");
    let wrong = WRONG.last((first, &said), &bound(&header));
    assert_eq!(server.check(&wrong), Proven::Wrong);
    // Whoever stands between sees the flag and cannot change it.
    header.insert(0, 'y');
    let rebound = RIGHT.last((first, &said), &bound(&header));
    assert_eq!(server.check(&rebound), Proven::Wrong);
    if last != right {
        assert_eq!(server.check(last), Proven::Wrong, "{last}");
    }
}

/// An exchange of any mechanism with any lines.
fn exchange(mechanism: Mechanism, lines: &[u8], binding: Binding) {
    let mut lines = lines.split(|octet| *octet == b'\n');
    let initial = lines.next().and_then(|line| str::from_utf8(line).ok());
    let mut next = Exchange::begin(mechanism, initial.filter(|line| !line.is_empty()), binding);
    for line in lines.take(5) {
        match next {
            Next::Challenge(exchange, _) => next = exchange.respond(line),
            Next::ScramKeys(first) => {
                let server = first.answer(RIGHT.keys.clone(), NONCE);
                next = Exchange::ScramLast(Box::new(server)).respond(line);
            }
            Next::Credentials(_) | Next::LoggedIn(_) | Next::Refused(_) => break,
        }
    }
    match next {
        Next::Credentials(Credentials::Password { name, password }) => {
            assert!(!name.contains('\0') && !password.expose().contains('\0'));
        }
        Next::Credentials(Credentials::Token { name, token }) => {
            let is_graphic = token.expose().bytes().all(|octet| octet.is_ascii_graphic());
            assert!(is_graphic && !token.expose().is_empty());
            assert!(name.is_none_or(|name| !name.is_empty() && !name.contains(char::is_control)));
        }
        Next::Credentials(Credentials::Scram { proven, .. }) => {
            assert_eq!(proven, Proven::Wrong, "nobody here knows the password");
        }
        Next::Credentials(Credentials::Certificate { .. })
        | Next::Challenge(..)
        | Next::Refused(_)
        | Next::ScramKeys(_) => {}
        Next::LoggedIn(_) => panic!("nobody has decided that"),
    }
}

/// What a client with a token says is understood as it was meant.
fn token(name: &str, token: &str) {
    let is_token = !token.is_empty() && token.bytes().all(|octet| octet.is_ascii_graphic());
    if !is_token || name.len() > 1024 || name.contains(char::is_control) || name.is_empty() {
        return;
    }
    let escaped = name.replace('=', "=3D").replace(',', "=2C");
    let responses = [
        (
            Mechanism::OAuthBearer,
            format!("n,a={escaped},\u{1}auth=Bearer {token}\u{1}\u{1}"),
        ),
        (
            Mechanism::XOAuth2,
            format!("user={name}\u{1}auth=Bearer {token}\u{1}\u{1}"),
        ),
    ];
    for (mechanism, response) in responses {
        let response = STANDARD.encode(response);
        let next = Exchange::begin(mechanism, Some(&response), Binding::None);
        let Next::Credentials(Credentials::Token {
            name: Some(read),
            token: kept,
        }) = next
        else {
            panic!("it is refused");
        };
        assert_eq!((read.as_str(), kept.expose()), (name, token));
    }
}

fuzz_target!(|octets: &[u8]| {
    let [flags, octets @ ..] = octets else {
        return;
    };
    let all = Mechanism::ALL;
    let mechanism = all[usize::from(*flags & 15) % all.len()];
    exchange(mechanism, octets, binding(*flags));
    let Ok(text) = str::from_utf8(octets) else {
        return;
    };
    let (first, last) = text.split_once('\n').unwrap_or((text, ""));
    scram(first, last, binding(*flags));
    token(first, last);
});
