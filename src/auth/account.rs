//! The set of accounts at one moment.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::app_password::{AppPassword, Prefix};
use super::certificate::CertificateId;
use super::costs::Costs;
use super::evidence::Evidence;
use super::password::PasswordHash;
use super::scram::ScramVerifier;
use crate::clock::Timestamp;
use crate::identity::{AccountName, Identity, Proof, TenantName, folded};
use crate::secret::Secret;

/// A configured account, as far as authentication is concerned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    /// Its name as it was written; compared without regard to letter case.
    pub name: AccountName,
    /// Other names it logs in with, such as a device's that takes few letters; compared likewise.
    pub aliases: Vec<AccountName>,
    /// The tenant it belongs to.
    pub tenant: Option<TenantName>,
    /// The hash of its password; without one it can only be known by its networks.
    pub password: Option<PasswordHash>,
    /// What is kept of its password for SCRAM.
    pub scram: Option<ScramVerifier>,
    /// Further passwords; no two have the same label or prefix.
    pub app_passwords: Vec<AppPassword>,
    /// The certificates of its clients.
    pub certificates: Vec<CertificateId>,
    /// Whether it may be used at all.
    pub active: bool,
    /// Clients in these networks need no password.
    pub networks: Vec<IpNet>,
}

impl Account {
    /// Makes an active account that has nothing but its name.
    pub fn new(name: AccountName) -> Self {
        Self {
            name,
            aliases: Vec::new(),
            tenant: None,
            password: None,
            scram: None,
            app_passwords: Vec::new(),
            certificates: Vec::new(),
            active: true,
            networks: Vec::new(),
        }
    }

    /// Returns the hashes that a password may have, the most likely first: that of the application password with its
    /// prefix, and that of the account.
    fn candidates(&self, password: &Secret, now: Timestamp) -> Vec<Evidence> {
        let prefix = Prefix::of(password.expose());
        let mut own = self.app_passwords.iter();
        let meant = own.find(|own| own.is_valid(now) && Some(&own.prefix) == prefix.as_ref());
        let meant = meant.map(|own| Evidence::AppPassword(own.label.clone(), own.hash.clone()));
        let main = self.password.clone().map(Evidence::Password);
        meant.into_iter().chain(main).collect()
    }

    /// Returns whether it still has what a client has shown.
    fn has(&self, evidence: &Evidence, now: Timestamp) -> bool {
        match evidence {
            Evidence::AppPassword(label, hash) => self
                .app_passwords
                .iter()
                .any(|own| own.is_valid(now) && own.label == *label && own.hash == *hash),
            Evidence::Password(hash) => self.password.as_ref() == Some(hash),
            Evidence::Scram(verifier) => self.scram.as_ref() == Some(verifier),
        }
    }

    fn identity(&self, proof: Proof) -> Identity {
        Identity {
            account: self.name.clone(),
            tenant: self.tenant.clone(),
            proof,
        }
    }
}

/// Why accounts do not fit together.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AccountsError {
    /// Two accounts have names or aliases that are the same when letter case does not count.
    #[error("accounts `{0}` and `{1}` have the same name")]
    SameName(AccountName, AccountName),
    /// Two active accounts claim the same certificate.
    #[error("accounts `{0}` and `{1}` claim the same certificate")]
    SameCertificate(AccountName, AccountName),
    /// Two active accounts claim the same network, so that nobody could say whose client it is.
    #[error("accounts `{0}` and `{1}` claim the same network")]
    SameNetwork(AccountName, AccountName),
}

/// All accounts. Immutable: a reload makes a new set.
#[derive(Debug)]
pub struct Accounts {
    list: Vec<Account>,
    by_name: HashMap<String, usize>,
    /// The longest prefixes first, so that the first that contains an address is the most specific one.
    by_network: Vec<(IpNet, usize)>,
    by_certificate: HashMap<CertificateId, usize>,
    costs: Costs,
}

