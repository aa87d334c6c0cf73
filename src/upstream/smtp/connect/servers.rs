//! The servers of an upstream, and the ways to each.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::dns::{self, Host, ResolveError, Service};
use crate::mail::{Defect, Stage, Unusable};
use crate::schedule::Chance;
use crate::upstream::classify::{self, Break, Judgement};
use crate::upstream::smtp::settings::{Services, TlsPolicy};

use super::Connector;

/// A server to connect to.
pub(super) struct Server {
    /// Its name, and its addresses; none where a proxy looks them up.
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) tls: TlsPolicy,
}

/// One way to a server.
#[derive(Clone, Copy)]
pub(super) enum Way<'a> {
    Address(SocketAddr),
    /// By a name and a port that a proxy looks up.
    Name(&'a str, u16),
}

impl Way<'_> {
    /// Returns the address, where it is known here.
    pub(super) const fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Address(address) => Some(address),
            Self::Name(..) => None,
        }
    }
}

impl fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Name(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// The most servers that are looked up for one domain.
const MAX_SERVERS: usize = 10;

const SUBMISSION: &str = "_submission._tcp";
const SUBMISSIONS: &str = "_submissions._tcp";

impl Connector {
    /// Returns servers with the port and the policy of the settings.
    pub(super) fn of_settings(&self, hosts: Vec<Host>) -> Vec<Server> {
        let server = |host| Server {
            host,
            port: self.settings.port,
            tls: self.settings.tls,
        };
        hosts.into_iter().map(server).collect()
    }

    /// Looks services up and the hosts that they name (RFC 6186 §3.4). One that has no address is left out, as long as
    /// another has.
    pub(super) async fn services(&self, services: Services) -> Result<Vec<Server>, ResolveError> {
        let domain = self.settings.host.as_str();
        let mut found = self.records(services, domain).await?;
        found.truncate(MAX_SERVERS);
        let (mut servers, mut problem) = (Vec::new(), None);
        for (service, tls) in found {
            match dns::host(&*self.resolver, &service.target).await {
                Ok(host) => servers.push(Server {
                    host: Host {
                        name: certificate_name(&service.target, domain).into(),
                        ..host
                    },
                    port: service.port,
                    tls,
                }),
                Err(error) => problem = Some(error),
            }
        }
        match problem {
            Some(error) if servers.is_empty() => Err(error),
            Some(_) | None => Ok(servers),
        }
    }

    /// Returns the records in the order to try them: of two services by the priority of each, with implicit TLS first
    /// where these are equal (RFC 8314 §5.1).
    async fn records(
        &self,
        services: Services,
        domain: &str,
    ) -> Result<Vec<(Service, TlsPolicy)>, ResolveError> {
        let wanted: &[_] = match services {
            Services::Any => &[
                (SUBMISSIONS, TlsPolicy::Implicit),
                (SUBMISSION, TlsPolicy::Required),
            ],
            Services::Submission => &[(SUBMISSION, TlsPolicy::Required)],
            Services::Submissions => &[(SUBMISSIONS, TlsPolicy::Implicit)],
        };
        let mut chance = Chance::new(self.clock.now().unix_millis());
        let (mut found, mut problem) = (Vec::new(), None);
        for (service, tls) in wanted {
            match self.resolver.services(service, domain).await {
                Ok(records) => {
                    let ordered = dns::in_order(records, || chance.next_number());
                    found.extend(ordered.into_iter().map(|record| (record, *tls)));
                }
                // Nothing is known of it; the other one may be the wrong choice.
                Err(error @ ResolveError::Temporary { .. }) => return Err(error),
                Err(error) => problem = problem.or(Some(error)),
            }
        }
        found.sort_by_key(|(record, _)| record.priority);
        match problem {
            Some(error) if found.is_empty() => Err(error),
            Some(_) | None => Ok(found),
        }
    }

    /// Returns the ways to a server, in order, as far as the local address can take them.
    pub(super) fn ways<'a>(&self, server: &'a Server) -> impl Iterator<Item = Way<'a>> + use<'a> {
        // Where there is a proxy, the local address is that of the way to it.
        let local = self.settings.local_address;
        let local = local.filter(|_| self.settings.proxy.is_none());
        let is_usable =
            move |address: &IpAddr| local.is_none_or(|local| local.is_ipv4() == address.is_ipv4());
        let Host { name, addresses } = &server.host;
        let by_name = addresses.is_empty().then_some(Way::Name(name, server.port));
        let by_address = addresses
            .iter()
            .map(|&address| Way::Address(SocketAddr::new(address, server.port)));
        by_address
            .chain(by_name)
            .filter(move |way| way.address().is_none_or(|address| is_usable(&address.ip())))
    }
}

/// Returns the name that the certificate of a server found by SRV must be for.
///
/// Nobody vouches for the record, so a forged one must lead nowhere: a target inside the domain is believed, since only
/// its owner gets certificates for it; for another one the certificate must be for the domain itself (RFC 6186 §6,
/// RFC 9525 §6.1).
fn certificate_name<'a>(target: &'a str, domain: &'a str) -> &'a str {
    let (own, name) = (domain.to_ascii_lowercase(), target.to_ascii_lowercase());
    let is_inside = name
        .strip_suffix(&own)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if is_inside { target } else { domain }
}

/// Judges that there is no server.
pub(super) fn not_found(error: &ResolveError) -> Judgement {
    let text = error.to_string();
    let defect = match error {
        ResolveError::NoService(_) => Defect::NoService,
        ResolveError::NullMx(_) => Defect::NullMx,
        ResolveError::NotFound(_) | ResolveError::Temporary { .. } => {
            return classify::broken(Stage::Resolve, Break::Closed(text.into()));
        }
    };
    classify::unusable(Stage::Resolve, Unusable::new(defect, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_believed_inside_its_domain_alone() {
        for (target, domain, expected) in [
            ("smtp.example.com", "example.com", "smtp.example.com"),
            ("example.com", "example.com", "example.com"),
            ("SMTP.Example.COM", "example.com", "SMTP.Example.COM"),
            ("smtp.provider.example", "example.com", "example.com"),
            ("evil-example.com", "example.com", "example.com"),
            ("com", "example.com", "example.com"),
        ] {
            assert_eq!(certificate_name(target, domain), expected, "{target}");
        }
    }
}
