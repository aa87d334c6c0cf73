//! Name look-ups of upstream hosts: addresses, and mail exchangers where asked for.

use std::collections::HashMap;
use std::net::IpAddr;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData};

/// Looks names up.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// Returns the addresses of a host, in the order to try them; never an empty list.
    ///
    /// # Errors
    /// [`ResolveError`].
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError>;

    /// Returns the mail exchangers of a domain, the preferred first (RFC 5321 §5.1).
    ///
    /// # Errors
    /// [`ResolveError::NotFound`] where the domain has no MX record: then it is its own mail exchanger.
    /// [`ResolveError::NullMx`] where it says that it takes no mail.
    async fn mail_exchangers(&self, domain: &str) -> Result<Vec<Box<str>>, ResolveError>;

    /// Returns the servers of a service such as `_submissions._tcp` at a domain, in any order; never an empty list
    /// (RFC 2782).
    ///
    /// # Errors
    /// [`ResolveError::NotFound`] where the domain has no such record. [`ResolveError::NoService`] where it says that it
    /// does not offer the service.
    async fn services(&self, service: &str, domain: &str) -> Result<Vec<Service>, ResolveError>;
}

/// One server of a service (RFC 2782).
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Service {
    /// Servers of the lowest number come first.
    pub priority: u16,
    /// The share among servers of the same priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host name, without the final dot.
    pub target: Box<str>,
}

/// Why a name gave nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResolveError {
    /// The name does not exist, or has no record of the kind.
    #[error("{0} was not found in DNS")]
    NotFound(Box<str>),
    /// The domain takes no mail: null MX (RFC 7505).
    #[error("{0} takes no mail (null MX)")]
    NullMx(Box<str>),
    /// The domain does not offer the service: the target of its record is the root (RFC 2782).
    #[error("{0} does not offer this service")]
    NoService(Box<str>),
    /// There was no answer, or a failure (SERVFAIL): nothing is known.
    #[error("{name} could not be looked up: {reason}")]
    Temporary {
        /// The name.
        name: Box<str>,
        /// What happened, in words.
        reason: Box<str>,
    },
}

/// A server to connect to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Host {
    /// The name that its certificate should carry.
    pub name: Box<str>,
    /// Its addresses, in the order to try them.
    pub addresses: Vec<IpAddr>,
}

/// The most mail exchangers that are looked up for one domain.
const MAX_EXCHANGERS: usize = 10;

/// Returns the server that a host name or IP address (with or without brackets) stands for.
///
/// # Errors
/// [`ResolveError`].
pub async fn host(resolver: &dyn Resolver, name: &str) -> Result<Host, ResolveError> {
    let name = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(name);
    let addresses = match name.parse() {
        Ok(address) => vec![address],
        Err(_) => resolver.addresses(name).await?,
    };
    Ok(Host {
        name: name.into(),
        addresses,
    })
}

/// Returns the servers that take mail for a domain, the preferred first. Without MX records it is the domain's own.
///
/// An exchanger whose address is not found is left out, as long as another one is found.
///
/// # Errors
/// [`ResolveError`].
pub async fn exchangers(resolver: &dyn Resolver, domain: &str) -> Result<Vec<Host>, ResolveError> {
    let names = match resolver.mail_exchangers(domain).await {
        Ok(names) => names,
        Err(ResolveError::NotFound(_)) => return Ok(vec![host(resolver, domain).await?]),
        Err(
            error @ (ResolveError::NoService(_)
            | ResolveError::NullMx(_)
            | ResolveError::Temporary { .. }),
        ) => {
            return Err(error);
        }
    };
    let (mut hosts, mut problem) = (Vec::new(), None);
    for name in names.iter().take(MAX_EXCHANGERS) {
        match host(resolver, name).await {
            Ok(host) => hosts.push(host),
            Err(error) => problem = Some(error),
        }
    }
    match problem {
        Some(error) if hosts.is_empty() => Err(error),
        Some(_) | None => Ok(hosts),
    }
}

