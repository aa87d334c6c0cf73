//! Logging in at an upstream (RFC 4954): PLAIN, LOGIN, CRAM-MD5, XOAUTH2, OAUTHBEARER (RFC 7628). Without sockets.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use zeroize::Zeroizing;

use crate::mail::Response;
use crate::oauth::AccessToken;
use crate::secret::Secret;
use crate::smtp::extension::Mechanisms;
use crate::smtp::reply::ReceivedReply;

use super::bearer;
use super::censor;

/// A login mechanism.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mechanism {
    CramMd5,
    Login,
    OAuthBearer,
    Plain,
    XOAuth2,
}

/// Whether others can read the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Privacy {
    Open,
    Private,
}

/// Who logs in, with what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass<'a> {
    pub(super) username: &'a str,
    pub(super) proof: Proof<'a>,
}

/// What proves who logs in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Proof<'a> {
    Password(&'a Secret),
    Token {
        token: &'a AccessToken,
        /// The server's name and port, as they are configured (RFC 7628 §3.1).
        server: (&'a str, u16),
    },
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
    pass: Pass<'a>,
    mechanism: Mechanism,
    /// Challenges answered so far.
    answered: u8,
    /// The initial response, where it was too long for the line of the command.
    held_back: Option<Zeroizing<String>>,
    /// Why a token was refused, as the upstream says it in its last challenge.
    reason: Option<Box<str>>,
    /// What was sent, as it was sent and as it reads; nobody is to see it in a reply.
    secrets: Vec<Zeroizing<String>>,
}

impl Mechanism {
    /// Returns the offered mechanisms in the order to try them.
    ///
    /// Of those for passwords the simple ones come first inside TLS: they work with every password store. Where others
    /// can read along, CRAM-MD5 comes first because it does not show the password. Of those for tokens XOAUTH2 comes
    /// first: every provider that takes tokens has it, and its quirks are known.
    pub(super) fn in_order(offered: Mechanisms, proof: Proof<'_>, privacy: Privacy) -> Vec<Self> {
        let order: &[Self] = match (proof, privacy) {
            (Proof::Password(_), Privacy::Private) => &[Self::Plain, Self::Login, Self::CramMd5],
            (Proof::Password(_), Privacy::Open) => &[Self::CramMd5, Self::Plain, Self::Login],
            (Proof::Token { .. }, _) => &[Self::XOAuth2, Self::OAuthBearer],
        };
        let is_offered = |mechanism: &Self| match mechanism {
            Self::CramMd5 => offered.cram_md5,
            Self::Login => offered.login,
            Self::OAuthBearer => offered.oauthbearer,
            Self::Plain => offered.plain,
            Self::XOAuth2 => offered.xoauth2,
        };
        order.iter().copied().filter(is_offered).collect()
    }

    /// Returns the name as it stands behind AUTH.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::CramMd5 => "CRAM-MD5",
            Self::Login => "LOGIN",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::Plain => "PLAIN",
            Self::XOAuth2 => "XOAUTH2",
        }
    }
}

impl<'a> Proof<'a> {
    /// Returns the text that nobody is to see.
    fn expose(self) -> &'a str {
        match self {
            Self::Password(password) => password.expose(),
            Self::Token { token, .. } => token.expose(),
        }
    }

    /// Says that no mechanism is offered which takes this.
    pub(super) const fn not_offered(self) -> &'static str {
        match self {
            Self::Password(_) => "the upstream offers none of the logins PLAIN, LOGIN and CRAM-MD5",
            Self::Token { .. } => {
                "the upstream offers none of the logins XOAUTH2 and OAUTHBEARER, which take a token"
            }
        }
    }
}

impl<'a> Exchange<'a> {
    /// Begins a login; returns it and its first line.
    pub(super) fn begin(pass: Pass<'a>, mechanism: Mechanism) -> (Self, SecretLine) {
        let mut exchange = Self {
            pass,
            mechanism,
            answered: 0,
            held_back: None,
            reason: None,
            secrets: vec![Zeroizing::new(pass.proof.expose().to_owned())],
        };
        let name = mechanism.name();
        let line = match exchange.initial() {
            None => format!("AUTH {name}\r\n"),
            Some(response) => {
                let fits = "AUTH  \r\n".len() + name.len() + response.len() <= LINE;
                if fits {
                    format!("AUTH {name} {}\r\n", response.as_str())
                } else {
                    exchange.held_back = Some(response);
                    format!("AUTH {name}\r\n")
                }
            }
        };
        (exchange, Zeroizing::new(line.into_bytes()))
    }

