//! In which order messages are claimed.

use super::*;

pub(in crate::spool) async fn higher_priority_comes_first_then_age(fixture: Fixture) {
    let mut ids = Vec::new();
    for number in [3, 1, 3, 1, 5, 2] {
        let mut message = message_to(&["a@example.com"]);
        message.priority = Priority::from_number(number).unwrap();
        ids.push(fixture.commit(message, b"x").await);
    }
    let claimed: Vec<_> = fixture
        .claim(9)
        .await
        .iter()
        .map(|lease| lease.id)
        .collect();
    assert_eq!(claimed, [1, 3, 5, 0, 2, 4].map(|place: usize| ids[place]));
}

pub(in crate::spool) async fn the_order_holds_across_routes(fixture: Fixture) {
    let mut ids = Vec::new();
    for name in ["b", "a", "b", "a"] {
        let mut message = message_to(&["a@example.com"]);
        message.route = route(&[name]);
        ids.push(fixture.commit(message, b"x").await);
    }
    let now = fixture.clock.now();
    let routes = [route(&["a"]), route(&["nobody"]), route(&["b"])];
    let claim = next_of(&routes, 9, now, now.after(minutes(1)));
    let claimed = fixture.spool.claim(claim).await.unwrap();
    let claimed: Vec<_> = claimed.iter().map(|lease| lease.id).collect();
    assert_eq!(claimed, ids);
}

/// A claim of what has waited since before a time.
fn aged(routes: &[Route], before: Timestamp, which: Which, now: Timestamp) -> Claim<'_> {
    Claim {
        wanted: Wanted::Aged {
            from: QueueId::from_number(0),
            before,
            which,
        },
        ..next_of(routes, 9, now, now.after(minutes(1)))
    }
}

pub(in crate::spool) async fn only_older_messages_are_claimed_where_that_is_asked(
    fixture: Fixture,
) {
    let first = fixture.simple().await;
    let mut scheduled = message_to(&["a@example.com"]);
    scheduled.due = START.after(minutes(5));
    fixture.commit(scheduled, b"x").await;
    fixture.clock.advance(minutes(6));
    let (routes, now) = ([route(&["main"])], fixture.clock.now());
    let older = async |before| {
        let claim = aged(&routes, before, Which::Any, now);
        let leases = fixture.spool.claim(claim).await.unwrap();
        leases.iter().map(|lease| lease.id).collect::<Vec<_>>()
    };
    assert_eq!(older(START).await, []);
    // The other was accepted before that time too, but it began to wait at its release.
    assert_eq!(older(START.after(minutes(5))).await, [first]);
}

pub(in crate::spool) async fn those_that_were_warned_are_left_out_where_that_is_asked(
    fixture: Fixture,
) {
    fixture.simple().await;
    fixture.clock.advance(minutes(1));
    let (routes, now) = ([route(&["main"])], fixture.clock.now());
    let claim = aged(&routes, now, Which::Unwarned, now);
    let lease = fixture.spool.claim(claim).await.unwrap().pop().unwrap();
    let settlement = Settlement {
        warned: Warned {
            of_delay: true,
            of_deadline: false,
        },
        counts: false,
        ..settlement(lease, &[])
    };
    fixture.spool.settle(settlement).await.unwrap();
    assert!(fixture.spool.claim(claim).await.unwrap().is_empty());
    let claim = aged(&routes, now, Which::Any, now);
    assert_eq!(fixture.spool.claim(claim).await.unwrap().len(), 1);
}

pub(in crate::spool) async fn a_deadline_is_looked_after_once(fixture: Fixture) {
    let mut message = message_to(&["a@example.com"]);
    message.envelope.deliver_by = Some(DeliverBy {
        deadline: START.after(minutes(5)),
        mode: DeliverByMode::Notify,
        trace: DeliverByTrace::Off,
    });
    let id = fixture.commit(message, b"x").await;
    let routes = [route(&["elsewhere"])];
    let late = async || {
        let now = fixture.clock.now();
        let claim = Claim {
            wanted: Wanted::Late,
            ..next_of(&routes, 9, now, now.after(minutes(1)))
        };
        fixture.spool.claim(claim).await.unwrap().pop()
    };
    assert!(late().await.is_none());
    fixture.clock.advance(minutes(5));
    let lease = late().await.unwrap();
    assert_eq!(lease.id, id);
    fixture.spool.give_back(lease).await;
    assert!(late().await.is_none());
    assert_eq!(fixture.claim(1).await[0].id, id);
}