/// Puts the servers of a service in the order to try: by priority, and within one by chance, a server of a greater weight
/// more often in front (RFC 2782, "Weight"). `chance` gives numbers of 64 bits.
pub fn in_order(mut services: Vec<Service>, mut chance: impl FnMut() -> u64) -> Vec<Service> {
    // Those of weight 0 first, so that they have a small chance too.
    services.sort_by_key(|service| (service.priority, service.weight));
    let mut ordered = Vec::with_capacity(services.len());
    while let Some(first) = services.first() {
        let priority = first.priority;
        let same = services
            .iter()
            .take_while(|service| service.priority == priority);
        let total: u64 = same.clone().map(|service| u64::from(service.weight)).sum();
        let drawn = chance() % (total + 1);
        let mut sum = 0;
        let place = same
            .map(|service| {
                sum += u64::from(service.weight);
                sum
            })
            .position(|sum| sum >= drawn);
        ordered.push(services.remove(place.unwrap_or_default()));
    }
    ordered
}

/// Asks the name servers of the operating system's configuration. Answers are cached for as long as they say.
///
/// `/etc/hosts` comes first, so that `localhost` works without a name server.
pub struct SystemResolver {
    resolver: TokioResolver,
}

impl SystemResolver {
    /// Reads `/etc/resolv.conf` and `/etc/hosts`, once. Without a readable `/etc/resolv.conf` only the latter is known.
    ///
    /// # Errors
    /// [`ResolveError::Temporary`] where the resolver cannot be set up.
    pub fn new() -> Result<Self, ResolveError> {
        let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!(%error, "no name server is configured; only /etc/hosts is known");
            let nobody = ResolverConfig::from_name_servers(Vec::new());
            TokioResolver::builder_with_config(nobody, TokioRuntimeProvider::default())
        });
        let options = builder.options_mut();
        options.cache_size = CACHED_ANSWERS;
        options.ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
        let resolver = builder
            .build()
            .map_err(|error| explain("resolver", &error))?;
        Ok(Self { resolver })
    }
}

/// Answers kept, each as long as its TTL says.
const CACHED_ANSWERS: u64 = 1024;

#[async_trait]
impl Resolver for SystemResolver {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let found = self.resolver.lookup_ip(host).await;
        let found = found.map_err(|error| explain(host, &error))?;
        let addresses: Vec<IpAddr> = found.iter().collect();
        if addresses.is_empty() {
            return Err(ResolveError::NotFound(host.into()));
        }
        Ok(addresses)
    }

    async fn mail_exchangers(&self, domain: &str) -> Result<Vec<Box<str>>, ResolveError> {
        // The final dot keeps the resolver's search list out: another domain's MX would be another one's mail.
        let found = self.resolver.mx_lookup(format!("{domain}.")).await;
        let found = found.map_err(|error| explain(domain, &error))?;
        let records = found.answers().iter();
        let exchangers = records.filter_map(|record| {
            let RData::MX(mx) = &record.data else {
                // The reply may hold the aliases that led there.
                return None;
            };
            Some((mx.preference, mx.exchange.clone()))
        });
        ranked(domain, exchangers.collect())
    }

    async fn services(&self, service: &str, domain: &str) -> Result<Vec<Service>, ResolveError> {
        let name = format!("{service}.{domain}");
        let found = self.resolver.srv_lookup(format!("{name}.")).await;
        let found = found.map_err(|error| explain(&name, &error))?;
        let records = found.answers().iter();
        let services = records.filter_map(|record| {
            let RData::SRV(srv) = &record.data else {
                return None;
            };
            let service = Service {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_ascii().trim_end_matches('.').into(),
            };
            Some(service)
        });
        offered(&name, services.collect())
    }
}

/// Leaves out the targets that are the root, which says that there is no such service.
fn offered(name: &str, mut services: Vec<Service>) -> Result<Vec<Service>, ResolveError> {
    if services.is_empty() {
        return Err(ResolveError::NotFound(name.into()));
    }
    services.retain(|service| !service.target.is_empty());
    if services.is_empty() {
        return Err(ResolveError::NoService(name.into()));
    }
    Ok(services)
}

