//! Logging in at an upstream (RFC 4954): PLAIN, LOGIN, CRAM-MD5. Without sockets.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use zeroize::Zeroizing;

use crate::mail::Response;
use crate::smtp::extension::Mechanisms;
use crate::smtp::reply::ReceivedReply;

use super::censor;
use super::settings::Login;

/// A login mechanism.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mechanism {
    CramMd5,
    Login,
    Plain,
}

/// Whether others can read the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Privacy {
    Open,
    Private,
}

/// A line that may hold a secret. It is overwritten when it is dropped.
pub(super) type SecretLine = Zeroizing<Vec<u8>>;

/// What follows a reply.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Answer {
    /// The login succeeded.
    Done,
    /// The upstream refused.
    Refused(Response),
    /// This line is to be sent.
    Send(SecretLine),
    /// The upstream does not know the mechanism after all, so another may be tried.
    Unknown(Response),
}

/// A login in progress.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    login: &'a Login,
    mechanism: Mechanism,
    /// Challenges answered so far.
    answered: u8,
    /// What was sent, as it was sent and as it reads; nobody is to see it in a reply.
    secrets: Vec<Zeroizing<String>>,
}

impl Mechanism {
    /// Returns the offered mechanisms in the order to try them.
    ///
    /// Inside TLS the simple ones come first: they work with every password store. Where others can read along,
    /// CRAM-MD5 comes first because it does not show the password.
    pub(super) fn in_order(offered: Mechanisms, privacy: Privacy) -> Vec<Self> {
        let order = match privacy {
            Privacy::Private => [Self::Plain, Self::Login, Self::CramMd5],
            Privacy::Open => [Self::CramMd5, Self::Plain, Self::Login],
        };
        let is_offered = |mechanism: &Self| match mechanism {
            Self::CramMd5 => offered.cram_md5,
            Self::Login => offered.login,
            Self::Plain => offered.plain,
        };
        order.into_iter().filter(is_offered).collect()
    }

    /// Returns the name as it stands behind AUTH.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::CramMd5 => "CRAM-MD5",
            Self::Login => "LOGIN",
            Self::Plain => "PLAIN",
        }
    }
}

impl<'a> Exchange<'a> {
    /// Begins a login; returns it and its first line.
    pub(super) fn begin(login: &'a Login, mechanism: Mechanism) -> (Self, SecretLine) {
        let mut exchange = Self {
            login,
            mechanism,
            answered: 0,
            secrets: vec![Zeroizing::new(login.password.expose().to_owned())],
        };
        let line = match mechanism {
            Mechanism::CramMd5 | Mechanism::Login => {
                format!("AUTH {}\r\n", mechanism.name()).into_bytes()
            }
            Mechanism::Plain => {
                let (user, password) = (&login.username, login.password.expose());
                let message = Zeroizing::new(format!("\0{user}\0{password}"));
                let response = exchange.encode(&message);
                format!("AUTH PLAIN {}\r\n", response.as_str()).into_bytes()
            }
        };
        (exchange, Zeroizing::new(line))
    }

    /// Takes a reply. Where the upstream repeats in it what it was sent, that is cut out.
    pub(super) fn receive(&mut self, reply: Response) -> Answer {
        match reply.code {
            235 => Answer::Done,
            334 if self.answered < MAX_CHALLENGES => self.challenged(&reply.text),
            // 504: mechanism not supported (RFC 4954 §4). Microsoft answers so to PLAIN.
            504 if self.answered == 0 => Answer::Unknown(self.censored(reply)),
            _ => Answer::Refused(self.censored(reply)),
        }
    }

    /// Returns a reply as observers may see it.
    pub(super) fn shown(&self, reply: &ReceivedReply) -> ReceivedReply {
        let lines = reply.lines.iter();
        ReceivedReply {
            response: self.censored(reply.response.clone()),
            lines: lines
                .map(|line| censor::without(line, &self.secrets).into())
                .collect(),
        }
    }

    fn censored(&self, mut reply: Response) -> Response {
        reply.text = censor::without(&reply.text, &self.secrets).into();
        reply
    }

