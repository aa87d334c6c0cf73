//! PLAIN (RFC 4616) and LOGIN: a user name and a password.

use crate::secret::Secret;
use crate::smtp::replies;

use super::{Credentials, Next};

/// The longest user name and the longest password accepted, in octets (RFC 4616 §2 allows 255 and more).
const MAX_CREDENTIAL: usize = 1024;

/// Reads the response of PLAIN.
pub(super) fn plain(response: &str) -> Next {
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

/// Checks the form of a user name and a password.
pub(super) fn credentials(name: &str, password: &str) -> Next {
    let is_sound =
        |text: &str| !text.is_empty() && text.len() <= MAX_CREDENTIAL && !text.contains('\0');
    if !is_sound(name) || !is_sound(password) {
        return Next::Refused(replies::AUTH_FAILED);
    }
    Next::Credentials(Credentials::Password {
        name: name.to_owned(),
        password: Secret::new(password.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::smtp::sasl::scram::Binding;
    use crate::smtp::sasl::{Exchange, Mechanism};

    fn encode(text: &str) -> String {
        STANDARD.encode(text)
    }

    fn plain_response(text: &str) -> Next {
        Exchange::begin(Mechanism::Plain, Some(&encode(text)), Binding::None)
    }

    fn alice() -> Next {
        Next::Credentials(Credentials::Password {
            name: "alice".into(),
            password: Secret::new("pw".into()),
        })
    }

    #[test]
    fn plain_takes_its_response_at_once_or_later() {
        assert_eq!(plain_response("\0alice\0pw"), alice());
        assert_eq!(plain_response("alice\0alice\0pw"), alice());
        let Next::Challenge(exchange, reply) =
            Exchange::begin(Mechanism::Plain, None, Binding::None)
        else {
            panic!("no challenge");
        };
        assert_eq!(&reply.line()[..], b"334 \r\n");
        assert_eq!(exchange.respond(encode("\0alice\0pw").as_bytes()), alice());
    }

    #[test]
    fn login_prompts_with_the_octets_that_printers_know() {
        let Next::Challenge(exchange, reply) =
            Exchange::begin(Mechanism::Login, None, Binding::None)
        else {
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
            Exchange::begin(Mechanism::Login, Some(&encode("alice")), Binding::None)
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
