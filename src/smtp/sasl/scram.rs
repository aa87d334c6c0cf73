//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), the server's side: messages and arithmetic.
//!
//! Salts, nonces and keys are given; nothing here knows accounts or makes chance.

use std::fmt;

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The longest user name, in octets.
const MAX_NAME: usize = 1024;

/// The longest nonce of a client, in octets.
const MAX_NONCE: usize = 512;

/// A key of SHA-256's size. `Debug` does not show it.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Key(pub [u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

/// What is kept of a password for SCRAM: enough to check a proof, not enough to make one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Keys {
    /// How often the password was hashed.
    pub iterations: u32,
    /// With which salt.
    pub salt: Box<[u8]>,
    /// The hash of the client's key.
    pub stored_key: Key,
    /// What the server proves with that it has it.
    pub server_key: Key,
}

/// What a client must bind its proof to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Binding {
    /// SCRAM-SHA-256 where SCRAM-SHA-256-PLUS is offered too: a client that could bind must do so.
    Downgrade,
    /// SCRAM-SHA-256 where binding is not offered.
    None,
    /// SCRAM-SHA-256-PLUS: the exporter of this TLS session (`tls-exporter`, RFC 9266).
    Exporter(Key),
}

/// The first message of a client, understood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientFirst {
    /// Who it wants to be.
    pub name: String,
    /// What the last message must have behind `c=`, in base64.
    bound: String,
    /// Its first message without the header.
    bare: String,
    nonce: String,
}

impl ClientFirst {
    /// Reads a first message (RFC 5802 §7); `None` where it is malformed or does not fit the binding.
    pub fn parse(message: &str, binding: Binding) -> Option<Self> {
        let (flag, rest) = message.split_once(',')?;
        let (authzid, bare) = rest.split_once(',')?;
        let mut bound = format!("{flag},{authzid},").into_bytes();
        match (binding, flag) {
            (Binding::Downgrade | Binding::None, "n") | (Binding::None, "y") => {}
            (Binding::Exporter(key), "p=tls-exporter") => bound.extend_from_slice(&key.0),
            (Binding::Downgrade | Binding::Exporter(_) | Binding::None, _) => return None,
        }
        // A mandatory extension (`m=`) would come first; none is known.
        let (name, rest) = bare.strip_prefix("n=")?.split_once(',')?;
        let name = unescaped(name)?;
        let nonce = rest.strip_prefix("r=")?.split(',').next()?;
        if !is_sound(nonce, MAX_NONCE) || name.len() > MAX_NAME || name.contains('\0') {
            return None;
        }
        // Nobody acts for somebody else.
        let acts_for = match authzid.strip_prefix("a=") {
            Some(authzid) => Some(unescaped(authzid)?),
            None if authzid.is_empty() => None,
            None => return None,
        };
        if acts_for.is_some_and(|acts_for| acts_for != name) {
            return None;
        }
        Some(Self {
            bound: STANDARD.encode(bound),
            bare: bare.to_owned(),
            nonce: nonce.to_owned(),
            name,
        })
    }

    /// Makes the answer. `nonce` is fresh from the system's random generator: printable ASCII without commas.
    pub fn answer(self, keys: Keys, nonce: &str) -> ServerFirst {
        let nonce = format!("{}{nonce}", self.nonce);
        let salt = STANDARD.encode(&keys.salt);
        let message = format!("r={nonce},s={salt},i={}", keys.iterations);
        ServerFirst {
            client: Self { nonce, ..self },
            keys,
            message,
        }
    }
}

/// The answer to a first message, and what the proof is checked with.
#[derive(Debug, Eq, PartialEq)]
pub struct ServerFirst {
    client: ClientFirst,
    keys: Keys,
    message: String,
}

impl ServerFirst {
    /// Returns the message that goes out.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns who the client wants to be.
    pub fn name(&self) -> &str {
        &self.client.name
    }

