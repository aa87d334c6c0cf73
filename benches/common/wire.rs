//! A non-blocking socket with buffers, plain or TLS, and the readiness queue it is registered with.

use std::io;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::epoll;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use socket2::{Domain, Protocol, Socket, Type};

/// Readiness of many sockets (epoll, level-triggered).
pub(crate) struct Poller {
    queue: rustix::fd::OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poller {
    /// Makes an empty queue.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            queue: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(EVENTS),
        })
    }

    /// Reports `source` as `token` when it can be read.
    pub(crate) fn add(&self, source: impl rustix::fd::AsFd, token: usize) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token as u64);
        Ok(epoll::add(
            &self.queue,
            source,
            data,
            epoll::EventFlags::IN,
        )?)
    }

    /// Waits for readiness, at most `limit`, and fills `tokens`.
    pub(crate) fn wait(&mut self, limit: Duration, tokens: &mut Vec<usize>) -> io::Result<()> {
        let limit = rustix::event::Timespec::try_from(limit).map_err(io::Error::other)?;
        self.events.clear();
        tokens.clear();
        match epoll::wait(
            &self.queue,
            rustix::buffer::spare_capacity(&mut self.events),
            Some(&limit),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = self.events.iter();
        tokens.extend(ready.filter_map(|event| usize::try_from(event.data.u64()).ok()));
        Ok(())
    }

    /// Reports writability too, or no longer.
    fn watch_writes(&self, wire: &Wire, on: bool) -> io::Result<()> {
        let mut flags = epoll::EventFlags::IN;
        flags.set(epoll::EventFlags::OUT, on);
        let data = epoll::EventData::new_u64(wire.token as u64);
        Ok(epoll::modify(&self.queue, &wire.socket, data, flags)?)
    }
}

/// One connection.
pub(crate) struct Wire {
    socket: TcpStream,
    token: usize,
    tls: Option<Box<Connection>>,
    input: Vec<u8>,
    taken: usize,
    output: Vec<u8>,
    written: usize,
    watching_writes: bool,
}

impl Wire {
    /// Starts to connect; the first readiness is the server's greeting or the failure.
    pub(crate) fn connect(address: SocketAddr, poller: &Poller, token: usize) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )?;
        match socket.connect(&address.into()) {
            Err(error)
                if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
            {
                return Err(error);
            }
            Ok(()) | Err(_) => {}
        }
        Self::new(socket.into(), poller, token)
    }

    /// Takes over a connected socket.
    pub(crate) fn new(socket: TcpStream, poller: &Poller, token: usize) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        poller.add(&socket, token)?;
        Ok(Self {
            socket,
            token,
            tls: None,
            input: Vec::with_capacity(READ),
            taken: 0,
            output: Vec::with_capacity(READ),
            written: 0,
            watching_writes: false,
        })
    }

    /// Begins the TLS handshake as the client. What is written from now on is encrypted.
    pub(crate) fn start_tls(&mut self, config: &Arc<ClientConfig>) -> io::Result<()> {
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        self.tls = Some(Box::new(tls.into()));
        Ok(())
    }

    /// Begins the TLS handshake as the server, before anything has been read.
    #[allow(dead_code, reason = "one bench alone has an encrypted sink")]
    pub(crate) fn accept_tls(&mut self, config: &Arc<ServerConfig>) -> io::Result<()> {
        let tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        self.tls = Some(Box::new(tls.into()));
        Ok(())
    }

    /// Reads what has come. `Ok(false)`: the peer has closed.
    pub(crate) fn receive(&mut self) -> io::Result<bool> {
        if self.taken == self.input.len() {
            self.input.clear();
            self.taken = 0;
        } else if self.taken > 0 {
            self.input.drain(..self.taken);
            self.taken = 0;
        }
        match &mut self.tls {
            None => {
                // Reads into spare room, which is not zeroed before each read.
                self.input.reserve(READ);
                match rustix::io::read(
                    &self.socket,
                    rustix::buffer::spare_capacity(&mut self.input),
                ) {
                    Ok(count) => Ok(count > 0),
                    Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(true),
                    Err(error) => Err(error.into()),
                }
            }
            Some(tls) => receive_tls(tls, &mut self.socket, &mut self.input),
        }
    }

    /// What has been received and not taken.
    pub(crate) fn input(&self) -> &[u8] {
        &self.input[self.taken..]
    }

    /// Input and output at once, for parsers that answer as they read.
    pub(crate) fn parts(&mut self) -> (&[u8], &mut Vec<u8>) {
        (&self.input[self.taken..], &mut self.output)
    }

    /// Forgets the first `count` octets of the input.
    pub(crate) fn take(&mut self, count: usize) {
        self.taken += count;
    }

    /// What is to be written; append to it, then [`Wire::flush`].
    pub(crate) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Writes as much as the socket takes and asks to be woken for the rest. `Ok(true)`: all is written.
    pub(crate) fn flush(&mut self, poller: &Poller) -> io::Result<bool> {
        let done = self.write()?;
        if done {
            self.output.clear();
            self.written = 0;
        }
        if done == self.watching_writes {
            self.watching_writes = !done;
            poller.watch_writes(self, !done)?;
        }
        Ok(done)
    }

    fn write(&mut self) -> io::Result<bool> {
        while let Some(tls) = &mut self.tls {
            self.written += tls.writer().write(&self.output[self.written..])?;
            if !write_records(tls, &mut self.socket)? {
                return Ok(false);
            }
            let done = self.written == self.output.len();
            if done || tls.is_handshaking() {
                return Ok(done);
            }
        }
        while self.written < self.output.len() {
            match would_block(self.socket.write(&self.output[self.written..]))? {
                None => return Ok(false),
                Some(count) => self.written += count,
            }
        }
        Ok(true)
    }
}

/// `Ok(false)`: the socket takes no more for now.
fn write_records(tls: &mut Connection, socket: &mut TcpStream) -> io::Result<bool> {
    while tls.wants_write() {
        if would_block(tls.write_tls(socket))?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn receive_tls(
    tls: &mut Connection,
    socket: &mut TcpStream,
    input: &mut Vec<u8>,
) -> io::Result<bool> {
    // The library reads 4 KiB at a time; what else is there needs no other turn of the loop.
    loop {
        let Some(count) = would_block(tls.read_tls(socket))? else {
            return Ok(true);
        };
        let state = tls.process_new_packets().map_err(io::Error::other)?;
        let start = input.len();
        input.resize(start + state.plaintext_bytes_to_read(), 0);
        tls.reader().read_exact(&mut input[start..])?;
        if count < PIECE {
            return Ok(count > 0);
        }
    }
}

/// Octets that the TLS library reads at a time.
const PIECE: usize = 4096;

fn would_block(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Room for one read.
const READ: usize = 64 << 10;

/// Events of one wait.
const EVENTS: usize = 256;
