use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::alert::{self, Alert, Kind, Ledger};
use crate::clock::{Clock as _, ManualClock, Timestamp};
use crate::control::certificates::{CertificateView, Certificates, RenewError};
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{Changed, Filter, MAX_CHANGE, QueueRequest, Verb};
use crate::control::view::{Id, MessageView, State, SubmissionView, Time};
use crate::identity::{AccountName, Route, TenantName, UpstreamName};
use crate::journal::{Deed, Event, Settings as JournalSettings};
use crate::mail::{
    Domain as MailDomain, Envelope, ForwardPath, Priority, QueueId, Recipient, ReversePath,
};
use crate::spool::memory::MemorySpool;
use crate::spool::{Entry, Message, Spool as _};

/// A running control server on a spool in memory.
struct Running {
    folder: TempDir,
    spool: Arc<MemorySpool>,
    clock: Arc<ManualClock>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

struct FakeOperator;

#[async_trait]
impl Certificates for FakeOperator {
    async fn certificates(&self) -> Vec<CertificateView> {
        Vec::new()
    }

    async fn renew(&self, name: Option<&str>) -> Result<(), RenewError> {
        name.is_none()
            .then_some(())
            .ok_or_else(|| RenewError("no certificate is for it".to_owned()))
    }
}

impl Configured for FakeOperator {
    fn route_of(&self, _: &Entry) -> Option<Route> {
        Route::new(vec![UpstreamName::parse("main").unwrap()])
    }

    fn upstreams(&self) -> Vec<UpstreamName> {
        ["main", "spare"]
            .iter()
            .map(|name| UpstreamName::parse(name).unwrap())
            .collect()
    }
}

#[async_trait]
impl Operator for FakeOperator {
    async fn drain(
        &self,
        upstream: UpstreamName,
        to: Option<UpstreamName>,
    ) -> Result<(), RegisterError> {
        let told = format!("{upstream} to {to:?}");
        Err(RegisterError::Write(io::Error::other(told)))
    }

    async fn end_drain(&self, upstream: &str) -> Result<(), RegisterError> {
        Err(RegisterError::NotDrained(upstream.to_owned()))
    }

    async fn park(
        &self,
        upstream: UpstreamName,
        reason: Option<String>,
    ) -> Result<(), RegisterError> {
        let told = format!("{upstream} for {reason:?}");
        Err(RegisterError::Write(io::Error::other(told)))
    }

    async fn resume(&self, upstream: UpstreamName) -> Result<(), RegisterError> {
        Err(RegisterError::NotParked(upstream.to_string()))
    }

    async fn reload(&self) -> Result<Vec<String>, ReloadError> {
        Err(ReloadError("posthouse.toml:1:1: nonsense".to_owned()))
    }

    async fn submit(&self, mail: OperatorMail) -> Result<Submitted, SubmitError> {
        if mail.account.as_str() != "alice" {
            return Err(SubmitError("there is no such account".to_owned()));
        }
        Ok(Submitted {
            ids: Vec::new(),
            reply: format!("550 5.7.1 {} to {}", mail.sender, mail.recipient),
            dialogue: vec![String::from_utf8(mail.content).unwrap()],
        })
    }

    async fn senders(&self, request: SenderRequest) -> Result<Vec<SenderView>, SenderError> {
        Err(SenderError::Temporary(format!("{request:?}")))
    }

    fn alerts(&self, filter: &AlertFilter) -> Vec<Stored> {
        let mut ledger = Ledger::default();
        let settings = alert::Settings {
            keep: Duration::from_hours(1),
            ..alert::Settings::default()
        };
        for (seconds, kind) in (0..).zip(Kind::ALL) {
            let now = Timestamp::from_unix_millis(seconds * 1000);
            ledger.note(Alert::new(kind, "x"), &settings, now);
        }
        let stored = ledger.stored();
        stored
            .filter(|alert| filter.passes(alert))
            .cloned()
            .collect()
    }

    fn test_alert(&self, account: Option<AccountName>) -> Result<Vec<String>, SubmitError> {
        match account {
            None => Ok(vec!["ops@example.com by mail".to_owned()]),
            Some(account) => Err(SubmitError(format!("there is no account `{account}`"))),
        }
    }

    fn blocked(&self) -> Vec<BlockView> {
        Vec::new()
    }

    fn forgive(&self, who: &str) -> usize {
        usize::from(who == "alice")
    }