/// Sorts MX records by preference and recognises the null MX.
fn ranked(domain: &str, mut records: Vec<(u16, Name)>) -> Result<Vec<Box<str>>, ResolveError> {
    if records.is_empty() {
        return Err(ResolveError::NotFound(domain.into()));
    }
    records.retain(|(_, exchange)| !exchange.is_root());
    if records.is_empty() {
        return Err(ResolveError::NullMx(domain.into()));
    }
    records.sort_by_key(|(preference, _)| *preference);
    let text = |name: &Name| name.to_ascii().trim_end_matches('.').into();
    Ok(records.iter().map(|(_, name)| text(name)).collect())
}

fn explain(name: &str, error: &NetError) -> ResolveError {
    if error.is_no_records_found() || error.is_nx_domain() {
        return ResolveError::NotFound(name.into());
    }
    ResolveError::Temporary {
        name: name.into(),
        reason: error.to_string().into(),
    }
}

/// Knows what it was told, for tests and simulation.
#[derive(Clone, Debug, Default)]
pub struct StaticResolver {
    addresses: HashMap<Box<str>, Vec<IpAddr>>,
    exchangers: HashMap<Box<str>, Vec<Box<str>>>,
    services: HashMap<Box<str>, Vec<Service>>,
    failing: bool,
}

impl StaticResolver {
    /// Adds a host.
    #[must_use]
    pub fn with_host(mut self, name: &str, addresses: &[IpAddr]) -> Self {
        self.addresses.insert(name.into(), addresses.to_vec());
        self
    }

    /// Adds a domain with its mail exchangers in order of preference; an empty list is a null MX.
    #[must_use]
    pub fn with_exchangers(mut self, domain: &str, names: &[&str]) -> Self {
        let names = names.iter().map(|&name| name.into()).collect();
        self.exchangers.insert(domain.into(), names);
        self
    }

    /// Adds the servers of a service such as `_submissions._tcp.example.com`: priority, weight, port and target of each. An
    /// empty target says that there is none.
    #[must_use]
    pub fn with_services(mut self, name: &str, services: &[(u16, u16, u16, &str)]) -> Self {
        let service = |&(priority, weight, port, target): &(u16, u16, u16, &str)| Service {
            priority,
            weight,
            port,
            target: target.into(),
        };
        let services = services.iter().map(service).collect();
        self.services.insert(name.into(), services);
        self
    }

    /// Makes every look-up of an unknown name fail temporarily.
    #[must_use]
    pub fn failing(mut self) -> Self {
        self.failing = true;
        self
    }

    fn unknown(&self, name: &str) -> ResolveError {
        if self.failing {
            return ResolveError::Temporary {
                name: name.into(),
                reason: "no answer".into(),
            };
        }
        ResolveError::NotFound(name.into())
    }
}

