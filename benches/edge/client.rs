//! A client that takes one step after the other, plain or inside TLS.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{Domain, Protocol, Socket, Type};

/// A connection whose replies are read.
pub(crate) struct Client<S: Read>(BufReader<S>);

impl Client<TcpStream> {
    /// Connects from this address.
    pub(crate) fn connect(server: SocketAddr, source: Ipv4Addr) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.bind(&SocketAddr::new(IpAddr::V4(source), 0).into())?;
        socket.connect(&server.into())?;
        socket.set_tcp_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(socket.into())))
    }

    /// Goes on inside TLS. Nothing unread may be left.
    pub(crate) fn encrypt(self, config: &Arc<ClientConfig>) -> io::Result<Client<Encrypted>> {
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let stream = StreamOwned::new(tls, self.0.into_inner());
        Ok(Client(BufReader::new(stream)))
    }
}

/// A connection inside TLS.
pub(crate) type Encrypted = StreamOwned<ClientConnection, TcpStream>;

impl<S: Read + Write> Client<S> {
    /// Writes a line and reads the reply, which must have this code.
    pub(crate) fn must(&mut self, line: &str, code: u16) -> io::Result<()> {
        self.0
            .get_mut()
            .write_all(format!("{line}\r\n").as_bytes())?;
        self.hear(code)
    }

    /// Reads a reply, which must have this code.
    pub(crate) fn hear(&mut self, code: u16) -> io::Result<()> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line.as_bytes().get(3) == Some(&b'-') {
                continue;
            }
            if line.starts_with(&code.to_string()) {
                return Ok(());
            }
            let line = line.trim_end();
            return Err(io::Error::other(format!("{code} was to come: {line}")));
        }
    }
}

/// The command that logs in.
pub(crate) fn login(name: &str, password: &str) -> String {
    let secret = STANDARD.encode(format!("\0{name}\0{password}"));
    format!("AUTH PLAIN {secret}")
}

/// How long a reply is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
