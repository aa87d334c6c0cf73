//! Name look-ups of upstream hosts: addresses, mail exchangers where asked for, and what DNSSEC proves of them.

mod dnssec;
mod services;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::OnceLock;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use dnssec::Validating;
use services::offered;

pub use services::{Service, in_order};

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

    /// Returns the texts of a name's TXT records; the strings of one record are joined without a space.
    ///
    /// # Errors
    /// [`ResolveError::NotFound`] where there is none; [`ResolveError::Temporary`].
    async fn texts(&self, name: &str) -> Result<Vec<Box<str>>, ResolveError>;

    /// Does what [`Resolver::texts`] does, and takes no answer that was kept: somebody has just changed the record.
    ///
    /// # Errors
    /// As there.
    async fn texts_anew(&self, name: &str) -> Result<Vec<Box<str>>, ResolveError> {
        self.texts(name).await
    }

    /// Returns whether anything can be proved: whether the name servers pass DNSSEC signatures on.
    ///
    /// # Errors
    /// [`ResolveError::Temporary`] where nothing is known of it now.
    async fn can_prove(&self) -> Result<bool, ResolveError>;

    /// Does what [`Resolver::mail_exchangers`] does, and tells whether the list is proved by DNSSEC.
    ///
    /// # Errors
    /// As there; a wrong signature is [`ResolveError::Temporary`].
    async fn proved_exchangers(&self, domain: &str)
    -> Result<(Vec<Box<str>>, Proof), ResolveError>;

    /// Returns the TLSA records of a server, where it has any and DNSSEC proves them (RFC 7672 §2.2).
    ///
    /// # Errors
    /// [`ResolveError::Temporary`] where it is not known whether there are any, also for wrong signatures: such a server
    /// must not be spoken to.
    async fn tlsa(&self, host: &str, port: u16) -> Result<Option<Tlsa>, ResolveError>;
}

/// What DNSSEC says of an answer. There is no value for a wrong signature: that is no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// Its zone is not signed.
    Insecure,
    /// Signatures from the root down prove it.
    Secure,
}

/// What a server's zone says of the server's certificate (RFC 6698), proved by DNSSEC.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tlsa {
    /// The name it was found at: the server's, or the one at the end of its aliases. It is the name to ask the server
    /// for, and one that its certificate may carry.
    pub base: Box<str>,
    /// The records; never empty, not all of them need make sense.
    pub records: Vec<TlsaRecord>,
}

/// A TLSA record with the numbers as they are in DNS (RFC 6698 §2.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsaRecord {
    /// Which certificate is meant: 2 an authority's (DANE-TA), 3 the server's (DANE-EE).
    pub usage: u8,
    /// What of it: 0 the certificate, 1 its public key.
    pub selector: u8,
    /// In which form: 0 as it is, 1 SHA-256, 2 SHA-512.
    pub matching: u8,
    /// The octets to compare with.
    pub data: Box<[u8]>,
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
    servers(resolver, domain, resolver.mail_exchangers(domain).await).await
}

/// Does what [`exchangers`] does, and tells whether DNSSEC proves the names.
///
/// # Errors
/// [`ResolveError`].
pub async fn proved_exchangers(
    resolver: &dyn Resolver,
    domain: &str,
) -> Result<(Vec<Host>, Proof), ResolveError> {
    let (names, proof) = match resolver.proved_exchangers(domain).await {
        Ok((names, proof)) => (Ok(names), proof),
        Err(error) => (Err(error), Proof::Insecure),
    };
    Ok((servers(resolver, domain, names).await?, proof))
}

