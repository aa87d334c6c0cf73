//! XOAUTH2 and OAUTHBEARER (RFC 7628): an access token.

use crate::secret::Secret;
use crate::smtp::replies;

use super::{Credentials, Next};

/// The longest name accepted, in octets.
const MAX_NAME: usize = 1024;

/// What separates the parts of a response.
const SEPARATOR: char = '\u{1}';

/// Reads the response of XOAUTH2: `user=NAME^Aauth=Bearer TOKEN^A^A`.
pub(super) fn xoauth2(response: &str) -> Next {
    let Some(pairs) = response.strip_suffix("\u{1}\u{1}") else {
        return Next::Refused(replies::AUTH_MALFORMED);
    };
    let name = value_of(pairs, "user").unwrap_or_default();
    credentials(name.to_owned(), value_of(pairs, "auth"))
}

/// Reads the response of OAUTHBEARER (RFC 7628 §3.1): `n,a=NAME,^Ahost=…^Aport=…^Aauth=Bearer TOKEN^A^A`. Host and port are
/// passed over: the token is for whoever is named in it.
pub(super) fn oauthbearer(response: &str) -> Next {
    let Some((name, pairs)) = header(response) else {
        return Next::Refused(replies::AUTH_MALFORMED);
    };
    credentials(name, value_of(pairs, "auth"))
}

/// Reads the header (RFC 5801 §4), and returns whom the client wants to act for, empty where it does not say, with the
/// pairs that follow. Channel bindings (`p=`) are not offered.
fn header(response: &str) -> Option<(String, &str)> {
    let (flag, rest) = response.split_once(',')?;
    let (authzid, rest) = rest.split_once(',')?;
    let pairs = rest.strip_prefix(SEPARATOR)?.strip_suffix("\u{1}\u{1}")?;
    if !matches!(flag, "n" | "y") {
        return None;
    }
    let name = match authzid {
        "" => String::new(),
        authzid => saslname(authzid.strip_prefix("a=")?)?,
    };
    Some((name, pairs))
}

/// Reads a name in which `,` is written `=2C` and `=` is written `=3D`.
fn saslname(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (character, rest) = if let Some(rest) = part.strip_prefix("2C") {
            (',', rest)
        } else {
            ('=', part.strip_prefix("3D")?)
        };
        name.push(character);
        name.push_str(rest);
    }
    Some(name)
}

/// Returns the value of a pair; `None` where it is missing or there twice.
fn value_of<'a>(pairs: &'a str, key: &str) -> Option<&'a str> {
    let mut values = pairs.split(SEPARATOR).filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name == key).then_some(value)
    });
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

fn credentials(name: String, authorization: Option<&str>) -> Next {
    let token = authorization.and_then(bearer);
    let is_name = name.len() <= MAX_NAME && !name.contains(char::is_control);
    match token {
        Some(token) if is_name => Next::Credentials(Credentials::Token {
            name: (!name.is_empty()).then_some(name),
            token: Secret::new(token.to_owned()),
        }),
        Some(_) | None => Next::Refused(replies::AUTH_MALFORMED),
    }
}

