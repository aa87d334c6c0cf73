//! Attackers: one process, any number of connections, from addresses of their own.

use std::io::{self, Read as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use posthouse::clock::{Clock as _, SystemClock};
use rustix::process::setpriority_process;
use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::client::login;
use crate::common::configuration::LOGIN;
use crate::common::tls;
use crate::options::{Attack, Kind};

/// The least priority that there is (nice(2)).
pub(crate) const LEAST: i32 = 19;

/// Addresses that a botnet has.
const BOTS: u32 = 2_000;

/// Guesses of each, before it is the next one's turn.
const GUESSES: u64 = 3;

/// What attackers have done.
#[derive(Debug, Default)]
struct Deeds {
    /// Connections.
    connections: AtomicU64,
    /// Guesses that were answered.
    answers: AtomicU64,
}

/// Attacks until the input ends, then prints connections and answers.
///
/// # Errors
/// What is needed for it cannot be had.
pub(crate) fn make(order: &Attack) -> io::Result<()> {
    // What the generator takes for itself is not to be what is measured.
    setpriority_process(None, LEAST)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let scene = Arc::new(Scene {
        order: order.clone(),
        begun: SystemClock.instant(),
        connector: TlsConnector::from(tls::client()?),
        stop: until_input_ends()?,
        deeds: Deeds::default(),
    });
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..order.connections {
            let scene = Arc::clone(&scene);
            tasks.spawn(async move { scene.go_on().await });
        }
        scene.stop.cancelled().await;
    });
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    println!(
        "{} {}",
        of(&scene.deeds.connections),
        of(&scene.deeds.answers)
    );
    Ok(())
}

/// Returns what is cancelled when the standard input ends.
pub(crate) fn until_input_ends() -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let ended = stop.clone();
    std::thread::Builder::new().spawn(move || {
        let _ended = io::stdin().read_to_end(&mut Vec::new());
        ended.cancel();
    })?;
    Ok(stop)
}

struct Scene {
    order: Attack,
    begun: std::time::Instant,
    connector: TlsConnector,
    stop: CancellationToken,
    deeds: Deeds,
}

impl Scene {
    async fn go_on(&self) {
        while !self.stop.is_cancelled() {
            let number = self.deeds.connections.fetch_add(1, Ordering::Relaxed);
            self.wait_for_turn(number).await;
            // What a server does to it is the server's business.
            if self.visit(number).await.is_err() {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn wait_for_turn(&self, number: u64) {
        if let Some(rate) = self.order.rate {
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            let due = Duration::from_secs_f64(number as f64 / rate);
            sleep_until((self.begun + due).into()).await;
        }
    }

    async fn visit(&self, number: u64) -> io::Result<()> {
        let patience = Duration::from_millis(self.order.patience);
        let stream = timeout(patience, self.connect(number)).await??;
        match self.order.kind {
            Kind::Account => self.guess(stream, LOGIN.0, number).await,
            Kind::Address | Kind::Botnet => {
                self.guess(stream, &format!("user{number}"), number).await
            }
            Kind::BotnetTls => {
                let stream = self.encrypt(stream).await?;
                self.guess(stream, &format!("user{number}"), number).await
            }
            Kind::Silent => self.stay(stream).await,
        }
    }

    async fn connect(&self, number: u64) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        // Reset at the end: no port waits for what is still under way.
        SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
        socket.bind(SocketAddr::from((self.source(number), 0)))?;
        socket.connect(self.order.server).await
    }

    fn source(&self, number: u64) -> Ipv4Addr {
        let place = match self.order.kind {
            Kind::Address => self.order.turn,
            Kind::Account | Kind::Botnet | Kind::BotnetTls | Kind::Silent => {
                let bot = u32::try_from(number / GUESSES % u64::from(BOTS)).unwrap_or_default();
                self.order.turn * BOTS + bot
            }
        };
        // Four in each network of 24 bits.
        Ipv4Addr::from_bits(Ipv4Addr::new(127, 16, 0, 2).to_bits() + place * 64)
    }

    async fn encrypt(
        &self,
        mut stream: TcpStream,
    ) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        self.answer(&mut stream).await?;
        stream.write_all(b"EHLO flood.example\r\n").await?;
        self.answer(&mut stream).await?;
        stream.write_all(b"STARTTLS\r\n").await?;
        self.answer(&mut stream).await?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let patience = Duration::from_secs(5);
        let mut stream = timeout(patience, self.connector.connect(name, stream)).await??;
        stream.write_all(b"EHLO flood.example\r\n").await?;
        Ok(stream)
    }

    async fn guess<S>(&self, mut stream: S, name: &str, number: u64) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.answer(&mut stream).await?;
        if self.order.kind != Kind::BotnetTls {
            stream.write_all(b"EHLO flood.example\r\n").await?;
            self.answer(&mut stream).await?;
        }
        let line = login(name, &format!("guess {number}"));
        stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.answer(&mut stream).await?;
        self.deeds.answers.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Reads a reply to its end, as far as patience goes.
    async fn answer(&self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        let patience = Duration::from_millis(self.order.patience);
        let mut piece = [0; 1024];
        let mut reply = Vec::new();
        loop {
            match timeout(patience, stream.read(&mut piece)).await?? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => reply.extend_from_slice(&piece[..count]),
            }
            let last = reply.split(|octet| *octet == b'\n').rev().nth(1);
            if reply.ends_with(b"\n") && last.is_some_and(|line| line.get(3) == Some(&b' ')) {
                return Ok(());
            }
        }
    }

    /// Stays until the server closes.
    async fn stay(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut piece = [0; 1024];
        while stream.read(&mut piece).await? > 0 {}
        // Who was turned away tries again, but not in a circle.
        sleep(Duration::from_millis(self.order.patience)).await;
        Ok(())
    }
}