pub(in crate::spool) async fn other_routes_are_left_alone(fixture: Fixture) {
    fixture.simple().await;
    assert!(fixture.claim_on(&["spare"], 5).await.is_empty());
    assert!(fixture.claim_on(&["main", "spare"], 5).await.is_empty());
}

pub(in crate::spool) async fn no_more_is_claimed_than_asked_for(fixture: Fixture) {
    for _ in 0..3 {
        fixture.simple().await;
    }
    assert_eq!(fixture.claim(2).await.len(), 2);
    assert_eq!(fixture.claim(0).await.len(), 0);
    assert_eq!(fixture.claim(2).await.len(), 1);
}

/// A message of this account, tenant and priority.
fn message_of(account: &str, tenant: Option<&str>, priority: Priority) -> Message {
    Message {
        account: Some(AccountName::parse(account).unwrap()),
        tenant: tenant.map(|tenant| TenantName::parse(tenant).unwrap()),
        priority,
        ..message_to(&["a@example.com"])
    }
}

impl Fixture {
    async fn commit_of(&self, account: &str, tenant: Option<&str>, count: usize) {
        for _ in 0..count {
            let message = message_of(account, tenant, Priority::Normal);
            self.commit(message, b"x").await;
        }
    }

    /// Claims one message after the other; returns whose they are.
    async fn order_of(&self, count: usize) -> String {
        let mut order = String::new();
        for _ in 0..count {
            let lease = self.claim(1).await.pop().unwrap();
            order.push_str(lease.message.account.as_ref().unwrap().as_str());
        }
        order
    }
}

pub(in crate::spool) async fn accounts_take_turns(fixture: Fixture) {
    fixture.commit_of("a", None, 3).await;
    fixture.commit_of("b", None, 3).await;
    assert_eq!(fixture.order_of(6).await, "ababab");
}

pub(in crate::spool) async fn tenants_take_turns_whatever_the_number_of_their_accounts(
    fixture: Fixture,
) {
    for account in ["a", "b", "c"] {
        fixture.commit_of(account, Some("acme"), 3).await;
    }
    fixture.commit_of("z", Some("other"), 3).await;
    assert_eq!(fixture.order_of(6).await, "azbzcz");
}

pub(in crate::spool) async fn a_single_message_does_not_wait_behind_a_neighbours_bulk(
    fixture: Fixture,
) {
    fixture.commit_of("a", None, 50).await;
    assert_eq!(fixture.order_of(20).await, "a".repeat(20));
    fixture.commit_of("b", None, 1).await;
    assert!(fixture.order_of(2).await.contains('b'));
}

pub(in crate::spool) async fn a_large_message_counts_for_many(fixture: Fixture) {
    let large = vec![b'x'; 100_000];
    for _ in 0..2 {
        let message = message_of("a", None, Priority::Normal);
        fixture.commit(message, &large).await;
    }
    fixture.commit_of("b", None, 20).await;
    // A hundred times the size, a transaction counting for a thousand octets.
    assert_eq!(fixture.order_of(21).await, format!("a{}", "b".repeat(20)));
}

pub(in crate::spool) async fn routes_of_many_tenants_get_their_share(fixture: Fixture) {
    for account in ["a", "b", "c"] {
        fixture.commit_of(account, Some(account), 9).await;
    }
    for _ in 0..9 {
        let mut message = message_of("z", Some("z"), Priority::Normal);
        message.route = route(&["main", "spare"]);
        fixture.commit(message, b"x").await;
    }
    let routes = [route(&["main"]), route(&["main", "spare"])];
    let now = fixture.clock.now();
    let claim = next_of(&routes, 12, now, now.after(minutes(5)));
    let leases = fixture.spool.claim(claim).await.unwrap();
    let is_last = |lease: &&Lease| lease.message.account.as_ref().unwrap().as_str() == "z";
    assert_eq!(leases.iter().filter(is_last).count(), 3);
}

