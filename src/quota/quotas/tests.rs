//! Tests of the counts: what is let through, for whom, and what is given back.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::clock::ManualClock;
use crate::quota::TenantLimits;

pub(in crate::quota) const START: Timestamp = Timestamp::from_unix_millis(1_795_000_000_000);

pub(in crate::quota) fn name(account: &str) -> AccountName {
    AccountName::parse(account).unwrap()
}

/// So many messages with a recipient each.
pub(in crate::quota) fn amounts(messages: u64) -> Amounts {
    Amounts {
        messages,
        recipients: messages,
        octets: 0,
    }
}

/// Reads `alice 2/m; bob@acme 9/m; %acme 3/m; %acme>provider 3/m`: limits of messages of accounts, of a tenant perhaps,
/// and of tenants. A `+` behind an account lets its mail be paced.
pub(in crate::quota) fn table(text: &str) -> Table {
    let mut tenants = HashMap::new();
    let mut accounts = Vec::new();
    for entry in text.split("; ") {
        let (who, rate) = entry.split_once(' ').unwrap();
        let limits = Limits {
            messages: vec![Rate::parse(rate).unwrap()],
            ..Limits::default()
        };
        if let Some(tenant) = who.strip_prefix('%') {
            let (tenant, parent) = tenant
                .split_once('>')
                .map_or((tenant, None), |(a, b)| (a, Some(b)));
            let parent = parent.map(|parent| TenantName::parse(parent).unwrap());
            tenants.insert(
                TenantName::parse(tenant).unwrap(),
                TenantLimits { parent, limits },
            );
        } else {
            accounts.push((who, limits));
        }
    }
    let mut table = Table::new(&tenants);
    for (who, limits) in accounts {
        let (who, over) = match who.strip_suffix('+') {
            Some(who) => (who, OverQuota::Queue),
            None => (who, OverQuota::Refuse),
        };
        let (account, tenant) = who
            .split_once('@')
            .map_or((who, None), |(a, t)| (a, Some(t)));
        let tenant = tenant.map(|tenant| TenantName::parse(tenant).unwrap());
        table.add_account(name(account), tenant.as_ref(), Arc::new(limits), over);
    }
    table
}

struct Bench {
    clock: Arc<ManualClock>,
    quotas: Arc<Quotas>,
}

impl Bench {
    fn new(table: Table) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let quotas = Quotas::new(Arc::clone(&clock) as Arc<dyn Clock>, table);
        Self { clock, quotas }
    }

    fn of(text: &str) -> Self {
        Self::new(table(text))
    }

    /// Sends one message; returns how long it has to wait in the queue, or when it can be sent.
    fn send(&self, account: &str) -> Result<u64, Option<u64>> {
        self.send_all(account, amounts(1))
    }

    fn send_all(&self, account: &str, amounts: Amounts) -> Result<u64, Option<u64>> {
        let from_start = |excess: Excess| excess.goes_on.map(|time| time.since(START).as_secs());
        let reserved = self.quotas.reserve(&name(account), amounts);
        let mut reservation = reserved.map_err(from_start)?;
        let wait = reservation.charge(amounts.octets).map_err(from_start)?;
        reservation.keep();
        Ok(wait.as_secs())
    }

    fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn one(measure: Measure, rate: &str) -> Table {
    let rates = vec![Rate::parse(rate).unwrap()];
    let mut limits = Limits::default();
    match measure {
        Measure::Messages => limits.messages = rates,
        Measure::Octets => limits.octets = rates,
        Measure::Recipients => limits.recipients = rates,
    }
    let mut table = Table::default();
    table.add_account(name("alice"), None, Arc::new(limits), OverQuota::Refuse);
    table
}

#[test]
fn a_message_over_the_limit_is_told_when_it_goes_on() {
    let bench = Bench::of("alice 2/m; bob 2/m");
    assert_eq!(bench.send("alice"), Ok(0));
    bench.wait(10);
    assert_eq!(bench.send("alice"), Ok(0));
    assert_eq!(bench.send("alice"), Err(Some(60)));
    assert_eq!(bench.send("bob"), Ok(0));
    bench.wait(50);
    assert_eq!(bench.send("alice"), Ok(0));
    assert_eq!(bench.send("alice"), Err(Some(70)));
}

#[test]
fn all_accounts_of_a_tenant_and_of_those_below_share_its_limit() {
    let bench = Bench::of("alice@acme 9/m; bob@sub 9/m; carol 9/m; %acme 3/m; %sub>acme 2/m");
    for account in ["alice", "bob", "bob"] {
        assert_eq!(bench.send(account), Ok(0));
    }
    assert_eq!(bench.send("alice"), Err(Some(60)));
    assert_eq!(bench.send("bob"), Err(Some(60)));
    assert_eq!(bench.send("carol"), Ok(0));
}

#[test]
fn an_account_without_limits_has_none() {
    let bench = Bench::new(Table::default());
    for _ in 0..1000 {
        assert_eq!(bench.send("anybody"), Ok(0));
    }
    assert!(bench.quotas.owners().is_empty());
}

