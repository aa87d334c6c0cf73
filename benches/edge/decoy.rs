//! A port where nothing is: what an attack costs when nobody is attacked.

use std::io;
use std::net::Ipv4Addr;

use rustix::process::setpriority_process;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::attack::{LEAST, until_input_ends};

/// Prints where it listens, and answers every line with the same refusal until the input ends.
///
/// # Errors
/// It cannot listen.
pub(crate) fn answer() -> io::Result<()> {
    setpriority_process(None, LEAST)?;
    let stop = until_input_ends()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?);
        let mut sessions = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, _) = accepted?;
                    sessions.spawn(refuse(stream));
                }
                Some(_) = sessions.join_next() => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    })
}

async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"220 nobody\r\n").await?;
    let mut piece = [0; 1024];
    while stream.read(&mut piece).await? > 0 {
        stream.write_all(b"535 5.7.8 nobody\r\n").await?;
    }
    Ok(())
}
