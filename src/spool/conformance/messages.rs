//! Messages come back as they were committed, and drafts that were not leave nothing.

use super::*;

pub(in crate::spool) async fn a_message_comes_back_as_it_was_committed(fixture: Fixture) {
    let message = full_message();
    let id = fixture
        .commit(message.clone(), b"Subject: x\r\n\r\n.\r\n")
        .await;
    let [lease] = fixture
        .claim_on(&["main", "spare"], 5)
        .await
        .try_into()
        .unwrap();
    assert_eq!((lease.id, lease.size), (id, 17));
    assert_eq!(*lease.message, message);
    assert_eq!(lease.pending, [RecipientIndex(0), RecipientIndex(1)]);
    assert_eq!(lease.attempts, 0);
    assert_eq!(fixture.octets(id).await, b"Subject: x\r\n\r\n.\r\n");
}

pub(in crate::spool) async fn a_large_message_comes_back_as_it_was_committed(fixture: Fixture) {
    let octets: Vec<u8> = (0..700_001_u32)
        .map(|n| n.to_le_bytes()[n as usize % 3])
        .collect();
    let id = fixture
        .commit(message_to(&["a@example.com"]), &octets)
        .await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    assert_eq!(lease.size, 700_001);
    assert!(fixture.octets(id).await == octets);
}

pub(in crate::spool) async fn a_message_is_read_again_from_its_first_octet(fixture: Fixture) {
    for size in [10, 300_000] {
        let octets: Vec<u8> = (0..size)
            .map(|n: u32| n.to_le_bytes()[n as usize % 3])
            .collect();
        let id = fixture
            .commit(message_to(&["a@example.com"]), &octets)
            .await;
        let mut body = fixture.spool.body(id).await.unwrap();
        // Once from the middle, once from the end.
        body.next().await.unwrap();
        for _ in 0..2 {
            body.rewind().unwrap();
            let mut read = Vec::new();
            while let Some(piece) = body.next().await.unwrap() {
                read.extend_from_slice(&piece);
            }
            assert!(read == octets);
        }
    }
}

/// Commits a small, a large and an empty message together, each with a route of its own.
async fn commit_together(fixture: &Fixture) -> Vec<QueueId> {
    let mut together = Vec::new();
    for (upstream, octets) in [("main", 7), ("fax", 300_000), ("inside", 0)] {
        let mut draft = fixture.spool.draft().await.unwrap();
        draft.write(Bytes::from(vec![b'x'; octets])).await.unwrap();
        let mut message = message_to(&["a@example.com"]);
        message.route = route(&[upstream]);
        together.push((draft, message));
    }
    let drafts: Vec<_> = together.iter().map(|(draft, _)| draft.id()).collect();
    let ids = fixture.spool.commit_all(together).await.unwrap();
    assert_eq!(ids, drafts);
    ids
}

pub(in crate::spool) async fn messages_that_come_together_are_each_there(fixture: Fixture) {
    let ids = commit_together(&fixture).await;
    assert!(fixture.has_changed().await);
    for (id, length) in ids.iter().zip([7, 300_000, 0]) {
        assert!(fixture.octets(*id).await == vec![b'x'; length]);
    }
}

pub(in crate::spool) async fn messages_that_come_together_leave_each_for_itself(fixture: Fixture) {
    let ids = commit_together(&fixture).await;
    let [lease] = fixture.claim_on(&["fax"], 5).await.try_into().unwrap();
    assert_eq!((lease.id, lease.size), (ids[1], 300_000));
    fixture.settle(lease, &[(0, relayed())]).await;
    let left = fixture.spool.list(None, 9).await.unwrap();
    let left: Vec<_> = left.iter().map(|entry| entry.id).collect();
    assert_eq!(left, [ids[0], ids[2]]);
    assert_eq!(fixture.octets(ids[0]).await, [b'x'; 7]);
}

pub(in crate::spool) async fn a_draft_of_another_spool_among_those_that_come_together_leaves_nothing(
    fixture: Fixture,
) {
    let own = fixture.spool.draft().await.unwrap();
    let message = message_to(&["a@example.com"]);
    let together = vec![(own, message.clone()), (Box::new(Foreign) as _, message)];
    let refused = fixture.spool.commit_all(together).await;
    assert!(matches!(refused, Err(SpoolError::Unavailable(_))));
    assert_eq!(fixture.spool.stats().await.messages, 0);
}

pub(in crate::spool) async fn an_empty_message_comes_back_empty(fixture: Fixture) {
    let id = fixture.commit(message_to(&["a@example.com"]), b"").await;
    assert_eq!(fixture.octets(id).await, b"");
}

pub(in crate::spool) async fn a_dropped_draft_leaves_nothing(fixture: Fixture) {
    let mut draft = fixture.spool.draft().await.unwrap();
    draft.write(Bytes::from(vec![b'x'; 300_000])).await.unwrap();
    drop(draft);
    assert_eq!(fixture.spool.stats().await.messages, 0);
    assert!(fixture.claim(5).await.is_empty());
}

pub(in crate::spool) async fn ids_increase_in_the_order_of_drafts(fixture: Fixture) {
    let first = fixture.spool.draft().await.unwrap();
    let second = fixture.spool.draft().await.unwrap();
    assert!(first.id() < second.id());
    assert_eq!((first.size(), second.size()), (0, 0));
}

pub(in crate::spool) async fn a_draft_of_another_spool_is_refused(fixture: Fixture) {
    let message = message_to(&["a@example.com"]);
    let refused = fixture.spool.commit(Box::new(Foreign), message).await;
    assert!(matches!(refused, Err(SpoolError::Unavailable(_))));
}

/// The draft of a spool that is not there.
struct Foreign;

#[async_trait::async_trait]
impl crate::spool::Draft for Foreign {
    fn id(&self) -> QueueId {
        QueueId::from_number(1)
    }
    fn size(&self) -> u64 {
        0
    }
    async fn write(&mut self, _: Bytes) -> Result<(), SpoolError> {
        Ok(())
    }
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any + Send> {
        self
    }
}