#[test]
fn a_message_that_is_not_accepted_uses_nothing() {
    let bench = Bench::of("alice@acme 1/m; %acme 1/m");
    let reservation = bench.quotas.reserve(&name("alice"), amounts(1)).unwrap();
    drop(reservation);
    let mut charged = bench.quotas.reserve(&name("alice"), amounts(1)).unwrap();
    charged.charge(5).unwrap();
    drop(charged);
    assert_eq!(bench.send("alice"), Ok(0));
    assert_eq!(bench.send("alice"), Err(Some(60)));
}

#[test]
fn a_message_that_is_coming_in_keeps_its_room() {
    let bench = Bench::of("alice 1/m");
    let mut coming = bench.quotas.reserve(&name("alice"), amounts(1)).unwrap();
    assert_eq!(
        bench.send("alice"),
        Err(Some(5)),
        "soon: it may come to nothing"
    );
    bench.wait(100);
    coming.charge(0).unwrap();
    coming.keep();
    assert_eq!(
        bench.send("alice"),
        Err(Some(160)),
        "it counts when it is complete"
    );
}

#[test]
fn recipients_count_each() {
    let bench = Bench::new(one(Measure::Recipients, "5/m"));
    let to = |recipients| Amounts {
        messages: 1,
        recipients,
        octets: 0,
    };
    assert_eq!(bench.send_all("alice", to(3)), Ok(0));
    assert_eq!(bench.send_all("alice", to(3)), Err(Some(60)));
    assert_eq!(bench.send_all("alice", to(2)), Ok(0));
    assert_eq!(
        bench.send_all("alice", to(6)),
        Err(None),
        "never so many at once"
    );
}

#[test]
fn octets_count_when_the_message_is_complete() {
    let bench = Bench::new(one(Measure::Octets, "1000/d"));
    let sized = |octets| Amounts {
        octets,
        ..amounts(1)
    };
    let mut first = bench.quotas.reserve(&name("alice"), amounts(1)).unwrap();
    assert_eq!(first.charge(600), Ok(Duration::ZERO));
    first.keep();
    let mut second = bench.quotas.reserve(&name("alice"), amounts(1)).unwrap();
    let excess = second.charge(600).unwrap_err();
    assert_eq!(excess.goes_on, Some(START.after(Duration::from_hours(24))));
    drop(second);
    assert!(bench.quotas.check(&name("alice"), sized(401)).is_err());
    assert_eq!(bench.quotas.check(&name("alice"), sized(400)), Ok(()));
    let never = bench.quotas.check(&name("alice"), sized(1001)).unwrap_err();
    assert_eq!(never.goes_on, None);
}

#[test]
fn mail_over_the_limit_may_wait_in_the_queue() {
    let bench = Bench::of("alice+ 2/m");
    let waits: Vec<_> = (0..6).map(|_| bench.send("alice").unwrap()).collect();
    assert_eq!(waits, [0, 0, 60, 90, 120, 150]);
}

#[test]
fn mail_is_not_queued_for_later_than_a_day() {
    let bench = Bench::of("alice+ 1/h");
    let accepted = (0..100).take_while(|_| bench.send("alice").is_ok()).count();
    assert_eq!(accepted, 25, "one at once, 24 for the hours of a day");
    let excess = bench.quotas.check(&name("alice"), amounts(1)).unwrap_err();
    assert_eq!(excess.goes_on, Some(START.after(Duration::from_hours(1))));
}

#[test]
fn paced_mail_of_one_account_keeps_the_limit_of_the_tenant_for_all() {
    let bench = Bench::of("bulk@acme+ 100/m; shop@acme 100/m; %acme 2/m");
    assert_eq!(bench.send("shop"), Ok(0));
    assert_eq!(bench.send("bulk"), Ok(0));
    assert_eq!(bench.send("bulk"), Ok(60));
    assert!(
        bench.send("shop").is_err(),
        "it must not overtake what waits"
    );
}

#[test]
fn paced_mail_that_was_not_stored_gives_its_time_back() {
    let bench = Bench::of("alice+ 1/m");
    assert_eq!(bench.send("alice"), Ok(0));
    let mut lost = bench.quotas.reserve(&name("alice"), amounts(1)).unwrap();
    assert_eq!(lost.charge(0), Ok(Duration::from_mins(1)));
    drop(lost);
    assert_eq!(bench.send("alice"), Ok(60));
}

#[test]
fn other_limits_go_on_with_what_was_counted() {
    let bench = Bench::of("alice 2/m; bob 2/m");
    assert_eq!(bench.send("alice"), Ok(0));
    assert_eq!(bench.send("alice"), Ok(0));
    bench.quotas.replace(table("alice 3/m"));
    assert_eq!(bench.send("alice"), Ok(0));
    assert_eq!(bench.send("alice"), Err(Some(60)));
    bench.quotas.replace(table("alice 1/m"));
    assert_eq!(bench.send("alice"), Err(Some(60)));
}

