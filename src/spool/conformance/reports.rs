//! Reports that arrive in the record of a settlement.

use super::*;

async fn settle_with_report(fixture: &Fixture, octets: Vec<u8>) -> (QueueId, Message) {
    let id = fixture.simple().await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    let mut message = message_to(&["s@example.com"]);
    message.envelope.reverse_path = ReversePath::Null;
    let settlement = Settlement {
        reports: vec![
            Report {
                message: message.clone(),
                octets: Bytes::from_static(b"first report\r\n"),
            },
            Report {
                message: message.clone(),
                octets: Bytes::from(octets),
            },
        ],
        ..settlement(lease, &[(0, Fate::Bounce(failure("no")))])
    };
    fixture.spool.settle(settlement).await.unwrap();
    (id, message)
}

pub(in crate::spool) async fn reports_arrive_with_the_settlement(fixture: Fixture) {
    let (id, message) = settle_with_report(&fixture, b"second report\r\n".to_vec()).await;
    let leases = fixture.claim(5).await;
    assert_eq!(leases.len(), 2);
    assert!(
        leases
            .iter()
            .all(|lease| lease.id > id && *lease.message == message)
    );
    assert_eq!(fixture.octets(leases[0].id).await, b"first report\r\n");
    assert_eq!(fixture.octets(leases[1].id).await, b"second report\r\n");
}

pub(in crate::spool) async fn a_large_report_arrives_with_the_settlement(fixture: Fixture) {
    let octets = vec![b'r'; 300_000];
    settle_with_report(&fixture, octets.clone()).await;
    let leases = fixture.claim(5).await;
    assert_eq!(fixture.octets(leases[0].id).await, b"first report\r\n");
    assert!(fixture.octets(leases[1].id).await == octets);
    for lease in leases {
        fixture.settle(lease, &[(0, relayed())]).await;
    }
    assert_eq!(fixture.spool.stats().await.messages, 0);
}

pub(in crate::spool) async fn a_settlement_without_lease_leaves_no_report(fixture: Fixture) {
    let id = fixture.simple().await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    fixture.spool.give_back(lease.clone()).await;
    fixture.spool.delete(id).await.unwrap();
    let settlement = Settlement {
        reports: vec![Report {
            message: message_to(&["s@example.com"]),
            octets: Bytes::from(vec![b'r'; 300_000]),
        }],
        ..settlement(lease, &[(0, relayed())])
    };
    let lost = fixture.spool.settle(settlement).await;
    assert!(matches!(lost, Err(SpoolError::LeaseLost(_))));
    assert_eq!(fixture.spool.stats().await.messages, 0);
}
