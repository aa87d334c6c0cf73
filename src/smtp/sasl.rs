//! The server's side of SASL exchanges: PLAIN (RFC 4616) and LOGIN.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::secret::Secret;

use super::replies;
use super::reply::Reply;

/// The longest user name and the longest password accepted, in octets (RFC 4616 §2 allows 255 and more).
const MAX_CREDENTIAL: usize = 1024;

/// A mechanism that is offered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mechanism {
    /// PLAIN.
    Plain,
    /// LOGIN.
    Login,
}

impl Mechanism {
    /// Finds a mechanism by its name, in any letter case.
    pub fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "PLAIN" => Some(Self::Plain),
            "LOGIN" => Some(Self::Login),
            _ => None,
        }
    }
}

/// A user name and password as a client gave them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credentials {
    /// The user name.
    pub name: String,
    /// The password.
    pub password: Secret,
}

/// An exchange that waits for a response.
#[derive(Debug, Eq, PartialEq)]
pub enum Exchange {
    /// PLAIN, for its only response.
    Plain,
    /// LOGIN, for the user name.
    LoginName,
    /// LOGIN, for the password.
    LoginPassword(String),
}

/// What follows a response.
#[derive(Debug, Eq, PartialEq)]
pub enum Next {
    /// The exchange goes on with this challenge.
    Challenge(Exchange, Reply),
    /// The client has said all.
    Credentials(Credentials),
    /// The exchange is over without credentials.
    Refused(Reply),
}

impl Exchange {
    /// Begins an exchange. `initial` is the initial response, base64; `=` is an empty one (RFC 4954 §4).
    pub fn begin(mechanism: Mechanism, initial: Option<&str>) -> Next {
        match (mechanism, initial) {
            (Mechanism::Plain, Some(initial)) => Self::Plain.respond(initial.as_bytes()),
            (Mechanism::Plain, None) => Next::Challenge(Self::Plain, replies::AUTH_CONTINUE),
            (Mechanism::Login, Some(initial)) => Self::LoginName.respond(initial.as_bytes()),
            (Mechanism::Login, None) => Next::Challenge(Self::LoginName, replies::AUTH_USERNAME),
        }
    }

    /// Takes a response line. `*` cancels.
    pub fn respond(self, line: &[u8]) -> Next {
        let line = line.trim_ascii();
        if line == b"*" {
            return Next::Refused(replies::AUTH_CANCELLED);
        }
        let encoded: &[u8] = if line == b"=" { b"" } else { line };
        let Ok(response) = STANDARD.decode(encoded) else {
            return Next::Refused(replies::AUTH_MALFORMED);
        };
        let Ok(response) = String::from_utf8(response) else {
            return Next::Refused(replies::AUTH_FAILED);
        };
        match self {
            Self::Plain => plain(&response),
            Self::LoginName => {
                Next::Challenge(Self::LoginPassword(response), replies::AUTH_PASSWORD)
            }
            Self::LoginPassword(name) => credentials(&name, &response),
        }
    }
}

fn plain(response: &str) -> Next {
    let mut parts = response.split('\0');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(authorization), Some(name), Some(password), None)
            if authorization.is_empty() || authorization == name =>
        {
            credentials(name, password)
        }
        _ => Next::Refused(replies::AUTH_FAILED),
    }
}

fn credentials(name: &str, password: &str) -> Next {
    let is_sound =
        |text: &str| !text.is_empty() && text.len() <= MAX_CREDENTIAL && !text.contains('\0');
    if !is_sound(name) || !is_sound(password) {
        return Next::Refused(replies::AUTH_FAILED);
    }
    Next::Credentials(Credentials {
        name: name.to_owned(),
        password: Secret::new(password.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(text: &str) -> String {
        STANDARD.encode(text)
    }

    fn plain_response(text: &str) -> Next {
        Exchange::begin(Mechanism::Plain, Some(&encode(text)))
    }

    fn alice() -> Next {
        Next::Credentials(Credentials {
            name: "alice".into(),
            password: Secret::new("pw".into()),
        })
    }

    #[test]
    fn plain_takes_its_response_at_once_or_later() {
        assert_eq!(plain_response("\0alice\0pw"), alice());
        assert_eq!(plain_response("alice\0alice\0pw"), alice());
        let Next::Challenge(exchange, reply) = Exchange::begin(Mechanism::Plain, None) else {
            panic!("no challenge");
        };
        assert_eq!(&reply.line()[..], b"334 \r\n");
        assert_eq!(exchange.respond(encode("\0alice\0pw").as_bytes()), alice());
    }

    #[test]
    fn login_prompts_with_the_octets_that_printers_know() {
        let Next::Challenge(exchange, reply) = Exchange::begin(Mechanism::Login, None) else {
            panic!("no challenge");
        };
        assert_eq!(&reply.line()[..], b"334 VXNlcm5hbWU6\r\n");
        let Next::Challenge(exchange, reply) = exchange.respond(encode("alice").as_bytes()) else {
            panic!("no challenge");
        };
        assert_eq!(&reply.line()[..], b"334 UGFzc3dvcmQ6\r\n");
        assert_eq!(exchange.respond(encode("pw").as_bytes()), alice());
    }

    #[test]
    fn login_takes_the_name_as_initial_response() {
        let Next::Challenge(exchange, _) =
            Exchange::begin(Mechanism::Login, Some(&encode("alice")))
        else {
            panic!("no challenge");
        };
        assert_eq!(exchange.respond(encode("pw").as_bytes()), alice());
    }

    #[test]
    fn acting_for_somebody_else_is_refused() {
        assert_eq!(
            plain_response("root\0alice\0pw"),
            Next::Refused(replies::AUTH_FAILED)
        );
    }

    #[test]
    fn malformed_responses_are_refused() {
        for text in [
            "",
            "alice",
            "\0alice",
            "\0alice\0",
            "\0\0pw",
            "\0alice\0p\0w",
        ] {
            assert_eq!(
                plain_response(text),
                Next::Refused(replies::AUTH_FAILED),
                "{text:?}"
            );
        }
        assert_eq!(
            Exchange::Plain.respond(b"*"),
            Next::Refused(replies::AUTH_CANCELLED)
        );
        assert_eq!(
            Exchange::Plain.respond(b"!!"),
            Next::Refused(replies::AUTH_MALFORMED)
        );
        assert_eq!(
            Exchange::Plain.respond(b"="),
            Next::Refused(replies::AUTH_FAILED)
        );
        assert_eq!(
            Exchange::LoginPassword("a".into()).respond(b""),
            Next::Refused(replies::AUTH_FAILED)
        );
    }
}