#[test]
fn a_message_that_was_coming_in_at_a_reload_does_not_bring_old_limits_back() {
    let bench = Bench::of("alice 2/m");
    let mut coming = bench.quotas.reserve(&name("alice"), amounts(1)).unwrap();
    bench.quotas.replace(table("bob 1/m"));
    bench.quotas.replace(table("alice 4/m"));
    coming.charge(0).unwrap();
    coming.keep();
    let accepted = (0..9).take_while(|_| bench.send("alice").is_ok()).count();
    assert_eq!(accepted, 3);
}

#[test]
fn sessions_are_counted_until_their_passes_are_dropped() {
    let limits = Limits {
        sessions: NonZeroU32::new(2),
        ..Limits::default()
    };
    let mut table = Table::default();
    table.add_account(name("alice"), None, Arc::new(limits), OverQuota::Refuse);
    let bench = Bench::new(table);
    let enter = |account| bench.quotas.enter(&name(account));
    let (first, second) = (enter("alice"), enter("alice"));
    assert!(first.is_some() && second.is_some() && enter("alice").is_none());
    assert!(enter("bob").is_some());
    drop(first);
    assert!(enter("alice").is_some());
    drop(second);
    assert!(bench.quotas.state().sessions.is_empty());
}

#[test]
fn sessions_of_a_tenant_are_counted_together() {
    let limits = Limits {
        sessions: NonZeroU32::new(1),
        ..Limits::default()
    };
    let acme = TenantName::parse("acme").unwrap();
    let tenant = TenantLimits {
        parent: None,
        limits,
    };
    let mut table = Table::new(&HashMap::from([(acme.clone(), tenant)]));
    for account in ["alice", "bob"] {
        table.add_account(
            name(account),
            Some(&acme),
            Arc::default(),
            OverQuota::Refuse,
        );
    }
    let bench = Bench::new(table);
    let first = bench.quotas.enter(&name("alice"));
    assert!(first.is_some() && bench.quotas.enter(&name("bob")).is_none());
}

#[test]
fn the_log_hears_of_an_account_once_a_minute() {
    let bench = Bench::of("alice 2/m");
    let note = || bench.quotas.note(&name("alice"));
    assert_eq!((note(), note(), note()), (Some(1), None, None));
    bench.wait(60);
    assert_eq!(note(), Some(3));
}

#[test]
fn an_excess_is_told_in_words() {
    let excess = |owner, measure, rate: &str, goes_on| Excess {
        owner,
        measure,
        rate: Rate::parse(rate).unwrap(),
        goes_on,
    };
    let of_account = Owner::Account(name("alice"));
    let of_tenant = Owner::Tenant(TenantName::parse("acme").unwrap());
    let text = excess(of_account.clone(), Measure::Messages, "100/m", Some(START)).to_string();
    assert_eq!(
        text,
        "over the limit of 100 messages a minute; goes on at 2026-11-18T11:06:40Z"
    );
    let text = excess(of_tenant, Measure::Recipients, "1/5m", Some(START)).to_string();
    assert_eq!(
        text,
        "over the limit of 1 recipient in 5 minutes of tenant acme; goes on at 2026-11-18T11:06:40Z"
    );
    let text = excess(of_account, Measure::Octets, "1073741824/d", None).to_string();
    assert_eq!(text, "the limit is 1 GiB a day");
}

/// What a client does, or the time.
#[derive(Clone, Debug)]
enum Act {
    Begin(&'static str),
    Break,
    End,
    Wait(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        proptest::sample::select(vec!["alice", "bob", "bulk"]).prop_map(Act::Begin),
        Just(Act::Break),
        Just(Act::End),
        (1_u64..20_000).prop_map(Act::Wait),
    ];
    proptest::collection::vec(act, 1..120)
}

proptest! {
    #[test]
    fn no_limit_is_exceeded_whatever_comes_to_nothing(acts in acts()) {
        let bench = Bench::of("alice@acme 3/m; bob@acme 4/m; bulk 2/m; %acme 5/m");
        let mut coming = Vec::new();
        let mut accepted: Vec<(&str, Timestamp)> = Vec::new();
        for act in acts {
            match act {
                Act::Begin(account) => {
                    let reserved = bench.quotas.reserve(&name(account), amounts(1));
                    coming.extend(reserved.ok().map(|reservation| (account, reservation)));
                }
                Act::Break => drop(coming.pop()),
                Act::End => {
                    if let Some((account, mut reservation)) = coming.pop() {
                        prop_assert!(reservation.charge(0).is_ok(), "its room was kept");
                        reservation.keep();
                        accepted.push((account, bench.clock.now()));
                    }
                }
                Act::Wait(millis) => bench.clock.advance(Duration::from_millis(millis)),
            }
        }
        for (limit, whose) in [(3, vec!["alice"]), (4, vec!["bob"]), (5, vec!["alice", "bob"]), (2, vec!["bulk"])] {
            let times: Vec<_> = accepted.iter().filter(|(account, _)| whose.contains(account)).collect();
            for (index, (_, start)) in times.iter().enumerate() {
                let inside = times[index..].iter().take_while(|(_, time)| time.since(*start) < Duration::from_mins(1));
                prop_assert!(inside.count() <= limit, "{whose:?}");
            }
        }
    }
}
