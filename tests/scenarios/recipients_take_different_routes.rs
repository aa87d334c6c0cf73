//! `[[route]]`: a message to recipients of several routes is split; each part goes its own way and has an outcome of its
//! own, and nothing of it is lost on the way.

use crate::report::Report;
use crate::stage::{
    QUEUED, RECIPIENT, Relay, SENDER, Server, Setup, field, json, message, says, subjects,
};
use crate::support::fake_upstream::{Received, ReservedPort, Script};

/// A recipient whose mail goes to the gateway.
const FAX: &str = "49123@fax.example";

/// Mail goes to `main`, but to fax machines to `fax`.
fn office(main: &Server, fax: &Server) -> Setup {
    Setup::new()
        .upstream("main", main.address)
        .upstream("fax", fax.address)
        .with("relay.upstream", "[\"main\"]")
        .route(&["*@fax.example"], "fax", "name = \"fax machines\"")
}

/// Submits a message; returns the queue ids that the client hears.
#[track_caller]
fn submit(relay: &Relay, recipients: &[&str], subject: &str) -> Vec<String> {
    let reply = relay
        .neighbour()
        .submit(SENDER, recipients, &message(subject));
    let ids = reply.trim().strip_prefix(QUEUED);
    let ids = ids.unwrap_or_else(|| panic!("{reply}"));
    ids.split(", ").map(str::to_owned).collect()
}

fn paths(received: &Received) -> Vec<&str> {
    received
        .recipients
        .iter()
        .map(|path| path.split(' ').next().unwrap())
        .collect()
}

#[test]
fn each_part_goes_its_own_way() {
    let (main, fax) = (Server::willing(), Server::willing());
    let setup = office(&main, &fax);
    let relay = setup.start();
    let ids = submit(
        &relay,
        &[
            FAX,
            RECIPIENT,
            "49555@FAX.example",
            "other@recipient.example",
        ],
        "for four",
    );
    assert_eq!(ids.len(), 2, "{ids:?}");
    let (by_main, by_fax) = (&main.wait_for(1)[0], &fax.wait_for(1)[0]);
    assert_eq!(
        paths(by_fax),
        [format!("<{FAX}>"), "<49555@FAX.example>".to_owned()]
    );
    assert_eq!(
        paths(by_main),
        [
            format!("<{RECIPIENT}>"),
            "<other@recipient.example>".to_owned()
        ]
    );

    // One message with two names in the queue: readers see one.
    let id = field(&by_main.octets, "Message-ID");
    assert_eq!(id, field(&by_fax.octets, "Message-ID"));
    assert!(id.unwrap().contains(&ids[0]));
    for (received, id) in [(by_fax, &ids[0]), (by_main, &ids[1])] {
        let text = String::from_utf8_lossy(&received.octets).into_owned();
        assert!(text.contains(&format!("id {id};")), "{text}");
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "Hello.\r\n");
    }
    relay.wait_for_log(&[
        "accepted",
        &ids[0],
        "recipients=2",
        &format!("siblings=\"{}\"", ids[1]),
    ]);
    relay.wait_for_log(&[
        "accepted",
        &ids[1],
        "recipients=2",
        &format!("siblings=\"{}\"", ids[0]),
    ]);
    let trace = json(&setup, &["trace", &ids[1], "--json"]);
    assert_eq!(trace["events"][0]["siblings"], serde_json::json!([ids[0]]));
    assert_eq!(trace["events"][0]["route"], serde_json::json!(["main"]));
    let text = says(&setup, &["trace", &ids[1]]);
    assert!(
        text.contains(&format!("other recipients of the transaction: {}", ids[0])),
        "{text}"
    );
    // Alone, a recipient needs no second message.
    assert_eq!(submit(&relay, &[FAX], "alone").len(), 1);
    assert_eq!(subjects(&fax.wait_for(2)), ["for four", "alone"]);
    relay.stop();
    assert_eq!(main.messages().len(), 1);
}

#[test]
fn one_upstream_refuses_it_and_the_other_takes_it() {
    let main = Server::willing();
    let fax = Server::start(Script::default().refuse_recipient(FAX, "550 5.1.1 no such line"));
    let relay = office(&main, &fax).start();
    let ids = submit(&relay, &[RECIPIENT, FAX], "for two");
    let messages = main.wait_for(2);
    let is_report = |message: &&Received| message.sender.starts_with("<>");
    let reports: Vec<_> = messages.iter().filter(is_report).collect();
    // The gateway takes no mail to the sender: the report goes the way of the account.
    assert_eq!((reports.len(), fax.messages().len()), (1, 0));
    let report = Report::parse(&reports[0].octets);
    assert_eq!(report.recipients.len(), 1);
    assert_eq!(
        report.of_recipient("Final-Recipient"),
        format!("rfc822; {FAX}")
    );
    assert_eq!(report.of_recipient("Status"), "5.1.1");
    relay.wait_for_log(&["relayed", &ids[0], RECIPIENT]);
    relay.wait_for_log(&["bounced", &ids[1], FAX]);
    relay.stop();
}