    /// Checks the last message of the client.
    pub fn check(&self, message: &str) -> Proven {
        self.proven(message).unwrap_or(Proven::Wrong)
    }

    fn proven(&self, message: &str) -> Option<Proven> {
        let (without_proof, proof) = message.rsplit_once(",p=")?;
        let mut parts = without_proof.split(',');
        let bound = parts.next()?.strip_prefix("c=")?;
        let nonce = parts.next()?.strip_prefix("r=")?;
        if bound != self.client.bound || nonce != self.client.nonce {
            return None;
        }
        let proof = <[u8; 32]>::try_from(STANDARD.decode(proof).ok()?).ok()?;
        let transcript = format!("{},{},{without_proof}", self.client.bare, self.message);
        let signature = sign(&self.keys.stored_key.0, transcript.as_bytes());
        let mut client_key = proof;
        for (octet, signed) in client_key.iter_mut().zip(signature) {
            *octet ^= signed;
        }
        let hashed = digest::digest(&digest::SHA256, &client_key);
        let stored = &self.keys.stored_key.0;
        constant_time::verify_slices_are_equal(hashed.as_ref(), stored).ok()?;
        let signature = sign(&self.keys.server_key.0, transcript.as_bytes());
        let signature = STANDARD.encode(signature);
        Some(Proven::Right(format!("v={signature}")))
    }
}

/// What a proof was worth.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Proven {
    /// The client has the password; the server proves with this message that it knows it too.
    Right(String),
    /// It has not, or its message is malformed.
    Wrong,
}

/// Undoes `=2C` and `=3D`; `None` where there is another `=`, or nothing.
fn unescaped(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (replaced, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (None, Some(rest)) => ('=', rest),
            (None, None) => return None,
        };
        plain.push(replaced);
        plain.push_str(rest);
    }
    (!plain.is_empty()).then_some(plain)
}

fn is_sound(nonce: &str, longest: usize) -> bool {
    let is_printable = nonce.bytes().all(|octet| matches!(octet, b'!'..=b'~'));
    !nonce.is_empty() && nonce.len() <= longest && is_printable
}

