//! The upstream: an ESMTP server that counts messages by their number and throws them away.
//!
//! One thread, all connections. It offers PIPELINING, CHUNKING, 8BITMIME, SMTPUTF8, SIZE and logins by token, answers each group of
//! commands with one write, and never refuses anything. It can take its time for each message.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use memchr::memmem;
use posthouse::clock::{Clock, SystemClock};
use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};

use super::ledger::Ledger;
use super::message;
use super::wire::{Poller, Wire};

/// A running sink. Dropping it stops it.
pub(crate) struct Sink {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    traffic: Arc<Traffic>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

/// What comes in.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    octets: AtomicU64,
    receiving: AtomicUsize,
    connections: AtomicUsize,
}

/// What a sink is to be.
#[derive(Clone, Default)]
pub(crate) struct Manner {
    /// How long after its end a message is answered.
    pub(crate) delay: Duration,
    /// With what connections are encrypted, from the first octet.
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

impl Traffic {
    /// Returns the octets received so far, commands included.
    pub(crate) fn octets(&self) -> u64 {
        self.octets.load(Ordering::Relaxed)
    }

    /// Returns how many connections are in the middle of a message.
    pub(crate) fn receiving(&self) -> usize {
        self.receiving.load(Ordering::Relaxed)
    }

    /// Returns how many connections there have been; on an encrypted sink each has made a handshake.
    #[allow(dead_code, reason = "one bench alone counts them")]
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Sink {
    /// Listens on a loopback port that the system chooses. A message is answered `delay` after its end.
    pub(crate) fn start(ledger: Arc<Ledger>, delay: Duration) -> io::Result<Self> {
        Self::start_as(ledger, Manner { delay, tls: None })
    }

    /// Listens on a loopback port that the system chooses.
    pub(crate) fn start_as(ledger: Arc<Ledger>, manner: Manner) -> io::Result<Self> {
        let listener = listen()?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let traffic = Arc::new(Traffic::default());
        let (stopped, seen) = (Arc::clone(&stop), Arc::clone(&traffic));
        let work = move || {
            let mut service = Service {
                poller: Poller::new()?,
                ledger,
                traffic: seen,
                delay: manner.delay,
                tls: manner.tls,
                answers: VecDeque::new(),
            };
            serve(&listener, &mut service, &stopped)
        };
        let thread = std::thread::Builder::new()
            .name("sink".to_owned())
            .spawn(work)?;
        Ok(Self {
            address,
            stop,
            traffic,
            thread: Some(thread),
        })
    }

    /// What comes in.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it; fails with what it failed with.
    pub(crate) fn stop(mut self) -> io::Result<()> {
        self.finish()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the sink's thread panicked")),
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // A failure has been reported by the missing messages already.
        drop(self.finish());
    }
}

fn listen() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// What all connections share.
struct Service {
    poller: Poller,
    ledger: Arc<Ledger>,
    traffic: Arc<Traffic>,
    delay: Duration,
    tls: Option<Arc<ServerConfig>>,
    /// When connections are due to answer, the earliest first, since all take the same time.
    answers: VecDeque<(Instant, usize)>,
}

impl Service {
    /// Returns how long nothing needs to be done.
    fn patience(&self) -> Duration {
        let next = self.answers.front();
        next.map_or(STOP_CHECK, |(at, _)| {
            at.saturating_duration_since(SystemClock.instant())
                .min(STOP_CHECK)
        })
    }

