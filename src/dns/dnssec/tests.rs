//! Look-ups at a name server on loopback that signs what it says.
//!
//! One signed zone holds everything, the root, whose key is the only one trusted; `unsigned.` is delegated away from it
//! without a signature.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::dnssec::crypto::Ed25519SigningKey;
use hickory_resolver::proto::dnssec::rdata::sig::SigInput;
use hickory_resolver::proto::dnssec::rdata::{DNSKEY, DNSSECRData, NSEC, RRSIG};
use hickory_resolver::proto::dnssec::{DnssecSigner, SigningKey, TBS, TrustAnchors};
use hickory_resolver::proto::op::{Message, MessageType, OpCode, Query};
use hickory_resolver::proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_resolver::proto::rr::rdata::{A, CNAME, MX, NS, SOA, TLSA};
use hickory_resolver::proto::rr::{DNSClass, Name, RData, Record, RecordType, SerialNumber};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::*;
use crate::clock::{Clock as _, SystemClock};

const TTL: u32 = 300;

/// What a name server does with signatures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Signing {
    /// It keeps all of them back.
    No,
    Yes,
}

struct Server {
    records: Vec<Record>,
    signer: DnssecSigner,
    signing: Signing,
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn a(last: u8) -> RData {
    RData::A(A(Ipv4Addr::new(192, 0, 2, last)))
}

fn tlsa_data(octets: &[u8]) -> RData {
    let (usage, selector) = (CertUsage::DaneEe, Selector::Spki);
    RData::TLSA(TLSA::new(
        usage,
        selector,
        Matching::Sha256,
        octets.to_vec(),
    ))
}

/// What the zones say. A record of `forged.` has no signature, though its zone is signed.
fn records() -> Vec<Record> {
    let record = |text, data| Record::from_rdata(name(text), TTL, data);
    vec![
        record(".", RData::NS(NS(name("ns.")))),
        record("a.example.", RData::MX(MX::new(20, name("mx2.example.")))),
        record("a.example.", RData::MX(MX::new(10, name("mx1.example.")))),
        record("mx1.example.", a(1)),
        record("_25._tcp.mx1.example.", tlsa_data(&[1; 32])),
        record("mx2.example.", a(2)),
        record("alias.example.", RData::CNAME(CNAME(name("mx1.example.")))),
        record("forged.example.", a(3)),
        record("half.example.", a(4)),
        record("_25._tcp.half.example.", tlsa_data(&[4; 32])),
        record("unsigned.", RData::NS(NS(name("ns.unsigned.")))),
        record("host.unsigned.", a(5)),
        record(
            "host.unsigned.",
            RData::MX(MX::new(10, name("mx1.example."))),
        ),
        record("_25._tcp.host.unsigned.", tlsa_data(&[5; 32])),
    ]
}

/// These have no signature where they should have one.
const FORGED: [&str; 2] = ["forged.example.", "_25._tcp.half.example."];

impl Server {
    fn new(signing: Signing) -> (Self, TrustAnchors) {
        let pkcs8 = Ed25519SigningKey::generate_pkcs8().unwrap();
        let key = Ed25519SigningKey::from_pkcs8(&pkcs8).unwrap();
        let public = key.to_public_key().unwrap();
        let mut anchors = TrustAnchors::empty();
        anchors.insert(&public);
        let dnskey = DNSKEY::from_key(&public);
        let mut records = records();
        let data = RData::DNSSEC(DNSSECRData::DNSKEY(dnskey.clone()));
        records.push(Record::from_rdata(Name::root(), TTL, data));
        let hour = Duration::from_hours(1);
        let signer = DnssecSigner::new(dnskey, Box::new(key), Name::root(), hour);
        let server = Self {
            records,
            signer,
            signing,
        };
        (server, anchors)
    }

    fn answer(&self, query: &Query) -> (Vec<Record>, Vec<Record>) {
        let (mut at, mut answers) = (query.name().to_lowercase(), Vec::new());
        loop {
            let found = self.set(&at, query.query_type());
            if !found.is_empty() {
                self.add(&mut answers, found);
                return (answers, Vec::new());
            }
            let aliases = self.set(&at, RecordType::CNAME);
            let Some(RData::CNAME(alias)) = aliases.first().map(|record| record.data.clone())
            else {
                return (answers, self.nothing(&at));
            };
            self.add(&mut answers, aliases);
            at = alias.0;
        }
    }

    fn set(&self, at: &Name, kind: RecordType) -> Vec<Record> {
        let records = self.records.iter();
        let is_meant = |record: &&Record| record.name == *at && record.record_type() == kind;
        records.filter(is_meant).cloned().collect()
    }

    /// Says that a name has no record of a kind, as the zone does that it belongs to.
    fn nothing(&self, at: &Name) -> Vec<Record> {
        let is_below = name("unsigned.").zone_of(at) && *at != name("unsigned.");
        let zone = if is_below {
            name("unsigned.")
        } else {
            Name::root()
        };
        let soa = SOA::new(name("ns."), name("admin."), 1, 3600, 600, 86_400, 60);
        let mut authority = Vec::new();
        self.add(
            &mut authority,
            vec![Record::from_rdata(zone, TTL, RData::SOA(soa))],
        );
        if !is_below {
            let types = self.records.iter().filter(|record| record.name == *at);
            // A name without records is one that has others.
            let types = types.map(Record::record_type).chain([RecordType::TXT]);
            let next = at.prepend_label("0").unwrap();
            let nsec = RData::DNSSEC(DNSSECRData::NSEC(NSEC::new_cover_self(next, types)));
            self.add(
                &mut authority,
                vec![Record::from_rdata(at.clone(), TTL, nsec)],
            );
        }
        authority
    }