    fn describe(&self) -> ServerView {
        ServerView {
            version: "1.2.3".to_owned(),
            process: 42,
            started: Time(Timestamp::from_unix_millis(5)),
            hostname: "relay.example.com".to_owned(),
            configuration: "/etc/posthouse/posthouse.toml".to_owned(),
            listeners: Vec::new(),
            upstreams: Vec::new(),
            submission: SubmissionView::default(),
            endings: Vec::new(),
        }
    }
}

impl Running {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix_millis(1_000_000)));
        let spool = Arc::new(MemorySpool::new(Arc::clone(&clock) as _));
        let stop = CancellationToken::new();
        let server = Server::bind(folder.path()).unwrap();
        let mut tasks = JoinSet::new();
        let admin: Arc<dyn SpoolAdmin> = Arc::clone(&spool) as _;
        let settings = JournalSettings {
            directory: folder.path().join("journal"),
            keep: Duration::from_hours(1),
            max_size: 1 << 20,
        };
        let journal = Arc::new(Journal::open(settings, Arc::clone(&clock) as _).unwrap());
        let stopped = stop.clone();
        tasks.spawn(async move {
            let operator = Arc::new(FakeOperator);
            server.run((admin, journal), operator, stopped).await;
        });
        Self {
            folder,
            spool,
            clock,
            stop,
            tasks,
        }
    }

    async fn add(&self, account: &str, recipients: &[&str]) -> QueueId {
        let mut draft = self.spool.draft().await.unwrap();
        draft
            .write(Bytes::from_static(b"Subject: x\r\n\r\n"))
            .await
            .unwrap();
        let here = MailDomain::parse("relay.example").unwrap();
        let recipient = |text: &&str| {
            let path = ForwardPath::take(&format!("<{text}>"), &here).unwrap().0;
            Recipient::new(path)
        };
        let message = Message {
            envelope: Envelope {
                recipients: recipients.iter().map(recipient).collect(),
                ..Envelope::new(ReversePath::take("<a@example.com>").unwrap().0)
            },
            account: Some(AccountName::parse(account).unwrap()),
            tenant: (account == "shop").then(|| TenantName::parse("acme").unwrap()),
            route: Route::new(vec![UpstreamName::parse("main").unwrap()]).unwrap(),
            priority: Priority::High,
            accepted: self.clock.now(),
            due: self.clock.now(),
            peer: None,
            message_id: Some("<1@example.com>".into()),
            held: None,
        };
        self.spool.commit(draft, message).await.unwrap()
    }

    /// Asks over the socket, on a thread, since the client blocks.
    async fn ask(&self, request: Request) -> Response {
        let folder = self.folder.path().to_owned();
        tokio::task::spawn_blocking(move || {
            Client::connect(&folder).unwrap().call(request).unwrap()
        })
        .await
        .unwrap()
    }

    async fn queue(&self, request: QueueRequest) -> Response {
        self.ask(Request::Queue(request)).await
    }

    async fn change(&self, ids: &[QueueId], verb: Verb) -> Changed {
        let ids = ids.iter().map(|id| Id(*id)).collect();
        let response = self.queue(QueueRequest::Change { ids, verb }).await;
        let Response::Changed(changed) = response else {
            panic!("{response:?}");
        };
        changed
    }

    async fn show(&self, id: QueueId) -> MessageView {
        let response = self.queue(QueueRequest::Show { id: Id(id) }).await;
        let Response::Message(message) = response else {
            panic!("{response:?}");
        };
        *message
    }

    async fn list(&self, after: Option<Id>, limit: usize, filter: Filter) -> (Vec<Id>, Option<Id>) {
        let request = QueueRequest::List {
            after,
            limit,
            filter,
        };
        let response = self.queue(request).await;
        let Response::Messages { messages, next } = response else {
            panic!("{response:?}");
        };
        (messages.iter().map(|message| message.id).collect(), next)
    }

    /// Writes a line as it is and returns the answer.
    async fn say(&self, line: Vec<u8>) -> Response {
        let path = self.folder.path().join(SOCKET);
        tokio::task::spawn_blocking(move || {
            let mut stream = StdStream::connect(path).unwrap();
            stream.write_all(&line).unwrap();
            let mut answer = String::new();
            BufReader::new(stream).read_line(&mut answer).unwrap();
            serde_json::from_str(&answer).unwrap()
        })
        .await
        .unwrap()
    }
}

fn reason(response: &Response) -> Reason {
    let Response::Failed(refusal) = response else {
        panic!("{response:?}");
    };
    refusal.reason
}

