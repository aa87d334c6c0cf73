use super::*;
use crate::auth::{Account, AppPassword, Prefix, hash_password};
use crate::clock::{ManualClock, Timestamp};
use crate::identity::{AccountName, Label};

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn account(name: &str, password: &str) -> Account {
    Account {
        password: Some(hash_password(&secret(password), [3; 16]).unwrap()),
        ..Account::new(AccountName::parse(name).unwrap())
    }
}

fn authenticator(accounts: Vec<Account>, threads: usize) -> (Authenticator, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::default()));
    let settings = Settings {
        threads,
        queue: 1,
        remembered: 8,
        remember_for: Duration::from_mins(5),
    };
    let accounts = Accounts::new(accounts).unwrap();
    let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    (
        Authenticator::new(settings, accounts, shared).unwrap(),
        clock,
    )
}

fn is_accepted(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Accepted { .. })
}

#[test]
fn a_network_that_an_account_is_known_by_is_familiar() {
    let printer = Account {
        networks: vec!["192.0.2.0/28".parse().unwrap()],
        ..Account::new(AccountName::parse("printer").unwrap())
    };
    let (authenticator, _) = authenticator(vec![printer], 0);
    assert!(authenticator.is_familiar(PEER));
    assert!(!authenticator.is_familiar(IpAddr::from([192, 0, 2, 16])));
}