#[test]
fn both_parts_survive_a_kill() {
    let (main, fax) = (ReservedPort::new(), ReservedPort::new());
    let setup = Setup::new()
        .upstream("main", main.address)
        .upstream("fax", fax.address)
        .with("relay.upstream", "[\"main\"]")
        .route(&["fax.example"], "fax", "");
    let relay = setup.start();
    submit(&relay, &[RECIPIENT, FAX], "small");
    let large = [
        message("large"),
        b"0123456789abcdef0123456789abcdef\r\n".repeat(20_000),
    ]
    .concat();
    let reply = relay.neighbour().submit(SENDER, &[FAX, RECIPIENT], &large);
    assert!(reply.starts_with(QUEUED), "{reply}");
    relay.process.kill().unwrap();
    let main = Server::start_at(main, Script::default());
    let fax = Server::start_at(fax, Script::default());
    let relay = setup.start();
    for (server, path) in [(&main, RECIPIENT), (&fax, FAX)] {
        let messages = server.wait_for(2);
        let mut found = subjects(&messages);
        found.sort();
        assert_eq!(found, ["large", "small"], "{path}");
        for message in &messages {
            assert_eq!(paths(message), [format!("<{path}>")]);
        }
        let longest = messages.iter().map(|message| message.octets.len()).max();
        assert!(
            longest > Some(34 * 20_000),
            "the large one is whole: {longest:?}"
        );
    }
    relay.stop();
    assert_eq!((main.messages().len(), fax.messages().len()), (2, 2));
}

#[test]
fn queued_mail_follows_routes_that_change() {
    let (dead, main, fax) = (ReservedPort::new(), Server::willing(), Server::willing());
    let setup = Setup::new()
        .upstream("main", main.address)
        .upstream("old", dead.address)
        .upstream("fax", fax.address)
        .with("relay.upstream", "[\"main\"]")
        .route(&["*@fax.example"], "old", "");
    let relay = setup.start();
    let ids = submit(&relay, &[RECIPIENT, FAX], "waits for the gateway");
    main.wait_for(1);
    relay.wait_for_log(&["deferred", &ids[1]]);
    let list = json(&setup, &["queue", "list", "--upstream", "old", "--json"]);
    assert_eq!(list[0]["id"], ids[1].as_str());
    let setup = setup.without_routes().route(&["*@fax.example"], "fax", "");
    relay.reload(&setup);
    assert_eq!(subjects(&fax.wait_for(1)), ["waits for the gateway"]);
    relay.stop();
    assert_eq!(
        main.messages().len(),
        1,
        "nothing took a way that was not its own"
    );
}

#[test]
fn without_its_route_queued_mail_goes_the_way_of_its_account_also_after_a_restart() {
    let (dead, main) = (ReservedPort::new(), Server::willing());
    let setup = Setup::new()
        .upstream("main", main.address)
        .upstream("fax", dead.address)
        .with("relay.upstream", "[\"main\"]")
        .route(&["*@fax.example"], "fax", "");
    let relay = setup.start();
    submit(&relay, &[FAX], "waits");
    relay.wait_for_log(&["deferred"]);
    relay.stop();
    let relay = setup.start();
    let list = json(&setup, &["queue", "list", "--json"]);
    assert_eq!(
        list[0]["route"],
        serde_json::json!(["fax"]),
        "the route is there after a start"
    );
    relay.stop();
    let relay = setup.without_routes().start();
    assert_eq!(subjects(&main.wait_for(1)), ["waits"]);
    relay.stop();
}

#[test]
fn a_message_that_waits_is_not_split_any_more() {
    let (dead, fax) = (ReservedPort::new(), Server::willing());
    let setup = Setup::new()
        .upstream("main", dead.address)
        .upstream("fax", fax.address)
        .with("relay.upstream", "[\"main\"]");
    let relay = setup.start();
    let ids = submit(&relay, &[FAX, RECIPIENT], "for both");
    assert_eq!(ids.len(), 1);
    relay.wait_for_log(&["deferred"]);
    let setup = setup.route(&["*@fax.example"], "fax", "");
    relay.reload(&setup);
    relay.wait_for_log(&["WARN", "lead to different upstreams now", "messages=1"]);
    let list = json(&setup, &["queue", "list", "--json"]);
    assert_eq!(list[0]["route"], serde_json::json!(["main"]));
    // An operator's route is stronger, and what is taken back follows the recipients again.
    says(&setup, &["queue", "hold", "--all", "--yes"]);
    says(
        &setup,
        &["queue", "reroute", "--all", "--yes", "--to", "fax"],
    );
    says(&setup, &["queue", "reroute", "--all", "--yes", "--reset"]);
    let list = json(&setup, &["queue", "list", "--json"]);
    assert_eq!(list[0]["route"], serde_json::json!(["fax"]));
    relay.stop();
}

