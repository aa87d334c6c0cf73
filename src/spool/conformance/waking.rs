//! Who waits for work is woken.

use super::*;

pub(in crate::spool) async fn a_commit_wakes_whoever_waits(fixture: Fixture) {
    while fixture.has_changed().await {}
    fixture.simple().await;
    assert!(fixture.has_changed().await);
}

pub(in crate::spool) async fn a_lease_given_back_wakes_whoever_waits(fixture: Fixture) {
    fixture.simple().await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    while fixture.has_changed().await {}
    fixture.spool.give_back(lease).await;
    assert!(fixture.has_changed().await);
}

pub(in crate::spool) async fn a_deferral_wakes_whoever_waits(fixture: Fixture) {
    fixture.simple().await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    while fixture.has_changed().await {}
    fixture
        .settle(lease, &[(0, fixture.retry_in(minutes(1)))])
        .await;
    assert!(fixture.has_changed().await);
}

pub(in crate::spool) async fn a_release_wakes_whoever_waits(fixture: Fixture) {
    let id = fixture.simple().await;
    fixture.spool.hold(id).await.unwrap();
    while fixture.has_changed().await {}
    fixture.spool.release(id).await.unwrap();
    assert!(fixture.has_changed().await);
}