async fn servers(
    resolver: &dyn Resolver,
    domain: &str,
    names: Result<Vec<Box<str>>, ResolveError>,
) -> Result<Vec<Host>, ResolveError> {
    let names = match names {
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

/// Asks the name servers of the operating system's configuration. Answers are cached for as long as they say.
///
/// `/etc/hosts` comes first, so that `localhost` works without a name server.
pub struct SystemResolver {
    resolver: TokioResolver,
    /// Made when it is needed: most configurations prove nothing.
    validating: OnceLock<Validating>,
}

impl SystemResolver {
    /// Reads `/etc/resolv.conf` and `/etc/hosts`, once. Without a readable `/etc/resolv.conf` only the latter is known.
    ///
    /// # Errors
    /// [`ResolveError::Temporary`] where the resolver cannot be set up.
    pub fn new() -> Result<Self, ResolveError> {
        Ok(Self {
            resolver: Self::configured(Signatures::Ignored)?,
            validating: OnceLock::new(),
        })
    }

    fn configured(signatures: Signatures) -> Result<TokioResolver, ResolveError> {
        let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!(%error, "no name server is configured; only /etc/hosts is known");
            let nobody = ResolverConfig::from_name_servers(Vec::new());
            TokioResolver::builder_with_config(nobody, TokioRuntimeProvider::default())
        });
        let options = builder.options_mut();
        options.cache_size = CACHED_ANSWERS;
        options.ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
        match signatures {
            Signatures::Checked => {
                options.validate = true;
                // What the file says is proved by nobody.
                options.use_hosts_file = ResolveHosts::Never;
                // The aliases on the way must be proved too.
                options.preserve_intermediates = true;
            }
            Signatures::Ignored => {}
        }
        let built = builder.build();
        built.map_err(|error| explain("resolver", &error))
    }

    fn validating(&self) -> Result<&Validating, ResolveError> {
        if let Some(validating) = self.validating.get() {
            return Ok(validating);
        }
        let made = Validating::new(Self::configured(Signatures::Checked)?);
        Ok(self.validating.get_or_init(|| made))
    }
}

/// Whether DNSSEC signatures are asked for and checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Signatures {
    Checked,
    Ignored,
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
        ranked(domain, exchangers.collect(), chance)
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

    async fn texts(&self, name: &str) -> Result<Vec<Box<str>>, ResolveError> {
        let found = self.resolver.txt_lookup(format!("{name}.")).await;
        let found = found.map_err(|error| explain(name, &error))?;
        let texts = found.answers().iter().filter_map(|record| {
            let RData::TXT(txt) = &record.data else {
                return None;
            };
            let octets = txt.txt_data.concat();
            Some(String::from_utf8_lossy(&octets).into())
        });
        Ok(texts.collect())
    }

    async fn texts_anew(&self, name: &str) -> Result<Vec<Box<str>>, ResolveError> {
        let kept = format!("{name}.");
        self.resolver.clear_lookup_cache(kept, RecordType::TXT);
        self.texts(name).await
    }

    async fn can_prove(&self) -> Result<bool, ResolveError> {
        self.validating()?.is_possible().await
    }

    async fn proved_exchangers(
        &self,
        domain: &str,
    ) -> Result<(Vec<Box<str>>, Proof), ResolveError> {
        self.validating()?.exchangers(domain).await
    }

    async fn tlsa(&self, host: &str, port: u16) -> Result<Option<Tlsa>, ResolveError> {
        self.validating()?.tlsa(host, port).await
    }
}

/// Sorts MX records by preference, those of the same one by chance (RFC 5321 §5.1), and recognises the null MX.
fn ranked(
    domain: &str,
    mut records: Vec<(u16, Name)>,
    mut chance: impl FnMut() -> u64,
) -> Result<Vec<Box<str>>, ResolveError> {
    if records.is_empty() {
        return Err(ResolveError::NotFound(domain.into()));
    }
    records.retain(|(_, exchange)| !exchange.is_root());
    if records.is_empty() {
        return Err(ResolveError::NullMx(domain.into()));
    }
    records.sort_by_cached_key(|(preference, _)| (*preference, chance()));
    let text = |name: &Name| name.to_ascii().trim_end_matches('.').into();
    Ok(records.iter().map(|(_, name)| text(name)).collect())
}

