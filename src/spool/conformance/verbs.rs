//! What operators do and see.

use super::*;

pub(in crate::spool) async fn a_held_message_is_not_claimed_until_released(fixture: Fixture) {
    let id = fixture.simple().await;
    fixture.spool.hold(id).await.unwrap();
    fixture.spool.hold(id).await.unwrap();
    assert!(fixture.claim(5).await.is_empty());
    let entry = fixture.spool.show(id).await.unwrap().unwrap();
    assert_eq!(entry.state, EntryState::Held);
    fixture.spool.release(id).await.unwrap();
    fixture.spool.release(id).await.unwrap();
    assert_eq!(fixture.claim(5).await[0].id, id);
}

pub(in crate::spool) async fn a_message_committed_as_held_is_not_claimed_until_released(
    fixture: Fixture,
) {
    let held = Message {
        held: Some("its sender".into()),
        ..message_to(&["a@example.com"])
    };
    let id = fixture.commit(held.clone(), b"x").await;
    let mut drafts = Vec::new();
    for _ in 0..2 {
        drafts.push((fixture.spool.draft().await.unwrap(), held.clone()));
    }
    fixture.spool.commit_all(drafts).await.unwrap();
    assert!(fixture.claim(5).await.is_empty());
    assert_eq!(fixture.spool.stats().await.held, 3);
    let entry = fixture.spool.show(id).await.unwrap().unwrap();
    assert_eq!(entry.state, EntryState::Held);
    assert_eq!(*entry.message, held);
    fixture.spool.release(id).await.unwrap();
    assert_eq!(fixture.claim(5).await[0].id, id);
}

pub(in crate::spool) async fn a_leased_message_cannot_be_changed(fixture: Fixture) {
    let id = fixture.simple().await;
    assert_eq!(fixture.claim(5).await.len(), 1);
    assert!(matches!(
        fixture.spool.hold(id).await,
        Err(VerbError::Busy(_))
    ));
    assert!(matches!(
        fixture.spool.retry(id).await,
        Err(VerbError::Busy(_))
    ));
    assert!(matches!(
        fixture.spool.delete(id).await,
        Err(VerbError::Busy(_))
    ));
}

pub(in crate::spool) async fn a_deleted_message_is_gone(fixture: Fixture) {
    let (first, second) = (fixture.simple().await, fixture.simple().await);
    fixture.spool.hold(second).await.unwrap();
    fixture.spool.delete(first).await.unwrap();
    fixture.spool.delete(second).await.unwrap();
    assert!(fixture.claim(5).await.is_empty());
    assert_eq!(fixture.spool.stats().await.messages, 0);
}

pub(in crate::spool) async fn verbs_on_what_is_not_there_say_so(fixture: Fixture) {
    let id = QueueId::from_number(7);
    assert!(matches!(
        fixture.spool.hold(id).await,
        Err(VerbError::Missing(_))
    ));
    assert!(matches!(
        fixture.spool.release(id).await,
        Err(VerbError::Missing(_))
    ));
    assert!(matches!(
        fixture.spool.retry(id).await,
        Err(VerbError::Missing(_))
    ));
    assert!(matches!(
        fixture.spool.delete(id).await,
        Err(VerbError::Missing(_))
    ));
    assert!(fixture.spool.show(id).await.unwrap().is_none());
}

pub(in crate::spool) async fn retry_makes_a_deferred_message_due(fixture: Fixture) {
    let id = fixture.simple().await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    fixture
        .settle(lease, &[(0, fixture.retry_in(minutes(60)))])
        .await;
    assert!(fixture.claim(5).await.is_empty());
    fixture.spool.retry(id).await.unwrap();
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    assert_eq!((lease.id, lease.attempts), (id, 1));
}

pub(in crate::spool) async fn a_change_by_an_operator_ends_old_leases(fixture: Fixture) {
    let id = fixture.simple().await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    fixture.clock.advance(minutes(5));
    fixture.spool.hold(id).await.unwrap();
    let lost = fixture
        .spool
        .settle(settlement(lease, &[(0, relayed())]))
        .await;
    assert!(matches!(lost, Err(SpoolError::LeaseLost(_))));
    assert_eq!(fixture.spool.stats().await.held, 1);
}

