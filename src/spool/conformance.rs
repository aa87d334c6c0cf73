//! What every engine must do, as tests that each engine runs: `suite!(engine, fixture)`.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::clock::{Clock, ManualClock, Timestamp};
use crate::identity::{AccountName, Route, TenantName, UpstreamName};
use crate::mail::{
    BodyType, Cause, DeliverBy, DeliverByMode, DeliverByTrace, DsnReturn, Envelope, Failure,
    ForwardPath, Hold, Mailbox, MtPriority, Notify, OriginalRecipient, Priority, QueueId,
    Recipient, RecipientIndex, Response, ReversePath, Stage, TlsRequest,
};

use super::{
    Claim, EntryState, Fate, Lease, Message, Report, Settlement, Spool, SpoolAdmin, SpoolError,
    Untold, VerbError, Wanted, Warned, Which,
};

mod operators;
mod order;

pub(super) use operators::*;
pub(super) use order::*;

pub(super) trait Engine: Spool + SpoolAdmin {}
impl<E: Spool + SpoolAdmin> Engine for E {}

/// A clock whose civil time can be set, as an operator or NTP does.
pub(super) struct TestClock {
    manual: ManualClock,
    /// What it was set forward and back by.
    steps: Mutex<(Duration, Duration)>,
}

impl TestClock {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            manual: ManualClock::new(now),
            steps: Mutex::default(),
        }
    }

    /// Lets time pass.
    pub(super) fn advance(&self, span: Duration) {
        self.manual.advance(span);
    }

    /// Sets the civil time forward.
    pub(super) fn set_forward(&self, span: Duration) {
        self.steps.lock().unwrap().0 += span;
    }

    /// Sets the civil time back.
    pub(super) fn set_back(&self, span: Duration) {
        self.steps.lock().unwrap().1 += span;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let (forward, back) = *self.steps.lock().unwrap();
        let now = self.manual.now().after(forward).unix_millis();
        Timestamp::from_unix_millis(now - u64::try_from(back.as_millis()).unwrap())
    }

    fn instant(&self) -> Instant {
        self.manual.instant()
    }
}

/// An engine with nothing in it.
pub(super) struct Fixture {
    pub(super) spool: Box<dyn Engine>,
    pub(super) clock: Arc<TestClock>,
    pub(super) _directory: Option<tempfile::TempDir>,
}

pub(super) const START: Timestamp = Timestamp::from_unix_millis(1_795_243_860_000);

pub(super) fn route(names: &[&str]) -> Route {
    let names = names.iter().map(|name| UpstreamName::parse(name).unwrap());
    Route::new(names.collect()).unwrap()
}

pub(super) fn message_to(recipients: &[&str]) -> Message {
    Message {
        envelope: Envelope {
            recipients: recipients
                .iter()
                .map(|path| Recipient::new(ForwardPath::from(Mailbox::parse(path).unwrap())))
                .collect(),
            ..Envelope::new(ReversePath::Mailbox(
                Mailbox::parse("s@example.com").unwrap(),
            ))
        },
        account: Some(AccountName::parse("alice").unwrap()),
        tenant: None,
        route: route(&["main"]),
        priority: Priority::Normal,
        accepted: START,
        due: START,
        peer: None,
        message_id: None,
        held: None,
    }
}

