//! Connections that do nothing, held by processes of their own.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use posthouse::clock::{Clock as _, SystemClock};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{Domain, Protocol, Socket, Type};

use crate::options::{Crowd, Idle};
use crate::server::Server;
use crate::tls;
use crate::usage;

/// Connections of one process.
const CROWD: u32 = 5_000;

/// Measures what the command line asks for and prints it.
pub(crate) fn perform(shape: &Idle) -> io::Result<()> {
    let server = Server::start(&shape.place)?;
    let address = if shape.tls {
        server.implicit
    } else {
        server.plain
    };
    // So that what is made once is there before.
    let warm = Crowd {
        server: address,
        source: Ipv4Addr::LOCALHOST,
        count: 100,
        tls: shape.tls,
    };
    end(start(&warm)?)?;
    let before = usage::resident_memory(server.id());
    let begun = SystemClock.instant();
    let mut crowds = Vec::new();
    let mut left = shape.count;
    while left > 0 {
        let [.., high, low] = (crowds.len() + 2).to_be_bytes();
        let count = left.min(CROWD);
        left -= count;
        crowds.push(start(&Crowd {
            server: address,
            source: Ipv4Addr::new(127, 1, high, low),
            count,
            tls: shape.tls,
        })?);
    }
    let taken = begun.elapsed();
    let after = usage::resident_memory(server.id());
    println!(
        "{} idle connections {}: {:.1} KiB each, {:.1} MiB in all, connected in {:.1} s",
        shape.count,
        if shape.tls { "inside TLS" } else { "plain" },
        kibibytes(after.saturating_sub(before)) / f64::from(shape.count),
        kibibytes(after) / 1024.0,
        taken.as_secs_f64()
    );
    // Whoever comes now is served as if they were not there.
    let begun = SystemClock.instant();
    end(start(&warm)?)?;
    println!(
        "100 more, one after the other: {:.0} ms",
        begun.elapsed().as_secs_f64() * 1e3
    );
    for crowd in crowds {
        end(crowd)?;
    }
    server.stop()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "memory sizes are far below 2^52"
)]
fn kibibytes(octets: u64) -> f64 {
    octets as f64 / 1024.0
}

/// Starts a process that holds connections; returns when it has them all.
fn start(crowd: &Crowd) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([
        "hold",
        &crowd.server.to_string(),
        &crowd.source.to_string(),
        &crowd.count.to_string(),
    ]);
    if crowd.tls {
        command.arg("--tls");
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    if line.trim() == READY {
        return Ok(child);
    }
    end(child)?;
    Err(io::Error::other(format!(
        "the crowd is not complete: {line}"
    )))
}

fn end(mut child: Child) -> io::Result<()> {
    drop(child.stdin.take());
    child.wait().map(drop)
}

const READY: &str = "ready";

/// Connects, greets, says so, and holds the connections until its input ends.
pub(crate) fn hold(crowd: &Crowd) -> io::Result<()> {
    let config = tls::client()?;
    let mut held: Vec<Box<dyn Read>> = Vec::new();
    for _ in 0..crowd.count {
        let stream = connect(crowd.server, crowd.source)?;
        if crowd.tls {
            held.push(Box::new(greet(encrypt(stream, &config)?)?));
        } else {
            held.push(Box::new(greet(stream)?));
        }
    }
    println!("{READY}");
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

fn connect(server: SocketAddr, source: Ipv4Addr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::new(IpAddr::V4(source), 0).into())?;
    socket.connect(&server.into())?;
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(socket.into())
}

fn encrypt(
    stream: TcpStream,
    config: &Arc<ClientConfig>,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(tls, stream))
}

fn greet<S: Read + Write>(mut stream: S) -> io::Result<S> {
    until(&mut stream, b"220 ")?;
    stream.write_all(b"EHLO idle.example\r\n")?;
    until(&mut stream, b"250 ")?;
    Ok(stream)
}

/// Reads up to the end of the reply that begins with this.
fn until(stream: &mut impl Read, code: &[u8]) -> io::Result<()> {
    let mut input = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let last = input.split(|octet| *octet == b'\n').rev().nth(1);
        if input.ends_with(b"\n") && last.is_some_and(|line: &[u8]| line.starts_with(code)) {
            return Ok(());
        }
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => input.extend_from_slice(&piece[..count]),
        }
    }
}
