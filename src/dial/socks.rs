//! SOCKS version 5 (RFC 1928), with user name and password (RFC 1929). CONNECT only.

use zeroize::Zeroizing;

use super::error::ProxyProblem;
use super::handshake::{Handshake, Step, Target, Wanted};
use super::proxy::ProxyLogin;

/// The handshake.
pub(super) struct Socks5<'a> {
    target: Target<'a>,
    login: Option<&'a ProxyLogin>,
    state: State,
}

/// What is awaited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// The choice of a method.
    Method,
    /// Whether the login is taken.
    Login,
    /// The reply to CONNECT, up to the first octet of the address in it.
    Reply,
    /// The rest of that address, of which nothing is made.
    Address,
}

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
const LOGIN_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

const NOT_SOCKS: ProxyProblem = ProxyProblem::Nonsense("its answer is not SOCKS version 5");

impl<'a> Socks5<'a> {
    pub(super) const fn new(target: Target<'a>, login: Option<&'a ProxyLogin>) -> Self {
        Self {
            target,
            login,
            state: State::Method,
        }
    }

    fn chosen(&mut self, octets: &[u8]) -> Result<Step, ProxyProblem> {
        let [VERSION, method] = octets else {
            return Err(NOT_SOCKS);
        };
        match (*method, self.login) {
            (NO_LOGIN, _) => self.request(),
            (PASSWORD, Some(login)) => {
                self.state = State::Login;
                Ok(Step::Send(credentials(login), Wanted::Exactly(2)))
            }
            (NO_METHOD, None) => Err(ProxyProblem::LoginNeeded),
            (NO_METHOD, Some(_)) => Err(ProxyProblem::LoginRefused),
            (_, _) => Err(NOT_SOCKS),
        }
    }

    fn logged_in(&mut self, octets: &[u8]) -> Result<Step, ProxyProblem> {
        match octets {
            // The version of this answer is wrong in some servers.
            [_, 0] => self.request(),
            [_, _] => Err(ProxyProblem::LoginRefused),
            _ => Err(NOT_SOCKS),
        }
    }

    fn request(&mut self) -> Result<Step, ProxyProblem> {
        self.state = State::Reply;
        let mut request = vec![VERSION, CONNECT, 0];
        let port = match self.target {
            Target::Address(address) => {
                match address.ip() {
                    std::net::IpAddr::V4(ip) => {
                        request.push(IPV4);
                        request.extend(ip.octets());
                    }
                    std::net::IpAddr::V6(ip) => {
                        request.push(IPV6);
                        request.extend(ip.octets());
                    }
                }
                address.port()
            }
            Target::Name(name, port) => {
                let length = u8::try_from(name.len());
                let length =
                    length.map_err(|_| ProxyProblem::Server("its name is too long".into()))?;
                request.extend([NAME, length]);
                request.extend(name.bytes());
                port
            }
        };
        request.extend(port.to_be_bytes());
        Ok(Step::Send(Zeroizing::new(request), Wanted::Exactly(5)))
    }

    fn replied(&mut self, octets: &[u8]) -> Result<Step, ProxyProblem> {
        let [VERSION, reply, _, kind, first] = octets else {
            return Err(NOT_SOCKS);
        };
        if let Some(problem) = problem(*reply) {
            return Err(problem);
        }
        // With the port, and without the first octet, which is here already.
        let rest = match *kind {
            IPV4 => 4 + 2 - 1,
            IPV6 => 16 + 2 - 1,
            NAME => usize::from(*first) + 2,
            _ => return Err(NOT_SOCKS),
        };
        self.state = State::Address;
        Ok(Step::Receive(Wanted::Exactly(rest)))
    }
}

impl Handshake for Socks5<'_> {
    fn begin(&mut self) -> Step {
        let greeting = match self.login {
            None => vec![VERSION, 1, NO_LOGIN],
            Some(_) => vec![VERSION, 2, NO_LOGIN, PASSWORD],
        };
        Step::Send(Zeroizing::new(greeting), Wanted::Exactly(2))
    }

    fn receive(&mut self, octets: &[u8]) -> Result<Step, ProxyProblem> {
        match self.state {
            State::Method => self.chosen(octets),
            State::Login => self.logged_in(octets),
            State::Reply => self.replied(octets),
            State::Address => Ok(Step::Done),
        }
    }
}

/// RFC 1929 §2. What is longer than 255 octets has been refused with the configuration; here it is cut.
fn credentials(login: &ProxyLogin) -> Zeroizing<Vec<u8>> {
    let mut octets = Zeroizing::new(Vec::with_capacity(2 + 2 * 256));
    octets.push(LOGIN_VERSION);
    for part in [login.username.as_str(), login.password.expose()] {
        let part = part.as_bytes();
        let part = part.get(..255).unwrap_or(part);
        octets.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
        octets.extend_from_slice(part);
    }
    octets
}

