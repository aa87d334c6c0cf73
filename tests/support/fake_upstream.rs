//! A scripted SMTP server to relay to.
//!
//! [`FakeUpstream::start`] binds a port of its own on loopback and serves connections until it is dropped. What it does
//! is a [`Script`]; the default accepts everything. Every message it has taken is kept with its envelope.
//!
//! ```ignore
//! let upstream = FakeUpstream::start(Script::default().refuse_recipient("b@x", "550 5.1.1 no")).await;
//! // relay to upstream.address ...
//! let messages = upstream.wait_for(1).await;
//! assert_eq!(messages[0].recipients, ["<a@x>"]);
//! ```

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code, of which each test binary uses a part"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What a [`FakeUpstream`] does. Replies are written without their line end.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// The greeting.
    pub(crate) greeting: String,
    /// The keywords of EHLO. STARTTLS and AUTH are added where they fit. Empty: EHLO is refused, HELO accepted.
    pub(crate) extensions: Vec<String>,
    /// How it comes to TLS.
    pub(crate) tls: Tls,
    /// The mechanisms it offers, such as `PLAIN LOGIN`. Empty: AUTH is not offered.
    pub(crate) mechanisms: String,
    /// User name and password it accepts.
    pub(crate) login: (String, String),
    /// How the OAuth tokens begin that it accepts, for the same user.
    pub(crate) tokens: Vec<String>,
    /// Replies to commands instead of the usual ones: the start of the line, the reply, how often.
    pub(crate) replies: Vec<Scripted>,
    /// Something else that it does.
    pub(crate) quirk: Quirk,
}

/// A reply other than the usual one.
#[derive(Clone, Debug)]
pub(crate) struct Scripted {
    /// The command line begins with this, whatever the letter case. `.` is the end of data, `. word` the end of data that
    /// has this word in it.
    pub(crate) to: String,
    /// The reply; [`HANG_UP`] closes instead.
    pub(crate) reply: String,
    /// How often it is given; then the usual one.
    pub(crate) times: usize,
}

/// Instead of a reply: it closes the connection, but keeps a message that has just ended.
pub(crate) const HANG_UP: &str = "";

/// How it comes to TLS.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(clippy::enum_variant_names, reason = "STARTTLS is one word")]
pub(crate) enum Tls {
    /// The handshake comes first.
    Implicit,
    /// STARTTLS is not offered.
    None,
    /// STARTTLS is offered and works.
    StartTls,
    /// STARTTLS is offered; this is answered, octet for octet. After 220 comes something that is no handshake.
    StartTlsAnswered(String),
    /// STARTTLS is offered and answered by this, octet for octet; then it shakes hands.
    StartTlsInjected(String),
    /// STARTTLS is offered and agreed to; the client's hello is answered by this.
    StartTlsUpset(Upset),
}

/// How a handshake ends before it has begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Upset {
    /// By a fatal alert of this number (RFC 8446 §6).
    Alert(u8),
    /// By the end of the connection.
    Close,
    /// Not at all: it says nothing.
    Silence,
}

/// Something a server should not do, but some do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Quirk {
    /// None.
    Nothing,
    /// After each connection's message it closes without QUIT.
    CloseAfterMessage,
    /// It closes at a line that begins so, without reply.
    CloseAt(String),
    /// It takes the message and closes without the final reply.
    CloseAfterDot,
    /// It replies 354 and closes once it has read some of the content.
    CloseInData,
    /// It replies to a line that begins so with a reply that never ends.
    EndlessAt(String),
    /// It answers a line that begins so with something that is no reply, and keeps the connection open.
    GarbageAt(String),
    /// It keeps back its reply to a line that begins so, until it has another script without this.
    HoldAt(String),
    /// It replies 354, gives this reply once it has read some of the content, and closes.
    RefuseInData(String),
    /// It never replies to a line that begins so, and keeps the connection open.
    SilentAt(String),
    /// It replies 354 and reads no octet of the content.
    SilentInData,
}