    fn challenged(&mut self, challenge: &str) -> Answer {
        self.answered = self.answered.saturating_add(1);
        let response = match (self.mechanism, self.answered) {
            (Mechanism::Login, 1) => Some(self.encode(&self.login.username)),
            (Mechanism::Login, 2) => Some(self.encode(self.login.password.expose())),
            (Mechanism::CramMd5, 1) => self.digest(challenge),
            (Mechanism::CramMd5 | Mechanism::Login | Mechanism::Plain, _) => None,
        };
        // A challenge that does not belong to the mechanism gets `*`, which ends it (RFC 4954 §4).
        let line = match response {
            Some(response) => format!("{}\r\n", response.as_str()).into_bytes(),
            None => b"*\r\n".to_vec(),
        };
        Answer::Send(Zeroizing::new(line))
    }

    /// RFC 2195 §2: name, space, and the keyed digest of the challenge in hexadecimal.
    fn digest(&mut self, challenge: &str) -> Option<Zeroizing<String>> {
        let challenge = STANDARD.decode(challenge.trim()).ok()?;
        let key = self.login.password.expose().as_bytes();
        let mut mac = Hmac::<Md5>::new_from_slice(key).ok()?;
        mac.update(&challenge);
        let mut response = format!("{} ", self.login.username);
        for octet in mac.finalize().into_bytes() {
            // Writing into memory does not fail.
            let _ = write!(response, "{octet:02x}");
        }
        let encoded = self.encode(&response);
        self.secrets.push(Zeroizing::new(response));
        Some(encoded)
    }

    /// Returns a response as it is sent, and keeps it in mind.
    fn encode(&mut self, response: &str) -> Zeroizing<String> {
        let encoded = Zeroizing::new(STANDARD.encode(response));
        self.secrets.push(encoded.clone());
        encoded
    }
}

