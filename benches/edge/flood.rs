//! Good clients, alone and beside a flood of wrong passwords.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use posthouse::clock::{Clock as _, SystemClock};
use socket2::{Domain, Protocol, Socket, Type};

use crate::options::Flood;
use crate::server::{LOGIN, Server, spread};
use crate::usage;

/// Measures what the command line asks for and prints it.
pub(crate) fn perform(shape: &Flood) -> io::Result<()> {
    let server = Server::start(&shape.place)?;
    // So that the password is known.
    good_sessions(shape, server.plain, 100)?;
    let (mut quiet, mut loud) = (Vec::new(), Vec::new());
    for _ in 0..shape.runs {
        quiet.push(good_sessions(shape, server.plain, shape.count)?);
        let flooded = beside_flood(shape, &server);
        loud.push(flooded.map_err(|error| server.explain(&error))?);
    }
    report("alone", &quiet);
    report("beside the flood", &loud);
    let p99 = |runs: &[Vec<f64>]| {
        let mut all: Vec<f64> = runs.iter().map(|run| at(run, 0.99)).collect();
        all.sort_by(f64::total_cmp);
        at(&all, 0.5)
    };
    println!("99 %: {:.2} times as long", p99(&loud) / p99(&quiet));
    server.stop()
}

fn report(name: &str, runs: &[Vec<f64>]) {
    let of = |share| spread(&runs.iter().map(|run| at(run, share)).collect::<Vec<_>>());
    println!(
        "{name:<17} µs for a session: median {}, 99 % {}, most {}",
        of(0.5),
        of(0.99),
        of(1.0)
    );
}

fn beside_flood(shape: &Flood, server: &Server) -> io::Result<Vec<f64>> {
    let (stop, tries) = (AtomicBool::new(false), AtomicU64::new(0));
    let before = (usage::cpu(server.id()), SystemClock.instant());
    let times = thread::scope(|scope| {
        for number in 0..shape.attackers {
            let (stop, tries) = (&stop, &tries);
            let address = server.plain;
            scope.spawn(move || attack(shape, (number, address), stop, tries));
        }
        let times = good_sessions(shape, server.plain, shape.count);
        stop.store(true, Ordering::Relaxed);
        times
    });
    let spent = usage::cpu(server.id()).saturating_sub(before.0);
    println!(
        "the flood: {} tries in {:.1} s; posthouse {:.1} s of processor time",
        tries.load(Ordering::Relaxed),
        before.1.elapsed().as_secs_f64(),
        spent.as_secs_f64()
    );
    times
}

/// Connects, guesses and connects again, as fast as it is answered.
fn attack(
    shape: &Flood,
    (number, server): (u16, SocketAddr),
    stop: &AtomicBool,
    tries: &AtomicU64,
) {
    let mut turn = number;
    while !stop.load(Ordering::Relaxed) {
        turn = turn.wrapping_add(shape.attackers);
        let [high, low] = (turn % shape.addresses + 2).to_be_bytes();
        let source = Ipv4Addr::new(127, 1, high, low);
        // What a server does to it is the server's business.
        let _refused = guess(server, source, turn, tries);
    }
}

fn guess(server: SocketAddr, source: Ipv4Addr, turn: u16, tries: &AtomicU64) -> io::Result<()> {
    let stream = connect(server, source)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut client = Client(BufReader::new(stream));
    client.reply()?;
    client.say("EHLO flood.example\r\n")?;
    loop {
        let secret = STANDARD.encode(format!("\0{}\0guess {turn}", LOGIN.0));
        tries.fetch_add(1, Ordering::Relaxed);
        if client.say(&format!("AUTH PLAIN {secret}\r\n"))? == 421 {
            return Ok(());
        }
    }
}

/// Returns how long each session took, in microseconds, in ascending order.
fn good_sessions(shape: &Flood, server: SocketAddr, count: u64) -> io::Result<Vec<f64>> {
    let mut times = Vec::new();
    for _ in 0..count {
        let begun = SystemClock.instant();
        good_session(server)?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
        thread::sleep(Duration::from_millis(shape.pace));
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

fn good_session(server: SocketAddr) -> io::Result<()> {
    let mut client = Client(BufReader::new(connect(server, Ipv4Addr::LOCALHOST)?));
    let secret = STANDARD.encode(format!("\0{}\0{}", LOGIN.0, LOGIN.1));
    let mut codes = vec![client.reply()?];
    for line in [
        "EHLO load.example\r\n",
        &format!("AUTH PLAIN {secret}\r\n"),
        "MAIL FROM:<load@example.com>\r\n",
        "RCPT TO:<to@example.net>\r\n",
        "DATA\r\n",
        "From: load@example.com\r\nSubject: load\r\n\r\ntext\r\n.\r\n",
        "QUIT\r\n",
    ] {
        codes.push(client.say(line)?);
    }
    if codes == [220, 250, 235, 250, 250, 354, 250, 221] {
        return Ok(());
    }
    Err(io::Error::other(format!("a good client heard {codes:?}")))
}

fn connect(server: SocketAddr, source: Ipv4Addr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::new(IpAddr::V4(source), 0).into())?;
    socket.connect(&server.into())?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn say(&mut self, line: &str) -> io::Result<u16> {
        self.0.get_mut().write_all(line.as_bytes())?;
        self.reply()
    }

    fn reply(&mut self) -> io::Result<u16> {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line)?;
            let code = line.get(..3).and_then(|code| code.parse().ok());
            match (code, line.as_bytes().get(3)) {
                (Some(_), Some(b'-')) => {}
                (Some(code), _) => return Ok(code),
                (None, _) => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}

fn at(sorted: &[f64], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "an index into a list that fits in memory"
    )]
    let index = (sorted.len().saturating_sub(1) as f64 * share) as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}