/// A message it has taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Received {
    /// What stood behind `MAIL FROM:`, with parameters.
    pub(crate) sender: String,
    /// What stood behind `RCPT TO:` of each accepted recipient, with parameters.
    pub(crate) recipients: Vec<String>,
    /// The message, dots unstuffed.
    pub(crate) octets: Vec<u8>,
    /// Whether it came inside TLS.
    pub(crate) is_encrypted: bool,
    /// The user name that had logged in.
    pub(crate) login: Option<String>,
    /// The number of the connection, counted from 1.
    pub(crate) connection: usize,
}

/// A running server.
pub(crate) struct FakeUpstream {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The certificate it shows, as PEM. It is its own authority; usually it is for `localhost` and 127.0.0.1.
    pub(crate) certificate: String,
    /// The SHA-256 of the certificate, in hexadecimal digits.
    pub(crate) fingerprint: String,
    /// The certificates it shows, its own first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

/// A port that nobody listens on and no other program can take: connections to it are refused.
pub(crate) struct ReservedPort {
    socket: Socket,
    /// The port, with its address.
    pub(crate) address: SocketAddr,
}

struct State {
    script: watch::Sender<Script>,
    messages: watch::Sender<Vec<Received>>,
    lines: watch::Sender<Vec<String>>,
    connections: watch::Sender<usize>,
    acceptor: TlsAcceptor,
    port: u16,
}

/// How long [`FakeUpstream::wait_for`] waits before it gives up.
const PATIENCE: Duration = Duration::from_secs(20);

impl Default for Script {
    /// Accepts everything, with all extensions, without TLS and login.
    fn default() -> Self {
        let extensions = [
            "PIPELINING",
            "SIZE 52428800",
            "8BITMIME",
            "SMTPUTF8",
            "CHUNKING",
            "DSN",
            "MT-PRIORITY",
            "ENHANCEDSTATUSCODES",
        ];
        Self {
            greeting: "220 fake.example ESMTP".to_owned(),
            extensions: extensions.map(str::to_owned).to_vec(),
            tls: Tls::None,
            mechanisms: String::new(),
            login: ("user".to_owned(), "secret".to_owned()),
            tokens: Vec::new(),
            replies: Vec::new(),
            quirk: Quirk::Nothing,
        }
    }
}

impl Script {
    /// Replies `reply` to every line that begins with `to`.
    #[must_use]
    pub(crate) fn reply(self, to: &str, reply: &str) -> Self {
        self.reply_times(to, reply, usize::MAX)
    }

    /// Replies `reply` to the first `times` lines that begin with `to`.
    #[must_use]
    pub(crate) fn reply_times(mut self, to: &str, reply: &str, times: usize) -> Self {
        self.replies.push(Scripted {
            to: to.to_ascii_uppercase(),
            reply: reply.to_owned(),
            times,
        });
        self
    }

    /// Replies `reply` to RCPT of one address.
    #[must_use]
    pub(crate) fn refuse_recipient(self, address: &str, reply: &str) -> Self {
        self.reply(&format!("RCPT TO:<{address}>"), reply)
    }

    /// Offers exactly these extensions.
    #[must_use]
    pub(crate) fn extensions(mut self, extensions: &[&str]) -> Self {
        self.extensions = extensions.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Comes to TLS in this way.
    #[must_use]
    pub(crate) fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Offers these login mechanisms and demands a login.
    #[must_use]
    pub(crate) fn mechanisms(mut self, mechanisms: &str) -> Self {
        mechanisms.clone_into(&mut self.mechanisms);
        self
    }

    /// Accepts tokens that begin so, of the usual user.
    #[must_use]
    pub(crate) fn tokens(mut self, tokens: &[&str]) -> Self {
        self.tokens = tokens.iter().map(|&token| token.to_owned()).collect();
        self
    }

    /// Does something odd.
    #[must_use]
    pub(crate) fn quirk(mut self, quirk: Quirk) -> Self {
        self.quirk = quirk;
        self
    }
}

impl FakeUpstream {
    /// Starts a server on 127.0.0.1, at a port of the system's choice.
    pub(crate) async fn start(script: Script) -> Self {
        Self::start_showing(script, usual_certificate()).await
    }

    /// Starts a server that shows this certificate, signed by itself.
    pub(crate) async fn start_showing(script: Script, certificate: CertificateParams) -> Self {
        let identity = Identity::own(&certificate);
        Self::start_as(script, identity).await
    }