pub(in crate::spool) async fn the_lowest_priority_bounds_a_claim(fixture: Fixture) {
    for priority in [Priority::Normal, Priority::High, Priority::VeryLow] {
        let message = message_of("a", None, priority);
        fixture.commit(message, b"x").await;
    }
    let (routes, now) = ([route(&["main"])], fixture.clock.now());
    let claim = Claim {
        wanted: Wanted::Next {
            upstream: &routes[0].upstreams()[0],
            lowest: Priority::High,
            ageing: None,
        },
        ..next_of(&routes, 9, now, now.after(minutes(5)))
    };
    let leases = fixture.spool.claim(claim).await.unwrap();
    let claimed: Vec<_> = leases.iter().map(|lease| lease.message.priority).collect();
    assert_eq!(claimed, [Priority::High]);
    let backlog = fixture.spool.backlog().await.unwrap();
    assert_eq!(backlog[0].highest, Some(Priority::Normal));
}

pub(in crate::spool) async fn low_priorities_rise_by_waiting(fixture: Fixture) {
    let low = message_of("a", None, Priority::Low);
    let very_low = message_of("b", None, Priority::VeryLow);
    fixture.commit(low, b"x").await;
    fixture.commit(very_low, b"x").await;
    let mut order = Vec::new();
    for _ in 0..3 {
        fixture.clock.advance(minutes(11));
        let normal = message_of("n", None, Priority::Normal);
        fixture.commit(normal.clone(), b"x").await;
        fixture.commit(normal, b"x").await;
        let (routes, now) = ([route(&["main"])], fixture.clock.now());
        let claim = Claim {
            wanted: Wanted::Next {
                upstream: &routes[0].upstreams()[0],
                lowest: Priority::VeryLow,
                ageing: Some(minutes(10)),
            },
            ..next_of(&routes, 2, now, now.after(minutes(500)))
        };
        let leases = fixture.spool.claim(claim).await.unwrap();
        order.extend(leases.into_iter().map(|lease| lease.message.priority));
    }
    // After 11 minutes priority 4 counts as 3, after 22 priority 5 does.
    assert!(order[..2].contains(&Priority::Low), "{order:?}");
    assert!(order[2..4].contains(&Priority::VeryLow), "{order:?}");
}

pub(in crate::spool) async fn recipients_beyond_what_is_asked_wait_for_the_next_lease(
    fixture: Fixture,
) {
    let addresses = ["a@example.com", "b@example.com", "c@example.com"];
    let id = fixture.commit(message_to(&addresses), b"x").await;
    let (routes, now) = ([route(&["main"])], fixture.clock.now());
    let claim = Claim {
        recipients: 2,
        ..next_of(&routes, 5, now, now.after(minutes(5)))
    };
    let lease = fixture.spool.claim(claim).await.unwrap().pop().unwrap();
    assert_eq!(lease.pending, [RecipientIndex(0), RecipientIndex(1)]);
    fixture
        .settle(lease, &[(0, relayed()), (1, relayed())])
        .await;
    let lease = fixture.spool.claim(claim).await.unwrap().pop().unwrap();
    assert_eq!((lease.id, &*lease.pending), (id, &[RecipientIndex(2)][..]));
    fixture.settle(lease, &[(2, relayed())]).await;
    assert_eq!(fixture.spool.stats().await.messages, 0);
}

pub(in crate::spool) async fn attempts_count_for_those_they_were_made_for(fixture: Fixture) {
    let addresses = ["a@example.com", "b@example.com"];
    fixture.commit(message_to(&addresses), b"x").await;
    let (routes, now) = ([route(&["main"])], fixture.clock.now());
    let claim = Claim {
        recipients: 1,
        ..next_of(&routes, 5, now, now.after(minutes(5)))
    };
    let lease = fixture.spool.claim(claim).await.unwrap().pop().unwrap();
    let later = fixture.retry_in(minutes(1));
    fixture.settle(lease, &[(0, later)]).await;
    let lease = fixture.spool.claim(claim).await.unwrap().pop().unwrap();
    assert_eq!((lease.pending[0].0, lease.attempts), (1, 0));
    fixture.settle(lease, &[(1, relayed())]).await;
    fixture.clock.advance(minutes(1));
    let now = fixture.clock.now();
    let claim = Claim {
        now,
        until: now.after(minutes(5)),
        ..claim
    };
    let lease = fixture.spool.claim(claim).await.unwrap().pop().unwrap();
    assert_eq!((lease.pending[0].0, lease.attempts), (0, 1));
}