#[tokio::test]
async fn the_right_password_is_accepted_in_any_case_of_the_name() {
    let (authenticator, _) = authenticator(vec![account("alice", "secret")], 1);
    let verdict = authenticator.verify("ALICE", &secret("secret"), PEER).await;
    let Verdict::Accepted { identity, .. } = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(identity.account.as_str(), "alice");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_get_the_same_verdict() {
    let (authenticator, _) = authenticator(vec![account("alice", "secret")], 1);
    let wrong = authenticator.verify("alice", &secret("Secret"), PEER).await;
    let unknown = authenticator.verify("bob", &secret("secret"), PEER).await;
    assert_eq!(
        wrong,
        Verdict::WrongPassword {
            delay: Duration::ZERO,
            blocks: Vec::new(),
        }
    );
    assert_eq!(wrong, unknown);
}

#[tokio::test]
async fn an_unknown_name_is_checked_against_a_hash_of_the_same_cost() {
    let accounts = Accounts::new(vec![account("alice", "secret")]).unwrap();
    let known = accounts.find("alice").unwrap().password.clone().unwrap();
    let unknown = accounts.challenge("bob", &secret("secret"), Timestamp::default(), 7);
    let Challenge::Unknown { decoy } = unknown else {
        panic!("bob is known");
    };
    assert_eq!(decoy.unwrap().cost(), known.cost());
}

#[tokio::test]
async fn an_application_password_opens_its_account_and_its_use_is_noted() {
    let password = AppPassword {
        label: Label::parse("phone").unwrap(),
        prefix: Prefix::parse("abcde").unwrap(),
        hash: hash_password(&secret("abcde-fghjk"), [9; 16]).unwrap(),
        active: true,
        created: None,
        expires: None,
    };
    let mut alice = account("alice", "secret");
    alice.app_passwords.push(password);
    let (authenticator, clock) = authenticator(vec![alice], 1);
    let wrong = authenticator
        .verify("alice", &secret("abcde-zzzzz"), PEER)
        .await;
    assert!(matches!(wrong, Verdict::WrongPassword { .. }));
    let main = authenticator.verify("alice", &secret("secret"), PEER).await;
    let Verdict::Accepted { identity, evidence } = main else {
        panic!("{main:?}")
    };
    assert_eq!(evidence.label(), None);
    let label = Label::parse("phone").unwrap();
    assert_eq!(authenticator.uses().last(&identity.account, &label), None);
    let right = authenticator
        .verify("alice", &secret("abcde-fghjk"), PEER)
        .await;
    let Verdict::Accepted { identity, evidence } = right else {
        panic!("{right:?}")
    };
    assert_eq!(evidence.label(), Some(&label));
    let used = authenticator.uses().last(&identity.account, &label);
    let at = clock.now();
    assert_eq!(used, Some(Use { at, from: PEER }));
}

fn app_password(label: &str, password: &str) -> AppPassword {
    AppPassword {
        label: Label::parse(label).unwrap(),
        prefix: Prefix::of(password).unwrap(),
        hash: hash_password(&secret(password), [9; 16]).unwrap(),
        active: true,
        created: None,
        expires: None,
    }
}

/// Accounts of all kinds; the password of each is `right`, unless it has none.
fn all_kinds() -> Vec<Account> {
    let phones =
        || (0..3).map(|number| app_password(&format!("a{number}"), &format!("abcd{number}-right")));
    let name = |name| AccountName::parse(name).unwrap();
    let verifier = ScramVerifier::of(&secret("right"), [3; 16]).unwrap();
    vec![
        Account {
            aliases: vec![name("a")],
            scram: Some(verifier.clone()),
            ..account("alice", "right")
        },
        Account {
            active: false,
            scram: Some(verifier),
            ..account("gone", "right")
        },
        Account::new(name("bare")),
        Account {
            app_passwords: phones().collect(),
            ..account("many", "right")
        },
        Account {
            app_passwords: phones().collect(),
            ..Account::new(name("apps"))
        },
        Account {
            app_passwords: phones()
                .map(|password| AppPassword {
                    expires: Some(Timestamp::default()),
                    ..password
                })
                .collect(),
            ..Account::new(name("ended"))
        },
    ]
}

/// The costs of all checks so far. One test counts, or they would count one another's.
static CHECKED: Mutex<Vec<(u32, u32, u32)>> = Mutex::new(Vec::new());

#[tokio::test]
async fn every_login_that_fails_is_the_same_work() {
    let (mut authenticator, _) = authenticator(all_kinds(), 0);
    let counted = Pool::start_with(1, 8, |hash, password, memory| {
        CHECKED.lock().unwrap().push(hash.cost());
        hash.matches(password, memory)
    });
    authenticator.pool = counted.unwrap();
    let cost = hash_password(&secret("x"), [3; 16]).unwrap().cost();
    let mut peers = (1..).map(|number| IpAddr::from([192, 0, 2, number]));
    let mut fail = async |name: &'static str, password: &'static str| {
        let peer = peers.next().unwrap();
        let verdict = authenticator.verify(name, &secret(password), peer).await;
        let expected = Verdict::WrongPassword {
            delay: Duration::ZERO,
            blocks: Vec::new(),
        };
        assert_eq!(verdict, expected, "{name} with {password}");
        std::mem::take(&mut *CHECKED.lock().unwrap())
    };
    for (name, password) in [
        ("alice", "wrong"),
        ("ALICE", "Wrong"),
        ("a", "wrong!"),
        ("nobody", "wrong"),
        ("", "wrong"),
        ("gone", "wrong"),
        ("gone", "right"),
        ("bare", "wrong"),
        ("bare", ""),
        ("many", "wrong"),
        ("many", "wrong-but-long-enough"),
        ("apps", "right"),
        ("ended", "abcd1-right"),
    ] {
        assert_eq!(fail(name, password).await, [cost], "{name} with {password}");
    }
    // Never more than two, however many there are.
    assert_eq!(fail("many", "abcd1-wrong").await, [cost, cost]);
    assert_eq!(fail("apps", "abcd2-wrong").await, [cost]);
    assert_eq!(fail("nobody", "abcd1-wrong").await, [cost]);
}

#[tokio::test]
async fn a_question_for_scram_does_not_tell_who_has_an_answer() {
    let (authenticator, _) = authenticator(all_kinds(), 0);
    let ask = |name| authenticator.scram(name, PEER).unwrap();
    let known = ask("alice");
    for name in ["alice", "gone", "bare", "nobody", ""] {
        let (asked, again) = (ask(name), ask(name));
        assert_eq!(asked.iterations(), known.iterations(), "{name}");
        assert_eq!(asked.salt().len(), known.salt().len(), "{name}");
        assert_eq!(asked.salt(), again.salt(), "{name}");
    }
    assert_ne!(ask("gone").salt(), [3; 16], "not even by its own salt");
    assert_ne!(ask("nobody").salt(), ask("gone").salt());
}

#[tokio::test]
async fn an_inactive_account_cannot_log_in() {
    let mut alice = account("alice", "secret");
    alice.active = false;
    let (authenticator, _) = authenticator(vec![alice], 1);
    let verdict = authenticator.verify("alice", &secret("secret"), PEER).await;
    assert!(matches!(verdict, Verdict::WrongPassword { .. }));
}

#[tokio::test]
async fn a_login_that_succeeded_lately_needs_no_thread() {
    let (mut authenticator, clock) = authenticator(vec![account("alice", "secret")], 1);
    let first = authenticator.verify("alice", &secret("secret"), PEER).await;
    assert!(is_accepted(&first));
    authenticator.pool = Pool::start(0, 0).unwrap();
    let second = authenticator.verify("alice", &secret("secret"), PEER).await;
    assert!(is_accepted(&second));
    clock.advance(Duration::from_mins(5));
    let third = authenticator.verify("alice", &secret("secret"), PEER).await;
    assert_eq!(third, Verdict::Unavailable);
}

#[tokio::test]
async fn a_new_password_ends_what_is_remembered_of_the_old_one() {
    let (authenticator, _) = authenticator(vec![account("alice", "old")], 1);
    let before = authenticator.verify("alice", &secret("old"), PEER).await;
    assert!(is_accepted(&before));
    authenticator.replace_accounts(Accounts::new(vec![account("alice", "new")]).unwrap());
    let old = authenticator.verify("alice", &secret("old"), PEER).await;
    assert!(matches!(old, Verdict::WrongPassword { .. }));
    let new = authenticator.verify("alice", &secret("new"), PEER).await;
    assert!(is_accepted(&new));
}

#[tokio::test]
async fn a_full_queue_is_unavailable_and_not_a_wrong_password() {
    let (mut authenticator, _) = authenticator(vec![account("alice", "secret")], 1);
    authenticator.pool = Pool::start(0, 0).unwrap();
    let verdict = authenticator.verify("alice", &secret("secret"), PEER).await;
    assert_eq!(verdict, Verdict::Unavailable);
}

#[tokio::test]
async fn equal_logins_at_once_are_checked_once() {
    // The queue has one place: any second check would be refused.
    let (authenticator, _) = authenticator(vec![account("alice", "secret")], 1);
    let password = secret("secret");
    let verdicts = tokio::join!(
        authenticator.verify("alice", &password, PEER),
        authenticator.verify("alice", &password, PEER),
        authenticator.verify("alice", &password, PEER),
        authenticator.verify("alice", &password, PEER),
    );
    assert!(
        is_accepted(&verdicts.0)
            && is_accepted(&verdicts.1)
            && is_accepted(&verdicts.2)
            && is_accepted(&verdicts.3)
    );
    assert!(authenticator.flights.lock().unwrap().is_empty());
}

#[tokio::test]
async fn whoever_guesses_by_all_names_of_an_account_has_no_more_tries() {
    let names = ["alice", "a1", "a2"];
    let aliases = ["a1", "a2"].map(|name| AccountName::parse(name).unwrap());
    let alice = Account {
        scram: ScramVerifier::of(&secret("secret"), [5; 16]).ok(),
        aliases: aliases.to_vec(),
        ..account("alice", "secret")
    };
    let (one, _) = authenticator(vec![alice], 1);
    // Each kind of login in turn, each by another name: five are looked at in all.
    let by_scram = |name| one.scram_ended(name, None, PEER);
    let verdict = one.verify("a1", &secret("guess"), PEER).await;
    assert!(matches!(verdict, Verdict::WrongPassword { .. }));
    for name in names {
        let verdict = by_scram(name);
        assert!(matches!(verdict, Verdict::WrongPassword { .. }), "{name}");
    }
    drop(one.admit("A2", PEER).unwrap().failed());
    for name in names {
        assert!(one.scram(name, PEER).is_err(), "{name}");
        assert!(one.admit(name, PEER).is_err(), "{name}");
        assert!(matches!(by_scram(name), Verdict::Throttled { .. }));
        let verdict = one.verify(name, &secret("guess"), PEER).await;
        assert!(matches!(verdict, Verdict::Throttled { .. }), "{name}");
    }
    assert_eq!(one.release_account("a1"), 1);
    assert!(one.scram("alice", PEER).is_ok());
}

#[tokio::test]
async fn too_many_failures_are_throttled_even_with_the_right_password() {
    let (authenticator, clock) = authenticator(vec![account("alice", "secret")], 1);
    for _ in 0..5 {
        authenticator.verify("alice", &secret("guess"), PEER).await;
    }
    let verdict = authenticator.verify("alice", &secret("secret"), PEER).await;
    let Verdict::Throttled { retry_after } = verdict else {
        panic!("{verdict:?}")
    };
    clock.advance(retry_after);
    let verdict = authenticator.verify("alice", &secret("secret"), PEER).await;
    assert!(is_accepted(&verdict));
}