#[tokio::test]
async fn a_message_is_shown_with_all_that_is_known() {
    let running = Running::start();
    let id = running
        .add("shop", &["b@example.net", "c@example.net"])
        .await;
    let message = running.show(id).await;
    assert_eq!(message.state, State::Pending);
    assert_eq!(message.account.as_deref(), Some("shop"));
    assert_eq!(message.sender.as_deref(), Some("a@example.com"));
    assert_eq!(message.recipients[1].address, "c@example.net");
    assert_eq!(message.route, ["main"]);
    assert_eq!((message.priority, message.size), (2, 14));
    assert_eq!(message.accepted, Time(running.clock.now()));
    assert_eq!(message.message_id.as_deref(), Some("<1@example.com>"));
}

#[tokio::test]
async fn hold_and_release_change_the_state() {
    let running = Running::start();
    let id = running.add("shop", &["b@example.net"]).await;
    assert_eq!(running.change(&[id], Verb::Hold).await.done, 1);
    assert_eq!(running.show(id).await.state, State::Held);
    running.change(&[id], Verb::Release).await;
    assert_eq!(running.show(id).await.state, State::Pending);
}

#[tokio::test]
async fn a_deleted_message_is_missing() {
    let running = Running::start();
    let id = running.add("shop", &["b@example.net"]).await;
    assert_eq!(running.change(&[id], Verb::Delete).await.done, 1);
    let response = running.queue(QueueRequest::Show { id: Id(id) }).await;
    assert_eq!(reason(&response), Reason::Missing);
    let changed = running.change(&[id], Verb::Retry).await;
    assert_eq!((changed.done, changed.missing), (0, vec![Id(id)]));
}

#[tokio::test]
async fn more_messages_than_may_be_changed_at_once_are_refused() {
    let running = Running::start();
    let ids = vec![Id(QueueId::from_number(1)); MAX_CHANGE + 1];
    let verb = Verb::Hold;
    let response = running.queue(QueueRequest::Change { ids, verb }).await;
    assert_eq!(reason(&response), Reason::Request);
}

#[tokio::test]
async fn a_message_is_rerouted_and_given_back_to_its_account() {
    let running = Running::start();
    let id = running.add("shop", &["b@example.net"]).await;
    let to = |name: &str| Verb::Reroute {
        to: vec![name.to_owned()],
    };
    let verb = to("nowhere");
    let ids = vec![Id(id)];
    let response = running.queue(QueueRequest::Change { ids, verb }).await;
    assert_eq!(reason(&response), Reason::Upstream);
    assert_eq!(running.change(&[id], to("spare")).await.done, 1);
    assert_eq!(running.show(id).await.route, ["spare"]);
    assert_eq!(running.change(&[id], Verb::ResetRoute).await.done, 1);
    assert_eq!(running.show(id).await.route, ["main"]);
}

#[tokio::test]
async fn a_trace_has_what_operators_did_and_the_present_state() {
    let running = Running::start();
    let id = running.add("shop", &["b@example.net"]).await;
    running.change(&[id], Verb::Hold).await;
    let response = running.ask(Request::Trace { id: Id(id) }).await;
    let Response::Trace(trace) = response else {
        panic!("{response:?}");
    };
    let by = format!("uid {}", rustix::process::geteuid().as_raw());
    let [record] = trace.events.as_slice() else {
        panic!("{trace:?}");
    };
    let expected = Event::Operator {
        verb: Deed::Hold,
        by,
        route: Vec::new(),
    };
    assert_eq!(record.event, expected);
    assert_eq!(trace.message.unwrap().state, State::Held);
}

#[tokio::test]
async fn only_upstreams_that_exist_are_drained() {
    let running = Running::start();
    let drain = |upstream: &str, to: Option<&str>| Request::Drain {
        upstream: upstream.to_owned(),
        to: to.map(str::to_owned),
    };
    for (request, expected) in [
        (drain("nowhere", None), Reason::Upstream),
        (drain("main", Some("nowhere")), Reason::Upstream),
        (drain("main", Some("main")), Reason::Request),
        (drain("main", Some("spare")), Reason::Spool),
    ] {
        assert_eq!(reason(&running.ask(request).await), expected);
    }
    let upstream = "main".to_owned();
    let response = running.ask(Request::EndDrain { upstream }).await;
    assert_eq!(reason(&response), Reason::Upstream);
}

