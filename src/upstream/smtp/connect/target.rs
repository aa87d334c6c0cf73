//! What the domain of a server asks of connections to it: DANE (RFC 7672) and MTA-STS (RFC 8461).
//!
//! Where both speak, DANE counts (RFC 8461 §2). What cannot be asked for is no permission: a server whose TLSA records
//! cannot be looked up is not spoken to.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio_rustls::TlsConnector;

use crate::dns::{self, Host, Proof, ResolveError, Tlsa};
use crate::mail::{Defect, Stage, Unusable};
use crate::mta_sts::{Mode, Policy};
use crate::tls::client::{self, Association};
use crate::upstream::classify::{self, Break, Judgement};
use crate::upstream::smtp::settings::{Dane, MtaSts};

use super::Connector;

/// Whether what domains say counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Rules {
    Applied,
    /// Only the settings count: the sender has waived the rest.
    Waived,
}

/// The servers to try, and what is known of all of them.
pub(super) struct Found {
    pub(super) hosts: Vec<Host>,
    /// Whether their names are proved.
    proof: Proof,
    /// What the domain says of them.
    policy: Option<Arc<Policy>>,
    asks_for_tlsa: AsksForTlsa,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum AsksForTlsa {
    No,
    Yes,
}

/// What a connection to one server must be, besides what the settings say.
pub(super) enum Demand {
    /// TLS, with a certificate for the server's name by an authority that is trusted (MTA-STS).
    Authority,
    /// TLS, with a certificate that its TLSA records name; asked for by the name where they were found.
    Dane(TlsConnector, Box<str>),
    /// TLS: there are TLSA records, but none that can be used (RFC 7672 §2.2).
    Encryption,
    /// Nothing.
    Nothing,
}

/// A server, with what it must prove.
pub(super) struct Target<'a> {
    pub(super) host: &'a Host,
    pub(super) demand: Demand,
    pub(super) name: NameSource,
}

/// Where a server's name comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NameSource {
    /// The configuration, a signed zone, or the domain's policy.
    Authentic,
    /// DNS, where anybody on the way could have written it.
    Doubtful,
}

impl Connector {
    /// Looks the servers up, and what is known of all of them.
    pub(super) async fn find(&self, rules: Rules) -> Result<Found, Judgement> {
        let policy = match rules {
            Rules::Applied => self.policy().await,
            Rules::Waived => None,
        };
        let limit = self.settings.timeouts.connect;
        let looking = tokio::time::timeout(limit, self.look_up(rules));
        let found = looking
            .await
            .map_err(|_| classify::broken(Stage::Resolve, Break::Timeout))?;
        let (hosts, proof, asks_for_tlsa) = found.map_err(|error| unresolved(&error))?;
        Ok(Found {
            hosts,
            proof,
            policy,
            asks_for_tlsa,
        })
    }

    async fn look_up(&self, rules: Rules) -> Result<(Vec<Host>, Proof, AsksForTlsa), ResolveError> {
        let (resolver, name) = (&*self.resolver, self.settings.host.as_str());
        let asks_for_tlsa = match rules {
            Rules::Applied => self.asks_for_tlsa().await,
            Rules::Waived => AsksForTlsa::No,
        };
        let (hosts, proof) = match (self.settings.mx, asks_for_tlsa) {
            (true, AsksForTlsa::Yes) => dns::proved_exchangers(resolver, name).await?,
            (true, AsksForTlsa::No) => {
                let hosts = dns::exchangers(resolver, name).await?;
                (hosts, Proof::Insecure)
            }
            (false, _) => (vec![dns::host(resolver, name).await?], Proof::Insecure),
        };
        Ok((hosts, proof, asks_for_tlsa))
    }

