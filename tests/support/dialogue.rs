//! An SMTP client that says what a test tells it to, good or bad, and reads one reply at a time.

use std::io;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};

/// One end of an SMTP connection. Dropping it closes the connection without QUIT.
pub(crate) struct Dialogue {
    stream: Stream,
    unread: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// Between plain and TLS; only inside [`Dialogue::handshake`].
    Changing,
}

/// Replies are awaited for so long; more than any test lets the server wait.
const PATIENCE: Duration = Duration::from_secs(30);

impl Dialogue {
    /// Connects and reads the greeting.
    ///
    /// # Panics
    ///
    /// Nobody listens, or the greeting is not 220.
    #[track_caller]
    pub(crate) fn begin(address: SocketAddr) -> Self {
        let mut dialogue = Self::connect(Ipv4Addr::LOCALHOST, address);
        dialogue.must_reply("220");
        dialogue
    }

    /// Connects from an address of the loopback network; the greeting is left to be read.
    ///
    /// # Panics
    ///
    /// Nobody listens.
    #[track_caller]
    pub(crate) fn connect(from: impl Into<IpAddr>, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let local = SocketAddr::new(from.into(), 0);
        socket.bind(&local.into()).unwrap();
        socket.connect(&address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream: Stream::Plain(stream),
            unread: Vec::new(),
        }
    }

    /// Says STARTTLS and shakes hands, trusting the certificate in this PEM file alone.
    ///
    /// # Panics
    ///
    /// The server does not agree, or its certificate is another.
    #[track_caller]
    pub(crate) fn start_tls(&mut self, trusted: &Path) {
        self.must("STARTTLS", "220");
        self.handshake(trusted);
    }

    /// Shakes hands.
    ///
    /// # Panics
    ///
    /// It fails, or something was read before it.
    #[track_caller]
    pub(crate) fn handshake(&mut self, trusted: &Path) {
        self.handshake_with(HOSTNAME, trusted);
    }

    /// Shakes hands with a server of this name.
    ///
    /// # Panics
    ///
    /// As [`Self::handshake`].
    #[track_caller]
    pub(crate) fn handshake_with(&mut self, name: &'static str, trusted: &Path) {
        assert!(self.unread.is_empty(), "the server spoke before TLS");
        let Stream::Plain(stream) = std::mem::replace(&mut self.stream, Stream::Changing) else {
            panic!("TLS inside TLS");
        };
        let name = ServerName::try_from(name).unwrap();
        let connection = ClientConnection::new(tls_config(trusted), name).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        stream.conn.complete_io(&mut stream.sock).unwrap();
        self.stream = Stream::Tls(Box::new(stream));
    }

    /// Logs in with AUTH PLAIN; returns the reply.
    #[track_caller]
    pub(crate) fn log_in(&mut self, name: &str, password: &str) -> String {
        self.say(&format!("AUTH PLAIN {}", plain(name, password)))
    }