#[tokio::test]
async fn only_upstreams_that_exist_are_parked_and_resumed() {
    let running = Running::start();
    let park = |upstream: &str| Request::Park {
        upstream: upstream.to_owned(),
        reason: Some("invoice".to_owned()),
    };
    let resume = |upstream: &str| Request::Resume {
        upstream: upstream.to_owned(),
    };
    for (request, expected) in [
        (park("nowhere"), Reason::Upstream),
        (park("main"), Reason::Spool),
        (resume("nowhere"), Reason::Upstream),
        (resume("main"), Reason::Upstream),
    ] {
        assert_eq!(reason(&running.ask(request).await), expected);
    }
    let Response::Failed(refusal) = running.ask(park("maim")).await else {
        panic!("it is parked");
    };
    assert_eq!(
        refusal.message,
        "there is no upstream `maim`; did you mean `main`? defined are: main, spare"
    );
}

#[tokio::test]
async fn the_sums_are_by_account_and_tenant() {
    let running = Running::start();
    running.add("shop", &["b@example.net"]).await;
    running.add("shop", &["b@example.net"]).await;
    running.add("printer", &["b@example.net"]).await;
    let Response::Stats(stats) = running.queue(QueueRequest::Stats { top: 1 }).await else {
        panic!("no sums");
    };
    assert_eq!((stats.messages, stats.pending), (3, 3));
    assert_eq!(stats.accounts[0].name.as_deref(), Some("shop"));
    assert_eq!(
        (stats.accounts[0].messages, stats.accounts_left_out),
        (2, 1)
    );
    assert_eq!(stats.tenants[0].name.as_deref(), Some("acme"));
    assert_eq!(stats.upstreams[0].messages, 3);
}

#[tokio::test]
async fn ids_are_those_of_a_filter() {
    let running = Running::start();
    let shop = running.add("shop", &["b@example.net"]).await;
    running.add("printer", &["c@example.net"]).await;
    let account = Some("Shop".to_owned());
    let tenant = Some("ACME".to_owned());
    let recipient = Some("B@".to_owned());
    for filter in [
        Filter {
            account,
            ..Filter::default()
        },
        Filter {
            recipient,
            ..Filter::default()
        },
        Filter {
            tenant,
            ..Filter::default()
        },
        Filter {
            accepted_from: Some(Time(running.clock.now())),
            account: Some("shop".to_owned()),
            ..Filter::default()
        },
    ] {
        let after = None;
        let response = running.queue(QueueRequest::Ids { after, filter }).await;
        let ids = vec![Id(shop)];
        assert_eq!(response, Response::Ids { ids, next: None });
    }
}

#[tokio::test]
async fn a_list_goes_on_where_the_last_one_ended() {
    let running = Running::start();
    let mut added = Vec::new();
    for _ in 0..5 {
        added.push(Id(running.add("shop", &["b@example.net"]).await));
    }
    let (mut listed, mut next) = running.list(None, 2, Filter::default()).await;
    while next.is_some() {
        let (more, then) = running.list(next, 2, Filter::default()).await;
        assert!(more.len() <= 2);
        listed.extend(more);
        next = then;
    }
    assert_eq!(listed, added);
}

#[tokio::test]
async fn a_filter_takes_what_all_its_parts_take() {
    let running = Running::start();
    let shop = running.add("shop", &["b@example.net"]).await;
    running.add("shop", &["c@example.org"]).await;
    running.add("printer", &["b@example.net"]).await;
    let filter = Filter {
        account: Some("SHOP".to_owned()),
        recipient: Some("@Example.net".to_owned()),
        upstream: Some("main".to_owned()),
        ..Filter::default()
    };
    let (listed, next) = running.list(None, 10, filter).await;
    assert_eq!((listed, next), (vec![Id(shop)], None));
}

#[tokio::test]
async fn a_list_leaves_out_recipients_beyond_a_bound_and_counts_them() {
    let running = Running::start();
    let addresses: Vec<_> = (0..25).map(|n| format!("r{n}@example.net")).collect();
    let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
    let id = running.add("shop", &addresses).await;
    let request = QueueRequest::List {
        after: None,
        limit: 1,
        filter: Filter::default(),
    };
    let Response::Messages { messages, .. } = running.queue(request).await else {
        panic!("no list");
    };
    assert_eq!(messages[0].recipients.len(), MessageView::LISTED_RECIPIENTS);
    assert_eq!(messages[0].recipients_left_out, 5);
    let whole = running.show(id).await;
    let shown: HashSet<_> = whole.recipients.iter().map(|r| &*r.address).collect();
    assert_eq!(shown, addresses.into_iter().collect());
}

