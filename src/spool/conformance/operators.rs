//! What operators see and change.

use std::ops::RangeInclusive;

use crate::identity::AccountName;
use crate::mail::{Priority, QueueId};
use crate::spool::{Change, EntryState, Selection, Sum, VerbError};

use super::{Fixture, message_to, minutes, route};

const URGENT: RangeInclusive<Priority> = Priority::VeryHigh..=Priority::High;

/// Three messages, the second of which is held, and the third deferred.
async fn three(fixture: &Fixture) -> Vec<QueueId> {
    let mut ids = Vec::new();
    for (account, upstreams, number) in [
        ("alice", &["main"][..], 3),
        ("alice", &["main", "spare"], 1),
        ("bob", &["spare"], 3),
    ] {
        let mut message = message_to(&["a@example.com"]);
        message.account = Some(AccountName::parse(account).unwrap());
        message.route = route(upstreams);
        message.priority = Priority::from_number(number).unwrap();
        ids.push(fixture.commit(message, b"x").await);
    }
    let [lease] = fixture.claim_on(&["spare"], 1).await.try_into().unwrap();
    fixture
        .settle(lease, &[(0, fixture.retry_in(minutes(9)))])
        .await;
    fixture.spool.hold(ids[1]).await.unwrap();
    ids
}

pub(in crate::spool) async fn a_selection_takes_what_has_all_that_is_wanted(fixture: Fixture) {
    let ids = three(&fixture).await;
    let all = Selection::default;
    let with = |change: fn(&mut Selection)| {
        let mut selection = all();
        change(&mut selection);
        selection
    };
    for (selection, expected) in [
        (all(), vec![0, 1, 2]),
        (with(|of| of.state = Some(EntryState::Held)), vec![1]),
        (with(|of| of.account = Some("alice".into())), vec![0, 1]),
        (with(|of| of.upstream = Some("spare".into())), vec![1, 2]),
        (with(|of| of.reply = Some("451 later".into())), vec![2]),
        (with(|of| of.reply = Some("550".into())), vec![]),
        (with(|of| of.priorities = Some(URGENT)), vec![1]),
        (
            Selection {
                from: Some(ids[1]),
                ..all()
            },
            vec![1, 2],
        ),
        (
            Selection {
                before: Some(ids[1]),
                ..all()
            },
            vec![0],
        ),
        (
            Selection {
                from: Some(ids[1]),
                before: Some(ids[1]),
                ..all()
            },
            vec![],
        ),
    ] {
        let expected: Vec<_> = expected
            .into_iter()
            .map(|place: usize| ids[place])
            .collect();
        let page = fixture.spool.select(None, 9, &selection).await.unwrap();
        let listed: Vec<_> = page.items.iter().map(|entry| entry.id).collect();
        assert_eq!(listed, expected, "{selection:?}");
        let page = fixture.spool.ids(None, 9, &selection).await;
        assert_eq!((page.items, page.next), (expected, None), "{selection:?}");
    }
}

pub(in crate::spool) async fn a_selection_goes_on_where_it_ended(fixture: Fixture) {
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(fixture.simple().await);
    }
    let selection = Selection {
        from: Some(ids[1]),
        ..Selection::default()
    };
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = fixture.spool.ids(after, 2, &selection).await;
        assert!(page.items.len() <= 2);
        listed.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, ids[1..]);
}

pub(in crate::spool) async fn a_change_tells_how_each_message_fared(fixture: Fixture) {
    let [leased, waiting] = [fixture.simple().await, fixture.simple().await];
    let [_lease] = fixture.claim(1).await.try_into().unwrap();
    let missing = QueueId::from_number(1);
    let results = fixture
        .spool
        .change(&[leased, missing, waiting], &Change::Hold)
        .await;
    assert!(
        matches!(
            results.as_slice(),
            [Err(VerbError::Busy(_)), Err(VerbError::Missing(_)), Ok(())]
        ),
        "{results:?}"
    );
    assert_eq!(fixture.spool.stats().await.held, 1);
}

pub(in crate::spool) async fn an_operators_route_is_stronger_than_the_accounts(fixture: Fixture) {
    let id = fixture.simple().await;
    let to = Change::Route(route(&["spare"]));
    fixture.spool.change(&[id], &to).await.remove(0).unwrap();
    fixture.spool.reroute(&|_| Some(route(&["main"]))).await;
    assert!(fixture.claim(5).await.is_empty());
    let [lease] = fixture.claim_on(&["spare"], 5).await.try_into().unwrap();
    assert_eq!(lease.message.route, route(&["spare"]));
    fixture
        .settle(lease, &[(0, fixture.retry_in(minutes(1)))])
        .await;
    fixture.spool.reroute(&|_| Some(route(&["main"]))).await;
    let entry = fixture.spool.show(id).await.unwrap().unwrap();
    assert_eq!(entry.message.route, route(&["spare"]));
}

pub(in crate::spool) async fn an_operators_route_is_taken_back(fixture: Fixture) {
    let id = fixture.simple().await;
    for change in [Change::Route(route(&["spare"])), Change::RouteOfAccount] {
        fixture
            .spool
            .change(&[id], &change)
            .await
            .remove(0)
            .unwrap();
    }
    let of_account = |_: &AccountName| Some(route(&["main"]));
    fixture.spool.reroute_some(&[id], &of_account).await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    assert_eq!(lease.id, id);
}

pub(in crate::spool) async fn a_census_counts_every_message(fixture: Fixture) {
    let first = fixture.simple().await;
    fixture.simple().await;
    let mut own = message_to(&["a@example.com"]);
    own.account = None;
    own.route = route(&["spare", "main"]);
    fixture.commit(own, b"12345").await;
    let [_lease] = fixture.claim(1).await.try_into().unwrap();
    let census = fixture.spool.census().await;
    let sum = |messages, octets| Sum { messages, octets };
    assert_eq!((census.leased, census.pending), (sum(1, 7), sum(2, 12)));
    assert_eq!(census.priorities[&Priority::Normal], sum(3, 19));
    let upstreams: Vec<_> = census.upstreams.values().copied().collect();
    assert_eq!(upstreams, [sum(2, 14), sum(1, 5)]);
    assert_eq!(census.accounts[&None], sum(1, 5));
    assert_eq!(census.oldest, Some(first));
}
