use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use tempfile::TempDir;

use super::*;

/// 2026-11-21T06:51:00Z.
const NOW: Timestamp = Timestamp::from_unix_millis(1_795_243_860_000);

const DAY: Duration = Duration::from_hours(24);

/// An authority with its key.
struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

impl Ca {
    fn new(name: &str) -> Self {
        Self::from(Self::params(name))
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2027, 1, 1);
        params
    }

    fn from(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    fn below(&self, name: &str) -> Self {
        let (params, key) = (Self::params(name), KeyPair::generate().unwrap());
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    fn issue(&self, params: &CertificateParams) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &self.issuer).unwrap().der().clone()
    }

    fn list(&self, serials: &[u64], next_update: (i32, u8, u8)) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2026, 11, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let (year, month, day) = next_update;
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 11, 1),
            next_update: date_time_ymd(year, month, day),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

fn client(serial: u64) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["printer.example".to_owned()]).unwrap();
    params
        .subject_alt_names
        .push(SanType::Rfc822Name("ann@example.com".try_into().unwrap()));
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "printer");
    params.serial_number = Some(SerialNumber::from(serial));
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2026, 12, 1);
    params
}

/// A folder with the files that are configured.
struct Files {
    folder: TempDir,
    clients: Clients,
}

impl Files {
    fn new(authorities: &[&Ca], lists: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pem: String = authorities.iter().map(|ca| ca.pem.as_str()).collect();
        let mut files = Self {
            folder,
            clients: Clients::default(),
        };
        files.clients.authorities = Some(files.put("ca.pem", &pem));
        if !lists.is_empty() {
            files.clients.revoked = Some(files.put("ca.crl", &lists.concat()));
        }
        files
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        let mut file = std::fs::File::create(&path).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        path
    }

    fn trust(&self) -> Result<ClientTrust, ClientTrustError> {
        ClientTrust::load(&self.clients, &provider())
    }

    fn standing(&self, chain: &[&CertificateDer<'static>], now: Timestamp) -> Standing {
        let others: Vec<_> = chain.iter().skip(1).map(|&one| one.clone()).collect();
        let trust = self.trust().unwrap();
        trust.judge((chain.first().unwrap(), &others), now).standing
    }
}

fn is_unknown(standing: &Standing) -> bool {
    matches!(standing, Standing::Unknown(_))
}

fn is_issued(standing: &Standing) -> bool {
    matches!(standing, Standing::Issued(_))
}

#[test]
fn an_authority_vouches_for_the_names_in_what_it_has_issued() {
    let ca = Ca::new("Our CA");
    let own = ca.issue(&client(1));
    let files = Files::new(&[&Ca::new("Other"), &ca], &[]);
    let judged = files.trust().unwrap().judge((&own, &[]), NOW);
    assert_eq!(
        judged.fingerprint.as_slice(),
        digest(&SHA256, &own).as_ref()
    );
    let names = ClientNames {
        common: Some("printer".to_owned()),
        dns: vec!["printer.example".to_owned()],
        emails: vec!["ann@example.com".to_owned()],
    };
    assert_eq!(judged.standing, Standing::Issued(names));
}

#[test]
fn nobody_vouches_for_what_another_authority_of_the_same_name_has_issued() {
    let own = Ca::new("Our CA").issue(&client(1));
    let files = Files::new(&[&Ca::new("Our CA")], &[]);
    assert!(is_unknown(&files.standing(&[&own], NOW)));
    let nobody = ClientTrust::load(&Clients::default(), &provider()).unwrap();
    assert!(is_unknown(&nobody.judge((&own, &[]), NOW).standing));
}

#[test]
fn a_certificate_of_one_client_makes_no_others() {
    let ca = Ca::new("Our CA");
    let (params, key) = (client(1), KeyPair::generate().unwrap());
    let between = params.signed_by(&key, &ca.issuer).unwrap();
    let forged = client(2)
        .signed_by(&KeyPair::generate().unwrap(), &Issuer::new(params, key))
        .unwrap();
    let files = Files::new(&[&ca], &[]);
    let chain = [forged.der(), between.der()];
    assert!(is_unknown(&files.standing(&chain, NOW)));
}

#[test]
fn an_authority_below_ours_needs_its_certificate_in_the_chain() {
    let ca = Ca::new("Our CA");
    let below = ca.below("Branch");
    let own = below.issue(&client(1));
    let files = Files::new(&[&ca], &[]);
    assert!(is_issued(&files.standing(&[&own, &below.der], NOW)));
    assert!(is_unknown(&files.standing(&[&own], NOW)));
}

#[test]
fn neither_a_certificate_nor_its_authority_outlives_its_day() {
    let mut short = Ca::params("Our CA");
    short.not_after = date_time_ymd(2026, 11, 25);
    let (ca, short) = (Ca::new("Our CA"), Ca::from(short));
    let own = ca.issue(&client(1));
    let files = Files::new(&[&ca], &[]);
    assert!(is_issued(&files.standing(&[&own], NOW)));
    assert!(is_unknown(&files.standing(&[&own], NOW.after(DAY * 11))));
    let own = short.issue(&client(1));
    let files = Files::new(&[&short], &[]);
    assert!(is_issued(&files.standing(&[&own], NOW)));
    assert!(is_unknown(&files.standing(&[&own], NOW.after(DAY * 5))));
}

#[test]
fn a_certificate_for_servers_alone_is_no_clients() {
    let ca = Ca::new("Our CA");
    let files = Files::new(&[&ca], &[]);
    let mut params = client(1);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert!(is_unknown(&files.standing(&[&ca.issue(&params)], NOW)));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    assert!(is_issued(&files.standing(&[&ca.issue(&params)], NOW)));
}

#[test]
fn what_is_revoked_is_told_from_what_is_unknown() {
    let ca = Ca::new("Our CA");
    let (good, bad) = (ca.issue(&client(1)), ca.issue(&client(2)));
    let other = Ca::new("Other");
    let lists = [
        ca.list(&[2], (2026, 12, 1)),
        other.list(&[1], (2026, 12, 1)),
    ];
    let files = Files::new(&[&other, &ca], &lists);
    assert!(is_issued(&files.standing(&[&good], NOW)));
    assert_eq!(files.standing(&[&bad], NOW), Standing::Revoked);
}

#[test]
fn an_authority_below_ours_that_is_revoked_takes_its_certificates_along() {
    let ca = Ca::new("Our CA");
    let mut params = Ca::params("Branch");
    params.serial_number = Some(SerialNumber::from(7));
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &ca.issuer).unwrap();
    let branch = Ca {
        pem: certificate.pem(),
        der: certificate.der().clone(),
        issuer: Issuer::new(params, key),
    };
    let own = branch.issue(&client(1));
    let of_branch = branch.list(&[], (2026, 12, 1));
    let chain = [&own, &branch.der];
    let files = Files::new(&[&ca], &[ca.list(&[], (2026, 12, 1)), of_branch.clone()]);
    assert!(is_issued(&files.standing(&chain, NOW)));
    let files = Files::new(&[&ca], &[ca.list(&[7], (2026, 12, 1)), of_branch]);
    assert_eq!(files.standing(&chain, NOW), Standing::Revoked);
    // Without a list of the branch nobody can say what it has revoked.
    let files = Files::new(&[&ca], &[ca.list(&[], (2026, 12, 1))]);
    assert!(is_unknown(&files.standing(&chain, NOW)));
}

