//! `posthouse dkim check`.

use std::sync::Arc;

use serde::Serialize;
use tokio::runtime;

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::{Code, Failure};
use crate::cli::output::{Output, Style};
use crate::dkim::{Finding, KeyRecord, Signer, Signers, judge};
use crate::dns::{ResolveError, Resolver, SystemResolver};
use crate::mail::Domain;

/// Look whether the keys of the configuration stand in DNS
///
/// Every key of [dkim.NAME] is compared with its record. The exit code is 69 if one of them is missing or wrong: receivers
/// would not accept its signatures.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  posthouse dkim check
  posthouse dkim check example.com --json")]
pub(super) struct Arguments {
    /// Only the keys of this domain
    #[arg(value_name = "DOMAIN", value_parser = domain)]
    domain: Option<Domain>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    configuration: ConfigurationOption,
}

fn domain(text: &str) -> Result<Domain, String> {
    Domain::parse(text).map_err(|error| error.to_string())
}

/// What DNS says of one key.
#[derive(Debug, Serialize)]
struct Row {
    key: Box<str>,
    domain: String,
    selector: String,
    algorithm: &'static str,
    name: String,
    is_good: bool,
    /// A word for programs.
    finding: &'static str,
    text: String,
    /// The record that should stand there.
    value: String,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let config = arguments.configuration.load()?;
    let keys = chosen(&config.dkim, arguments.domain.as_ref())?;
    let resolver = SystemResolver::new();
    let resolver = resolver.map_err(|error| Failure::of(Code::Unavailable, &error))?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::of(Code::Unavailable, &error))?;
    let rows = runtime.block_on(look_up(&keys, &resolver));
    if arguments.json {
        output.json(&rows)?;
    } else {
        show(&rows, output)?;
    }
    let wrong = rows.iter().filter(|row| !row.is_good).count();
    if wrong == 0 {
        return Ok(());
    }
    let message = format!(
        "DNS does not have {wrong} of {} keys as they are needed",
        rows.len()
    );
    Err(Failure::new(Code::Unavailable, message).with_hint(
        "a change of DNS takes until the TTL of the old answer is over; the record that is needed is shown",
    ))
}

/// Returns the keys that are meant.
fn chosen(signers: &Signers, domain: Option<&Domain>) -> Result<Vec<Arc<Signer>>, Failure> {
    let is_meant = |signer: &&Arc<Signer>| domain.is_none_or(|domain| signer.domain == *domain);
    let keys: Vec<_> = signers.all().iter().filter(is_meant).cloned().collect();
    if !keys.is_empty() {
        return Ok(keys);
    }
    let message = match domain {
        Some(domain) => format!("there is no key for {domain} in the configuration"),
        None => "there is no key in the configuration".to_owned(),
    };
    Err(Failure::new(Code::NoInput, message)
        .with_hint("`posthouse dkim keygen` makes one and shows the table [dkim.NAME] for it"))
}

async fn look_up(keys: &[Arc<Signer>], resolver: &dyn Resolver) -> Vec<Row> {
    let mut rows = Vec::with_capacity(keys.len());
    for signer in keys {
        let name = signer.record_name();
        let (is_good, finding, text) = match resolver.texts(&name).await {
            Ok(records) => told(judge(&records, &signer.key)),
            Err(ResolveError::NotFound(_)) => told(Finding::Missing),
            Err(error @ (ResolveError::NullMx(_) | ResolveError::Temporary { .. })) => {
                (false, "unknown", error.to_string())
            }
        };
        rows.push(Row {
            key: signer.name.clone(),
            domain: signer.domain.as_ascii().to_owned(),
            selector: signer.selector.to_string(),
            algorithm: signer.key.algorithm().key_type(),
            name,
            is_good,
            finding,
            text,
            value: KeyRecord::of(&signer.key).as_str().to_owned(),
        });
    }
    rows
}

fn told(finding: Finding) -> (bool, &'static str, String) {
    (finding.is_good(), finding.as_str(), finding.to_string())
}

fn show(rows: &[Row], output: &mut Output) -> Result<(), Failure> {
    for row in rows {
        let line = format!("{} ({}): {}", row.name, row.algorithm, row.text);
        match (row.is_good, row.finding == Finding::Testing.as_str()) {
            (true, false) => output.styled(Style::Green, line)?,
            (true, true) => output.styled(Style::Yellow, line)?,
            (false, _) => {
                output.styled(Style::Red, line)?;
                output.line(format_args!("  needed is the TXT record: {}", row.value))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::dkim::{Algorithm, Canonicalization, Key, Selector, Subdomains};
    use crate::dns::StaticResolver;

    use super::*;

    fn signers() -> Signers {
        let signer = |(domain, selector): (&str, &str)| Signer {
            name: selector.into(),
            domain: Domain::parse(domain).unwrap(),
            selector: Selector::parse(selector).unwrap(),
            key: Key::generate(Algorithm::Ed25519).unwrap(),
            subdomains: Subdomains::Signed,
            canonicalization: Canonicalization::default(),
            valid_for: None,
            expires: None,
        };
        [
            ("example.com", "a"),
            ("example.com", "b"),
            ("b\u{fc}cher.example", "c"),
        ]
        .into_iter()
        .map(signer)
        .collect()
    }

    #[tokio::test]
    async fn each_key_is_compared_with_its_record() {
        let signers = signers();
        let record = |place: usize| KeyRecord::of(&signers.all()[place].key);
        let resolver = StaticResolver::default()
            .with_text("a._domainkey.example.com", record(0).as_str())
            .with_text("b._domainkey.example.com", record(0).as_str());
        let rows = look_up(signers.all(), &resolver).await;
        let told: Vec<_> = rows
            .iter()
            .map(|row| (&*row.name, row.is_good, row.finding))
            .collect();
        assert_eq!(
            told,
            [
                ("a._domainkey.example.com", true, "good"),
                ("b._domainkey.example.com", false, "another-key"),
                ("c._domainkey.xn--bcher-kva.example", false, "missing"),
            ]
        );
        assert_eq!(rows[2].value, record(2).as_str());
        let rows = look_up(signers.all(), &StaticResolver::default().failing()).await;
        assert_eq!((rows[0].is_good, rows[0].finding), (false, "unknown"));
    }

    #[test]
    fn the_keys_of_a_domain_are_chosen_by_its_name() {
        let signers = signers();
        let domain = Domain::parse("EXAMPLE.com").unwrap();
        assert_eq!(chosen(&signers, Some(&domain)).unwrap().len(), 2);
        assert_eq!(chosen(&signers, None).unwrap().len(), 3);
        let other = Domain::parse("example.org").unwrap();
        assert_eq!(
            chosen(&signers, Some(&other)).unwrap_err().code,
            Code::NoInput
        );
        assert!(chosen(&Signers::default(), None).is_err());
    }
}