fn sign(key: &[u8], message: &[u8]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut signature = [0; 32];
    for (octet, signed) in signature.iter_mut().zip(hmac::sign(&key, message).as_ref()) {
        *octet = *signed;
    }
    signature
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use aws_lc_rs::pbkdf2;
    use proptest::prelude::*;

    use super::*;

    const ITERATIONS: u32 = 4096;

    /// Does what a client and whoever stores its password do with it.
    fn client_key(password: &str, salt: &[u8]) -> ([u8; 32], Keys) {
        let mut salted = [0; 32];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            NonZeroU32::new(ITERATIONS).unwrap(),
            salt,
            password.as_bytes(),
            &mut salted,
        );
        let client_key = sign(&salted, b"Client Key");
        let mut stored = [0; 32];
        stored.copy_from_slice(digest::digest(&digest::SHA256, &client_key).as_ref());
        let keys = Keys {
            iterations: ITERATIONS,
            salt: salt.into(),
            stored_key: Key(stored),
            server_key: Key(sign(&salted, b"Server Key")),
        };
        (client_key, keys)
    }

    /// The keys of RFC 7677 §3: user `user`, password `pencil`.
    fn pencil() -> Keys {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        client_key("pencil", &salt).1
    }

    const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const LAST: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn begun(message: &str) -> ServerFirst {
        let first = ClientFirst::parse(message, Binding::None).unwrap();
        first.answer(pencil(), "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
    }

    #[test]
    fn the_example_of_rfc_7677_succeeds() {
        let server = begun(FIRST);
        assert_eq!(server.name(), "user");
        assert_eq!(
            server.message(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let right = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(server.check(LAST), Proven::Right(right.to_owned()));
    }

    #[test]
    fn whatever_else_stands_in_the_last_message_is_wrong() {
        for (from, to) in [
            ("c=biws", "c=eSws"),
            ("hNlF$k0", "hNlF$k1"),
            ("p=dHzb", "p=eHzb"),
            ("VQ=", "VR="),
            (",p=", ",q="),
            ("rOpr", "rOpq"),
        ] {
            let last = LAST.replacen(from, to, 1);
            assert_eq!(begun(FIRST).check(&last), Proven::Wrong, "{from}");
        }
        for last in ["", "c=biws", "c=biws,r=x,p=", ",p=AAAA"] {
            assert_eq!(begun(FIRST).check(last), Proven::Wrong, "{last}");
        }
    }

    #[test]
    fn a_first_message_is_refused_that_is_malformed_or_acts_for_another() {
        for message in [
            "",
            "n,,",
            "n,,n=,r=abc",
            "n,,n=user",
            "n,,n=user,r=",
            "n,,m=x,n=user,r=abc",
            "n,,n=us=er,r=abc",
            "n,a=root,n=user,r=abc",
            "n,root,n=user,r=abc",
            "x,,n=user,r=abc",
            "p=tls-exporter,,n=user,r=abc",
        ] {
            assert_eq!(
                ClientFirst::parse(message, Binding::None),
                None,
                "{message}"
            );
        }
        let named = ClientFirst::parse("y,a=a=2Cb=3D,n=a=2Cb=3D,r=abc", Binding::None);
        assert_eq!(named.unwrap().name, "a,b=");
    }

    #[test]
    fn a_client_that_can_bind_notices_that_binding_was_taken_out() {
        let yes = "y,,n=user,r=abc";
        assert!(ClientFirst::parse(yes, Binding::None).is_some());
        assert_eq!(ClientFirst::parse(yes, Binding::Downgrade), None);
        assert!(ClientFirst::parse("n,,n=user,r=abc", Binding::Downgrade).is_some());
    }

    #[test]
    fn a_proof_counts_for_the_session_alone_that_it_is_bound_to() {
        let message = "p=tls-exporter,,n=user,r=abc";
        let (client_key, keys) = client_key("pencil", b"salt");
        let begun = |key: u8| {
            let first = ClientFirst::parse(message, Binding::Exporter(Key([key; 32]))).unwrap();
            first.answer(keys.clone(), "xyz")
        };
        let mut bound = b"p=tls-exporter,,".to_vec();
        bound.extend_from_slice(&[7; 32]);
        let last = |nonce: &str| {
            let without_proof = format!("c={},r={nonce}", STANDARD.encode(&bound));
            let transcript = format!("n=user,r=abc,{},{without_proof}", begun(7).message());
            let signature = sign(&keys.stored_key.0, transcript.as_bytes());
            let signed = client_key.iter().zip(signature);
            let proof: Vec<u8> = signed.map(|(a, b)| a ^ b).collect();
            format!("{without_proof},p={}", STANDARD.encode(proof))
        };
        assert!(matches!(begun(7).check(&last("abcxyz")), Proven::Right(_)));
        assert_eq!(begun(8).check(&last("abcxyz")), Proven::Wrong);
        assert_eq!(begun(7).check(&last("abc")), Proven::Wrong, "not its nonce");
        assert_eq!(
            ClientFirst::parse("n,,n=user,r=abc", Binding::Exporter(Key([7; 32]))),
            None
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic_or_proves_anything(first in ".{0,80}", last in ".{0,120}") {
            let read = ClientFirst::parse(&first, Binding::Downgrade);
            if let Some(read) = read {
                prop_assert_eq!(read.answer(pencil_once(), "n").check(&last), Proven::Wrong);
            }
            prop_assert_eq!(begun_once().check(&last), Proven::Wrong);
        }
    }

    fn pencil_once() -> Keys {
        Keys {
            iterations: 1,
            salt: Box::from(*b"salt"),
            stored_key: Key([1; 32]),
            server_key: Key([2; 32]),
        }
    }

    fn begun_once() -> ServerFirst {
        let first = ClientFirst::parse(FIRST, Binding::None).unwrap();
        first.answer(pencil_once(), "n")
    }
}