#[test]
fn an_account_without_upstream_may_send_to_whom_a_route_leads() {
    let fax = Server::willing();
    let relay = Setup::new()
        .upstream("fax", fax.address)
        .without("relay.upstream")
        .route(&["*@fax.example"], "fax", "accounts = [\"shop\"]")
        .start();
    let mut client = relay.neighbour();
    client.must(&format!("MAIL FROM:<{SENDER}>"), "250");
    client.must(&format!("RCPT TO:<{RECIPIENT}>"), "550 5.7.1");
    client.must("DATA", "554");
    client.must(&format!("RCPT TO:<{FAX}>"), "250");
    client.must("DATA", "354");
    client.send(&message("a fax"));
    client.send(b".\r\n");
    client.must_reply(QUEUED);
    assert_eq!(subjects(&fax.wait_for(1)), ["a fax"]);
    relay.wait_for_log(&["no route to the recipient", RECIPIENT]);
    relay.stop();
}

#[test]
fn a_route_for_others_is_passed_over() {
    let (main, fax) = (Server::willing(), Server::willing());
    let relay = Setup::new()
        .upstream("main", main.address)
        .upstream("fax", fax.address)
        .with("relay.upstream", "[\"main\"]")
        .with("tenant.acme.upstream", "[\"main\"]")
        .route(&["*@fax.example"], "fax", "tenants = [\"acme\"]")
        .start();
    submit(&relay, &[FAX], "not of that tenant");
    assert_eq!(subjects(&main.wait_for(1)), ["not of that tenant"]);
    relay.stop();
    assert_eq!(fax.messages().len(), 0);
}

#[test]
fn a_report_takes_the_route_of_its_recipient() {
    let main = Server::start(Script::default().refuse_recipient(RECIPIENT, "550 5.1.1 unknown"));
    let inside = Server::willing();
    let relay = Setup::new()
        .upstream("main", main.address)
        .upstream("inside", inside.address)
        .with("relay.upstream", "[\"main\"]")
        .route(&["shop.example"], "inside", "")
        .start();
    relay.submit("comes back");
    let report = &inside.wait_for(1)[0];
    assert!(report.sender.starts_with("<>"));
    assert_eq!(paths(report), [format!("<{SENDER}>")]);
    relay.stop();
    assert_eq!(main.messages().len(), 0);
}

#[test]
fn a_stand_in_takes_the_place_of_a_drained_upstream_in_routes_too() {
    let (dead, main, spare) = (ReservedPort::new(), Server::willing(), Server::willing());
    let setup = Setup::new()
        .upstream("main", main.address)
        .upstream("fax", dead.address)
        .upstream("spare", spare.address)
        .with("relay.upstream", "[\"main\"]")
        .route(&["*@fax.example"], "fax", "");
    let relay = setup.start();
    submit(&relay, &[FAX], "waits");
    relay.wait_for_log(&["deferred"]);
    says(&setup, &["queue", "drain", "fax", "--to", "spare"]);
    assert_eq!(subjects(&spare.wait_for(1)), ["waits"]);
    submit(&relay, &[FAX, RECIPIENT], "new");
    assert_eq!(subjects(&spare.wait_for(2)), ["waits", "new"]);
    assert_eq!(subjects(&main.wait_for(1)), ["new"]);
    relay.stop();
}

#[test]
fn a_split_transaction_counts_once() {
    let (main, fax) = (Server::willing(), Server::willing());
    let relay = office(&main, &fax)
        .with("account.shop.messages", "[\"2/h\"]")
        .start();
    submit(&relay, &[RECIPIENT, FAX], "one");
    submit(&relay, &[RECIPIENT, FAX], "two");
    relay
        .neighbour()
        .must(&format!("MAIL FROM:<{SENDER}>"), "450 4.7.1");
    main.wait_for(2);
    fax.wait_for(2);
    relay.stop();
}

#[test]
fn bdat_is_split_like_data() {
    let (main, fax) = (Server::willing(), Server::willing());
    let relay = office(&main, &fax).start();
    let mut client = relay.neighbour();
    client.envelope(SENDER, &[RECIPIENT, FAX]);
    let text = message("in chunks");
    let (first, rest) = text.split_at(20);
    client.send(format!("BDAT {}\r\n", first.len()).as_bytes());
    client.send(first);
    client.must_reply("250");
    client.send(format!("BDAT {} LAST\r\n", rest.len()).as_bytes());
    client.send(rest);
    let reply = client.must_reply(QUEUED);
    assert!(reply.contains(", "), "{reply}");
    for server in [&main, &fax] {
        let received = &server.wait_for(1)[0];
        assert!(received.octets.ends_with(b"\r\n\r\nHello.\r\n"));
    }
    relay.stop();
}