/// RFC 1928 §6.
fn problem(reply: u8) -> Option<ProxyProblem> {
    let words = match reply {
        0 => return None,
        2 => return Some(ProxyProblem::Forbidden),
        1 => "a general failure",
        3 => "its network is unreachable",
        4 => "it is unreachable",
        5 => "it refuses the connection",
        6 => "it did not answer in time",
        7 => return Some(ProxyProblem::Nonsense("it does not know CONNECT")),
        8 => "this kind of address is not supported",
        _ => "an unknown failure",
    };
    Some(ProxyProblem::Server(words.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn login() -> ProxyLogin {
        ProxyLogin {
            username: "relay".to_owned(),
            password: Secret::new("hunter2".to_owned()),
        }
    }

    /// Plays a proxy that says these octets, whatever it hears; returns what it heard.
    fn play(
        target: Target<'_>,
        login: Option<&ProxyLogin>,
        mut says: &[u8],
    ) -> Result<Vec<Vec<u8>>, ProxyProblem> {
        let mut handshake = Socks5::new(target, login);
        let (mut heard, mut step) = (Vec::new(), handshake.begin());
        loop {
            let wanted = match step {
                Step::Done => {
                    assert!(says.is_empty(), "{says:?} is the server's");
                    return Ok(heard);
                }
                Step::Receive(wanted) => wanted,
                Step::Send(octets, wanted) => {
                    heard.push(octets.to_vec());
                    wanted
                }
            };
            let Wanted::Exactly(count) = wanted else {
                panic!("a header is wanted")
            };
            let (now, later) = says.split_at(count);
            says = later;
            step = handshake.receive(now)?;
        }
    }

    const SERVER: Target<'_> = Target::Name("mx.example", 587);

    #[test]
    fn a_name_is_looked_up_by_the_proxy() {
        let says = [5, 0, 5, 0, 0, 1, 192, 0, 2, 1, 0, 25];
        let heard = play(SERVER, None, &says).unwrap();
        let request = b"\x05\x01\x00\x03\x0amx.example\x02\x4b".to_vec();
        assert_eq!(heard, [vec![5, 1, 0], request]);
    }

    #[test]
    fn addresses_of_both_kinds_go_as_octets() {
        let says = [5, 0, 5, 0, 0, 1, 192, 0, 2, 1, 0, 25];
        let target = Target::Address("192.0.2.7:25".parse().unwrap());
        let heard = play(target, None, &says).unwrap();
        assert_eq!(heard[1], [5, 1, 0, 1, 192, 0, 2, 7, 0, 25]);
        let target = Target::Address("[2001:db8::7]:465".parse().unwrap());
        let heard = play(target, None, &says).unwrap();
        assert_eq!(heard[1][..8], [5, 1, 0, 4, 0x20, 0x01, 0x0d, 0xb8]);
        assert_eq!(heard[1][19..], [7, 1, 0xd1]);
    }

    #[test]
    fn a_login_is_given_where_the_proxy_wants_it() {
        let says = [5, 2, 1, 0, 5, 0, 0, 3, 2, b'a', b'b', 0, 25];
        let heard = play(SERVER, Some(&login()), &says).unwrap();
        assert_eq!(heard[0], [5, 2, 0, 2]);
        assert_eq!(heard[1], b"\x01\x05relay\x07hunter2");
        let says = [5, 0, 5, 0, 0, 1, 192, 0, 2, 1, 0, 25];
        assert_eq!(play(SERVER, Some(&login()), &says).unwrap().len(), 2);
    }

    #[test]
    fn refusals_are_told_apart() {
        let refused =
            |login: Option<&ProxyLogin>, says: &[u8]| play(SERVER, login, says).unwrap_err();
        assert_eq!(refused(None, &[5, 0xff]), ProxyProblem::LoginNeeded);
        let login = login();
        let login = Some(&login);
        assert_eq!(refused(login, &[5, 0xff]), ProxyProblem::LoginRefused);
        assert_eq!(refused(login, &[5, 2, 1, 1]), ProxyProblem::LoginRefused);
        assert_eq!(refused(None, &[5, 2]), NOT_SOCKS);
        assert_eq!(refused(None, b"HT"), NOT_SOCKS);
        assert_eq!(
            refused(None, &[5, 0, 5, 2, 0, 1, 0]),
            ProxyProblem::Forbidden
        );
        let dead = ProxyProblem::Server("it refuses the connection".into());
        assert_eq!(refused(None, &[5, 0, 5, 5, 0, 1, 0]), dead);
        assert_eq!(refused(None, &[5, 0, 5, 0, 0, 9, 0]), NOT_SOCKS);
    }

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        let name = "a".repeat(256);
        let error = play(Target::Name(&name, 25), None, &[5, 0]).unwrap_err();
        assert_eq!(error, ProxyProblem::Server("its name is too long".into()));
    }
}