    /// Starts two servers at the same port of 127.0.0.1 and of 127.0.0.2.
    pub(crate) async fn start_two(one: (Script, Identity), two: (Script, Identity)) -> [Self; 2] {
        // The port that the system chooses at one address may be taken at the other.
        let [first, second] = loop {
            let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = first.local_addr().unwrap().port();
            if let Ok(second) = TcpListener::bind(("127.0.0.2", port)).await {
                break [first, second];
            }
        };
        [
            Self::serve(first, one.0, one.1),
            Self::serve(second, two.0, two.1),
        ]
    }

    /// Starts a server that shows these certificates.
    pub(crate) async fn start_as(script: Script, identity: Identity) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::serve(listener, script, identity)
    }

    /// Must be called inside a runtime.
    fn serve(listener: TcpListener, script: Script, identity: Identity) -> Self {
        let acceptor = identity.acceptor();
        let state = Arc::new(State {
            script: watch::Sender::new(script),
            messages: watch::Sender::new(Vec::new()),
            lines: watch::Sender::new(Vec::new()),
            connections: watch::Sender::new(0),
            acceptor,
            port: listener.local_addr().unwrap().port(),
        });
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&state)));
        Self {
            address,
            certificate: identity.authority,
            fingerprint: fingerprint(&identity.chain[0]),
            chain: identity.chain,
            state,
            _tasks: tasks,
        }
    }

    /// Replaces the script, for connections and commands from now on.
    pub(crate) fn set_script(&self, script: Script) {
        self.state.script.send_replace(script);
    }

    /// Returns the messages taken so far.
    pub(crate) fn messages(&self) -> Vec<Received> {
        self.state.messages.borrow().clone()
    }

    /// Waits until it has taken so many messages; panics when that takes too long.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Received> {
        wait(&self.state.messages, |messages| messages.len() >= count).await
    }

    /// Returns all command lines so far, of all connections. Content is not among them.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.state.lines.borrow().clone()
    }

    /// Waits until a command line has come that begins with `start`; panics when that takes too long.
    pub(crate) async fn wait_for_line(&self, start: &str) {
        wait(&self.state.lines, |lines| {
            lines.iter().any(|line| line.starts_with(start))
        })
        .await;
    }

    /// Returns how many connections have been accepted so far.
    pub(crate) fn connections(&self) -> usize {
        *self.state.connections.borrow()
    }
}

async fn wait<T: Clone>(values: &watch::Sender<T>, is_enough: impl FnMut(&T) -> bool) -> T {
    let mut values = values.subscribe();
    let waiting = tokio::time::timeout(PATIENCE, values.wait_for(is_enough));
    let found = waiting
        .await
        .expect("the upstream did not get there in time");
    found.unwrap().clone()
}

impl ReservedPort {
    /// Reserves a port on 127.0.0.1, of the system's choice.
    pub(crate) fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        socket.bind(&any.into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self { socket, address }
    }

    /// Starts a server at this port. Must be called inside a runtime.
    pub(crate) fn start(self, script: Script) -> FakeUpstream {
        self.socket.listen(64).unwrap();
        self.socket.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(self.socket.into()).unwrap();
        FakeUpstream::serve(listener, script, Identity::own(&usual_certificate()))
    }
}

/// A certificate for `localhost` and 127.0.0.1.
pub(crate) fn usual_certificate() -> CertificateParams {
    CertificateParams::new(["localhost", "127.0.0.1"].map(str::to_owned)).unwrap()
}

/// What a server shows.
pub(crate) struct Identity {
    /// Its certificate, and the one that this is issued by.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// Whoever trusts this, as PEM, trusts the server.
    pub(crate) authority: String,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Makes a certificate that is its own authority.
    pub(crate) fn own(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            chain: vec![certificate.der().clone()],
            authority: certificate.pem(),
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }

    /// Makes a certificate that is issued by an authority of its own.
    pub(crate) fn issued(params: &CertificateParams) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        Self {
            chain: vec![certificate.der().clone(), authority.der().clone()],
            authority: authority.pem(),
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }

