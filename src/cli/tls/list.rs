//! `posthouse tls list`.

use crate::app;
use crate::clock::{Clock as _, SystemClock, Timestamp};
use crate::control::certificates::{CertificateRequest, CertificateView};
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{Request, Response};

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, Style};
use crate::cli::table::Table;

/// List the certificates that clients are shown: for whom, by whom, until when, and what is wrong
///
/// Asks the running server; where none runs, shows what is configured and kept on disk.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    configuration: ConfigurationOption,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let data_dir = arguments.configuration.data_dir()?;
    let now = SystemClock.now();
    let listed = match Client::connect(&data_dir) {
        Ok(mut client) => {
            let request = Request::Certificates(CertificateRequest::List);
            let Response::Certificates(listed) = client.call(request)?.accepted()? else {
                return Err(Failure::unexpected_answer());
            };
            listed
        }
        Err(ClientError::NotRunning { .. }) => {
            app::certificates(&arguments.configuration.load()?, now)
        }
        Err(
            error @ (ClientError::Denied { .. }
            | ClientError::Io { .. }
            | ClientError::Protocol { .. }),
        ) => return Err(error.into()),
    };
    if arguments.json {
        return output.json(&listed);
    }
    print(&listed, now, output)
}

fn print(listed: &[CertificateView], now: Timestamp, output: &mut Output) -> Result<(), Failure> {
    let mut table = Table::new(["NAMES", "SOURCE", "ISSUER", "ENDS"]);
    for certificate in listed {
        table.add([
            names(certificate),
            certificate.source.clone(),
            certificate
                .issuer
                .clone()
                .unwrap_or_else(|| "none yet".to_owned()),
            ends(certificate, now),
        ]);
    }
    table.print(output)?;
    for certificate in listed {
        if let Some(error) = &certificate.last_error {
            let names = certificate.names.join(", ");
            let (failures, next) = (certificate.failures, certificate.next);
            let next = next.map_or_else(String::new, |next| {
                format!(" It is tried again at {}.", next.0.to_second())
            });
            let line = format!("{names}: failed {failures} times in a row: {error}.{next}");
            output.styled(Style::Red, line)?;
        }
    }
    Ok(())
}

fn names(certificate: &CertificateView) -> String {
    let names = certificate.names.join(" ");
    match (certificate.is_default, names.is_empty()) {
        (false, _) => names,
        (true, true) => "(default)".to_owned(),
        (true, false) => format!("{names} (default)"),
    }
}

fn ends(certificate: &CertificateView, now: Timestamp) -> String {
    let Some(ends) = certificate.ends else {
        return "-".to_owned();
    };
    let day = ends.0.to_string().chars().take(10).collect::<String>();
    if ends.0 <= now {
        return format!("{day}, over");
    }
    let days = ends.0.since(now).as_secs() / (24 * 3600);
    format!("{day}, in {days} days")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::control::view::Time;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

    fn certificate(ends: Option<Timestamp>) -> CertificateView {
        CertificateView {
            names: vec!["mail.example.com".to_owned()],
            is_default: true,
            source: "acme".to_owned(),
            file: String::new(),
            issuer: None,
            begins: None,
            ends: ends.map(Time),
            next: None,
            failures: 0,
            last_error: None,
        }
    }

    #[test]
    fn an_end_is_shown_with_the_days_that_are_left() {
        let day = Duration::from_hours(24);
        assert_eq!(ends(&certificate(None), NOW), "-");
        assert_eq!(
            ends(&certificate(Some(NOW.after(12 * day))), NOW),
            "2027-01-27, in 12 days"
        );
        assert_eq!(ends(&certificate(Some(NOW)), NOW), "2027-01-15, over");
    }

    #[test]
    fn the_certificate_for_everybody_is_marked() {
        assert_eq!(names(&certificate(None)), "mail.example.com (default)");
    }
}
