//! A scripted proxy on loopback: SOCKS5 and HTTP CONNECT, as RFC 1928, 1929 and 9110 say, written apart from the client.
//!
//! Whatever a client asks for, it connects to one server; what was asked for is kept.

#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code, of which each test binary uses a part"
)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a proxy does.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Where all connections lead.
    pub(crate) server: SocketAddr,
    /// User name and password it demands.
    pub(crate) login: Option<(String, String)>,
    /// What it answers instead of connecting.
    pub(crate) refusal: Option<Refusal>,
}

/// A refusal.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// It closes the connection at once.
    Close,
    /// It answers with this status line.
    Http(&'static str),
    /// It never answers.
    Silence,
    /// It answers with this reply code of SOCKS5.
    Socks(u8),
}

impl Script {
    /// Connects everybody to a server.
    pub(crate) fn to(server: SocketAddr) -> Self {
        Self {
            server,
            login: None,
            refusal: None,
        }
    }

    /// Demands a login.
    #[must_use]
    pub(crate) fn login(mut self, user: &str, password: &str) -> Self {
        self.login = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Refuses everybody.
    #[must_use]
    pub(crate) fn refusal(mut self, refusal: Refusal) -> Self {
        self.refusal = Some(refusal);
        self
    }
}

/// A running proxy.
pub(crate) struct FakeProxy {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl FakeProxy {
    /// Starts a proxy on 127.0.0.1, at a port of the system's choice.
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, script, Arc::clone(&asked)));
        Self {
            address,
            asked,
            _tasks: tasks,
        }
    }

    /// Returns what clients have asked for so far, as `host:port`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn accept(listener: TcpListener, script: Script, asked: Arc<Mutex<Vec<String>>>) {
    let mut sessions = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (script, asked) = (script.clone(), Arc::clone(&asked));
        sessions.spawn(async move {
            // A client that goes away is no news.
            let _ = serve(stream, &script, &asked).await;
        });
    }
}

async fn serve(
    mut client: TcpStream,
    script: &Script,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    match script.refusal {
        Some(Refusal::Close) => return Ok(()),
        Some(Refusal::Silence) => {
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await?;
            return Ok(());
        }
        Some(Refusal::Http(_) | Refusal::Socks(_)) | None => {}
    }
    let mut first = [0];
    client.peek(&mut first).await?;
    let agreed = if first == [5] {
        socks(&mut client, script, asked).await?
    } else {
        http(&mut client, script, asked).await?
    };
    let Some(answer) = agreed else {
        return Ok(());
    };
    let mut server = TcpStream::connect(script.server).await?;
    // The answer and the server's first words leave in one write: whoever reads too much loses the greeting.
    let mut greeting = vec![0; 4096];
    let length = server.read(&mut greeting).await?;
    client
        .write_all(&[&answer, &greeting[..length]].concat())
        .await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Returns the answer that opens the way, unless it refuses.
async fn socks(
    client: &mut TcpStream,
    script: &Script,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<Option<Vec<u8>>> {
    if !is_admitted(client, script).await? {
        return Ok(None);
    }
    let head = octets(client, 4).await?;
    let host = match head[3] {
        1 => std::net::Ipv4Addr::from(<[u8; 4]>::try_from(octets(client, 4).await?).unwrap())
            .to_string(),
        4 => std::net::Ipv6Addr::from(<[u8; 16]>::try_from(octets(client, 16).await?).unwrap())
            .to_string(),
        _ => {
            let length = client.read_u8().await?;
            String::from_utf8(octets(client, length.into()).await?).unwrap()
        }
    };
    let port = client.read_u16().await?;
    asked.lock().unwrap().push(format!("{host}:{port}"));
    if let Some(Refusal::Socks(code)) = script.refusal {
        client.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
        return Ok(None);
    }
    let name = b"proxy.example";
    let mut answer = vec![5, 0, 0, 3, u8::try_from(name.len()).unwrap()];
    answer.extend(name);
    answer.extend([0, 80]);
    Ok(Some(answer))
}

/// Agrees on a login, and takes it (RFC 1928 §3, RFC 1929 §2).
async fn is_admitted(client: &mut TcpStream, script: &Script) -> std::io::Result<bool> {
    client.read_u8().await?;
    let count = client.read_u8().await?;
    let methods = octets(client, count.into()).await?;
    let Some((user, password)) = &script.login else {
        client.write_all(&[5, 0]).await?;
        return Ok(true);
    };
    if !methods.contains(&2) {
        client.write_all(&[5, 0xff]).await?;
        return Ok(false);
    }
    client.write_all(&[5, 2]).await?;
    client.read_u8().await?;
    let length = client.read_u8().await?;
    let given_user = octets(client, length.into()).await?;
    let length = client.read_u8().await?;
    let given_password = octets(client, length.into()).await?;
    let is_right = given_user == user.as_bytes() && given_password == password.as_bytes();
    client.write_all(&[1, u8::from(!is_right)]).await?;
    Ok(is_right)
}

async fn octets(client: &mut TcpStream, count: usize) -> std::io::Result<Vec<u8>> {
    let mut octets = vec![0; count];
    client.read_exact(&mut octets).await?;
    Ok(octets)
}

/// Returns the answer that opens the way, unless it refuses.
async fn http(
    client: &mut TcpStream,
    script: &Script,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<Option<Vec<u8>>> {
    let mut header = Vec::new();
    while !header.ends_with(b"\r\n\r\n") {
        header.push(client.read_u8().await?);
    }
    let header = String::from_utf8(header).unwrap();
    let mut words = header.split(' ');
    assert_eq!(words.next(), Some("CONNECT"));
    asked.lock().unwrap().push(words.next().unwrap().to_owned());
    if let Some((user, password)) = &script.login {
        let wanted = STANDARD.encode(format!("{user}:{password}"));
        let wanted = format!("\r\nProxy-Authorization: Basic {wanted}\r\n");
        if !header.contains(&wanted) {
            let answer =
                b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n";
            client.write_all(answer).await?;
            return Ok(None);
        }
    }
    if let Some(Refusal::Http(line)) = script.refusal {
        client
            .write_all(format!("{line}\r\n\r\nwords").as_bytes())
            .await?;
        return Ok(None);
    }
    // Longer than what is read at once, and in pieces that cut the empty line.
    let padding = "x".repeat(1500);
    let start = format!("HTTP/1.1 200 Connection established\r\nX-Padding: {padding}\r");
    client.write_all(start.as_bytes()).await?;
    client.flush().await?;
    tokio::task::yield_now().await;
    Ok(Some(b"\n\r\n".to_vec()))
}
