//! What a login is checked against whose name cannot log in, so that neither the work nor the time of an answer tells
//! which names exist.
//!
//! A hash is as costly to check as that of some account, and which it is follows from the name: where accounts have hashes of
//! several costs, each cost is met as often among unknown names as among known ones, and a name keeps its own.

use std::collections::BTreeMap;

use super::account::Account;
use super::password::PasswordHash;

/// The costs of all accounts.
#[derive(Debug, Default)]
pub(super) struct Costs {
    /// A hash of each cost that nobody has the password of, with how many accounts have this cost or one before it.
    hashes: Vec<(u64, PasswordHash)>,
    /// How often most verifiers for SCRAM hash.
    iterations: Option<u32>,
}

impl Costs {
    pub(super) fn new(accounts: &[Account]) -> Self {
        Self {
            hashes: hashes(accounts),
            iterations: iterations(accounts),
        }
    }

    /// Returns a hash for a name; `chance` is the name's own, and nobody else knows it. `None` where no account has a
    /// password.
    pub(super) fn hash(&self, chance: u64) -> Option<&PasswordHash> {
        let (all, _) = self.hashes.last()?;
        let place = chance.checked_rem(*all)?;
        let mut hashes = self.hashes.iter();
        let found = hashes.find(|(up_to, _)| place < *up_to);
        found.map(|(_, hash)| hash)
    }

    /// Returns how often a verifier hashes for SCRAM; `None` where no account has one.
    pub(super) fn iterations(&self) -> Option<u32> {
        self.iterations
    }
}

/// What a wrong password costs at most accounts is the check of their own; where none has any, that of an application's.
fn hashes(accounts: &[Account]) -> Vec<(u64, PasswordHash)> {
    let own = accounts
        .iter()
        .filter_map(|account| account.password.as_ref());
    let further = accounts.iter().flat_map(|account| &account.app_passwords);
    let mut counts = counted(own);
    if counts.is_empty() {
        counts = counted(further.map(|password| &password.hash));
    }
    let mut up_to = 0;
    let hashes = counts.into_values().map(|(count, hash)| {
        up_to += count;
        (up_to, hash.decoy())
    });
    hashes.collect()
}

fn counted<'a>(
    hashes: impl Iterator<Item = &'a PasswordHash>,
) -> BTreeMap<(u32, u32, u32), (u64, &'a PasswordHash)> {
    let mut counts = BTreeMap::new();
    for hash in hashes {
        counts.entry(hash.cost()).or_insert((0, hash)).0 += 1;
    }
    counts
}

fn iterations(accounts: &[Account]) -> Option<u32> {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for verifier in accounts.iter().filter_map(|account| account.scram.as_ref()) {
        *counts.entry(verifier.iterations()).or_default() += 1;
    }
    let most = counts
        .into_iter()
        .max_by_key(|(iterations, count)| (*count, *iterations));
    most.map(|(iterations, _)| iterations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::AccountName;

    fn account(name: &str, memory: u32) -> Account {
        let hash = format!(
            "$argon2id$v=19$m={memory},t=2,p=1$XdfpkE2IKLTsGSey29+60A$yvuiJ4mPQNuN6irsdV0HGIZ3gYrz3gjo49xpj6wmwaM"
        );
        Account {
            password: Some(PasswordHash::parse(&hash).unwrap()),
            ..Account::new(AccountName::parse(name).unwrap())
        }
    }

    #[test]
    fn costs_are_met_as_often_as_accounts_have_them_and_a_name_keeps_its_own() {
        let accounts = [account("a", 64), account("b", 128), account("c", 64)];
        let costs = Costs::new(&accounts);
        let memory = |chance| costs.hash(chance).unwrap().cost().0;
        let met: Vec<_> = (0..6).map(memory).collect();
        assert_eq!(met, [64, 64, 128, 64, 64, 128]);
        assert_eq!(memory(u64::MAX), memory(u64::MAX));
    }

    #[test]
    fn without_any_password_there_is_none() {
        let nobody = [Account::new(AccountName::parse("a").unwrap())];
        assert!(Costs::new(&nobody).hash(7).is_none());
        assert!(Costs::default().hash(7).is_none());
        assert_eq!(Costs::new(&nobody).iterations(), None);
    }
}
