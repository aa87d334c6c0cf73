use std::fs::File;
use std::io::Write as _;

use super::*;
use crate::verification::parse;

const T0: Timestamp = Timestamp::from_unix_millis(1_795_243_860_123);

fn account(name: &str) -> AccountName {
    AccountName::parse(name).unwrap()
}

fn address(text: &str) -> Mailbox {
    Mailbox::parse(text).unwrap()
}

fn subject(text: &str) -> Grant {
    parse(text).unwrap()
}

fn folder() -> (tempfile::TempDir, Ledger) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::load(folder.path()).unwrap();
    (folder, ledger)
}

#[test]
fn a_link_proves_once_and_what_it_proves_survives_a_restart() {
    let (folder, mut ledger) = folder();
    let (shop, digest) = (account("shop"), Digest::of("token"));
    let me = address("me@b.example");
    ledger.ask_by_link((&shop, &me), digest, T0).unwrap();
    assert!(ledger.verified_of(&shop).is_empty(), "it waits");
    let mut ledger = Ledger::load(folder.path()).unwrap();
    assert!(ledger.verified_of(&shop).is_empty(), "it waits still");
    let wrong = ledger.confirm(&Digest::of("other"), T0).unwrap();
    assert_eq!(wrong, Standing::Unknown);
    let first = ledger.confirm(&digest, T0).unwrap();
    assert!(matches!(first, Standing::Open(_)));
    let second = ledger.confirm(&digest, T0).unwrap();
    assert!(matches!(second, Standing::Used(_)));
    let ledger = Ledger::load(folder.path()).unwrap();
    assert_eq!(ledger.verified_of(&shop), [subject("me@b.example")]);
    assert!(ledger.verified_of(&account("other")).is_empty());
    let text = fs::read_to_string(ledger.path()).unwrap();
    assert!(!text.contains("token\""), "{text}");
}

#[test]
fn a_link_ends_after_a_day() {
    let (_folder, mut ledger) = folder();
    let (shop, digest) = (account("shop"), Digest::of("token"));
    let until = ledger.ask_by_link((&shop, &address("me@b.example")), digest, T0);
    assert_eq!(until.unwrap(), T0.after(Duration::from_hours(24)));
    let late = T0.after(Duration::from_hours(24));
    assert_eq!(ledger.confirm(&digest, late).unwrap(), Standing::Expired);
    assert!(ledger.verified_of(&shop).is_empty());
    let before = late.before(Duration::from_millis(1));
    assert!(matches!(
        ledger.standing(&digest, before),
        Standing::Open(_)
    ));
}

#[test]
fn a_newer_link_takes_the_place_of_an_older_one_and_no_proof_away() {
    let (_folder, mut ledger) = folder();
    let (shop, me) = (account("shop"), address("me@b.example"));
    let (old, new) = (Digest::of("old"), Digest::of("new"));
    ledger.ask_by_link((&shop, &me), old, T0).unwrap();
    ledger
        .ask_by_link((&shop, &address("ME@b.example")), new, T0)
        .unwrap();
    assert_eq!(ledger.entries().len(), 1);
    assert_eq!(ledger.standing(&old, T0), Standing::Unknown);
    ledger.confirm(&new, T0).unwrap();
    ledger.ask_by_link((&shop, &me), old, T0).unwrap();
    assert_eq!(ledger.verified_of(&shop).len(), 1);
    assert_eq!(ledger.standing(&old, T0), Standing::Unknown);
}

#[test]
fn links_are_limited_for_each_account_and_address() {
    let (_folder, mut ledger) = folder();
    let me = address("me@b.example");
    for name in ["a", "b", "c"] {
        let asked = ledger.ask_by_link((&account(name), &me), Digest::of(name), T0);
        asked.unwrap();
    }
    let again = ledger.ask_by_link((&account("d"), &me), Digest::of("d"), T0);
    assert!(matches!(again, Err(LedgerError::TooMany { .. })));
    let later = T0.after(SPAN);
    let again = ledger.ask_by_link((&account("d"), &me), Digest::of("d"), later);
    again.unwrap();
    let shop = account("shop");
    let mut ask = |number: usize| {
        let to = address(&format!("a{number}@b.example"));
        ledger.ask_by_link((&shop, &to), Digest::of(&number.to_string()), later)
    };
    assert!((0..MOST_FOR_ACCOUNT).all(|number| ask(number).is_ok()));
    assert!(matches!(ask(99), Err(LedgerError::TooMany { .. })));
}