    /// Adds a set of records, signed where its zone signs.
    fn add(&self, section: &mut Vec<Record>, set: Vec<Record>) {
        let first = set.first().unwrap().clone();
        let is_delegated =
            name("unsigned.").zone_of(&first.name) && first.record_type() != RecordType::NSEC;
        let is_forged = FORGED.iter().any(|text| name(text) == first.name)
            && first.record_type() != RecordType::NSEC;
        let signature = self.sign(&set);
        section.extend(set);
        if self.signing == Signing::Yes && !is_delegated && !is_forged {
            section.push(signature);
        }
    }

    fn sign(&self, set: &[Record]) -> Record {
        let first = set.first().unwrap();
        let now = u32::try_from(SystemClock.now().unix_seconds()).unwrap();
        let input = SigInput {
            type_covered: first.record_type(),
            algorithm: self.signer.key().algorithm(),
            num_labels: first.name.num_labels(),
            original_ttl: TTL,
            sig_expiration: SerialNumber::new(now + 3600),
            sig_inception: SerialNumber::new(now - 3600),
            key_tag: self.signer.calculate_key_tag().unwrap(),
            signer_name: Name::root(),
        };
        let tbs = TBS::from_input(&first.name, DNSClass::IN, &input, set.iter()).unwrap();
        let signature = RRSIG::from_sig(input, self.signer.sign(&tbs).unwrap());
        let data = RData::DNSSEC(DNSSECRData::RRSIG(signature));
        Record::from_rdata(first.name.clone(), TTL, data)
    }

    async fn serve(self, socket: UdpSocket) {
        let mut octets = [0; 4096];
        while let Ok((length, peer)) = socket.recv_from(&mut octets).await {
            let request = Message::from_vec(&octets[..length]).unwrap();
            let mut reply = Message::new(request.metadata.id, MessageType::Response, OpCode::Query);
            reply.metadata.recursion_available = true;
            reply.queries.clone_from(&request.queries);
            let (answers, authority) = self.answer(&request.queries[0]);
            reply.answers = answers;
            reply.authorities = authority;
            reply.edns = request.edns.clone();
            socket
                .send_to(&reply.to_vec().unwrap(), peer)
                .await
                .unwrap();
        }
    }
}

/// A resolver that asks such a server, for as long as the tasks live.
async fn asking(signing: Signing) -> (Validating, JoinSet<()>) {
    let (server, anchors) = Server::new(signing);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut to = NameServerConfig::udp(IpAddr::V4(Ipv4Addr::LOCALHOST));
    to.connections[0].port = socket.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(server.serve(socket));
    let config = ResolverConfig::from_name_servers(vec![to]);
    let provider = TokioRuntimeProvider::default();
    let mut builder =
        TokioResolver::builder_with_config(config, provider).with_trust_anchor(Arc::new(anchors));
    let options = builder.options_mut();
    options.use_hosts_file = ResolveHosts::Never;
    options.preserve_intermediates = true;
    options.attempts = 1;
    (Validating::new(builder.build().unwrap()), tasks)
}

fn found(base: &str, octet: u8) -> Tlsa {
    let record = TlsaRecord {
        usage: 3,
        selector: 1,
        matching: 1,
        data: [octet; 32].into(),
    };
    Tlsa {
        base: base.into(),
        records: vec![record],
    }
}

#[tokio::test]
async fn signed_records_are_proved() {
    let (dns, _tasks) = asking(Signing::Yes).await;
    assert!(dns.is_possible().await.unwrap());
    let names = vec!["mx1.example".into(), "mx2.example".into()];
    assert_eq!(
        dns.exchangers("a.example").await,
        Ok((names, Proof::Secure))
    );
    assert_eq!(
        dns.tlsa("mx1.example", 25).await,
        Ok(Some(found("mx1.example", 1)))
    );
}

#[tokio::test]
async fn an_alias_leads_to_the_records_of_its_end() {
    let (dns, _tasks) = asking(Signing::Yes).await;
    assert_eq!(
        dns.tlsa("alias.example", 25).await,
        Ok(Some(found("mx1.example", 1)))
    );
}

#[tokio::test]
async fn what_is_not_there_is_proved_not_to_be() {
    let (dns, _tasks) = asking(Signing::Yes).await;
    assert_eq!(dns.tlsa("mx2.example", 25).await, Ok(None));
    assert_eq!(dns.tlsa("mx1.example", 465).await, Ok(None));
    let missing = dns.exchangers("mx1.example").await;
    assert_eq!(missing, Err(ResolveError::NotFound("mx1.example".into())));
}

#[tokio::test]
async fn an_unsigned_zone_proves_nothing_and_is_no_error() {
    let (dns, _tasks) = asking(Signing::Yes).await;
    let names = vec!["mx1.example".into()];
    assert_eq!(
        dns.exchangers("host.unsigned").await,
        Ok((names, Proof::Insecure))
    );
    assert_eq!(dns.tlsa("host.unsigned", 25).await, Ok(None));
}

#[tokio::test]
async fn a_missing_signature_is_no_answer() {
    let (dns, _tasks) = asking(Signing::Yes).await;
    for host in ["forged.example", "half.example"] {
        let answer = dns.tlsa(host, 25).await;
        assert!(
            matches!(answer, Err(ResolveError::Temporary { .. })),
            "{host}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn a_name_server_that_drops_signatures_proves_nothing_and_is_found_out() {
    let (dns, _tasks) = asking(Signing::No).await;
    assert!(!dns.is_possible().await.unwrap());
    for answer in [
        dns.tlsa("mx1.example", 25).await,
        dns.tlsa("mx2.example", 25).await,
    ] {
        assert!(
            matches!(answer, Err(ResolveError::Temporary { .. })),
            "{answer:?}"
        );
    }
}