/// A message that has everything a message may have.
pub(super) fn full_message() -> Message {
    let mut message = message_to(&["\"quoted @ part\"@example.com", "ü@bücher.example"]);
    message.envelope.body = BodyType::EightBitMime;
    message.envelope.smtputf8 = true;
    message.envelope.ret = Some(DsnReturn::Headers);
    message.envelope.envelope_id = Some("QQ314159 +2B".into());
    message.envelope.hold = Some(Hold::For(Duration::from_mins(5)));
    message.envelope.deliver_by = Some(DeliverBy {
        deadline: START.after(Duration::from_mins(10)),
        mode: DeliverByMode::Return,
        trace: DeliverByTrace::On,
    });
    message.envelope.mt_priority = MtPriority::new(-7);
    message.envelope.tls = TlsRequest::Required;
    message.envelope.recipients[0].notify = Some(Notify {
        success: true,
        failure: false,
        delay: true,
    });
    message.envelope.recipients[1].original = Some(OriginalRecipient {
        address_type: "utf-8".into(),
        address: "ü@bücher.example".into(),
    });
    message.tenant = Some(TenantName::parse("acme").unwrap());
    message.route = route(&["main", "spare"]);
    message.priority = Priority::VeryLow;
    message.peer = Some(Ipv4Addr::new(192, 0, 2, 1).into());
    message.message_id = Some("<1@example.com>".into());
    message
}

/// A claim of whatever is next, with all its recipients, at the first upstream of the first route.
pub(super) fn next_of(
    routes: &[Route],
    at_most: usize,
    now: Timestamp,
    until: Timestamp,
) -> Claim<'_> {
    Claim {
        routes,
        wanted: Wanted::Next {
            upstream: &routes[0].upstreams()[0],
            lowest: Priority::VeryLow,
            ageing: None,
        },
        at_most,
        recipients: usize::MAX,
        now,
        until,
    }
}

pub(super) fn failure(text: &str) -> Failure {
    Failure::new(
        Stage::Recipient,
        Cause::Response(Response {
            code: 451,
            status: None,
            text: text.into(),
        }),
    )
}

pub(super) fn relayed() -> Fate {
    Fate::Relayed(Response {
        code: 250,
        status: None,
        text: "ok".into(),
    })
}

pub(super) fn settlement(lease: Lease, fates: &[(u16, Fate)]) -> Settlement {
    Settlement {
        lease,
        fates: fates
            .iter()
            .map(|(index, fate)| (RecipientIndex(*index), fate.clone()))
            .collect(),
        warned: Warned::default(),
        untold: Vec::new(),
        counts: true,
        reports: Vec::new(),
    }
}