    /// Adds the connections whose answer is due.
    fn add_due(&mut self, ready: &mut Vec<usize>) {
        while let Some((at, index)) = self.answers.front().copied()
            && at <= SystemClock.instant()
        {
            self.answers.pop_front();
            ready.push(index + 1);
        }
    }
}

fn serve(listener: &TcpListener, service: &mut Service, stop: &AtomicBool) -> io::Result<()> {
    service.poller.add(listener, 0)?;
    let mut peers: Vec<Option<Peer>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut ready = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let patience = service.patience();
        service.poller.wait(patience, &mut ready)?;
        service.add_due(&mut ready);
        for &token in &ready {
            let Some(index) = token.checked_sub(1) else {
                accept(listener, service, &mut peers, &mut free)?;
                continue;
            };
            let Some(peer) = peers.get_mut(index).and_then(Option::as_mut) else {
                continue;
            };
            // A client that goes away is its own business; what it had not finished was not acknowledged.
            if !peer.advance(index, service).unwrap_or(false) {
                if peer.number.is_some() {
                    service.traffic.receiving.fetch_sub(1, Ordering::Relaxed);
                }
                peers[index] = None;
                free.push(index);
            }
        }
    }
    Ok(())
}

fn accept(
    listener: &TcpListener,
    service: &Service,
    peers: &mut Vec<Option<Peer>>,
    free: &mut Vec<usize>,
) -> io::Result<()> {
    loop {
        let socket = match listener.accept() {
            Ok((socket, _)) => socket,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(error),
        };
        let index = free.pop().unwrap_or(peers.len());
        if index == peers.len() {
            peers.push(None);
        }
        let poller = &service.poller;
        let mut wire = Wire::new(socket, poller, index + 1)?;
        if let Some(config) = &service.tls {
            wire.accept_tls(config)?;
        }
        service.traffic.connections.fetch_add(1, Ordering::Relaxed);
        let mut peer = Peer {
            wire,
            phase: Phase::Command,
            number: None,
            closing: false,
        };
        peer.wire
            .output()
            .extend_from_slice(b"220 sink.example ESMTP\r\n");
        if peer.wire.flush(poller).is_ok() {
            peers[index] = Some(peer);
        } else {
            free.push(index);
        }
    }
}

struct Peer {
    wire: Wire,
    phase: Phase,
    number: Option<u64>,
    closing: bool,
}

#[derive(Clone, Copy)]
enum Phase {
    Command,
    /// The rest of a login.
    Login,
    /// Octets of a message; the number inside it, once seen.
    Data {
        content: Content,
    },
    Chunk {
        left: usize,
        last: bool,
        content: Content,
    },
    /// A message is complete and its answer due then.
    Pondering {
        until: Instant,
    },
}

/// The number inside the message.
#[derive(Clone, Copy)]
enum Content {
    Unseen,
    Seen(Option<u64>),
}

impl Content {
    fn number(self) -> Option<u64> {
        match self {
            Self::Unseen => None,
            Self::Seen(number) => number,
        }
    }

    /// Looks into the first octets of a message. Waits for more until the number is there or the head is surely
    /// longer than any that we make.
    fn look(self, octets: &[u8]) -> Self {
        match (self, message::number_inside(octets)) {
            (Self::Seen(number), _) => Self::Seen(number),
            (Self::Unseen, Some(number)) => Self::Seen(Some(number)),
            (Self::Unseen, None) if octets.len() > LONGEST_HEAD => Self::Seen(None),
            (Self::Unseen, None) => Self::Unseen,
        }
    }
}

impl Peer {
    /// Reads, answers, writes. `Ok(false)`: the connection is over.
    fn advance(&mut self, index: usize, service: &mut Service) -> io::Result<bool> {
        let (before, was_receiving) = (self.wire.input().len(), self.number.is_some());
        let open = self.wire.receive()?;
        let received = self.wire.input().len() - before;
        let octets = &service.traffic.octets;
        octets.fetch_add(received as u64, Ordering::Relaxed);
        loop {
            let progress = match self.phase {
                Phase::Command => self.command(),
                Phase::Login => self.login(),
                Phase::Data { content } => self.data(content, &service.ledger),
                Phase::Chunk {
                    left,
                    last,
                    content,
                } => self.chunk(left, last, content, &service.ledger),
                Phase::Pondering { until } => self.answer(until),
            };
            if !progress {
                break;
            }
            if let Phase::Pondering { until } = &mut self.phase
                && !service.delay.is_zero()
            {
                *until += service.delay;
                service.answers.push_back((*until, index));
            }
        }
        // From RCPT to the end of data, also between two chunks.
        match (was_receiving, self.number.is_some()) {
            (false, true) => service.traffic.receiving.fetch_add(1, Ordering::Relaxed),
            (true, false) => service.traffic.receiving.fetch_sub(1, Ordering::Relaxed),
            (false, false) | (true, true) => 0,
        };
        let flushed = self.wire.flush(&service.poller)?;
        Ok(open && !(self.closing && flushed))
    }

    fn answer(&mut self, until: Instant) -> bool {
        let is_due = until <= SystemClock.instant();
        if is_due {
            self.wire.output().extend_from_slice(KEPT);
            self.phase = Phase::Command;
        }
        is_due
    }