    /// Returns the first line as observers may see it.
    pub(super) fn first_line_shown(&self) -> String {
        let name = self.mechanism.name();
        let is_short = match self.mechanism {
            Mechanism::CramMd5 | Mechanism::Login => true,
            Mechanism::OAuthBearer | Mechanism::Plain | Mechanism::XOAuth2 => {
                self.held_back.is_some()
            }
        };
        if is_short {
            format!("AUTH {name}")
        } else {
            format!("AUTH {name} ***")
        }
    }

    /// Takes a reply. Where the upstream repeats in it what it was sent, that is cut out.
    pub(super) fn receive(&mut self, reply: Response) -> Answer {
        match reply.code {
            235 => Answer::Done,
            334 if self.answered < MAX_CHALLENGES => self.challenged(&reply.text),
            // 504: mechanism not supported (RFC 4954 §4). Microsoft answers so to PLAIN.
            504 if self.answered == 0 => Answer::Unknown(self.censored(reply)),
            _ => Answer::Refused(self.explained(reply)),
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

    /// Adds what the upstream has said in its last challenge.
    fn explained(&self, reply: Response) -> Response {
        let mut reply = self.censored(reply);
        if let Some(reason) = &self.reason {
            let reason = censor::without(reason, &self.secrets);
            let room = MAX_TEXT.saturating_sub(reply.text.len() + " ()".len());
            let reason: String = reason.chars().take(room).collect();
            reply.text = format!("{} ({reason})", reply.text).into();
        }
        reply
    }

    /// Returns the initial response of a mechanism that has one.
    fn initial(&mut self) -> Option<Zeroizing<String>> {
        let Pass { username, proof } = self.pass;
        let message = match (self.mechanism, proof) {
            (Mechanism::Plain, _) => Zeroizing::new(format!("\0{username}\0{}", proof.expose())),
            (Mechanism::OAuthBearer, Proof::Token { token, server }) => {
                bearer::oauthbearer(username, token, server)
            }
            (Mechanism::XOAuth2, _) => bearer::xoauth2(username, proof.expose()),
            (Mechanism::CramMd5 | Mechanism::Login | Mechanism::OAuthBearer, _) => return None,
        };
        Some(self.encode(&message))
    }

    fn challenged(&mut self, challenge: &str) -> Answer {
        if let Some(response) = self.held_back.take() {
            return send(&response);
        }
        self.answered = self.answered.saturating_add(1);
        let response = match (self.mechanism, self.answered) {
            (Mechanism::Login, 1) => Some(self.encode(self.pass.username)),
            (Mechanism::Login, 2) => Some(self.encode(self.pass.proof.expose())),
            (Mechanism::CramMd5, 1) => self.digest(challenge),
            // The challenge says what is wrong with the token; an empty answer asks for the refusal itself.
            (Mechanism::XOAuth2, 1) => {
                self.reason = bearer::reason(challenge);
                Some(Zeroizing::default())
            }
            (Mechanism::OAuthBearer, 1) => {
                self.reason = bearer::reason(challenge);
                Some(Zeroizing::new(bearer::DUMMY.to_owned()))
            }
            (
                Mechanism::CramMd5
                | Mechanism::Login
                | Mechanism::OAuthBearer
                | Mechanism::Plain
                | Mechanism::XOAuth2,
                _,
            ) => None,
        };
        // A challenge that does not belong to the mechanism gets `*`, which ends it (RFC 4954 §4).
        response.map_or_else(
            || Answer::Send(b"*\r\n".to_vec().into()),
            |line| send(&line),
        )
    }

    /// RFC 2195 §2: name, space, and the keyed digest of the challenge in hexadecimal.
    fn digest(&mut self, challenge: &str) -> Option<Zeroizing<String>> {
        let challenge = STANDARD.decode(challenge.trim()).ok()?;
        let key = self.pass.proof.expose().as_bytes();
        let mut mac = Hmac::<Md5>::new_from_slice(key).ok()?;
        mac.update(&challenge);
        let mut response = format!("{} ", self.pass.username);
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

fn send(response: &Zeroizing<String>) -> Answer {
    let line = format!("{}\r\n", response.as_str());
    Answer::Send(Zeroizing::new(line.into_bytes()))
}

/// The longest command line that every server takes, in octets with CRLF (RFC 5321 §4.5.3.1.4). RFC 4954 §4 allows
/// 12288 for AUTH, which not all servers know; what is longer is sent when the server asks for it.
const LINE: usize = 512;

/// The longest text of a response, in octets.
const MAX_TEXT: usize = 512;

/// No mechanism has more than two; the rest is answered by `*` and must end.
const MAX_CHALLENGES: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    struct Login(&'static str, Secret);

    fn login(username: &'static str, password: &str) -> Login {
        Login(username, Secret::new(password.to_owned()))
    }

    impl Login {
        fn pass(&self) -> Pass<'_> {
            Pass {
                username: self.0,
                proof: Proof::Password(&self.1),
            }
        }
    }

    fn token(length: usize) -> AccessToken {
        AccessToken::new(Secret::new("t".repeat(length)))
    }

    fn bearer_pass(token: &AccessToken) -> Pass<'_> {
        Pass {
            username: "relay@example.com",
            proof: Proof::Token {
                token,
                server: ("smtp.example.com", 587),
            },
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
        let (mut exchange, line) = Exchange::begin(login.pass(), Mechanism::Plain);
        assert_eq!(&line[..], b"AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n");
        assert_eq!(exchange.receive(reply(235, "")), Answer::Done);
    }

    #[test]
    fn login_answers_two_prompts_whatever_they_say() {
        let login = login("tim", "secret");
        let (mut exchange, line) = Exchange::begin(login.pass(), Mechanism::Login);
        assert_eq!(&line[..], b"AUTH LOGIN\r\n");
        assert_eq!(text(&exchange.receive(reply(334, "???"))), "dGlt\r\n");
        assert_eq!(text(&exchange.receive(reply(334, ""))), "c2VjcmV0\r\n");
        assert_eq!(exchange.receive(reply(235, "")), Answer::Done);
    }

    #[test]
    fn cram_md5_gives_the_digest_of_rfc_2195() {
        let login = login("tim", "tanstaaftanstaaf");
        let (mut exchange, line) = Exchange::begin(login.pass(), Mechanism::CramMd5);
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
        let (mut exchange, _) = Exchange::begin(login.pass(), Mechanism::CramMd5);
        assert_eq!(text(&exchange.receive(reply(334, "?"))), "*\r\n");
    }

    #[test]
    fn more_challenges_than_the_mechanism_has_cancel() {
        let login = login("tim", "secret");
        let (mut exchange, _) = Exchange::begin(login.pass(), Mechanism::Plain);
        assert_eq!(text(&exchange.receive(reply(334, ""))), "*\r\n");
        assert_eq!(text(&exchange.receive(reply(334, ""))), "*\r\n");
    }

    #[test]
    fn an_unknown_mechanism_is_no_refused_login() {
        let login = login("tim", "secret");
        let (mut exchange, _) = Exchange::begin(login.pass(), Mechanism::Plain);
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
        let (mut exchange, _) = Exchange::begin(login.pass(), Mechanism::Plain);
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
        let (exchange, _) = Exchange::begin(login.pass(), Mechanism::Plain);
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
        let (mut exchange, _) = Exchange::begin(login.pass(), Mechanism::Login);
        let _ = exchange.receive(reply(334, ""));
        let _ = exchange.receive(reply(334, ""));
        assert_eq!(refusal(&mut exchange, "<dGlt> <c2VjcmV0>"), "<***> <***>");
        let (mut exchange, _) = Exchange::begin(login.pass(), Mechanism::CramMd5);
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
            oauthbearer: true,
            plain: true,
            xoauth2: true,
        };
        let login = login("tim", "secret");
        let in_order = |offered, privacy| Mechanism::in_order(offered, login.pass().proof, privacy);
        assert_eq!(
            in_order(all, Privacy::Private),
            [Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5]
        );
        assert_eq!(
            in_order(all, Privacy::Open),
            [Mechanism::CramMd5, Mechanism::Plain, Mechanism::Login]
        );
        let microsoft = Mechanisms {
            login: true,
            ..Mechanisms::default()
        };
        assert_eq!(in_order(microsoft, Privacy::Private), [Mechanism::Login]);
    }

    #[test]
    fn a_token_goes_by_the_mechanisms_that_take_one() {
        let token = token(10);
        let proof = bearer_pass(&token).proof;
        let offered = |xoauth2, oauthbearer| Mechanisms {
            xoauth2,
            oauthbearer,
            plain: true,
            ..Mechanisms::default()
        };
        let in_order = |offered| Mechanism::in_order(offered, proof, Privacy::Private);
        assert_eq!(
            in_order(offered(true, true)),
            [Mechanism::XOAuth2, Mechanism::OAuthBearer]
        );
        assert_eq!(in_order(offered(false, true)), [Mechanism::OAuthBearer]);
        assert_eq!(in_order(offered(false, false)), []);
    }

    #[test]
    fn a_short_token_is_one_line_and_a_long_one_waits_to_be_asked_for() {
        for mechanism in [Mechanism::XOAuth2, Mechanism::OAuthBearer] {
            let name = mechanism.name();
            let short = token(100);
            let (exchange, line) = Exchange::begin(bearer_pass(&short), mechanism);
            let start = format!("AUTH {name} ");
            assert!(line.starts_with(start.as_bytes()) && line.ends_with(b"\r\n"));
            assert_eq!(exchange.first_line_shown(), format!("AUTH {name} ***"));
            let long = token(2000);
            let (mut exchange, line) = Exchange::begin(bearer_pass(&long), mechanism);
            assert_eq!(&line[..], format!("AUTH {name}\r\n").as_bytes());
            assert_eq!(exchange.first_line_shown(), format!("AUTH {name}"));
            let answer = exchange.receive(reply(334, ""));
            let sent = STANDARD.decode(text(&answer).trim_end()).unwrap();
            let sent = String::from_utf8(sent).unwrap();
            assert!(sent.contains(&format!("auth=Bearer {}\x01\x01", long.expose())));
            assert_eq!(exchange.receive(reply(235, "")), Answer::Done);
        }
    }

    #[test]
    fn the_line_is_never_longer_than_512_octets() {
        for length in 200..400 {
            let token = token(length);
            for mechanism in [Mechanism::XOAuth2, Mechanism::OAuthBearer] {
                let (_, line) = Exchange::begin(bearer_pass(&token), mechanism);
                assert!(line.len() <= 512, "{length}: {}", line.len());
            }
        }
    }

    #[test]
    fn the_reason_of_a_refused_token_stands_in_the_refusal() {
        let challenge = STANDARD.encode(r#"{"status":"invalid_token","schemes":"bearer"}"#);
        for (mechanism, answer) in [
            (Mechanism::XOAuth2, "\r\n"),
            (Mechanism::OAuthBearer, "AQ==\r\n"),
        ] {
            for length in [100, 2000] {
                let token = token(length);
                let (mut exchange, line) = Exchange::begin(bearer_pass(&token), mechanism);
                if line.len() < 30 {
                    let _ = exchange.receive(reply(334, ""));
                }
                assert_eq!(text(&exchange.receive(reply(334, &challenge))), answer);
                assert_eq!(
                    refusal(&mut exchange, "authentication failed"),
                    "authentication failed (schemes bearer, status invalid_token)"
                );
            }
        }
    }

    #[test]
    fn a_refusal_that_repeats_the_token_shows_none_of_it() {
        let token = token(100);
        let (mut exchange, line) = Exchange::begin(bearer_pass(&token), Mechanism::XOAuth2);
        let line = String::from_utf8(line.to_vec()).unwrap();
        let said = format!("relay@example.com: {} {}", line.trim_end(), token.expose());
        assert_eq!(
            refusal(&mut exchange, &said),
            "relay@example.com: AUTH XOAUTH2 *** ***"
        );
    }

    #[test]
    fn a_second_challenge_ends_a_login_with_a_token() {
        let token = token(100);
        let (mut exchange, _) = Exchange::begin(bearer_pass(&token), Mechanism::XOAuth2);
        assert_eq!(text(&exchange.receive(reply(334, "e30="))), "\r\n");
        assert_eq!(text(&exchange.receive(reply(334, "e30="))), "*\r\n");
    }
}