#[test]
fn so_many_may_wait_for_an_account_and_no_more() {
    let (_folder, mut ledger) = folder();
    let shop = account("shop");
    let mut ask = |number: usize| {
        let subject = subject(&format!("d{number}.example"));
        ledger.ask_by_record((&shop, &subject), "token", T0)
    };
    assert!((0..MOST_WAITING).all(|number| ask(number).is_ok()));
    assert!(matches!(ask(99), Err(LedgerError::Waiting(_))));
    ask(0).unwrap();
}

#[test]
fn a_domain_keeps_its_token_and_waits_again_when_its_proof_is_gone() {
    let (folder, mut ledger) = folder();
    let (shop, domain) = (account("shop"), subject("b.example"));
    ledger.ask_by_record((&shop, &domain), "one", T0).unwrap();
    ledger.ask_by_record((&shop, &domain), "two", T0).unwrap();
    let question = &ledger.find(&shop, &domain).unwrap().question;
    let token = "one".into();
    assert_eq!(*question, Question::Record { token });
    ledger.prove((&shop, &domain), Proof::Dns, T0).unwrap();
    assert_eq!(ledger.verified_of(&shop).len(), 1);
    ledger.doubt(&shop, &domain).unwrap();
    assert!(ledger.verified_of(&shop).is_empty());
    assert!(ledger.delete(&shop, &domain).unwrap());
    assert!(!ledger.delete(&shop, &domain).unwrap());
    assert!(Ledger::load(folder.path()).unwrap().entries().is_empty());
}

#[test]
fn what_cannot_be_written_does_not_count() {
    let (folder, mut ledger) = folder();
    let (shop, domain) = (account("shop"), subject("b.example"));
    fs::remove_dir_all(folder.path()).unwrap();
    let proved = ledger.prove((&shop, &domain), Proof::Operator, T0);
    assert!(matches!(proved, Err(LedgerError::Write(_))));
    assert!(ledger.verified_of(&shop).is_empty());
}

#[test]
fn a_damaged_or_newer_file_is_not_half_read() {
    let (folder, ledger) = folder();
    for text in [
        "",
        "{}",
        r#"{"version":2,"senders":[]}"#,
        r#"{"version":1,"senders":[{"account":"a","sender":"com","since":"2026-11-25T00:00:00Z"}]}"#,
        r#"{"version":1,"senders":[{"account":"a","sender":"b.example","since":"2026-11-25T00:00:00Z","digest":"x"}]}"#,
    ] {
        let mut file = File::create(ledger.path()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        assert!(Ledger::load(folder.path()).is_err(), "{text}");
    }
}

#[test]
fn who_gets_the_name_of_an_account_that_is_gone_gets_none_of_its_senders() {
    let (folder, mut ledger) = folder();
    let (shop, other, digest) = (account("shop"), account("other"), Digest::of("token"));
    let waiting = address("new@b.example");
    ledger.ask_by_link((&shop, &waiting), digest, T0).unwrap();
    for account in [&shop, &other] {
        let proved = (account, &subject("me@b.example"));
        ledger.prove(proved, Proof::Operator, T0).unwrap();
    }
    assert_eq!(ledger.forget_gone(|_| true).unwrap(), []);
    let gone = ledger.forget_gone(|account| *account == other).unwrap();
    assert_eq!(gone.len(), 2);
    for ledger in [ledger, Ledger::load(folder.path()).unwrap()] {
        assert!(ledger.verified_of(&shop).is_empty());
        assert_eq!(ledger.standing(&digest, T0), Standing::Unknown);
        assert_eq!(ledger.verified_of(&other), [subject("me@b.example")]);
    }
}
