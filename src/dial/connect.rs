//! HTTP CONNECT (RFC 9110 §9.3.6), with Basic credentials (RFC 7617).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::telemetry::printable;

use super::error::ProxyProblem;
use super::handshake::{Handshake, Step, Target, Wanted};
use super::proxy::ProxyLogin;

/// The handshake.
pub(super) struct HttpConnect<'a> {
    target: Target<'a>,
    login: Option<&'a ProxyLogin>,
}

impl<'a> HttpConnect<'a> {
    pub(super) const fn new(target: Target<'a>, login: Option<&'a ProxyLogin>) -> Self {
        Self { target, login }
    }
}

impl Handshake for HttpConnect<'_> {
    fn begin(&mut self) -> Step {
        let target = self.target;
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(login) = self.login {
            let pair = format!("{}:{}", login.username, login.password.expose());
            let pair = Zeroizing::new(pair);
            let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
            // Room for all of it, so that no piece is left behind where it grows.
            request.reserve(64 + encoded.len());
            request.push_str("Proxy-Authorization: Basic ");
            request.push_str(&encoded);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        Step::Send(Zeroizing::new(request.into_bytes()), Wanted::Header)
    }

    fn receive(&mut self, header: &[u8]) -> Result<Step, ProxyProblem> {
        let header = String::from_utf8_lossy(header);
        let line = header.lines().next().unwrap_or_default();
        let (code, reason) = status(line).ok_or(NOT_HTTP)?;
        match (code, self.login) {
            // Any 2yz opens the tunnel; what stands in the header of it says nothing more.
            (200..=299, _) => Ok(Step::Done),
            (407, None) => Err(ProxyProblem::LoginNeeded),
            (407, Some(_)) => Err(ProxyProblem::LoginRefused),
            (403 | 405, _) => Err(ProxyProblem::Forbidden),
            (_, _) => Err(ProxyProblem::Server(printable(&format!(
                "it answers {code} {reason}"
            )))),
        }
    }
}

const NOT_HTTP: ProxyProblem = ProxyProblem::Nonsense("its answer is not HTTP");

/// Reads `HTTP/1.1 200 Connection established`.
fn status(line: &str) -> Option<(u16, &str)> {
    let rest = line.strip_prefix("HTTP/1.")?;
    let (_, rest) = rest.split_once(' ')?;
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let code = code.parse().ok().filter(|code| (100..600).contains(code))?;
    Some((code, reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn request(target: Target<'_>, login: Option<&ProxyLogin>) -> String {
        let Step::Send(octets, Wanted::Header) = HttpConnect::new(target, login).begin() else {
            panic!("nothing is sent")
        };
        String::from_utf8(octets.to_vec()).unwrap()
    }

    fn answer(header: &str, login: Option<&ProxyLogin>) -> Result<Step, ProxyProblem> {
        HttpConnect::new(SERVER, login).receive(header.as_bytes())
    }

    const SERVER: Target<'_> = Target::Name("mx.example", 587);

    #[test]
    fn the_server_is_named_with_its_port() {
        assert_eq!(
            request(SERVER, None),
            "CONNECT mx.example:587 HTTP/1.1\r\nHost: mx.example:587\r\n\r\n"
        );
        let address = Target::Address("[2001:db8::7]:465".parse().unwrap());
        assert!(request(address, None).starts_with("CONNECT [2001:db8::7]:465 HTTP/1.1\r\n"));
    }

    #[test]
    fn a_login_is_sent_at_once() {
        let login = ProxyLogin {
            username: "Aladdin".to_owned(),
            password: Secret::new("open sesame".to_owned()),
        };
        let request = request(SERVER, Some(&login));
        // The example of RFC 7617 §2.
        assert!(
            request.contains("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n")
        );
        let refused = answer("HTTP/1.1 407 no\r\n\r\n", Some(&login));
        assert_eq!(refused.err(), Some(ProxyProblem::LoginRefused));
    }

    #[test]
    fn answers_are_told_apart() {
        for line in [
            "HTTP/1.1 200 Connection established",
            "HTTP/1.0 200 OK",
            "HTTP/1.1 200",
        ] {
            let opened = answer(&format!("{line}\r\nVia: x\r\n\r\n"), None);
            assert!(matches!(opened, Ok(Step::Done)), "{line}");
        }
        let problem = |line: &str| answer(&format!("{line}\r\n\r\n"), None).err().unwrap();
        assert_eq!(problem("HTTP/1.1 407 Login"), ProxyProblem::LoginNeeded);
        assert_eq!(problem("HTTP/1.1 403 Forbidden"), ProxyProblem::Forbidden);
        let dead = ProxyProblem::Server("it answers 502 Bad Gateway".into());
        assert_eq!(problem("HTTP/1.1 502 Bad Gateway"), dead);
        for line in [
            "SSH-2.0-x",
            "HTTP/1.1",
            "HTTP/1.1 2000 x",
            "220 mx ESMTP",
            "",
        ] {
            assert_eq!(problem(line), NOT_HTTP, "{line}");
        }
    }
}