#[test]
fn a_list_that_has_run_out_vouches_for_nothing() {
    let ca = Ca::new("Our CA");
    let own = ca.issue(&client(1));
    let files = Files::new(&[&ca], &[ca.list(&[], (2026, 11, 20))]);
    let Standing::Unknown(reason) = files.standing(&[&own], NOW) else {
        panic!("a stale list is enough");
    };
    assert!(reason.contains("revocation list"), "{reason}");
}

#[test]
fn the_common_name_counts_only_where_there_is_one() {
    let ca = Ca::new("Our CA");
    let mut params = client(1);
    params.subject_alt_names.clear();
    params
        .distinguished_name
        .push(DnType::CustomDnType(vec![2, 5, 4, 3]), "root");
    let files = Files::new(&[&ca], &[]);
    let standing = files.standing(&[&ca.issue(&params)], NOW);
    assert_eq!(standing, Standing::Issued(ClientNames::default()));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let ca = Ca::new("Our CA");
    let files = Files::new(&[], &[]);
    let error = files.trust().unwrap_err();
    assert!(matches!(
        error,
        ClientTrustError::Files(FilesError::NoCertificate { .. })
    ));
    let key = KeyPair::generate().unwrap();
    let leaf = client(1).self_signed(&key).unwrap().pem();
    files.put("ca.pem", &format!("{}{leaf}", ca.pem));
    let error = files.trust().unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("is not that of an authority: CN=printer"),
        "{error}"
    );
    assert!(matches!(
        error,
        ClientTrustError::NoAuthority { number: 2, .. }
    ));
    let files = Files::new(&[&ca], &["x".to_owned()]);
    let error = files.trust().unwrap_err();
    assert!(matches!(error, ClientTrustError::NoList { .. }), "{error}");
    assert_eq!(Some(error.path()), files.clients.revoked.as_deref());
    let damaged = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
    let files = Files::new(&[&ca], &[damaged.to_owned()]);
    let error = files.trust().unwrap_err();
    assert!(matches!(error, ClientTrustError::List { .. }), "{error}");
}

#[test]
fn the_ends_of_authorities_and_lists_are_known() {
    let ca = Ca::new("Our CA");
    let files = Files::new(&[&ca], &[ca.list(&[], (2026, 12, 1))]);
    let (authorities, lists) = (
        files.clients.authorities.unwrap(),
        files.clients.revoked.unwrap(),
    );
    let time = |text: &str| Timestamp::parse(text).unwrap();
    let end = |from: &str, at: &str| End {
        name: "CN=Our CA".to_owned(),
        from: time(from),
        at: time(at),
    };
    let own = authority_ends(&authorities).unwrap();
    assert_eq!(own, [end("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")]);
    let own = revocation_ends(&lists).unwrap();
    assert_eq!(own, [end("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")]);
}

#[test]
fn a_client_shows_so_many_certificates_and_no_more() {
    let ca = Ca::new("Our CA");
    let own = ca.issue(&client(1));
    let asks = AnyCertificate::new(&provider());
    let now = UnixTime::since_unix_epoch(Duration::ZERO);
    let verify = |others: &[CertificateDer<'static>]| asks.verify_client_cert(&own, others, now);
    assert!(verify(&[]).is_ok());
    assert!(verify(&vec![ca.der.clone(); MAX_INTERMEDIATES]).is_ok());
    assert!(verify(&vec![ca.der.clone(); MAX_INTERMEDIATES + 1]).is_err());
    assert!(verify(&[CertificateDer::from(vec![0; MAX_CHAIN])]).is_err());
    let junk = CertificateDer::from(vec![0; 64]);
    assert!(asks.verify_client_cert(&junk, &[], now).is_err());
}