impl Fixture {
    async fn commit(&self, message: Message, octets: &[u8]) -> QueueId {
        let mut draft = self.spool.draft().await.unwrap();
        for piece in octets.chunks(50_000) {
            draft.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        self.spool.commit(draft, message).await.unwrap()
    }

    async fn simple(&self) -> QueueId {
        self.commit(message_to(&["a@example.com"]), b"hello\r\n")
            .await
    }

    async fn claim(&self, at_most: usize) -> Vec<Lease> {
        self.claim_on(&["main"], at_most).await
    }

    async fn claim_on(&self, name: &[&str], at_most: usize) -> Vec<Lease> {
        let until = self.clock.now().after(minutes(5));
        let routes = [route(name)];
        let claim = next_of(&routes, at_most, self.clock.now(), until);
        self.spool.claim(claim).await.unwrap()
    }

    async fn octets(&self, id: QueueId) -> Vec<u8> {
        let mut body = self.spool.body(id).await.unwrap();
        let mut octets = Vec::new();
        while let Some(piece) = body.next().await.unwrap() {
            assert!(!piece.is_empty());
            octets.extend_from_slice(&piece);
        }
        assert_eq!(octets.len() as u64, body.size());
        octets
    }

    async fn settle(&self, lease: Lease, fates: &[(u16, Fate)]) {
        let settlement = settlement(lease, fates);
        self.spool.settle(settlement).await.unwrap();
    }

    fn retry_in(&self, span: Duration) -> Fate {
        Fate::Retry {
            due: self.clock.now().after(span),
            reason: failure("later"),
        }
    }

    async fn has_changed(&self) -> bool {
        let changed = self.spool.changed();
        tokio::pin!(changed);
        std::future::poll_fn(|context| std::task::Poll::Ready(changed.as_mut().poll(context)))
            .await
            .is_ready()
    }
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

macro_rules! suite {
    ($engine:ident, $fixture:expr) => {
        $crate::spool::conformance::suite! { @tests $engine, $fixture,
            a_message_comes_back_as_it_was_committed
            a_large_message_comes_back_as_it_was_committed
            a_message_is_read_again_from_its_first_octet
            an_empty_message_comes_back_empty
            messages_that_come_together_are_each_there
            messages_that_come_together_leave_each_for_itself
            a_draft_of_another_spool_among_those_that_come_together_leaves_nothing
            a_dropped_draft_leaves_nothing
            ids_increase_in_the_order_of_drafts
            higher_priority_comes_first_then_age
            the_order_holds_across_routes
            only_older_messages_are_claimed_where_that_is_asked
            those_that_were_warned_are_left_out_where_that_is_asked
            a_deadline_is_looked_after_once
            other_routes_are_left_alone
            no_more_is_claimed_than_asked_for
            accounts_take_turns
            tenants_take_turns_whatever_the_number_of_their_accounts
            a_single_message_does_not_wait_behind_a_neighbours_bulk
            a_large_message_counts_for_many
            routes_of_many_tenants_get_their_share
            the_lowest_priority_bounds_a_claim
            low_priorities_rise_by_waiting
            recipients_beyond_what_is_asked_wait_for_the_next_lease
            attempts_count_for_those_they_were_made_for
            scheduled_mail_is_claimed_when_it_is_due
            a_leased_message_is_not_claimed_again
            a_lease_that_is_over_can_be_claimed_by_another
            the_former_holder_of_a_lost_lease_records_nothing
            a_lease_that_is_over_still_settles_while_nobody_else_has_it
            an_extended_lease_lasts
            a_lease_that_is_over_is_not_extended
            a_clock_that_is_set_forward_ends_no_lease
            a_lease_is_extended_by_the_time_that_passes
            what_was_due_stays_due_when_the_clock_is_set_back
            a_lease_given_back_is_due_also_when_the_clock_was_set_back
            what_was_deferred_does_not_wait_for_a_clock_that_was_set_back
            scheduled_mail_waits_for_its_time_by_a_clock_that_was_set_back
            a_lease_given_back_is_due_at_once
            a_relayed_message_is_gone
            a_message_goes_only_with_its_last_recipient
            a_recipient_is_not_leased_before_it_is_due
            a_recipient_without_a_fate_waits_for_the_end_of_the_lease
            a_warning_changes_no_due_time_and_is_remembered
            a_lease_tells_why_recipients_were_deferred
            what_is_untold_comes_with_the_next_lease
            attempts_count_only_when_they_count
            reports_arrive_with_the_settlement
            a_large_report_arrives_with_the_settlement
            a_settlement_without_lease_leaves_no_report
            a_held_message_is_not_claimed_until_released
            a_message_committed_as_held_is_not_claimed_until_released
            a_leased_message_cannot_be_changed
            a_deleted_message_is_gone
            verbs_on_what_is_not_there_say_so
            retry_makes_a_deferred_message_due
            a_change_by_an_operator_ends_old_leases
            the_list_goes_on_where_it_ended
            an_entry_shows_what_waits_and_why
            backlog_names_the_next_due_and_the_highest_priority
            backlog_leaves_out_what_is_leased_or_held
            rerouted_messages_follow_their_account
            stats_add_up
            a_selection_takes_what_has_all_that_is_wanted
            a_selection_goes_on_where_it_ended
            a_change_tells_how_each_message_fared
            an_operators_route_is_stronger_than_the_accounts
            an_operators_route_is_taken_back
            a_census_counts_every_message
            a_commit_wakes_whoever_waits
            a_lease_given_back_wakes_whoever_waits
            a_deferral_wakes_whoever_waits
            a_release_wakes_whoever_waits
            a_draft_of_another_spool_is_refused
        }
    };
    (@tests $engine:ident, $fixture:expr, $($test:ident)*) => {
        mod $engine {
            $(
                #[tokio::test]
                async fn $test() {
                    $crate::spool::conformance::$test($fixture).await;
                }
            )*
        }
    };
}
pub(super) use suite;

suite!(memory, {
    use std::sync::Arc;
    let clock = Arc::new(super::TestClock::new(super::START));
    let engine_clock: Arc<dyn crate::clock::Clock> = Arc::<super::TestClock>::clone(&clock);
    super::Fixture {
        spool: Box::new(crate::spool::memory::MemorySpool::new(engine_clock)),
        clock,
        _directory: None,
    }
});

pub(super) async fn a_message_comes_back_as_it_was_committed(fixture: Fixture) {
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

pub(super) async fn a_large_message_comes_back_as_it_was_committed(fixture: Fixture) {
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

pub(super) async fn a_message_is_read_again_from_its_first_octet(fixture: Fixture) {
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

pub(super) async fn messages_that_come_together_are_each_there(fixture: Fixture) {
    let ids = commit_together(&fixture).await;
    assert!(fixture.has_changed().await);
    for (id, length) in ids.iter().zip([7, 300_000, 0]) {
        assert!(fixture.octets(*id).await == vec![b'x'; length]);
    }
}

pub(super) async fn messages_that_come_together_leave_each_for_itself(fixture: Fixture) {
    let ids = commit_together(&fixture).await;
    let [lease] = fixture.claim_on(&["fax"], 5).await.try_into().unwrap();
    assert_eq!((lease.id, lease.size), (ids[1], 300_000));
    fixture.settle(lease, &[(0, relayed())]).await;
    let left = fixture.spool.list(None, 9).await.unwrap();
    let left: Vec<_> = left.iter().map(|entry| entry.id).collect();
    assert_eq!(left, [ids[0], ids[2]]);
    assert_eq!(fixture.octets(ids[0]).await, [b'x'; 7]);
}

pub(super) async fn a_draft_of_another_spool_among_those_that_come_together_leaves_nothing(
    fixture: Fixture,
) {
    let own = fixture.spool.draft().await.unwrap();
    let message = message_to(&["a@example.com"]);
    let together = vec![(own, message.clone()), (Box::new(Foreign) as _, message)];
    let refused = fixture.spool.commit_all(together).await;
    assert!(matches!(refused, Err(SpoolError::Unavailable(_))));
    assert_eq!(fixture.spool.stats().await.messages, 0);
}

pub(super) async fn an_empty_message_comes_back_empty(fixture: Fixture) {
    let id = fixture.commit(message_to(&["a@example.com"]), b"").await;
    assert_eq!(fixture.octets(id).await, b"");
}

pub(super) async fn a_dropped_draft_leaves_nothing(fixture: Fixture) {
    let mut draft = fixture.spool.draft().await.unwrap();
    draft.write(Bytes::from(vec![b'x'; 300_000])).await.unwrap();
    drop(draft);
    assert_eq!(fixture.spool.stats().await.messages, 0);
    assert!(fixture.claim(5).await.is_empty());
}

pub(super) async fn ids_increase_in_the_order_of_drafts(fixture: Fixture) {
    let first = fixture.spool.draft().await.unwrap();
    let second = fixture.spool.draft().await.unwrap();
    assert!(first.id() < second.id());
    assert_eq!((first.size(), second.size()), (0, 0));
}

pub(super) async fn scheduled_mail_is_claimed_when_it_is_due(fixture: Fixture) {
    let mut message = message_to(&["a@example.com"]);
    message.due = START.after(minutes(10));
    let id = fixture.commit(message, b"x").await;
    assert!(fixture.claim(5).await.is_empty());
    fixture.clock.advance(minutes(10));
    assert_eq!(fixture.claim(5).await[0].id, id);
}

pub(super) async fn a_leased_message_is_not_claimed_again(fixture: Fixture) {
    fixture.simple().await;
    assert_eq!(fixture.claim(5).await.len(), 1);
    assert!(fixture.claim(5).await.is_empty());
}

pub(super) async fn a_lease_that_is_over_can_be_claimed_by_another(fixture: Fixture) {
    fixture.simple().await;
    let [first] = fixture.claim(5).await.try_into().unwrap();
    fixture.clock.advance(minutes(5));
    let [second] = fixture.claim(5).await.try_into().unwrap();
    assert_eq!(first.id, second.id);
    assert_ne!(first.token, second.token);
}

pub(super) async fn the_former_holder_of_a_lost_lease_records_nothing(fixture: Fixture) {
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

pub(super) async fn a_lease_that_is_over_still_settles_while_nobody_else_has_it(fixture: Fixture) {
    fixture.simple().await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    fixture.clock.advance(minutes(60));
    assert_eq!(fixture.spool.backlog().await.unwrap().len(), 1);
    fixture.settle(lease, &[(0, relayed())]).await;
    assert!(fixture.claim(5).await.is_empty());
}

pub(super) async fn an_extended_lease_lasts(fixture: Fixture) {
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

pub(super) async fn a_lease_that_is_over_is_not_extended(fixture: Fixture) {
    fixture.simple().await;
    let [mut lease] = fixture.claim(5).await.try_into().unwrap();
    fixture.clock.advance(minutes(5));
    let until = START.after(minutes(20));
    let lost = fixture.spool.extend(&mut lease, until).await;
    assert!(matches!(lost, Err(SpoolError::LeaseLost(_))));
}

pub(super) async fn a_clock_that_is_set_forward_ends_no_lease(fixture: Fixture) {
    fixture.simple().await;
    assert_eq!(fixture.claim(5).await.len(), 1);
    fixture.clock.set_forward(minutes(60));
    assert!(fixture.spool.backlog().await.unwrap().is_empty());
    assert!(fixture.claim(5).await.is_empty());
    fixture.clock.advance(minutes(5));
    assert_eq!(fixture.claim(5).await.len(), 1);
}

pub(super) async fn a_lease_is_extended_by_the_time_that_passes(fixture: Fixture) {
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

pub(super) async fn what_was_due_stays_due_when_the_clock_is_set_back(fixture: Fixture) {
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

pub(super) async fn a_lease_given_back_is_due_also_when_the_clock_was_set_back(fixture: Fixture) {
    fixture.simple().await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    fixture.clock.set_back(Duration::from_secs(30));
    fixture.spool.give_back(lease).await;
    assert_eq!(fixture.claim(5).await.len(), 1);
}

pub(super) async fn what_was_deferred_does_not_wait_for_a_clock_that_was_set_back(
    fixture: Fixture,
) {
    fixture.simple().await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    let retry = fixture.retry_in(minutes(5));
    fixture.settle(lease, &[(0, retry)]).await;
    fixture.clock.set_back(minutes(600));
    assert_eq!(fixture.claim(5).await.len(), 1);
}

pub(super) async fn scheduled_mail_waits_for_its_time_by_a_clock_that_was_set_back(
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

pub(super) async fn a_lease_given_back_is_due_at_once(fixture: Fixture) {
    fixture.simple().await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    fixture.spool.give_back(lease).await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    assert_eq!(lease.attempts, 0);
}

pub(super) async fn a_relayed_message_is_gone(fixture: Fixture) {
    let id = fixture.simple().await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    fixture.settle(lease, &[(0, relayed())]).await;
    assert!(fixture.spool.show(id).await.unwrap().is_none());
    assert!(matches!(
        fixture.spool.body(id).await,
        Err(SpoolError::LeaseLost(_))
    ));
}

pub(super) async fn a_message_goes_only_with_its_last_recipient(fixture: Fixture) {
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

pub(super) async fn a_recipient_is_not_leased_before_it_is_due(fixture: Fixture) {
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

pub(super) async fn a_recipient_without_a_fate_waits_for_the_end_of_the_lease(fixture: Fixture) {
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

pub(super) async fn a_warning_changes_no_due_time_and_is_remembered(fixture: Fixture) {
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

pub(super) async fn what_is_untold_comes_with_the_next_lease(fixture: Fixture) {
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

pub(super) async fn a_lease_tells_why_recipients_were_deferred(fixture: Fixture) {
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

pub(super) async fn attempts_count_only_when_they_count(fixture: Fixture) {
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

pub(super) async fn reports_arrive_with_the_settlement(fixture: Fixture) {
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

pub(super) async fn a_large_report_arrives_with_the_settlement(fixture: Fixture) {
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

pub(super) async fn a_settlement_without_lease_leaves_no_report(fixture: Fixture) {
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

pub(super) async fn a_held_message_is_not_claimed_until_released(fixture: Fixture) {
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

pub(super) async fn a_message_committed_as_held_is_not_claimed_until_released(fixture: Fixture) {
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

pub(super) async fn a_leased_message_cannot_be_changed(fixture: Fixture) {
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

pub(super) async fn a_deleted_message_is_gone(fixture: Fixture) {
    let (first, second) = (fixture.simple().await, fixture.simple().await);
    fixture.spool.hold(second).await.unwrap();
    fixture.spool.delete(first).await.unwrap();
    fixture.spool.delete(second).await.unwrap();
    assert!(fixture.claim(5).await.is_empty());
    assert_eq!(fixture.spool.stats().await.messages, 0);
}

pub(super) async fn verbs_on_what_is_not_there_say_so(fixture: Fixture) {
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

pub(super) async fn retry_makes_a_deferred_message_due(fixture: Fixture) {
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

pub(super) async fn a_change_by_an_operator_ends_old_leases(fixture: Fixture) {
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

pub(super) async fn the_list_goes_on_where_it_ended(fixture: Fixture) {
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

pub(super) async fn an_entry_shows_what_waits_and_why(fixture: Fixture) {
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

pub(super) async fn backlog_names_the_next_due_and_the_highest_priority(fixture: Fixture) {
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

pub(super) async fn backlog_leaves_out_what_is_leased_or_held(fixture: Fixture) {
    let held = fixture.simple().await;
    fixture.spool.hold(held).await.unwrap();
    fixture.simple().await;
    assert_eq!(fixture.claim(5).await.len(), 1);
    assert!(fixture.spool.backlog().await.unwrap().is_empty());
}

pub(super) async fn rerouted_messages_follow_their_account(fixture: Fixture) {
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

pub(super) async fn stats_add_up(fixture: Fixture) {
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

pub(super) async fn a_commit_wakes_whoever_waits(fixture: Fixture) {
    while fixture.has_changed().await {}
    fixture.simple().await;
    assert!(fixture.has_changed().await);
}

pub(super) async fn a_lease_given_back_wakes_whoever_waits(fixture: Fixture) {
    fixture.simple().await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    while fixture.has_changed().await {}
    fixture.spool.give_back(lease).await;
    assert!(fixture.has_changed().await);
}

pub(super) async fn a_deferral_wakes_whoever_waits(fixture: Fixture) {
    fixture.simple().await;
    let [lease] = fixture.claim(5).await.try_into().unwrap();
    while fixture.has_changed().await {}
    fixture
        .settle(lease, &[(0, fixture.retry_in(minutes(1)))])
        .await;
    assert!(fixture.has_changed().await);
}

pub(super) async fn a_release_wakes_whoever_waits(fixture: Fixture) {
    let id = fixture.simple().await;
    fixture.spool.hold(id).await.unwrap();
    while fixture.has_changed().await {}
    fixture.spool.release(id).await.unwrap();
    assert!(fixture.has_changed().await);
}

pub(super) async fn a_draft_of_another_spool_is_refused(fixture: Fixture) {
    let message = message_to(&["a@example.com"]);
    let refused = fixture.spool.commit(Box::new(Foreign), message).await;
    assert!(matches!(refused, Err(SpoolError::Unavailable(_))));
}

/// The draft of a spool that is not there.
struct Foreign;

#[async_trait::async_trait]
impl super::Draft for Foreign {
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