impl Accounts {
    /// Makes the set.
    ///
    /// # Errors
    /// [`AccountsError`] names the first two accounts that clash.
    pub fn new(accounts: Vec<Account>) -> Result<Self, AccountsError> {
        let mut by_name: HashMap<String, usize> = HashMap::with_capacity(accounts.len());
        let mut networks: HashMap<IpNet, usize> = HashMap::new();
        let mut by_certificate: HashMap<CertificateId, usize> = HashMap::new();
        let name_of = |index: usize| accounts.get(index).map(|account| account.name.clone());
        for (index, account) in accounts.iter().enumerate() {
            for name in std::iter::once(&account.name).chain(&account.aliases) {
                if let Some(other) = by_name.insert(folded(name.as_str()), index)
                    && let Some(other) = name_of(other)
                {
                    return Err(AccountsError::SameName(other, account.name.clone()));
                }
            }
            for network in account.networks.iter().filter(|_| account.active) {
                if let Some(other) = networks.insert(network.trunc(), index)
                    && other != index
                    && let Some(other) = name_of(other)
                {
                    return Err(AccountsError::SameNetwork(other, account.name.clone()));
                }
            }
            for certificate in account.certificates.iter().filter(|_| account.active) {
                if let Some(other) = by_certificate.insert(certificate.clone(), index)
                    && other != index
                    && let Some(other) = name_of(other)
                {
                    return Err(AccountsError::SameCertificate(other, account.name.clone()));
                }
            }
        }
        let mut by_network: Vec<_> = networks.into_iter().collect();
        by_network.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix_len()));
        let costs = Costs::new(&accounts);
        Ok(Self {
            list: accounts,
            by_name,
            by_network,
            by_certificate,
            costs,
        })
    }

    /// Returns the account of that name or alias, active or not; letter case does not count.
    pub fn find(&self, name: &str) -> Option<&Account> {
        self.list.get(*self.by_name.get(&folded(name))?)
    }

    /// Returns the name of the account with that name or alias; the name as it is where it is nobody's.
    pub(super) fn own_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.find(name)
            .map_or(name, |account| account.name.as_str())
    }

    /// Returns who a client at that address is without a password: the active account with the narrowest network
    /// that contains it. An IPv4 address in its IPv6 form counts as IPv4.
    pub fn of_network(&self, address: IpAddr) -> Option<Identity> {
        let address = address.to_canonical();
        let (_, index) = self
            .by_network
            .iter()
            .find(|(network, _)| network.contains(&address))?;
        Some(self.list.get(*index)?.identity(Proof::Network))
    }

    /// Returns who a client may be by its certificate: the active accounts that have one of these in common with it, each
    /// once. Names of a certificate belong among them only where an authority vouches for them.
    pub fn of_certificate(&self, shown: &[CertificateId]) -> Vec<Identity> {
        let mut found: Vec<usize> = Vec::new();
        for index in shown.iter().filter_map(|id| self.by_certificate.get(id)) {
            if !found.contains(index) {
                found.push(*index);
            }
        }
        let accounts = found.iter().filter_map(|index| self.list.get(*index));
        accounts
            .map(|account| account.identity(Proof::Certificate))
            .collect()
    }

    /// Returns the account as which an operator may send a message: it exists and is active.
    pub fn of_operator(&self, name: &str) -> Option<Identity> {
        let account = self.find(name).filter(|account| account.active)?;
        Some(account.identity(Proof::Operator))
    }

    /// Returns who a client is whose access token is for that account: it exists and is active.
    pub fn of_token(&self, name: &str) -> Option<Identity> {
        let account = self.find(name).filter(|account| account.active)?;
        Some(account.identity(Proof::Token))
    }

    /// Returns whether a client that has logged in earlier may still send: the account exists, is active, belongs to
    /// the same tenant and still has, at `now`, what the client has shown.
    pub fn still_trusts(&self, identity: &Identity, evidence: &Evidence, now: Timestamp) -> bool {
        self.find(identity.account.as_str()).is_some_and(|account| {
            // By then the name may be an alias of another account.
            account.name == identity.account
                && account.active
                && account.tenant == identity.tenant
                && account.has(evidence, now)
        })
    }

    /// Returns all accounts, in the order they were given.
    pub fn iter(&self) -> std::slice::Iter<'_, Account> {
        self.list.iter()
    }

    /// Returns how many accounts there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Returns whether there is no account.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns the verifier of a name, and who it would be; `None` where nobody can log in with it by SCRAM.
    pub(super) fn scram(&self, name: &str) -> Option<(Identity, ScramVerifier)> {
        let account = self.find(name).filter(|account| account.active)?;
        let verifier = account.scram.clone()?;
        Some((account.identity(Proof::Password), verifier))
    }

    /// Returns how often a verifier hashes that is shown for a name that cannot log in.
    pub(super) fn usual_iterations(&self) -> Option<u32> {
        self.costs.iterations()
    }

    /// Returns what to check a password against for this name at `now`, and who it would be. For a name that cannot log
    /// in this is a hash nobody has the password of, at the cost of one; `chance` is the name's own, see [`Costs`].
    pub(super) fn challenge(
        &self,
        name: &str,
        password: &Secret,
        now: Timestamp,
        chance: u64,
    ) -> Challenge {
        let account = self.find(name).filter(|account| account.active);
        let candidates = account.map(|account| account.candidates(password, now));
        match (account, candidates) {
            (Some(account), Some(candidates)) if !candidates.is_empty() => Challenge::Known {
                identity: account.identity(Proof::Password),
                candidates,
            },
            (Some(_) | None, _) => Challenge::Unknown {
                decoy: self.costs.hash(chance).cloned(),
            },
        }
    }
}

