//! What a settlement records of each recipient.

use super::*;

pub(in crate::spool) async fn a_relayed_message_is_gone(fixture: Fixture) {
    let id = fixture.simple().await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    fixture.settle(lease, &[(0, relayed())]).await;
    assert!(fixture.spool.show(id).await.unwrap().is_none());
    assert!(matches!(
        fixture.spool.body(id).await,
        Err(SpoolError::LeaseLost(_))
    ));
}

pub(in crate::spool) async fn a_message_goes_only_with_its_last_recipient(fixture: Fixture) {
    let id = fixture
        .commit(
            message_to(&["a@a.example", "b@b.example", "c@c.example"]),
            b"x",
        )
        .await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    let retry = fixture.retry_in(minutes(1));
    let bounce = Fate::Bounce(failure("no"));
    fixture
        .settle(lease, &[(0, relayed()), (1, retry), (2, bounce)])
        .await;
    assert!(fixture.claim(5).await.is_empty());
    fixture.clock.advance(minutes(1));
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    assert_eq!(
        (lease.id, &lease.pending[..]),
        (id, &[RecipientIndex(1)][..])
    );
    fixture
        .settle(lease, &[(1, Fate::Expire(failure("late")))])
        .await;
    assert_eq!(fixture.spool.stats().await.messages, 0);
}

pub(in crate::spool) async fn a_recipient_is_not_leased_before_it_is_due(fixture: Fixture) {
    fixture
        .commit(message_to(&["a@a.example", "b@b.example"]), b"x")
        .await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    let (soon, late) = (fixture.retry_in(minutes(1)), fixture.retry_in(minutes(9)));
    fixture.settle(lease, &[(0, late), (1, soon)]).await;
    fixture.clock.advance(minutes(1));
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    assert_eq!(lease.pending, [RecipientIndex(1)]);
    fixture.settle(lease, &[(1, relayed())]).await;
    fixture.clock.advance(minutes(8));
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    assert_eq!(lease.pending, [RecipientIndex(0)]);
}

pub(in crate::spool) async fn a_recipient_without_a_fate_waits_for_the_end_of_the_lease(
    fixture: Fixture,
) {
    fixture
        .commit(message_to(&["a@a.example", "b@b.example"]), b"x")
        .await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    let until = lease.until;
    fixture.settle(lease, &[(0, relayed())]).await;
    assert!(fixture.claim(5).await.is_empty());
    fixture.clock.advance(until.since(START));
    assert_eq!(fixture.claim(5).await[0].pending, [RecipientIndex(1)]);
}

pub(in crate::spool) async fn a_warning_changes_no_due_time_and_is_remembered(fixture: Fixture) {
    fixture.simple().await;
    for (warned, before) in [
        (
            Warned {
                of_delay: true,
                of_deadline: false,
            },
            Warned::default(),
        ),
        (
            Warned {
                of_delay: false,
                of_deadline: true,
            },
            Warned {
                of_delay: true,
                of_deadline: false,
            },
        ),
    ] {
        let [lease] = fixture.claim(5).await.try_into().unwrap();
        assert_eq!(lease.warned, before);
        let settlement = Settlement {
            warned,
            counts: false,
            ..settlement(lease, &[])
        };
        fixture.spool.settle(settlement).await.unwrap();
    }
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    assert!(lease.warned.of_delay && lease.warned.of_deadline);
    let retry = fixture.retry_in(minutes(1));
    fixture.settle(lease, &[(0, retry)]).await;
    fixture.clock.advance(minutes(1));
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    assert!(lease.warned.of_delay && lease.warned.of_deadline);
}

pub(in crate::spool) async fn what_is_untold_comes_with_the_next_lease(fixture: Fixture) {
    let addresses = ["a@example.com", "b@example.com", "c@example.com"];
    fixture.commit(message_to(&addresses), b"x").await;
    let (routes, now) = ([route(&["main"])], fixture.clock.now());
    let claim = Claim {
        recipients: 1,
        ..next_of(&routes, 1, now, now.after(minutes(5)))
    };
    let claim_one = async || fixture.spool.claim(claim).await.unwrap().pop().unwrap();
    let lease = claim_one().await;
    assert!(lease.has_more && lease.untold.is_empty());
    let fate = Fate::Bounce(failure("no"));
    let untold = Untold {
        index: RecipientIndex(0),
        fate: fate.clone(),
        handover: None,
    };
    let settlement = Settlement {
        untold: vec![untold.clone()],
        ..settlement(lease, &[(0, fate)])
    };
    fixture.spool.settle(settlement).await.unwrap();
    let lease = claim_one().await;
    assert_eq!((lease.has_more, &lease.untold), (true, &vec![untold]));
    fixture.settle(lease, &[(1, relayed())]).await;
    let lease = claim_one().await;
    assert!(!lease.has_more && lease.untold.is_empty());
}

pub(in crate::spool) async fn a_lease_tells_why_recipients_were_deferred(fixture: Fixture) {
    let recipients = ["a@a.example", "b@b.example", "c@c.example"];
    fixture.commit(message_to(&recipients), b"x").await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    assert_eq!(lease.deferred, []);
    let (soon, late) = (fixture.retry_in(minutes(1)), fixture.retry_in(minutes(9)));
    let Fate::Retry { reason, .. } = soon.clone() else {
        panic!("no retry");
    };
    fixture
        .settle(lease, &[(0, late), (1, relayed()), (2, soon)])
        .await;
    fixture.clock.advance(minutes(1));
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    let why = [0, 2].map(|index| (RecipientIndex(index), reason.clone()));
    assert_eq!(lease.deferred, why);
}

pub(in crate::spool) async fn attempts_count_only_when_they_count(fixture: Fixture) {
    fixture.simple().await;
    for (counts, attempts) in [(true, 0), (false, 1), (true, 1), (true, 2)] {
        let [lease] = fixture.claim(5).await.try_into().unwrap();
        assert_eq!(lease.attempts, attempts);
        let retry = fixture.retry_in(Duration::ZERO);
        let settlement = Settlement {
            counts,
            ..settlement(lease, &[(0, retry)])
        };
        fixture.spool.settle(settlement).await.unwrap();
    }
}