/// No mechanism has more than two; the rest is answered by `*` and must end.
const MAX_CHALLENGES: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::upstream::smtp::settings::PlainTextLogin;

    fn login(username: &str, password: &str) -> Login {
        Login {
            username: username.to_owned(),
            password: Secret::new(password.to_owned()),
            over_plain_text: PlainTextLogin::Forbidden,
        }
    }

    fn reply(code: u16, text: &str) -> Response {
        Response {
            code,
            status: None,
            text: text.into(),
        }
    }

    fn text(answer: &Answer) -> &str {
        let Answer::Send(line) = answer else {
            panic!("{answer:?}")
        };
        std::str::from_utf8(line).unwrap()
    }

    #[test]
    fn plain_is_one_line() {
        let login = login("tim", "tanstaaftanstaaf");
        let (mut exchange, line) = Exchange::begin(&login, Mechanism::Plain);
        assert_eq!(&line[..], b"AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n");
        assert_eq!(exchange.receive(reply(235, "")), Answer::Done);
    }

    #[test]
    fn login_answers_two_prompts_whatever_they_say() {
        let login = login("tim", "secret");
        let (mut exchange, line) = Exchange::begin(&login, Mechanism::Login);
        assert_eq!(&line[..], b"AUTH LOGIN\r\n");
        assert_eq!(text(&exchange.receive(reply(334, "???"))), "dGlt\r\n");
        assert_eq!(text(&exchange.receive(reply(334, ""))), "c2VjcmV0\r\n");
        assert_eq!(exchange.receive(reply(235, "")), Answer::Done);
    }

    #[test]
    fn cram_md5_gives_the_digest_of_rfc_2195() {
        let login = login("tim", "tanstaaftanstaaf");
        let (mut exchange, line) = Exchange::begin(&login, Mechanism::CramMd5);
        assert_eq!(&line[..], b"AUTH CRAM-MD5\r\n");
        let challenge = "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+";
        assert_eq!(
            text(&exchange.receive(reply(334, challenge))),
            "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\r\n"
        );
    }

    #[test]
    fn a_challenge_that_is_not_base64_cancels() {
        let login = login("tim", "secret");
        let (mut exchange, _) = Exchange::begin(&login, Mechanism::CramMd5);
        assert_eq!(text(&exchange.receive(reply(334, "?"))), "*\r\n");
    }

    #[test]
    fn more_challenges_than_the_mechanism_has_cancel() {
        let login = login("tim", "secret");
        let (mut exchange, _) = Exchange::begin(&login, Mechanism::Plain);
        assert_eq!(text(&exchange.receive(reply(334, ""))), "*\r\n");
        assert_eq!(text(&exchange.receive(reply(334, ""))), "*\r\n");
    }

    #[test]
    fn an_unknown_mechanism_is_no_refused_login() {
        let login = login("tim", "secret");
        let (mut exchange, _) = Exchange::begin(&login, Mechanism::Plain);
        let unknown = reply(504, "unrecognized authentication type");
        assert_eq!(
            exchange.receive(unknown.clone()),
            Answer::Unknown(unknown.clone())
        );
        let _ = exchange.receive(reply(334, ""));
        assert_eq!(exchange.receive(unknown.clone()), Answer::Refused(unknown));
    }

    fn refusal(exchange: &mut Exchange<'_>, text: &str) -> String {
        let answer = exchange.receive(reply(535, text));
        let Answer::Refused(reply) = answer else {
            panic!("{answer:?}")
        };
        reply.text.into()
    }

    #[test]
    fn a_refusal_that_repeats_the_command_shows_no_secret() {
        let login = login("tim", "tanstaaftanstaaf");
        let (mut exchange, _) = Exchange::begin(&login, Mechanism::Plain);
        assert_eq!(
            refusal(
                &mut exchange,
                "bad command: AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm"
            ),
            "bad command: AUTH PLAIN ***"
        );
        assert_eq!(
            refusal(&mut exchange, "tim, tanstaaftanstaaf is wrong"),
            "tim, *** is wrong"
        );
        let unknown = exchange.receive(reply(504, "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm?"));
        assert_eq!(unknown, Answer::Unknown(reply(504, "AUTH PLAIN ***?")));
    }

    #[test]
    fn observers_see_no_secret_in_a_reply() {
        let login = login("tim", "tanstaaftanstaaf");
        let (exchange, _) = Exchange::begin(&login, Mechanism::Plain);
        let shown = exchange.shown(&ReceivedReply {
            response: reply(535, "no AHRpbQB0YW5zdGFhZnRhbnN0YWFm"),
            lines: vec!["no".into(), "AHRpbQB0YW5zdGFhZnRhbnN0YWFm".into()],
        });
        assert_eq!(&*shown.response.text, "no ***");
        assert_eq!(shown.lines, ["no".into(), "***".into()] as [Box<str>; 2]);
    }

    #[test]
    fn a_refusal_that_repeats_a_response_shows_no_secret() {
        let login = login("tim", "secret");
        let (mut exchange, _) = Exchange::begin(&login, Mechanism::Login);
        let _ = exchange.receive(reply(334, ""));
        let _ = exchange.receive(reply(334, ""));
        assert_eq!(refusal(&mut exchange, "<dGlt> <c2VjcmV0>"), "<***> <***>");
        let (mut exchange, _) = Exchange::begin(&login, Mechanism::CramMd5);
        let answer = exchange.receive(reply(334, "PDE+"));
        let sent = text(&answer).trim_end().to_owned();
        assert_eq!(refusal(&mut exchange, &format!("{sent} no")), "*** no");
        let plain = String::from_utf8(STANDARD.decode(sent).unwrap()).unwrap();
        assert_eq!(refusal(&mut exchange, &format!("no {plain}")), "no ***");
    }

    #[test]
    fn where_others_read_along_the_password_is_not_shown_if_possible() {
        let all = Mechanisms {
            cram_md5: true,
            login: true,
            plain: true,
        };
        assert_eq!(
            Mechanism::in_order(all, Privacy::Private),
            [Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5]
        );
        assert_eq!(
            Mechanism::in_order(all, Privacy::Open)[0],
            Mechanism::CramMd5
        );
        let microsoft = Mechanisms {
            login: true,
            ..Mechanisms::default()
        };
        assert_eq!(
            Mechanism::in_order(microsoft, Privacy::Private),
            [Mechanism::Login]
        );
    }
}