    /// Returns whether DNSSEC is asked. Where nothing can be proved here at all, that is told once.
    async fn asks_for_tlsa(&self) -> AsksForTlsa {
        match self.settings.vouching.dane {
            Dane::Off => return AsksForTlsa::No,
            Dane::On => return AsksForTlsa::Yes,
            Dane::WherePossible => {}
        }
        if let Ok(true) = self.resolver.can_prove().await {
            return AsksForTlsa::Yes;
        }
        if !self.has_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                upstream = %self.settings.name,
                "the name servers pass no DNSSEC signatures on; DANE is not used"
            );
        }
        AsksForTlsa::No
    }

    async fn policy(&self) -> Option<Arc<Policy>> {
        match (self.settings.vouching.mta_sts, &self.policies) {
            (MtaSts::On, Some(policies)) if self.settings.mx => {
                policies.find(&self.settings.host).await
            }
            (MtaSts::Off | MtaSts::On, _) => None,
        }
    }

    /// Returns what a server must prove. An error is about this server alone.
    pub(super) async fn target<'a>(
        &self,
        found: &Found,
        host: &'a Host,
    ) -> Result<Target<'a>, Judgement> {
        let is_own = host.name.as_ref() == self.settings.host;
        let is_named = is_own || found.proof == Proof::Secure;
        let mut demand = Demand::Nothing;
        if found.asks_for_tlsa == AsksForTlsa::Yes
            && is_named
            && let Some(tlsa) = self.tlsa(host).await?
        {
            demand = self.dane(host, &tlsa)?;
        }
        let mut name = if is_named {
            NameSource::Authentic
        } else {
            NameSource::Doubtful
        };
        match (&demand, found.policy.as_deref()) {
            (Demand::Encryption | Demand::Nothing, Some(policy)) => {
                if self.fits(policy, host)? == Fit::Enforced {
                    demand = Demand::Authority;
                    name = NameSource::Authentic;
                }
            }
            (Demand::Authority | Demand::Dane(..), _)
            | (Demand::Encryption | Demand::Nothing, None) => {}
        }
        Ok(Target { host, demand, name })
    }

    async fn tlsa(&self, host: &Host) -> Result<Option<Tlsa>, Judgement> {
        if host.name.parse::<IpAddr>().is_ok() {
            return Ok(None);
        }
        let limit = self.settings.timeouts.connect;
        let asking = self.resolver.tlsa(&host.name, self.settings.port);
        match tokio::time::timeout(limit, asking).await {
            Ok(Ok(tlsa)) => Ok(tlsa),
            Ok(Err(error)) => Err(unresolved(&error)),
            Err(_) => Err(classify::broken(Stage::Resolve, Break::Timeout)),
        }
    }

    fn dane(&self, host: &Host, tlsa: &Tlsa) -> Result<Demand, Judgement> {
        let usable = tlsa.records.iter().filter_map(|record| {
            Association::new(record.usage, record.selector, record.matching, &record.data)
        });
        let associations: Vec<_> = usable.collect();
        if associations.is_empty() {
            return Ok(Demand::Encryption);
        }
        // RFC 7672 §3.2.2: the name of the records, and those that led there.
        let names = [&*tlsa.base, &*host.name, self.settings.host.as_str()];
        match client::dane(associations, &names) {
            Ok(config) => Ok(Demand::Dane(config.into(), tlsa.base.clone())),
            Err(error) => Err(classify::broken(
                Stage::Tls,
                Break::Closed(error.to_string().into()),
            )),
        }
    }

    fn fits(&self, policy: &Policy, host: &Host) -> Result<Fit, Judgement> {
        let is_named = policy.names(&host.name);
        match policy.mode {
            Mode::Enforce if is_named => Ok(Fit::Enforced),
            Mode::Enforce => {
                let (domain, name) = (&self.settings.host, &host.name);
                let text =
                    format!("the policy of {domain} (MTA-STS) does not name the server {name}");
                Err(classify::broken(Stage::Resolve, Break::Closed(text.into())))
            }
            Mode::Testing => {
                if !is_named {
                    let (domain, host) = (&self.settings.host, &host.name);
                    tracing::warn!(
                        domain,
                        %host,
                        "a server does not fit the policy of its domain, which only tests it (MTA-STS)"
                    );
                }
                Ok(Fit::Free)
            }
            Mode::None => Ok(Fit::Free),
        }
    }
}

/// What a policy says of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fit {
    Enforced,
    Free,
}

/// What no answer of DNS means.
pub(super) fn unresolved(error: &ResolveError) -> Judgement {
    let text = error.to_string();
    match error {
        ResolveError::NullMx(_) => {
            classify::unusable(Stage::Resolve, Unusable::new(Defect::NullMx, text))
        }
        ResolveError::NotFound(_) | ResolveError::Temporary { .. } => {
            classify::broken(Stage::Resolve, Break::Closed(text.into()))
        }
    }
}