#[tokio::test]
async fn status_has_the_server_and_the_sums() {
    let running = Running::start();
    running.add("shop", &["b@example.net"]).await;
    let Response::Status(status) = running.ask(Request::Status).await else {
        panic!("no status");
    };
    assert_eq!(status.server, FakeOperator.describe());
    assert_eq!((status.queue.messages, status.queue.octets), (1, 14));
}

#[tokio::test]
async fn a_refused_reload_tells_the_diagnostics() {
    let running = Running::start();
    let expected = Response::failed(Reason::Configuration, "posthouse.toml:1:1: nonsense");
    assert_eq!(running.ask(Request::Reload).await, expected);
}

#[tokio::test]
async fn another_version_is_told_so() {
    let running = Running::start();
    let line = b"{\"version\":1,\"request\":{\"dance\":{}}}\n".to_vec();
    assert_eq!(reason(&running.say(line).await), Reason::Version);
}

#[tokio::test]
async fn nonsense_is_answered() {
    let running = Running::start();
    for line in ["hello\n", "{\"version\":2,\"request\":\"dance\"}\n"] {
        let response = running.say(line.into()).await;
        assert_eq!(reason(&response), Reason::Request, "{line}");
    }
}

#[tokio::test]
async fn a_line_without_end_is_not_gathered_beyond_the_bound() {
    let running = Running::start();
    let response = running.say(vec![b'x'; MAX_REQUEST]).await;
    assert_eq!(reason(&response), Reason::Request);
}

#[tokio::test]
async fn the_socket_is_for_its_owner_alone() {
    let running = Running::start();
    let mode = fs::metadata(running.folder.path().join(SOCKET))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_second_server_is_refused_and_the_first_goes_on() {
    let running = Running::start();
    let second = Server::bind(running.folder.path());
    assert!(matches!(second, Err(BindError::InUse { .. })));
    assert!(matches!(
        running.ask(Request::Status).await,
        Response::Status(_)
    ));
}

#[tokio::test]
async fn a_socket_that_a_crash_left_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    drop(std::os::unix::net::UnixListener::bind(folder.path().join(SOCKET)).unwrap());
    assert!(is_socket(&folder.path().join(SOCKET)));
    assert!(Server::bind(folder.path()).is_ok());
}

#[tokio::test]
async fn a_file_in_the_place_of_the_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::File::create(folder.path().join(SOCKET)).unwrap();
    assert!(matches!(
        Server::bind(folder.path()),
        Err(BindError::Io { .. })
    ));
    assert!(folder.path().join(SOCKET).exists());
}

#[tokio::test]
async fn nothing_is_left_after_the_stop() {
    let mut running = Running::start();
    let idle = StdStream::connect(running.folder.path().join(SOCKET)).unwrap();
    running.stop.cancel();
    while running.tasks.join_next().await.is_some() {}
    drop(idle);
    let error = Client::connect(running.folder.path()).unwrap_err();
    assert!(matches!(error, ClientError::NotRunning { .. }));
    assert!(!running.folder.path().join(SOCKET).exists());
}

#[tokio::test]
async fn alerts_are_listed_and_tested() {
    let running = Running::start();
    let listed = async |filter| {
        let answer = running.ask(Request::Alerts { filter }).await;
        let Response::Alerts { alerts } = answer else {
            panic!("alerts are listed");
        };
        alerts
            .into_iter()
            .map(|alert| alert.kind)
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(AlertFilter::default()).await, Kind::ALL);
    let since = AlertFilter {
        since: Some(Time(Timestamp::from_unix_millis(5000))),
        ..AlertFilter::default()
    };
    assert_eq!(listed(since).await, Kind::ALL[5..]);
    let of_kind = AlertFilter {
        kind: Some(Kind::ExpiryNear),
        ..AlertFilter::default()
    };
    assert_eq!(listed(of_kind).await, [Kind::ExpiryNear]);
    let of_account = AlertFilter {
        account: Some("alice".to_owned()),
        ..AlertFilter::default()
    };
    assert_eq!(listed(of_account).await, []);
    let raised = running.ask(Request::TestAlert { account: None }).await;
    let to = vec!["ops@example.com by mail".to_owned()];
    assert_eq!(raised, Response::AlertRaised { to });
    let account = Some("nobody".to_owned());
    let refused = running.ask(Request::TestAlert { account }).await;
    let Response::Failed(refusal) = refused else {
        panic!("there is no such account");
    };
    assert_eq!(refusal.reason, Reason::Account);
}
