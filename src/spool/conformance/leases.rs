//! Leases: who has a message, until when, whatever the clock is set to.

use super::*;

pub(in crate::spool) async fn scheduled_mail_is_claimed_when_it_is_due(fixture: Fixture) {
    let mut message = message_to(&["a@example.com"]);
    message.due = START.after(minutes(10));
    let id = fixture.commit(message, b"x").await;
    assert!(fixture.claim(5).await.is_empty());
    fixture.clock.advance(minutes(10));
    assert_eq!(fixture.claim(5).await[0].id, id);
}

pub(in crate::spool) async fn a_leased_message_is_not_claimed_again(fixture: Fixture) {
    fixture.simple().await;
    assert_eq!(fixture.claim(5).await.len(), 1);
    assert!(fixture.claim(5).await.is_empty());
}

pub(in crate::spool) async fn a_lease_that_is_over_can_be_claimed_by_another(fixture: Fixture) {
    fixture.simple().await;
    let [first] = fixture.claim(5).await.try_into().unwrap();
    fixture.clock.advance(minutes(5));
    let [second] = fixture.claim(5).await.try_into().unwrap();
    assert_eq!(first.id, second.id);
    assert_ne!(first.token, second.token);
}

pub(in crate::spool) async fn the_former_holder_of_a_lost_lease_records_nothing(fixture: Fixture) {
    let id = fixture.simple().await;
    let [first] = fixture.claim(5).await.try_into().unwrap();
    fixture.clock.advance(minutes(5));
    let [second] = fixture.claim(5).await.try_into().unwrap();
    let lost = fixture
        .spool
        .settle(settlement(first, &[(0, relayed())]))
        .await;
    assert!(matches!(lost, Err(SpoolError::LeaseLost(lost)) if lost == id));
    fixture.settle(second, &[(0, relayed())]).await;
    assert_eq!(fixture.spool.stats().await.messages, 0);
}

pub(in crate::spool) async fn a_lease_that_is_over_still_settles_while_nobody_else_has_it(
    fixture: Fixture,
) {
    fixture.simple().await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    fixture.clock.advance(minutes(60));
    assert_eq!(fixture.spool.backlog().await.unwrap().len(), 1);
    fixture.settle(lease, &[(0, relayed())]).await;
    assert!(fixture.claim(5).await.is_empty());
}

pub(in crate::spool) async fn an_extended_lease_lasts(fixture: Fixture) {
    fixture.simple().await;
    let [mut lease] = fixture.claim(5).await.try_into().unwrap();
    let until = START.after(minutes(20));
    fixture.spool.extend(&mut lease, until).await.unwrap();
    assert_eq!(lease.until, until);
    fixture.clock.advance(minutes(19));
    assert!(fixture.claim(5).await.is_empty());
    fixture.clock.advance(minutes(1));
    assert_eq!(fixture.claim(5).await.len(), 1);
}

pub(in crate::spool) async fn a_lease_that_is_over_is_not_extended(fixture: Fixture) {
    fixture.simple().await;
    let [mut lease] = fixture.claim(5).await.try_into().unwrap();
    fixture.clock.advance(minutes(5));
    let until = START.after(minutes(20));
    let lost = fixture.spool.extend(&mut lease, until).await;
    assert!(matches!(lost, Err(SpoolError::LeaseLost(_))));
}

pub(in crate::spool) async fn a_clock_that_is_set_forward_ends_no_lease(fixture: Fixture) {
    fixture.simple().await;
    assert_eq!(fixture.claim(5).await.len(), 1);
    fixture.clock.set_forward(minutes(60));
    assert!(fixture.spool.backlog().await.unwrap().is_empty());
    assert!(fixture.claim(5).await.is_empty());
    fixture.clock.advance(minutes(5));
    assert_eq!(fixture.claim(5).await.len(), 1);
}

pub(in crate::spool) async fn a_lease_is_extended_by_the_time_that_passes(fixture: Fixture) {
    fixture.simple().await;
    let [mut lease] = fixture.claim(5).await.try_into().unwrap();
    fixture.clock.set_forward(minutes(60));
    let until = fixture.clock.now().after(minutes(20));
    fixture.spool.extend(&mut lease, until).await.unwrap();
    fixture.clock.set_forward(minutes(60));
    fixture.clock.advance(minutes(19));
    assert!(fixture.claim(5).await.is_empty());
    fixture.clock.advance(minutes(1));
    assert_eq!(fixture.claim(5).await.len(), 1);
}

pub(in crate::spool) async fn what_was_due_stays_due_when_the_clock_is_set_back(fixture: Fixture) {
    for step in [Duration::from_secs(30), minutes(60)] {
        fixture.simple().await;
        fixture.clock.set_back(step);
        let [backlog] = fixture.spool.backlog().await.unwrap().try_into().unwrap();
        assert!(backlog.next_due <= fixture.clock.now());
        let [lease] = fixture.claim(5).await.try_into().unwrap();
        assert_eq!(lease.pending, [RecipientIndex(0)]);
        fixture.settle(lease, &[(0, relayed())]).await;
        fixture.clock.set_forward(step);
    }
}

pub(in crate::spool) async fn a_lease_given_back_is_due_also_when_the_clock_was_set_back(
    fixture: Fixture,
) {
    fixture.simple().await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    fixture.clock.set_back(Duration::from_secs(30));
    fixture.spool.give_back(lease).await;
    assert_eq!(fixture.claim(5).await.len(), 1);
}

pub(in crate::spool) async fn what_was_deferred_does_not_wait_for_a_clock_that_was_set_back(
    fixture: Fixture,
) {
    fixture.simple().await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    let retry = fixture.retry_in(minutes(5));
    fixture.settle(lease, &[(0, retry)]).await;
    fixture.clock.set_back(minutes(600));
    assert_eq!(fixture.claim(5).await.len(), 1);
}

pub(in crate::spool) async fn scheduled_mail_waits_for_its_time_by_a_clock_that_was_set_back(
    fixture: Fixture,
) {
    let mut message = message_to(&["a@example.com"]);
    message.due = START.after(minutes(180));
    fixture.commit(message, b"x").await;
    fixture.clock.set_back(minutes(10));
    assert!(fixture.claim(5).await.is_empty());
    fixture.clock.advance(minutes(190));
    assert_eq!(fixture.claim(5).await.len(), 1);
}

pub(in crate::spool) async fn a_lease_given_back_is_due_at_once(fixture: Fixture) {
    fixture.simple().await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    fixture.spool.give_back(lease).await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    assert_eq!(lease.attempts, 0);
}