    /// Sends a line and returns the reply: its lines with their codes, joined by LF.
    #[track_caller]
    pub(crate) fn say(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes());
        self.reply()
    }

    /// Sends a line; panics unless the reply begins so. Returns the reply.
    #[track_caller]
    pub(crate) fn must(&mut self, line: &str, reply: &str) -> String {
        let got = self.say(line);
        assert!(
            got.starts_with(reply),
            "`{line}` was answered by `{got}`, not by `{reply}`"
        );
        got
    }

    /// Panics unless the next reply begins so. Returns it.
    #[track_caller]
    pub(crate) fn must_reply(&mut self, reply: &str) -> String {
        let got = self.reply();
        assert!(
            got.starts_with(reply),
            "the reply was `{got}`, not `{reply}`"
        );
        got
    }

    /// Sends octets as they are.
    #[track_caller]
    pub(crate) fn send(&mut self, octets: &[u8]) {
        self.try_send(octets).unwrap();
    }

    /// Sends octets as they are, to a server that may have gone.
    pub(crate) fn try_send(&mut self, octets: &[u8]) -> io::Result<()> {
        let stream = self.stream();
        stream.write_all(octets)?;
        stream.flush()
    }

    /// Reads the next reply.
    ///
    /// # Panics
    ///
    /// The connection ends or stays silent.
    #[track_caller]
    pub(crate) fn reply(&mut self) -> String {
        self.next_reply().expect("a reply comes")
    }

    /// Reads replies to the end of the connection.
    ///
    /// # Panics
    ///
    /// There is no end.
    #[track_caller]
    pub(crate) fn replies_to_the_end(&mut self) -> Vec<String> {
        let mut replies = Vec::new();
        loop {
            match self.next_reply() {
                Ok(reply) => replies.push(reply),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    panic!("the connection stays open after {replies:?}");
                }
                Err(_) => return replies,
            }
        }
    }

    /// Sends one message in an empty session; returns the reply to its end.
    #[track_caller]
    pub(crate) fn submit(&mut self, from: &str, to: &[&str], message: &[u8]) -> String {
        self.envelope(from, to);
        self.must("DATA", "354");
        self.send(&stuffed(message));
        self.reply()
    }

    /// Says MAIL, and RCPT for each recipient.
    #[track_caller]
    pub(crate) fn envelope(&mut self, from: &str, to: &[&str]) {
        self.must(&format!("MAIL FROM:<{from}>"), "250");
        for to in to {
            self.must(&format!("RCPT TO:<{to}>"), "250");
        }
    }

    /// Breaks the connection off, so that the server reads a reset, not an orderly end.
    pub(crate) fn reset(self) {
        if let Stream::Plain(stream) = self.stream {
            let socket = Socket::from(stream);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
    }

    /// Reads for a while; returns the reply, if one came.
    ///
    /// # Panics
    ///
    /// The connection ends.
    #[track_caller]
    pub(crate) fn reply_within(&mut self, limit: Duration) -> Option<String> {
        self.socket().set_read_timeout(Some(limit)).unwrap();
        let reply = self.next_reply();
        self.socket().set_read_timeout(Some(PATIENCE)).unwrap();
        match reply {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            reply => Some(reply.expect("the connection stays open")),
        }
    }

    fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => &stream.sock,
            Stream::Changing => panic!("the handshake has failed"),
        }
    }

    /// Returns whether the connection ends now, and in good order: inside TLS with a close alert.
    pub(crate) fn ends_in_good_order(&mut self) -> bool {
        matches!(self.stream().read(&mut [0; 16]), Ok(0))
    }

    /// Ends the sending half.
    pub(crate) fn end(&mut self) {
        if let Stream::Plain(stream) = &self.stream {
            stream.shutdown(Shutdown::Write).unwrap();
        }
    }

    fn stream(&mut self) -> &mut dyn Duplex {
        match &mut self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.as_mut(),
            Stream::Changing => panic!("the handshake has failed"),
        }
    }

    fn next_reply(&mut self) -> io::Result<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.next_line()?;
            let is_last = line.as_bytes().get(3) != Some(&b'-');
            lines.push(line);
            if is_last {
                return Ok(lines.join("\n"));
            }
        }
    }

    fn next_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.unread.iter().position(|&octet| octet == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                let line = String::from_utf8(line).map_err(io::Error::other)?;
                let line = line.strip_suffix("\r\n");
                let line = line.ok_or_else(|| io::Error::other("a reply ends in a bare LF"))?;
                return Ok(line.to_owned());
            }
            let mut space = [0; 4096];
            let count = self.stream().read(&mut space)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.unread.extend_from_slice(&space[..count]);
        }
    }
}

trait Duplex: Read + Write {}

impl<T: Read + Write> Duplex for T {}

/// The argument of AUTH PLAIN.
pub(crate) fn plain(name: &str, password: &str) -> String {
    STANDARD.encode(format!("\0{name}\0{password}"))
}

/// A message as DATA has it: dots stuffed, and the final one behind it.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(message.len() + 8);
    for line in message.split_inclusive(|&octet| octet == b'\n') {
        if line.starts_with(b".") {
            octets.push(b'.');
        }
        octets.extend_from_slice(line);
    }
    if !octets.ends_with(b"\r\n") {
        octets.extend_from_slice(b"\r\n");
    }
    octets.extend_from_slice(b".\r\n");
    octets
}

fn tls_config(trusted: &Path) -> Arc<ClientConfig> {
    let pem = std::fs::read(trusted).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&pem).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// The name in the certificate.
pub(crate) const HOSTNAME: &str = "relay.example.com";