/// Returns a number by chance. Where the system has none, the order of the reply stays.
fn chance() -> u64 {
    getrandom::u64().unwrap_or_default()
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
    texts: HashMap<Box<str>, Vec<Box<str>>>,
    tlsa: HashMap<(Box<str>, u16), Vec<TlsaRecord>>,
    proved: HashSet<Box<str>>,
    bogus: HashSet<Box<str>>,
    proves_nothing: bool,
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

    /// Adds the text of a TXT record.
    #[must_use]
    pub fn with_text(mut self, name: &str, text: &str) -> Self {
        self.texts.entry(name.into()).or_default().push(text.into());
        self
    }

    /// Makes the list of a domain's mail exchangers one that DNSSEC proves.
    #[must_use]
    pub fn with_proof(mut self, domain: &str) -> Self {
        self.proved.insert(domain.into());
        self
    }

    /// Adds TLSA records that DNSSEC proves.
    #[must_use]
    pub fn with_tlsa(mut self, host: &str, port: u16, records: &[TlsaRecord]) -> Self {
        let place = self.tlsa.entry((host.into(), port)).or_default();
        place.extend_from_slice(records);
        self
    }

    /// Makes what DNSSEC should prove of a host or domain fail, as wrong signatures do.
    #[must_use]
    pub fn with_wrong_signatures(mut self, name: &str) -> Self {
        self.bogus.insert(name.into());
        self
    }

    /// Makes it one that gets no signatures, so that nothing is proved and all that is asked for fails.
    #[must_use]
    pub fn without_signatures(mut self) -> Self {
        self.proves_nothing = true;
        self
    }

    fn check_signatures(&self, name: &str) -> Result<(), ResolveError> {
        if self.proves_nothing || self.bogus.contains(name) {
            return Err(ResolveError::Temporary {
                name: name.into(),
                reason: "its DNSSEC signatures are missing or wrong".into(),
            });
        }
        Ok(())
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

    async fn texts(&self, name: &str) -> Result<Vec<Box<str>>, ResolveError> {
        let found = self.texts.get(name).cloned();
        found.ok_or_else(|| self.unknown(name))
    }

    async fn can_prove(&self) -> Result<bool, ResolveError> {
        Ok(!self.proves_nothing)
    }

    async fn proved_exchangers(
        &self,
        domain: &str,
    ) -> Result<(Vec<Box<str>>, Proof), ResolveError> {
        self.check_signatures(domain)?;
        let proof = if self.proved.contains(domain) {
            Proof::Secure
        } else {
            Proof::Insecure
        };
        Ok((self.mail_exchangers(domain).await?, proof))
    }

    async fn tlsa(&self, host: &str, port: u16) -> Result<Option<Tlsa>, ResolveError> {
        self.check_signatures(host)?;
        let found = self.tlsa.get(&(host.into(), port)).cloned();
        Ok(found.map(|records| Tlsa {
            base: host.into(),
            records,
        }))
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
            ranked("x", records, || 0).unwrap(),
            ["a.example".into(), "b.example".into()]
        );
        assert_eq!(
            ranked("x", vec![(0, Name::root())], || 0),
            Err(ResolveError::NullMx("x".into()))
        );
    }

    #[test]
    fn exchangers_of_the_same_preference_take_turns() {
        let record = |preference, text: &str| (preference, Name::from_ascii(text).unwrap());
        let first_of = |drawn: [u64; 3]| {
            let mut drawn = drawn.into_iter();
            let records = vec![record(10, "a."), record(10, "b."), record(20, "c.")];
            let ranked = ranked("x", records, || drawn.next().unwrap()).unwrap();
            assert_eq!(&*ranked[2], "c");
            ranked[0].clone()
        };
        assert_eq!(&*first_of([1, 2, 0]), "a");
        assert_eq!(&*first_of([2, 1, 0]), "b");
    }

    #[tokio::test]
    async fn localhost_is_known_without_a_name_server() {
        let resolver = SystemResolver::new().unwrap();
        let addresses = resolver.addresses("localhost").await.unwrap();
        assert!(addresses.iter().all(IpAddr::is_loopback));
    }
}
