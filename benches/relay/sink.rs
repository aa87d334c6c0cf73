//! The upstream: an ESMTP server that counts messages by their number and throws them away.
//!
//! One thread, all connections. It offers PIPELINING, CHUNKING, 8BITMIME, SMTPUTF8 and SIZE, answers each group of
//! commands with one write, and never refuses anything.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use memchr::memmem;
use socket2::{Domain, Protocol, Socket, Type};

use crate::ledger::Ledger;
use crate::message;
use crate::wire::{Poller, Wire};

/// A running sink. Dropping it stops it.
pub(crate) struct Sink {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Sink {
    /// Listens on a loopback port that the system chooses.
    pub(crate) fn start(ledger: Arc<Ledger>) -> io::Result<Self> {
        let listener = listen()?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("sink".to_owned())
            .spawn(move || serve(&listener, &ledger, &stopped))?;
        Ok(Self {
            address,
            stop,
            thread: Some(thread),
        })
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

fn serve(listener: &TcpListener, ledger: &Ledger, stop: &AtomicBool) -> io::Result<()> {
    let mut poller = Poller::new()?;
    poller.add(listener, 0)?;
    let mut peers: Vec<Option<Peer>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut ready = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        poller.wait(STOP_CHECK, &mut ready)?;
        for &token in &ready {
            let Some(index) = token.checked_sub(1) else {
                accept(listener, &poller, &mut peers, &mut free)?;
                continue;
            };
            let Some(peer) = peers.get_mut(index).and_then(Option::as_mut) else {
                continue;
            };
            // A client that goes away is its own business; what it had not finished was not acknowledged.
            if !peer.advance(&poller, ledger).unwrap_or(false) {
                peers[index] = None;
                free.push(index);
            }
        }
    }
    Ok(())
}

fn accept(
    listener: &TcpListener,
    poller: &Poller,
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
        let mut peer = Peer {
            wire: Wire::new(socket, poller, index + 1)?,
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
    /// Octets of a message; the number inside it, once seen.
    Data {
        content: Content,
    },
    Chunk {
        left: usize,
        last: bool,
        content: Content,
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
    fn advance(&mut self, poller: &Poller, ledger: &Ledger) -> io::Result<bool> {
        let open = self.wire.receive()?;
        loop {
            let progress = match self.phase {
                Phase::Command => self.command(),
                Phase::Data { content } => self.data(content, ledger),
                Phase::Chunk {
                    left,
                    last,
                    content,
                } => self.chunk(left, last, content, ledger),
            };
            if !progress {
                break;
            }
        }
        let flushed = self.wire.flush(poller)?;
        Ok(open && !(self.closing && flushed))
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
            b"HELO" | b"NOOP" | b"RSET" => output.extend_from_slice(b"250 2.0.0 OK\r\n"),
            _ => output.extend_from_slice(b"502 5.5.1 not here\r\n"),
        }
        self.wire.take(end + 1);
        true
    }

    fn data(&mut self, content: Content, ledger: &Ledger) -> bool {
        let (input, output) = self.wire.parts();
        let end = if input.starts_with(b".\r\n") {
            Some(3)
        } else {
            memmem::find(input, b"\r\n.\r\n").map(|start| start + 5)
        };
        let content = content.look(&input[..end.unwrap_or(input.len())]);
        if let Some(end) = end {
            ledger.arrive(self.number.take(), content.number());
            output.extend_from_slice(b"250 2.0.0 kept\r\n");
            self.phase = Phase::Command;
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
            self.wire.output().extend_from_slice(b"250 2.0.0 kept\r\n");
            self.phase = Phase::Command;
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
    250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 1073741824\r\n";

/// A relay adds trace fields in front of ours; no head is longer than this.
const LONGEST_HEAD: usize = 16 << 10;

const BACKLOG: i32 = 1024;

const STOP_CHECK: Duration = Duration::from_millis(20);