    /// Returns what shakes hands with it.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

fn fingerprint(certificate: &[u8]) -> String {
    let digest = ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, certificate);
    let digits = digest.as_ref().iter().map(|octet| format!("{octet:02x}"));
    digits.collect()
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut sessions = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let mut number = 0;
        state.connections.send_modify(|count| {
            *count += 1;
            number = *count;
        });
        sessions.spawn(serve(stream, Arc::clone(&state), number));
        while sessions.try_join_next().is_some() {}
    }
}

/// The end of a session: nothing that a test need look at.
struct Over;

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

async fn serve(stream: TcpStream, state: Arc<State>, number: usize) {
    let _ = stream.set_nodelay(true);
    let tls = state.script.borrow().tls.clone();
    if tls == Tls::Implicit {
        if let Ok(stream) = state.acceptor.accept(stream).await {
            let _ = Session::new(stream, state, number, true).run().await;
        }
        return;
    }
    let mut session = Session::new(stream, Arc::clone(&state), number, false);
    if let Ok(After::StartTls) = session.run().await {
        // Like a careless server, it forgets what came before; like a good one, what was left in the buffer.
        let stream = session.stream.into_inner();
        if let Ok(stream) = state.acceptor.accept(stream).await {
            let mut session = Session::new(stream, state, number, true);
            session.is_greeted = true;
            let _ = session.run().await;
        }
    }
}

enum After {
    Closed,
    StartTls,
}

struct Session<S> {
    stream: BufReader<S>,
    state: Arc<State>,
    connection: usize,
    is_encrypted: bool,
    is_greeted: bool,
    login: Option<String>,
    sender: Option<String>,
    recipients: Vec<String>,
    chunks: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    fn new(stream: S, state: Arc<State>, connection: usize, is_encrypted: bool) -> Self {
        Self {
            stream: BufReader::new(stream),
            state,
            connection,
            is_encrypted,
            is_greeted: false,
            login: None,
            sender: None,
            recipients: Vec::new(),
            chunks: Vec::new(),
        }
    }

    fn script(&self) -> Script {
        self.state.script.borrow().clone()
    }

    async fn run(&mut self) -> Result<After, Over> {
        if !self.is_greeted {
            let greeting = self.script().greeting;
            self.misbehave("greeting").await?;
            self.say(&greeting).await?;
        }
        loop {
            let line = self.line().await?;
            self.state
                .lines
                .send_modify(|lines| lines.push(line.clone()));
            self.misbehave(&line).await?;
            if let Some(after) = self.command(&line).await? {
                return Ok(after);
            }
        }
    }