/// Reads `Bearer TOKEN` (RFC 6750 §2.1); the scheme has no letter case (RFC 9110 §11.1).
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    let token = token.trim_matches(' ');
    let is_sound = !token.is_empty() && token.bytes().all(|octet| octet.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && is_sound).then_some(token)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;
    use crate::smtp::sasl::scram::Binding;
    use crate::smtp::sasl::{Exchange, Mechanism};

    fn given(name: Option<&str>) -> Next {
        Next::Credentials(Credentials::Token {
            name: name.map(str::to_owned),
            token: Secret::new("vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg==".to_owned()),
        })
    }

    /// The examples of RFC 7628 §4.1 and of Google, with their separators.
    const OAUTHBEARER: &str = "n,a=user@example.com,\u{1}host=server.example.com\u{1}port=143\u{1}\
                               auth=Bearer vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg==\u{1}\u{1}";
    const XOAUTH2: &str = "user=user@example.com\u{1}auth=Bearer vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg==\u{1}\u{1}";

    #[test]
    fn a_token_is_read_in_both_forms() {
        assert_eq!(oauthbearer(OAUTHBEARER), given(Some("user@example.com")));
        assert_eq!(xoauth2(XOAUTH2), given(Some("user@example.com")));
        let unnamed = OAUTHBEARER.replace("a=user@example.com", "");
        assert_eq!(oauthbearer(&unnamed), given(None));
        let lower = XOAUTH2.replace("Bearer", "bearer");
        assert_eq!(xoauth2(&lower), given(Some("user@example.com")));
        let unbound = OAUTHBEARER.replacen("n,", "y,", 1);
        assert_eq!(oauthbearer(&unbound), given(Some("user@example.com")));
    }

    #[test]
    fn a_name_with_a_comma_is_written_with_escapes() {
        let escaped = OAUTHBEARER.replace("user@", "a=2Cb=3Dc@");
        assert_eq!(oauthbearer(&escaped), given(Some("a,b=c@example.com")));
        for wrong in ["a=2c", "a=", "a=4D"] {
            let text = OAUTHBEARER.replace("user@", wrong);
            assert_eq!(oauthbearer(&text), Next::Refused(replies::AUTH_MALFORMED));
        }
    }

    #[test]
    fn a_token_comes_at_once_or_later_at_any_length() {
        let long = XOAUTH2.replace("vF9dft", &"x".repeat(6000));
        let line = STANDARD.encode(&long);
        let Next::Challenge(exchange, reply) =
            Exchange::begin(Mechanism::XOAuth2, None, Binding::None)
        else {
            panic!("no challenge");
        };
        assert_eq!(&reply.line()[..], b"334 \r\n");
        let later = exchange.respond(line.as_bytes());
        assert_eq!(
            later,
            Exchange::begin(Mechanism::XOAuth2, Some(&line), Binding::None)
        );
        assert!(matches!(later, Next::Credentials(_)));
    }

    #[test]
    fn a_refused_token_is_a_failure_whatever_the_client_answers() {
        for line in ["AQ==", "", "=", "*", "!!", "x"] {
            let next = Exchange::TokenRefused.respond(line.as_bytes());
            assert_eq!(next, Next::Refused(replies::TOKEN_REFUSED), "{line}");
        }
    }

    #[test]
    fn malformed_responses_are_refused() {
        let texts = [
            "",
            "\u{1}\u{1}",
            "user=a\u{1}\u{1}",
            "user=a\u{1}auth=Bearer \u{1}\u{1}",
            "user=a\u{1}auth=Basic x\u{1}\u{1}",
            "user=a\u{1}auth=Bearer x",
            "user=a\u{1}auth=Bearer x\u{1}auth=Bearer y\u{1}\u{1}",
            "user=a\u{1}auth=Bearer x y\u{1}\u{1}",
            "user=a\u{1}auth=Bearer x\r\n\u{1}\u{1}",
        ];
        for text in texts {
            let refused = Next::Refused(replies::AUTH_MALFORMED);
            assert_eq!(xoauth2(text), refused, "{text:?}");
            assert_eq!(
                oauthbearer(&format!("n,,\u{1}{text}").replace("user=a\u{1}", "")),
                refused,
                "{text:?}"
            );
        }
        let refused = Next::Refused(replies::AUTH_MALFORMED);
        assert_eq!(xoauth2("user=a\r\n\u{1}auth=Bearer x\u{1}\u{1}"), refused);
        let bound = OAUTHBEARER.replacen("n,", "p=tls-exporter,", 1);
        assert_eq!(oauthbearer(&bound), Next::Refused(replies::AUTH_MALFORMED));
        assert_eq!(oauthbearer(XOAUTH2), Next::Refused(replies::AUTH_MALFORMED));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = xoauth2(&text);
            let _ = oauthbearer(&text);
        }

        #[test]
        fn a_name_is_read_as_it_was_written(name in "[ -~]{1,40}") {
            let written = name.replace('=', "=3D").replace(',', "=2C");
            let text = OAUTHBEARER.replace("user@example.com", &written);
            prop_assert_eq!(oauthbearer(&text), given(Some(&name)));
        }
    }
}