impl<'a> IntoIterator for &'a Accounts {
    type Item = &'a Account;
    type IntoIter = std::slice::Iter<'a, Account>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Default for Accounts {
    /// No accounts.
    fn default() -> Self {
        Self {
            list: Vec::new(),
            by_name: HashMap::new(),
            by_network: Vec::new(),
            by_certificate: HashMap::new(),
            costs: Costs::default(),
        }
    }
}

/// What a password is checked against.
pub(super) enum Challenge {
    /// An account that has a password.
    Known {
        /// Who has authenticated if the password is right.
        identity: Identity,
        /// What the password may be; at least one, and two at most.
        candidates: Vec<Evidence>,
    },
    /// Nobody can log in with this name.
    Unknown {
        /// A hash at the usual cost; `None` only where no account has a password at all.
        decoy: Option<PasswordHash>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::password::hash_password;
    use crate::identity::Label;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_795_243_860_000);

    fn account(name: &str, networks: &[&str]) -> Account {
        Account {
            networks: networks.iter().map(|n| n.parse().unwrap()).collect(),
            ..Account::new(AccountName::parse(name).unwrap())
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_is_found_in_any_letter_case() {
        let accounts = Accounts::new(vec![account("Alice@Example.com", &[])]).unwrap();
        let found = accounts.find("aLICE@example.COM").unwrap();
        assert_eq!(found.name.as_str(), "Alice@Example.com");
        assert!(accounts.find("alice").is_none());
    }

    #[test]
    fn a_name_that_only_looks_alike_is_nobodys() {
        let accounts = Accounts::new(vec![account("kim", &[])]).unwrap();
        assert!(accounts.find("KIM").is_some());
        assert!(accounts.find("\u{212a}im").is_none(), "the Kelvin sign");
        assert!(accounts.of_token("\u{212a}im").is_none());
    }

    #[test]
    fn names_that_differ_only_in_case_clash() {
        let result = Accounts::new(vec![account("alice", &[]), account("ALICE", &[])]);
        assert!(matches!(result, Err(AccountsError::SameName(..))));
    }

    #[test]
    fn the_narrowest_network_wins() {
        let accounts = Accounts::new(vec![
            account("office", &["192.0.2.0/24"]),
            account("printer", &["192.0.2.7/32"]),
        ])
        .unwrap();
        let name = |address| {
            accounts
                .of_network(ip(address))
                .map(|i| i.account.to_string())
        };
        assert_eq!(name("192.0.2.7").as_deref(), Some("printer"));
        assert_eq!(name("192.0.2.8").as_deref(), Some("office"));
        assert_eq!(name("198.51.100.1"), None);
    }

    #[test]
    fn an_ipv4_client_on_an_ipv6_socket_is_known_by_its_network() {
        let accounts = Accounts::new(vec![account("printer", &["192.0.2.0/24"])]).unwrap();
        assert!(accounts.of_network(ip("::ffff:192.0.2.9")).is_some());
    }

    #[test]
    fn two_accounts_cannot_claim_one_network() {
        let result = Accounts::new(vec![
            account("a", &["192.0.2.0/24"]),
            account("b", &["192.0.2.1/24"]),
        ]);
        assert!(matches!(result, Err(AccountsError::SameNetwork(..))));
    }

    #[test]
    fn an_inactive_account_is_not_known_by_its_network() {
        let mut printer = account("printer", &["192.0.2.0/24"]);
        printer.active = false;
        let accounts = Accounts::new(vec![printer]).unwrap();
        assert!(accounts.of_network(ip("192.0.2.1")).is_none());
    }

    fn with_certificates(name: &str, ids: &[&str]) -> Account {
        Account {
            certificates: ids
                .iter()
                .map(|id| CertificateId::parse(id).unwrap())
                .collect(),
            ..account(name, &[])
        }
    }

    #[test]
    fn a_certificate_opens_the_active_accounts_that_it_has_something_in_common_with() {
        let pinned = "0f".repeat(32);
        let gone = Account {
            active: false,
            ..with_certificates("gone", &["gone.example", "CN=printer"])
        };
        let accounts = Accounts::new(vec![
            with_certificates("ann", &[&pinned, "ann@example.com"]),
            with_certificates("printer", &["printer.example", "CN=printer"]),
            gone,
        ])
        .unwrap();
        let of = |ids: &[&str]| {
            let ids: Vec<_> = ids
                .iter()
                .map(|id| CertificateId::parse(id).unwrap())
                .collect();
            let found = accounts.of_certificate(&ids).into_iter();
            let names = found.map(|identity| {
                assert_eq!(identity.proof, Proof::Certificate);
                identity.account.to_string()
            });
            names.collect::<Vec<_>>()
        };
        assert_eq!(of(&[&pinned, "ann@EXAMPLE.com"]), ["ann"]);
        assert_eq!(of(&["PRINTER.example", "x.example"]), ["printer"]);
        assert_eq!(of(&["CN=printer", &pinned]), ["printer", "ann"]);
        assert!(of(&[]).is_empty());
        assert!(of(&["gone.example", "CN=Printer", "printer", "Ann@example.com"]).is_empty());
    }

    #[test]
    fn two_accounts_cannot_claim_one_certificate() {
        let result = Accounts::new(vec![
            with_certificates("a", &["p.example"]),
            with_certificates("b", &["P.example"]),
        ]);
        assert!(matches!(result, Err(AccountsError::SameCertificate(..))));
    }

    #[test]
    fn trust_ends_with_the_account_its_password_or_its_tenant() {
        let hash = |salt| hash_password(&Secret::new("secret".to_owned()), [salt; 16]).unwrap();
        let mut alice = account("alice", &[]);
        alice.password = Some(hash(1));
        let identity = alice.identity(Proof::Password);
        let trusts = |alice: &Account| {
            let accounts = Accounts::new(vec![alice.clone()]).unwrap();
            accounts.still_trusts(&identity, &Evidence::Password(hash(1)), NOW)
        };
        assert!(trusts(&alice));
        assert!(!trusts(&Account {
            active: false,
            ..alice.clone()
        }));
        assert!(!trusts(&Account {
            password: Some(hash(2)),
            ..alice.clone()
        }));
        let tenant = TenantName::parse("acme").ok();
        assert!(!trusts(&Account {
            tenant,
            ..alice.clone()
        }));
        assert!(!Accounts::default().still_trusts(&identity, &Evidence::Password(hash(1)), NOW));
        let name = |text| AccountName::parse(text).unwrap();
        assert!(!trusts(&Account {
            name: name("carol"),
            aliases: vec![name("alice")],
            ..alice.clone()
        }));
    }

    fn with_app_password(expires: Option<Timestamp>) -> Account {
        let password = AppPassword {
            label: Label::parse("phone").unwrap(),
            prefix: Prefix::parse("abcde").unwrap(),
            hash: hash_password(&Secret::new("abcde-fghjk".to_owned()), [7; 16]).unwrap(),
            active: true,
            created: None,
            expires,
        };
        Account {
            app_passwords: vec![password],
            ..account("alice", &[])
        }
    }

    /// Returns how many hashes a login would be checked against, and whether it could succeed.
    fn cost(account: &Account, password: &str) -> (usize, bool) {
        let accounts = Accounts::new(vec![account.clone()]).unwrap();
        match accounts.challenge("alice", &Secret::new(password.to_owned()), NOW, 7) {
            Challenge::Known { candidates, .. } => (candidates.len(), true),
            Challenge::Unknown { decoy } => (usize::from(decoy.is_some()), false),
        }
    }

    #[test]
    fn a_login_costs_one_hash_however_many_passwords_there_are() {
        let mut alice = with_app_password(None);
        for (label, prefix) in [("desk", "bbbbb"), ("cron", "ccccc")] {
            let mut other = alice.app_passwords.first().unwrap().clone();
            other.label = Label::parse(label).unwrap();
            other.prefix = Prefix::parse(prefix).unwrap();
            alice.app_passwords.push(other);
        }
        assert_eq!(cost(&alice, "abcde-fghjk"), (1, true));
        assert_eq!(cost(&alice, "zzzzz-fghjk"), (1, false));
        alice.password = Some(hash_password(&Secret::new("main".to_owned()), [1; 16]).unwrap());
        assert_eq!(cost(&alice, "zzzzz-fghjk"), (1, true));
    }

    #[test]
    fn trust_in_an_application_password_or_a_verifier_ends_when_another_takes_its_place() {
        let verifier = |salt| ScramVerifier::of(&Secret::new("x".to_owned()), [salt; 16]).ok();
        let alice = Account {
            scram: verifier(1),
            ..with_app_password(None)
        };
        let identity = alice.identity(Proof::Password);
        let own = alice.app_passwords.first().unwrap();
        let shown = [
            Evidence::AppPassword(own.label.clone(), own.hash.clone()),
            Evidence::Scram(alice.scram.clone().unwrap()),
        ];
        let trusts = |alice: &Account| {
            let accounts = Accounts::new(vec![alice.clone()]).unwrap();
            shown
                .each_ref()
                .map(|shown| accounts.still_trusts(&identity, shown, NOW))
        };
        assert_eq!(trusts(&alice), [true, true]);
        let mut renewed = alice.clone();
        renewed.scram = verifier(2);
        assert_eq!(trusts(&renewed), [true, false]);
        // Revoked and made anew under the same name.
        let other = hash_password(&Secret::new("abcde-zzzzz".to_owned()), [8; 16]);
        renewed.app_passwords.first_mut().unwrap().hash = other.unwrap();
        assert_eq!(trusts(&renewed), [false, false]);
    }

    #[test]
    fn nobody_logs_in_by_the_verifier_of_an_inactive_account() {
        let verifier = ScramVerifier::of(&Secret::new("x".to_owned()), [1; 16]).ok();
        let mut alice = Account {
            scram: verifier,
            ..account("alice", &[])
        };
        let is_found = |alice: &Account| {
            let accounts = Accounts::new(vec![alice.clone()]).unwrap();
            accounts.scram("Alice").is_some()
        };
        assert!(is_found(&alice));
        alice.active = false;
        assert!(!is_found(&alice));
    }

    #[test]
    fn an_application_password_ends_with_its_day_its_switch_or_its_removal() {
        let second = std::time::Duration::from_secs(1);
        let evidence = |account: &Account| {
            let own = account.app_passwords.first().unwrap();
            Evidence::AppPassword(own.label.clone(), own.hash.clone())
        };
        let alice = with_app_password(Some(NOW.after(second)));
        let identity = alice.identity(Proof::Password);
        let trusts = |alice: &Account, now| {
            let accounts = Accounts::new(vec![alice.clone()]).unwrap();
            accounts.still_trusts(&identity, &evidence(&with_app_password(None)), now)
        };
        assert!(trusts(&alice, NOW));
        assert_eq!(cost(&alice, "abcde-fghjk"), (1, true));
        assert!(!trusts(&alice, NOW.after(second)));
        assert_eq!(
            cost(&with_app_password(Some(NOW)), "abcde-fghjk"),
            (1, false)
        );
        let mut inactive = alice.clone();
        inactive.app_passwords.first_mut().unwrap().active = false;
        assert!(!trusts(&inactive, NOW));
        assert!(!trusts(&account("alice", &[]), NOW));
    }
}