    async fn line(&mut self) -> Result<String, Over> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line).await? == 0 {
            return Err(Over);
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            // Half a line, or a TLS record.
            None => Err(Over),
        }
    }

    async fn say(&mut self, reply: &str) -> Result<(), Over> {
        self.raw(format!("{reply}\r\n").as_bytes()).await
    }

    async fn raw(&mut self, octets: &[u8]) -> Result<(), Over> {
        self.stream.write_all(octets).await?;
        self.stream.flush().await?;
        Ok(())
    }

    async fn misbehave(&mut self, line: &str) -> Result<(), Over> {
        let quirk = self.script().quirk;
        self.misbehave_as(quirk, line).await
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        clippy::infinite_loop,
        reason = "the others are for other places; the loop ends with the connection"
    )]
    async fn misbehave_as(&mut self, quirk: Quirk, line: &str) -> Result<(), Over> {
        let begins = |start: &String| {
            line.to_ascii_uppercase()
                .starts_with(&start.to_ascii_uppercase())
        };
        match quirk {
            Quirk::CloseAt(start) if begins(&start) => Err(Over),
            Quirk::HoldAt(start) if begins(&start) => {
                let held = Quirk::HoldAt(start);
                let mut script = self.state.script.subscribe();
                // The script is there as long as the server.
                let _ = script.wait_for(|script| script.quirk != held).await;
                Ok(())
            }
            Quirk::SilentAt(start) if begins(&start) => {
                // Until the client gives up.
                let mut rest = Vec::new();
                self.stream.read_to_end(&mut rest).await?;
                Err(Over)
            }
            Quirk::GarbageAt(start) if begins(&start) => {
                self.raw(b"\x16\x03 what is this?\r\n").await?;
                let mut rest = Vec::new();
                self.stream.read_to_end(&mut rest).await?;
                Err(Over)
            }
            Quirk::EndlessAt(start) if begins(&start) => loop {
                self.say("250-and so on").await?;
            },
            _ => Ok(()),
        }
    }

    /// Returns the scripted reply to a line, if there is one left.
    fn scripted(&self, line: &str) -> Option<String> {
        let line = line.to_ascii_uppercase();
        let mut reply = None;
        self.state.script.send_if_modified(|script| {
            let mut replies = script.replies.iter_mut();
            let found =
                replies.find(|scripted| scripted.times > 0 && line.starts_with(&scripted.to));
            if let Some(found) = found {
                found.times -= 1;
                reply = Some(found.reply.clone());
            }
            false
        });
        reply
    }

    /// Returns the scripted reply to the end of this content.
    fn scripted_to_content(&self, octets: &[u8]) -> Option<String> {
        let content = String::from_utf8_lossy(octets).to_ascii_uppercase();
        let script = self.state.script.borrow();
        let mut words = script.replies.iter().filter_map(|scripted| {
            let word = scripted.to.strip_prefix(". ")?;
            content.contains(word).then(|| scripted.to.clone())
        });
        let to = words.next()?;
        drop(words);
        drop(script);
        self.scripted(&to)
    }

    async fn command(&mut self, line: &str) -> Result<Option<After>, Over> {
        let upper = line.to_ascii_uppercase();
        if let Some(size) = upper.strip_prefix("BDAT ") {
            return self.chunk(line, size).await;
        }
        if let Some(reply) = self.scripted(line) {
            if reply == HANG_UP {
                return Err(Over);
            }
            self.say(&reply).await?;
            let is_farewell = reply.starts_with("421");
            return Ok(is_farewell.then_some(After::Closed));
        }
        match upper.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => self.hello().await?,
            "HELO" => self.say("250 fake.example").await?,
            "STARTTLS" => return self.start_tls().await,
            "AUTH" => self.auth(line).await?,
            "MAIL" => self.mail(line).await?,
            "RCPT" if self.sender.is_none() => self.say("503 5.5.1 MAIL first").await?,
            "RCPT" => {
                self.recipients.push(after_colon(line));
                self.say("250 2.1.5 ok").await?;
            }
            "DATA" => return self.data().await,
            "RSET" => {
                self.reset();
                self.say("250 2.0.0 ok").await?;
            }
            "QUIT" => {
                self.say("221 2.0.0 bye").await?;
                return Ok(Some(After::Closed));
            }
            _ => self.say("500 5.5.2 unknown command").await?,
        }
        Ok(None)
    }

    async fn hello(&mut self) -> Result<(), Over> {
        let script = self.script();
        if script.extensions.is_empty() {
            return self.say("502 5.5.1 what?").await;
        }
        let mut lines = vec!["fake.example".to_owned()];
        lines.extend(script.extensions.iter().cloned());
        if !self.is_encrypted && script.tls != Tls::None {
            lines.push("STARTTLS".to_owned());
        }
        if !script.mechanisms.is_empty() {
            lines.push(format!("AUTH {}", script.mechanisms));
        }
        let last = lines.pop().unwrap();
        let first: Vec<String> = lines.iter().map(|line| format!("250-{line}\r\n")).collect();
        self.say(&format!("{}250 {last}", first.concat())).await
    }

    async fn start_tls(&mut self) -> Result<Option<After>, Over> {
        match self.script().tls {
            Tls::StartTls => self.say("220 2.0.0 go ahead").await?,
            Tls::StartTlsInjected(octets) => self.raw(octets.as_bytes()).await?,
            Tls::StartTlsAnswered(octets) => {
                self.raw(octets.as_bytes()).await?;
                if !octets.starts_with("220") {
                    return Ok(None);
                }
                let mut hello = [0; 1];
                self.stream.read_exact(&mut hello).await?;
                self.raw(b"this is no handshake\r\n").await?;
                return Err(Over);
            }
            Tls::StartTlsUpset(upset) => {
                self.say("220 2.0.0 go ahead").await?;
                let mut hello = [0; 1];
                self.stream.read_exact(&mut hello).await?;
                return self.upset(upset).await;
            }
            Tls::Implicit | Tls::None => {
                self.say("502 5.5.1 no TLS").await?;
                return Ok(None);
            }
        }
        Ok(Some(After::StartTls))
    }

    /// Ends a handshake that the client has begun.
    async fn upset(&mut self, upset: Upset) -> Result<Option<After>, Over> {
        match upset {
            Upset::Alert(number) => self.raw(&[21, 3, 3, 0, 2, 2, number]).await?,
            Upset::Close => {}
            Upset::Silence => {
                let mut rest = Vec::new();
                self.stream.read_to_end(&mut rest).await?;
            }
        }
        Err(Over)
    }

    async fn auth(&mut self, line: &str) -> Result<(), Over> {
        if line.len() > 510 {
            return self.say("500 5.5.6 line too long").await;
        }
        let (user, password) = self.script().login;
        let mut words = line.split(' ').skip(1);
        let mechanism = words.next().unwrap_or_default().to_ascii_uppercase();
        if !self
            .script()
            .mechanisms
            .split(' ')
            .any(|name| name == mechanism)
        {
            return self.say("504 5.5.4 unrecognized authentication type").await;
        }
        if let "XOAUTH2" | "OAUTHBEARER" = mechanism.as_str() {
            return self.auth_with_token(&mechanism, words.next()).await;
        }
        let is_right = match mechanism.as_str() {
            "PLAIN" => decode(words.next().unwrap_or_default()) == format!("\0{user}\0{password}"),
            "LOGIN" => {
                let name = self.challenge("VXNlcm5hbWU6").await?;
                let word = self.challenge("UGFzc3dvcmQ6").await?;
                name == user && word == password
            }
            _ => {
                let answer = self
                    .challenge(&STANDARD.encode("<1.2@fake.example>"))
                    .await?;
                // Whether the digest is right is tested with the figures of RFC 2195.
                answer.starts_with(&format!("{user} ")) && answer.len() == user.len() + 33
            }
        };
        if is_right {
            self.login = Some(user);
            self.say("235 2.7.0 welcome").await
        } else {
            self.say("535 5.7.8 wrong user name or password").await
        }
    }

    async fn auth_with_token(
        &mut self,
        mechanism: &str,
        initial: Option<&str>,
    ) -> Result<(), Over> {
        let response = match initial {
            Some(initial) => decode(initial),
            None => self.challenge("").await?,
        };
        let (user, _) = self.script().login;
        let token = if mechanism == "XOAUTH2" {
            response.strip_prefix(&format!("user={user}\u{1}auth=Bearer "))
        } else {
            let rest = response.strip_prefix(&format!("n,a={user},\u{1}host="));
            let port = format!("\u{1}port={}\u{1}auth=Bearer ", self.state.port);
            rest.and_then(|rest| Some(rest.split_once(&port)?.1))
        };
        let token = token.and_then(|rest| rest.strip_suffix("\u{1}\u{1}"));
        let accepted = self.script().tokens;
        let is_right = |token: &str| accepted.iter().any(|start| token.starts_with(start));
        if token.is_some_and(is_right) {
            self.login = Some(user);
            return self.say("235 2.7.0 welcome").await;
        }
        let error = STANDARD.encode(r#"{"status":"invalid_token","schemes":"bearer"}"#);
        self.say(&format!("334 {error}")).await?;
        let wanted = if mechanism == "XOAUTH2" { "" } else { "AQ==" };
        if self.line().await? != wanted {
            return self.say("501 5.5.2 that does not belong here").await;
        }
        self.say("535 5.7.8 the token is not accepted").await
    }

    async fn challenge(&mut self, text: &str) -> Result<String, Over> {
        self.say(&format!("334 {text}")).await?;
        Ok(decode(&self.line().await?))
    }

    async fn mail(&mut self, line: &str) -> Result<(), Over> {
        if !self.script().mechanisms.is_empty() && self.login.is_none() {
            return self.say("530 5.7.0 authentication required").await;
        }
        if self.sender.is_some() {
            return self.say("503 5.5.1 nested MAIL").await;
        }
        self.sender = Some(after_colon(line));
        self.say("250 2.1.0 ok").await
    }

    async fn data(&mut self) -> Result<Option<After>, Over> {
        if self.recipients.is_empty() && self.sender.is_none() {
            self.say("503 5.5.1 MAIL first").await?;
            return Ok(None);
        }
        self.say("354 go ahead").await?;
        match self.script().quirk {
            Quirk::CloseInData => {
                let mut some = [0; 1];
                self.stream.read_exact(&mut some).await?;
                return Err(Over);
            }
            Quirk::RefuseInData(reply) => {
                let mut some = [0; 1];
                self.stream.read_exact(&mut some).await?;
                self.say(&reply).await?;
                return Err(Over);
            }
            Quirk::SilentInData => std::future::pending().await,
            Quirk::CloseAfterDot
            | Quirk::CloseAfterMessage
            | Quirk::CloseAt(_)
            | Quirk::EndlessAt(_)
            | Quirk::GarbageAt(_)
            | Quirk::HoldAt(_)
            | Quirk::Nothing
            | Quirk::SilentAt(_) => {}
        }
        let mut octets = Vec::new();
        loop {
            let mut line = Vec::new();
            if self.stream.read_until(b'\n', &mut line).await? == 0 {
                return Err(Over);
            }
            if line == b".\r\n" {
                break;
            }
            octets.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
        self.taken(octets, ".").await
    }

    async fn chunk(&mut self, line: &str, size: &str) -> Result<Option<After>, Over> {
        let mut words = size.split(' ');
        let mut octets = vec![0; words.next().unwrap().parse().unwrap()];
        self.stream.read_exact(&mut octets).await?;
        if self.sender.is_none() || self.recipients.is_empty() {
            self.say("503 5.5.1 no valid recipients").await?;
            return Ok(None);
        }
        self.chunks.extend_from_slice(&octets);
        if words.next() != Some("LAST") {
            self.say("250 2.0.0 chunk").await?;
            return Ok(None);
        }
        let octets = std::mem::take(&mut self.chunks);
        self.taken(octets, line).await
    }

    /// Takes a message; `line` is what ended it.
    async fn taken(&mut self, octets: Vec<u8>, line: &str) -> Result<Option<After>, Over> {
        let scripted = self
            .scripted_to_content(&octets)
            .or_else(|| self.scripted("."))
            .or_else(|| self.scripted(line));
        // What it does now is what it was told before anybody could know of the message.
        let quirk = self.script().quirk;
        let is_kept = scripted
            .as_ref()
            .is_none_or(|reply| reply == HANG_UP || reply.starts_with('2'));
        if is_kept && !self.recipients.is_empty() {
            let received = Received {
                sender: self.sender.clone().unwrap_or_default(),
                recipients: self.recipients.clone(),
                octets,
                is_encrypted: self.is_encrypted,
                login: self.login.clone(),
                connection: self.connection,
            };
            self.state
                .messages
                .send_modify(|messages| messages.push(received));
        }
        self.reset();
        if quirk == Quirk::CloseAfterDot {
            return Err(Over);
        }
        let closes = quirk == Quirk::CloseAfterMessage;
        self.misbehave_as(quirk, ".").await?;
        let reply = scripted.unwrap_or_else(|| "250 2.0.0 taken".to_owned());
        if reply == HANG_UP {
            return Err(Over);
        }
        self.say(&reply).await?;
        let is_over = closes || reply.starts_with("421");
        Ok(is_over.then_some(After::Closed))
    }

    fn reset(&mut self) {
        self.sender = None;
        self.recipients.clear();
        self.chunks.clear();
    }
}

fn after_colon(line: &str) -> String {
    line.split_once(':')
        .map(|(_, rest)| rest.to_owned())
        .unwrap_or_default()
}

fn decode(text: &str) -> String {
    let octets = STANDARD.decode(text).unwrap_or_default();
    String::from_utf8_lossy(&octets).into_owned()
}