pub(in crate::spool) async fn the_list_goes_on_where_it_ended(fixture: Fixture) {
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(fixture.simple().await);
    }
    let mut listed = Vec::new();
    while let entries = fixture.spool.list(listed.last().copied(), 2).await.unwrap()
        && !entries.is_empty()
    {
        assert!(entries.len() <= 2);
        listed.extend(entries.iter().map(|entry| entry.id));
    }
    assert_eq!(listed, ids);
}

pub(in crate::spool) async fn an_entry_shows_what_waits_and_why(fixture: Fixture) {
    let message = message_to(&["a@a.example", "b@b.example"]);
    let id = fixture.commit(message.clone(), b"four").await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    let entry = fixture.spool.show(id).await.unwrap().unwrap();
    assert_eq!(entry.state, EntryState::Leased);
    fixture
        .settle(lease, &[(0, relayed()), (1, fixture.retry_in(minutes(3)))])
        .await;
    let entry = fixture.spool.show(id).await.unwrap().unwrap();
    assert_eq!((entry.id, entry.size, entry.attempts), (id, 4, 1));
    assert_eq!(
        (entry.state, entry.due),
        (EntryState::Pending, START.after(minutes(3)))
    );
    assert_eq!(entry.pending, [(RecipientIndex(1), Some(failure("later")))]);
    assert_eq!(*entry.message, message);
}

pub(in crate::spool) async fn backlog_names_the_next_due_and_the_highest_priority(
    fixture: Fixture,
) {
    assert!(fixture.spool.backlog().await.unwrap().is_empty());
    for (name, number, wait) in [("a", 4, 0), ("a", 2, 5), ("b", 1, 7), ("b", 5, 9)] {
        let mut message = message_to(&["a@example.com"]);
        message.route = route(&[name]);
        message.priority = Priority::from_number(number).unwrap();
        message.due = START.after(minutes(wait));
        fixture.commit(message, b"x").await;
    }
    let mut backlog = fixture.spool.backlog().await.unwrap();
    backlog.sort_by(|left, right| left.route.cmp(&right.route));
    let [a, b] = backlog.try_into().unwrap();
    assert_eq!((a.next_due, a.highest), (START, Some(Priority::Low)));
    assert_eq!((b.next_due, b.highest), (START.after(minutes(7)), None));
    fixture.clock.advance(minutes(5));
    let backlog = fixture.spool.backlog().await.unwrap();
    assert!(backlog.iter().any(|of| of.highest == Some(Priority::High)));
}

pub(in crate::spool) async fn backlog_leaves_out_what_is_leased_or_held(fixture: Fixture) {
    let held = fixture.simple().await;
    fixture.spool.hold(held).await.unwrap();
    fixture.simple().await;
    assert_eq!(fixture.claim(5).await.len(), 1);
    assert!(fixture.spool.backlog().await.unwrap().is_empty());
}

pub(in crate::spool) async fn rerouted_messages_follow_their_account(fixture: Fixture) {
    let waiting = fixture.simple().await;
    let held = fixture.simple().await;
    fixture.spool.hold(held).await.unwrap();
    let mut other = message_to(&["a@example.com"]);
    other.account = None;
    let other = fixture.commit(other, b"x").await;
    let new = route(&["spare"]);
    fixture
        .spool
        .reroute(&|account| (account.as_str() == "alice").then(|| new.clone()))
        .await;
    fixture.spool.release(held).await.unwrap();
    let leases = fixture.claim_on(&["spare"], 5).await;
    assert_eq!([leases[0].id, leases[1].id], [waiting, held]);
    assert!(leases.iter().all(|lease| lease.message.route == new));
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    assert_eq!(lease.id, other);
}

pub(in crate::spool) async fn stats_add_up(fixture: Fixture) {
    for _ in 0..3 {
        fixture.simple().await;
    }
    let [lease] = fixture.claim(1).await.try_into().unwrap();
    let [_leased] = fixture.claim(1).await.try_into().unwrap();
    let held = fixture.spool.list(None, 5).await.unwrap()[2].id;
    fixture.spool.hold(held).await.unwrap();
    fixture.settle(lease, &[(0, relayed())]).await;
    let stats = fixture.spool.stats().await;
    assert_eq!((stats.messages, stats.octets), (2, 14));
    assert_eq!((stats.held, stats.leased, stats.damaged), (1, 1, 0));
}
