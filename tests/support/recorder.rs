//! An upstream that takes everything and hands each message to the test, octet by octet as it came.

use std::io;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::thread::JoinHandle;

/// A message as it arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mail {
    /// What stood between the angle brackets of MAIL.
    pub(crate) reverse_path: String,
    /// What stood between the angle brackets of each RCPT.
    pub(crate) recipients: Vec<String>,
    /// The content, without the dots of transparency and the final one.
    pub(crate) content: Vec<u8>,
}

/// A running recorder. Dropping it closes its connections and ends its threads.
pub(crate) struct Recorder {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    stop: AtomicBool,
    open: AtomicUsize,
    keep: Box<dyn Fn(Mail) + Send + Sync>,
    connections: Mutex<Vec<TcpStream>>,
}

impl Recorder {
    /// Listens on a loopback port that the system chooses. `keep` is called with each complete message, before its
    /// final reply is written.
    ///
    /// # Errors
    ///
    /// No port can be bound.
    pub(crate) fn start(keep: impl Fn(Mail) + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            keep: Box::new(keep),
            connections: Mutex::default(),
        });
        let inside = Arc::clone(&shared);
        let listener = thread::spawn(move || accept(&listener, &inside));
        Ok(Self {
            address,
            shared,
            listener: Some(listener),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns how many connections have not been read to their end. With none, everything that a dead process had
    /// written has been taken note of.
    pub(crate) fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::Acquire)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the listener; it fails only where the listener is gone.
        drop(TcpStream::connect(self.address));
        for connection in self.shared.connections().drain(..) {
            drop(connection.shutdown(Shutdown::Both));
        }
        if let Some(Err(panic)) = self.listener.take().map(JoinHandle::join)
            && !thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Shared {
    fn connections(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    thread::scope(|scope| {
        for socket in listener.incoming() {
            if shared.stop.load(Ordering::Relaxed) {
                break;
            }
            let Ok(socket) = socket else { continue };
            if let Ok(copy) = socket.try_clone() {
                shared.connections().push(copy);
            }
            shared.open.fetch_add(1, Ordering::AcqRel);
            scope.spawn(|| {
                // A client that goes away in the middle has handed over nothing, and that is all there is to it.
                drop(converse(socket, shared));
                shared.open.fetch_sub(1, Ordering::AcqRel);
            });
        }
        for connection in shared.connections().drain(..) {
            drop(connection.shutdown(Shutdown::Both));
        }
    });
}

fn converse(socket: TcpStream, shared: &Shared) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut output = socket.try_clone()?;
    let mut input = BufReader::new(socket);
    let mut mail = Mail::default();
    output.write_all(b"220 recorder.example ESMTP\r\n")?;
    loop {
        let line = read_line(&mut input)?;
        let text = String::from_utf8_lossy(&line).into_owned();
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let verb = words.first().copied().unwrap_or_default();
        let reply: &[u8] = match verb.to_ascii_uppercase().as_str() {
            "EHLO" => HELLO,
            "MAIL" => {
                mail = Mail::default();
                mail.reverse_path = path(&text);
                OK
            }
            "RCPT" => {
                mail.recipients.push(path(&text));
                OK
            }
            "DATA" => {
                output.write_all(b"354 go ahead\r\n")?;
                read_data(&mut input, &mut mail.content)?;
                (shared.keep)(std::mem::take(&mut mail));
                OK
            }
            "BDAT" => {
                let size = words.get(1).and_then(|size| size.parse().ok()).unwrap_or(0);
                input.by_ref().take(size).read_to_end(&mut mail.content)?;
                if words
                    .get(2)
                    .is_some_and(|word| word.eq_ignore_ascii_case("LAST"))
                {
                    (shared.keep)(std::mem::take(&mut mail));
                }
                OK
            }
            "QUIT" => return output.write_all(b"221 2.0.0 bye\r\n"),
            "HELO" | "NOOP" | "RSET" => OK,
            _ => b"502 5.5.1 not here\r\n",
        };
        output.write_all(reply)?;
    }
}

/// Reads a line with its end. End of input is an error: nobody leaves without QUIT.
fn read_line(input: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    if input.read_until(b'\n', &mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line)
}

fn read_data(input: &mut BufReader<TcpStream>, content: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let line = read_line(input)?;
        match line.strip_prefix(b".") {
            Some(b"\r\n") => return Ok(()),
            Some(rest) => content.extend_from_slice(rest),
            None => content.extend_from_slice(&line),
        }
    }
}

fn path(command: &str) -> String {
    let inside = command
        .split_once('<')
        .and_then(|(_, rest)| rest.rsplit_once('>'));
    inside.map_or("", |(path, _)| path).to_owned()
}

const OK: &[u8] = b"250 2.0.0 OK\r\n";

const HELLO: &[u8] = b"250-recorder.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
    250-ENHANCEDSTATUSCODES\r\n250 SIZE 104857600\r\n";
