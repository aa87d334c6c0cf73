//! Logins by token.

use std::io;

use crate::common::report;
use crate::options::Shape;
use crate::series::Series;
use crate::support::token_server::{CLIENT_ID, Registration, SECRET, TokenServer};

/// Prints the rate and how many tokens were asked for. Fails where it was more than one.
///
/// # Errors
/// What a run fails with, or the aim that was missed.
pub(crate) fn measure(shape: &Shape) -> io::Result<()> {
    let tokens = TokenServer::start(Registration::default());
    let keys = format!(
        "tls = \"implicit\"\nca_file = \"DIRECTORY/sink.pem\"\nusername = \"load@sender.example\"\n\n\
         [upstream.sink.smtp.oauth.generic]\ntoken_url = \"{}\"\nclient_id = \"{CLIENT_ID}\"\n\
         client_secret = {{ inline = \"{SECRET}\" }}\nscope = \"smtp.send\"\n",
        tokens.token_url()
    );
    let mut series = Series::start(shape, true, &keys)?;
    series.run(shape, shape.warm_up())?;
    for _ in 0..shape.runs {
        let run = series.run(shape, shape.count)?;
        series.runs.push(run);
    }
    let logins = series.connections();
    let runs = series.finish()?;
    report::head();
    report::row("by token", shape.sessions, shape.size, &runs);
    let asked = tokens.token_requests();
    println!(
        "{} messages, {logins} logins, {asked} token requests",
        shape.all()
    );
    if asked == 1 {
        return Ok(());
    }
    Err(io::Error::other("it was to be one token request"))
}