#[async_trait]
impl Resolver for StaticResolver {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let found = self.addresses.get(host).cloned();
        found.ok_or_else(|| self.unknown(host))
    }

    async fn mail_exchangers(&self, domain: &str) -> Result<Vec<Box<str>>, ResolveError> {
        match self.exchangers.get(domain) {
            Some(names) if names.is_empty() => Err(ResolveError::NullMx(domain.into())),
            Some(names) => Ok(names.clone()),
            None => Err(self.unknown(domain)),
        }
    }

    async fn services(&self, service: &str, domain: &str) -> Result<Vec<Service>, ResolveError> {
        let name = format!("{service}.{domain}");
        match self.services.get(&*name) {
            Some(services) => offered(&name, services.clone()),
            None => Err(self.unknown(&name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const TWO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn names(hosts: &[Host]) -> Vec<&str> {
        hosts.iter().map(|host| &*host.name).collect()
    }

    #[tokio::test]
    async fn an_address_needs_no_look_up() {
        let nobody = StaticResolver::default();
        for (text, name) in [("192.0.2.1", "192.0.2.1"), ("[192.0.2.1]", "192.0.2.1")] {
            let host = host(&nobody, text).await.unwrap();
            assert_eq!((&*host.name, &host.addresses[..]), (name, &[ONE][..]));
        }
        let host = host(&nobody, "2001:db8::1").await.unwrap();
        assert!(host.addresses[0].is_ipv6());
    }

    #[tokio::test]
    async fn a_domain_without_mx_is_its_own_exchanger() {
        let resolver = StaticResolver::default().with_host("a.example", &[ONE]);
        let hosts = exchangers(&resolver, "a.example").await.unwrap();
        assert_eq!(names(&hosts), ["a.example"]);
    }

    #[tokio::test]
    async fn exchangers_keep_their_order_and_missing_ones_are_left_out() {
        let resolver = StaticResolver::default()
            .with_exchangers("a.example", &["mx1.example", "gone.example", "mx2.example"])
            .with_host("mx1.example", &[ONE])
            .with_host("mx2.example", &[TWO]);
        let hosts = exchangers(&resolver, "a.example").await.unwrap();
        assert_eq!(names(&hosts), ["mx1.example", "mx2.example"]);
    }

    #[tokio::test]
    async fn a_null_mx_is_an_error_of_its_own() {
        let resolver = StaticResolver::default().with_exchangers("a.example", &[]);
        assert_eq!(
            exchangers(&resolver, "a.example").await,
            Err(ResolveError::NullMx("a.example".into()))
        );
    }

    #[tokio::test]
    async fn a_failing_mx_look_up_does_not_fall_back_to_the_domain() {
        let resolver = StaticResolver::default()
            .with_host("a.example", &[ONE])
            .failing();
        assert!(matches!(
            exchangers(&resolver, "a.example").await,
            Err(ResolveError::Temporary { .. })
        ));
    }

    #[test]
    fn records_are_ranked_by_preference() {
        let name = |text: &str| Name::from_ascii(text).unwrap();
        let records = vec![(20, name("b.example.")), (10, name("a.example."))];
        assert_eq!(
            ranked("x", records).unwrap(),
            ["a.example".into(), "b.example".into()]
        );
        assert_eq!(
            ranked("x", vec![(0, Name::root())]),
            Err(ResolveError::NullMx("x".into()))
        );
    }

    #[tokio::test]
    async fn localhost_is_known_without_a_name_server() {
        let resolver = SystemResolver::new().unwrap();
        let addresses = resolver.addresses("localhost").await.unwrap();
        assert!(addresses.iter().all(IpAddr::is_loopback));
    }

    fn service(priority: u16, weight: u16, target: &str) -> Service {
        Service {
            priority,
            weight,
            port: 465,
            target: target.into(),
        }
    }

    fn targets(services: &[Service]) -> String {
        let targets: Vec<&str> = services.iter().map(|service| &*service.target).collect();
        targets.join(" ")
    }

    #[test]
    fn services_are_tried_by_priority_first() {
        let services = vec![
            service(20, 9, "c"),
            service(10, 0, "a"),
            service(15, 0, "b"),
        ];
        for drawn in [0, 7, u64::MAX] {
            assert_eq!(targets(&in_order(services.clone(), || drawn)), "a b c");
        }
    }

    #[test]
    fn a_greater_weight_comes_first_more_often() {
        let services = vec![
            service(1, 1, "small"),
            service(1, 3, "large"),
            service(1, 0, "none"),
        ];
        let mut numbers = 0..;
        let mut first = HashMap::new();
        for _ in 0..500 {
            // Each number of the range is drawn equally often.
            let ordered = in_order(services.clone(), || numbers.next().unwrap());
            assert_eq!(ordered.len(), 3);
            *first.entry(ordered[0].target.clone()).or_insert(0) += 1;
        }
        assert!(first["large"] > 2 * first["small"], "{first:?}");
        assert!(first["none"] > 0, "{first:?}");
    }

    #[test]
    fn a_target_that_is_the_root_says_that_there_is_no_service() {
        let none = ResolveError::NoService("x".into());
        assert_eq!(offered("x", vec![service(0, 0, "")]), Err(none));
        let missing = ResolveError::NotFound("x".into());
        assert_eq!(offered("x", Vec::new()), Err(missing));
        let one = vec![service(0, 0, ""), service(0, 0, "a")];
        assert_eq!(targets(&offered("x", one).unwrap()), "a");
    }
}