    fn command(&mut self) -> bool {
        let (input, output) = self.wire.parts();
        let Some(end) = memchr::memchr(b'\n', input) else {
            return false;
        };
        let line = &input[..end];
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        match verb.as_slice() {
            b"MAIL" => output.extend_from_slice(b"250 2.1.0 OK\r\n"),
            b"RCPT" => {
                self.number = message::number_of_recipient(line);
                output.extend_from_slice(b"250 2.1.5 OK\r\n");
            }
            b"DATA" => {
                output.extend_from_slice(b"354 go ahead\r\n");
                self.phase = Phase::Data {
                    content: Content::Unseen,
                };
            }
            b"BDAT" => {
                let (left, last) = chunk_size(line);
                self.phase = Phase::Chunk {
                    left,
                    last,
                    content: Content::Unseen,
                };
            }
            b"EHLO" => output.extend_from_slice(HELLO),
            b"QUIT" => {
                output.extend_from_slice(b"221 2.0.0 bye\r\n");
                self.closing = true;
            }
            // Whoever logs in is welcome; a token comes in a line of its own.
            b"AUTH" if is_short(line) => {
                output.extend_from_slice(b"334 \r\n");
                self.phase = Phase::Login;
            }
            b"AUTH" => output.extend_from_slice(WELCOME),
            b"HELO" | b"NOOP" | b"RSET" => output.extend_from_slice(b"250 2.0.0 OK\r\n"),
            _ => output.extend_from_slice(b"502 5.5.1 not here\r\n"),
        }
        self.wire.take(end + 1);
        true
    }

    fn login(&mut self) -> bool {
        let (input, output) = self.wire.parts();
        let Some(end) = memchr::memchr(b'\n', input) else {
            return false;
        };
        output.extend_from_slice(WELCOME);
        self.wire.take(end + 1);
        self.phase = Phase::Command;
        true
    }

    fn data(&mut self, content: Content, ledger: &Ledger) -> bool {
        let input = self.wire.input();
        let end = if input.starts_with(b".\r\n") {
            Some(3)
        } else {
            memmem::find(input, b"\r\n.\r\n").map(|start| start + 5)
        };
        let content = content.look(&input[..end.unwrap_or(input.len())]);
        if let Some(end) = end {
            ledger.arrive(self.number.take(), content.number());
            self.phase = Phase::Pondering {
                until: SystemClock.instant(),
            };
            self.wire.take(end);
            return true;
        }
        // The last four octets may begin the end of data.
        if matches!(content, Content::Seen(_)) {
            let count = input.len().saturating_sub(4);
            self.wire.take(count);
        }
        self.phase = Phase::Data { content };
        false
    }

    fn chunk(&mut self, left: usize, last: bool, content: Content, ledger: &Ledger) -> bool {
        let input = self.wire.input();
        let here = left.min(input.len());
        let content = content.look(&input[..here]);
        let complete = here == left;
        if complete || matches!(content, Content::Seen(_)) {
            self.wire.take(here);
            self.phase = Phase::Chunk {
                left: left - here,
                last,
                content,
            };
        }
        if complete {
            if last {
                ledger.arrive(self.number.take(), content.number());
            }
            if last {
                self.phase = Phase::Pondering {
                    until: SystemClock.instant(),
                };
            } else {
                self.wire.output().extend_from_slice(KEPT);
                self.phase = Phase::Command;
            }
        }
        complete
    }
}

/// Reads `BDAT <size> [LAST]`.
fn chunk_size(line: &[u8]) -> (usize, bool) {
    let text = String::from_utf8_lossy(line);
    let mut words = text.split_ascii_whitespace().skip(1);
    let size = words.next().and_then(|size| size.parse().ok()).unwrap_or(0);
    let last = words
        .next()
        .is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
    (size, last)
}

const HELLO: &[u8] = b"250-sink.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-8BITMIME\r\n\
    250-SMTPUTF8\r\n250-AUTH XOAUTH2\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 1073741824\r\n";

const WELCOME: &[u8] = b"235 2.7.0 welcome\r\n";

/// Whether AUTH has no initial response.
fn is_short(line: &[u8]) -> bool {
    line.trim_ascii().split(|octet| *octet == b' ').count() < 3
}

const KEPT: &[u8] = b"250 2.0.0 kept\r\n";

/// A relay adds trace fields in front of ours; no head is longer than this.
const LONGEST_HEAD: usize = 16 << 10;

const BACKLOG: i32 = 1024;

const STOP_CHECK: Duration = Duration::from_millis(20);
