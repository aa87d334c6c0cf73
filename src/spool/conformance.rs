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

mod leases;
mod messages;
mod operators;
mod order;
mod reports;
mod settlements;
mod verbs;
mod waking;

pub(super) use leases::*;
pub(super) use messages::*;
pub(super) use operators::*;
pub(super) use order::*;
pub(super) use reports::*;
pub(super) use settlements::*;
pub(super) use verbs::*;
pub(super) use waking::*;

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
