//! Look-ups whose answers are proved by DNSSEC signatures, down from the root (RFC 4035).
//!
//! The signatures are checked in this process, so that the name servers and the way to them need not be trusted. They
//! must pass signatures on, though: some old ones drop them, and then nothing can be proved.
//!
//! What is proved to be unsigned (*insecure*) is as good as any answer of DNS ever was. What should be signed and is not,
//! or wrongly (*bogus*), is a forgery or a fault, and counts as no answer.

use hickory_resolver::TokioResolver;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::Proof as Signed;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use super::{Proof, ResolveError, Tlsa, TlsaRecord, chance, explain, ranked};

/// Asks name servers, and checks what they say.
pub(super) struct Validating {
    resolver: TokioResolver,
}

/// The most TLSA records of one server that are looked at.
const MAX_TLSA: usize = 32;

impl Validating {
    /// Makes one of a resolver that has been told to validate, and that reads no hosts file.
    pub(super) fn new(resolver: TokioResolver) -> Self {
        Self { resolver }
    }

    /// Returns whether the name servers pass signatures on: the list of the root's own servers must be proved.
    pub(super) async fn is_possible(&self) -> Result<bool, ResolveError> {
        match self.resolver.lookup(Name::root(), RecordType::NS).await {
            Ok(found) => Ok(found
                .answers()
                .iter()
                .any(|record| record.proof.is_secure())),
            Err(error) if is_bogus(&error) => Ok(false),
            Err(error) => Err(explain("the root of DNS", &error)),
        }
    }

    /// Returns the mail exchangers of a domain, and whether the list is proved.
    pub(super) async fn exchangers(
        &self,
        domain: &str,
    ) -> Result<(Vec<Box<str>>, Proof), ResolveError> {
        let records = self.records(domain, RecordType::MX).await?;
        let proof = proof_of(&records);
        let exchangers = records.into_iter().filter_map(|record| {
            let RData::MX(mx) = record.data else {
                // The reply may hold the aliases that led there.
                return None;
            };
            Some((mx.preference, mx.exchange))
        });
        Ok((ranked(domain, exchangers.collect(), chance)?, proof))
    }

    /// Returns the proved TLSA records of a server, or `None` where DANE does not apply to it (RFC 7672 §2.2).
    pub(super) async fn tlsa(&self, host: &str, port: u16) -> Result<Option<Tlsa>, ResolveError> {
        for base in self.bases(host).await? {
            let name = format!("_{port}._tcp.{base}");
            let found = self.records(&name, RecordType::TLSA).await?;
            let is_proved = proof_of(&found) == Proof::Secure;
            let records: Vec<_> = found.iter().filter_map(tlsa).take(MAX_TLSA).collect();
            if is_proved && !records.is_empty() {
                return Ok(Some(Tlsa { base, records }));
            }
        }
        Ok(None)
    }

    /// Returns the names whose TLSA records count, in the order to ask for them (RFC 7672 §2.2.2): the end of a proved
    /// chain of aliases, then the host itself. None where the host's zone is unsigned: then its TLSA records would prove
    /// nothing, and some name servers of such zones do not even answer the question.
    async fn bases(&self, host: &str) -> Result<Vec<Box<str>>, ResolveError> {
        let (mut bases, mut problem) = (Vec::new(), None);
        for kind in [RecordType::A, RecordType::AAAA] {
            match self.records(host, kind).await {
                Ok(records) => add_bases(&mut bases, host, &records),
                Err(error) => problem = Some(error),
            }
        }
        match problem {
            Some(error) if bases.is_empty() => Err(error),
            Some(_) | None => Ok(bases),
        }
    }

    /// Looks up what is proved, one way or the other; nothing where there is no such record.
    async fn records(&self, name: &str, kind: RecordType) -> Result<Vec<Record>, ResolveError> {
        let found = match self.resolver.lookup(format!("{name}."), kind).await {
            Ok(found) => found,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(explain(name, &error)),
        };
        let is_answer = |record: &&Record| record.record_type() != RecordType::RRSIG;
        let records: Vec<Record> = found.answers().iter().filter(is_answer).cloned().collect();
        if records.iter().all(|record| is_proved(record.proof)) {
            return Ok(records);
        }
        Err(ResolveError::Temporary {
            name: name.into(),
            reason: "its DNSSEC signatures are missing or wrong".into(),
        })
    }
}

/// Returns whether it is proved whether the record is signed.
const fn is_proved(signed: Signed) -> bool {
    match signed {
        Signed::Insecure | Signed::Secure => true,
        Signed::Bogus | Signed::Indeterminate => false,
    }
}

fn proof_of(records: &[Record]) -> Proof {
    if !records.is_empty() && records.iter().all(|record| record.proof.is_secure()) {
        Proof::Secure
    } else {
        Proof::Insecure
    }
}

fn add_bases(bases: &mut Vec<Box<str>>, host: &str, records: &[Record]) {
    let is_address = |record: &&Record| matches!(record.data, RData::A(_) | RData::AAAA(_));
    let Some(address) = records.iter().find(is_address) else {
        return;
    };
    let own = format!("{host}.");
    let is_own = |record: &Record| record.name.to_ascii().eq_ignore_ascii_case(&own);
    let mut add = |base: Box<str>| {
        if !bases.contains(&base) {
            bases.push(base);
        }
    };
    if proof_of(records) == Proof::Secure && !is_own(address) {
        add(address
            .name
            .to_lowercase()
            .to_ascii()
            .trim_end_matches('.')
            .into());
    }
    if records
        .iter()
        .any(|record| is_own(record) && record.proof.is_secure())
    {
        add(host.into());
    }
}

fn tlsa(record: &Record) -> Option<TlsaRecord> {
    let RData::TLSA(tlsa) = &record.data else {
        return None;
    };
    Some(TlsaRecord {
        usage: tlsa.cert_usage.into(),
        selector: tlsa.selector.into(),
        matching: tlsa.matching.into(),
        data: tlsa.cert_data.as_slice().into(),
    })
}

/// Returns whether there is no such record: proved, or said by a zone that is proved to be unsigned.
fn is_absent(error: &NetError) -> bool {
    let is_unsigned = matches!(
        error,
        NetError::Dns(DnsError::Nsec {
            proof: Signed::Insecure,
            ..
        })
    );
    is_unsigned || error.is_no_records_found() || error.is_nx_domain()
}

fn is_bogus(error: &NetError) -> bool {
    matches!(
        error,
        NetError::Dns(DnsError::DnssecBogus | DnsError::Nsec { .. } | DnsError::NoRecordsFound(_))
    )
}

#[cfg(test)]
mod tests;
