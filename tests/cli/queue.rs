//! `posthouse queue`, `status` and `reload` without a server.

use std::sync::Arc;

use bytes::Bytes;
use posthouse::clock::{Clock as _, SystemClock};
use posthouse::identity::{AccountName, Route, UpstreamName};
use posthouse::mail::{Domain, Envelope, ForwardPath, Priority, QueueId, Recipient, ReversePath};
use posthouse::spool::embedded::{EmbeddedSpool, Settings};
use posthouse::spool::{Message, Spool as _};

use crate::program::Configured;

/// Puts messages of an account into the spool of a server that does not run.
fn fill(configured: &Configured, account: &str, recipients: &[&str]) -> Vec<QueueId> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let settings = Settings::new(configured.path("data/spool"));
        let spool = EmbeddedSpool::open(settings, Arc::new(SystemClock)).unwrap();
        let mut ids = Vec::new();
        for recipient in recipients {
            let mut draft = spool.draft().await.unwrap();
            draft
                .write(Bytes::from_static(b"Subject: x\r\n\r\n"))
                .await
                .unwrap();
            ids.push(
                spool
                    .commit(draft, message(account, recipient))
                    .await
                    .unwrap(),
            );
        }
        spool.close().await;
        ids
    })
}

fn message(account: &str, recipient: &str) -> Message {
    let here = Domain::parse("relay.example.com").unwrap();
    let path = format!("<{recipient}>");
    let now = SystemClock.now();
    Message {
        envelope: Envelope {
            recipients: vec![Recipient::new(ForwardPath::take(&path, &here).unwrap().0)],
            ..Envelope::new(ReversePath::take("<a@example.com>").unwrap().0)
        },
        account: Some(AccountName::parse(account).unwrap()),
        tenant: None,
        route: Route::new(vec![UpstreamName::parse("main").unwrap()]).unwrap(),
        priority: Priority::Low,
        accepted: now,
        due: now,
        peer: Some([192, 0, 2, 7].into()),
        message_id: Some("<1@example.com>".into()),
        held: None,
    }
}

#[test]
fn a_message_as_json_has_all_that_is_known() {
    let configured = Configured::new();
    let id = fill(&configured, "bob", &["b@example.net"])[0].to_string();
    let message = configured
        .run(&["queue", "show", &id, "--json"])
        .exits(0)
        .json();
    for (key, value) in [
        ("id", serde_json::json!(id)),
        ("state", "pending".into()),
        ("priority", 4.into()),
        ("account", "bob".into()),
        ("peer", "192.0.2.7".into()),
        ("route", serde_json::json!(["main"])),
        ("sender", "a@example.com".into()),
        ("size", 14.into()),
        ("attempts", 0.into()),
        ("message_id", "<1@example.com>".into()),
    ] {
        assert_eq!(message[key], value, "{key}");
    }
    assert_eq!(message["recipients"][0]["address"], "b@example.net");
    assert!(
        message["accepted"].as_str().unwrap().ends_with('Z'),
        "{message}"
    );
}

#[test]
fn what_is_done_to_the_queue_of_a_stopped_server_lasts() {
    let configured = Configured::new();
    let ids = fill(&configured, "bob", &["b@example.net", "c@example.net"]);
    configured
        .run(&["queue", "hold", &ids[0].to_string()])
        .exits(0);
    configured
        .run(&["queue", "delete", &ids[1].to_string()])
        .exits(0);
    let list = configured.run(&["queue", "list", "--json"]).exits(0).json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(
        (&list[0]["id"], &list[0]["state"]),
        (&ids[0].to_string().into(), &"held".into())
    );
}

#[test]
fn options_choose_which_messages_a_verb_means() {
    let configured = Configured::new();
    let ids = fill(&configured, "bob", &["b@example.net", "c@typo.example"]);
    let arguments = ["queue", "delete", "--yes", "--recipient", "@typo.example"];
    assert_eq!(
        configured.run(&arguments).exits(0).stdout,
        "1 message deleted\n"
    );
    let list = configured.run(&["queue", "list"]).exits(0).stdout;
    assert_eq!(list.lines().count(), 1);
    assert!(list.starts_with(&ids[0].to_string()), "{list}");
}

#[test]
fn a_list_is_no_longer_than_wanted() {
    let configured = Configured::new();
    let ids = fill(
        &configured,
        "bob",
        &["b@example.net", "c@example.net", "d@example.net"],
    );
    let list = configured
        .run(&["queue", "list", "--limit", "2", "--json"])
        .exits(0)
        .json();
    let listed: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|message| &message["id"])
        .collect();
    assert_eq!(listed, [&ids[0].to_string(), &ids[1].to_string()]);
}

#[test]
fn without_server_and_spool_there_is_nothing_to_look_at() {
    let configured = Configured::new();
    configured
        .run(&["queue", "list"])
        .exits(66)
        .says("there is no spool");
    assert!(!configured.path("data").exists());
}

#[test]
fn a_spool_whose_server_does_not_run_is_read_itself() {
    let configured = Configured::new();
    std::fs::create_dir_all(configured.path("data/spool")).unwrap();
    let stats = configured
        .run(&["queue", "stats", "--json"])
        .exits(0)
        .json();
    assert_eq!((&stats["messages"], &stats["held"]), (&0.into(), &0.into()));
    let list = configured.run(&["queue", "list", "--json"]).exits(0).json();
    assert_eq!(list, serde_json::json!([]));
    let done = configured
        .run(&["queue", "retry", "--all", "--yes"])
        .exits(0)
        .stdout;
    assert_eq!(done, "0 messages due now\n");
}

#[test]
fn a_message_that_is_not_there_is_no_input() {
    let configured = Configured::new();
    std::fs::create_dir_all(configured.path("data/spool")).unwrap();
    for verb in ["show", "retry", "hold", "release", "delete"] {
        let failed = configured.run(&["queue", verb, "038FX65ZSR000"]).exits(66);
        failed.says("there is no message 038FX65ZSR000 in the queue");
    }
}

#[test]
fn a_server_that_does_not_run_is_not_available() {
    let configured = Configured::new();
    for command in ["status", "reload"] {
        configured
            .run(&[command])
            .exits(69)
            .says("no server answers");
    }
}

#[test]
fn an_unknown_upstream_cannot_be_tested() {
    let configured = Configured::new();
    let arguments = [
        "test-mail",
        "--upstream",
        "spare",
        "--from",
        "a@example.com",
        "--to",
        "b@example.net",
    ];
    let failed = configured
        .run(&arguments)
        .exits(66)
        .says("there is no upstream `spare`");
    assert!(
        failed.stderr.contains("hint: defined are: main"),
        "{failed:?}"
    );
}

#[test]
fn a_sender_that_the_account_may_not_use_is_told_before_anything_is_sent() {
    let configured = Configured::new();
    let arguments = [
        "test-mail",
        "--account",
        "bob",
        "--from",
        "a@evil.example",
        "--to",
        "b@example.net",
    ];
    configured
        .run(&arguments)
        .exits(77)
        .says("a@evil.example in MAIL FROM is not allowed");
}

#[test]
fn filters_choose_by_priority_age_and_account() {
    let configured = Configured::new();
    let ids = fill(&configured, "bob", &["b@example.net"]);
    let id = ids[0].to_string();
    for (arguments, is_listed) in [
        (&["--priority", "4"][..], true),
        (&["--priority", "1-3"], false),
        (&["--priority", "4-5", "--account", "BOB"], true),
        (&["--older", "1h"], false),
        (&["--newer", "1h"], true),
        (&["--reply", "451"], false),
        (&["--upstream", "main"], true),
        (&["--sender", "a@", "--recipient", "b@"], true),
        (&["--tenant", "acme"], false),
    ] {
        let mut all = vec!["queue", "list"];
        all.extend(arguments);
        let list = configured.run(&all).exits(0).stdout;
        assert_eq!(list.starts_with(&id), is_listed, "{arguments:?}: {list}");
    }
}

#[test]
fn a_list_goes_on_behind_a_message() {
    let configured = Configured::new();
    let ids = fill(&configured, "bob", &["b@example.net", "c@example.net"]);
    let arguments = ["queue", "list", "--after", &ids[0].to_string()];
    let list = configured.run(&arguments).exits(0).stdout;
    assert_eq!(list.lines().count(), 1);
    assert!(list.starts_with(&ids[1].to_string()), "{list}");
}

#[test]
fn a_wrong_filter_is_explained() {
    let configured = Configured::new();
    for (arguments, words) in [
        (["--priority", "6"], "from 1 (very high) to 5"),
        (["--priority", "3-1"], "ends before it begins"),
        (["--older", "10"], "it has no unit"),
        (
            ["--state", "lost"],
            "possible values: pending, leased, held",
        ),
    ] {
        let mut all = vec!["queue", "list"];
        all.extend(arguments);
        configured.run(&all).exits(64).says(words);
    }
}

#[test]
fn a_set_of_messages_is_not_changed_without_a_yes() {
    let configured = Configured::new();
    fill(&configured, "bob", &["b@example.net", "c@example.net"]);
    configured
        .run(&["queue", "delete", "--account", "bob"])
        .exits(64)
        .says("2 messages would be changed, and nobody can be asked");
    let list = configured.run(&["queue", "list"]).exits(0).stdout;
    assert_eq!(list.lines().count(), 2);
}

#[test]
fn a_verb_must_be_told_which_messages() {
    let configured = Configured::new();
    let failed = configured.run(&["queue", "hold", "--yes"]).exits(64);
    failed.says("it is not said which messages are meant");
    let both = ["queue", "hold", "038FX65ZSR000", "--account", "bob"];
    configured.run(&both).exits(64).says("exclude each other");
}

#[test]
fn a_message_of_a_stopped_server_is_rerouted_and_traced() {
    let configured = Configured::new();
    let id = fill(&configured, "bob", &["b@example.net"])[0].to_string();
    let nowhere = ["queue", "reroute", &id, "--to", "nowhere"];
    let failed = configured.run(&nowhere).exits(66);
    failed.says("there is no upstream `nowhere`; defined are: main");
    let to = ["queue", "reroute", &id, "--to", "main"];
    let done = configured.run(&to).exits(0).stdout;
    assert_eq!(done, "1 message rerouted\n");
    let reset = ["queue", "reroute", &id, "--reset"];
    configured.run(&reset).exits(0);
    let trace = configured.run(&["trace", &id, "--json"]).exits(0).json();
    let events = trace["events"].as_array().unwrap();
    let told: Vec<_> = events
        .iter()
        .map(|event| (&event["verb"], &event["by"], &event["route"]))
        .collect();
    let (verb, by) = (&"reroute".into(), &"command line".into());
    let (main, none) = (&serde_json::json!(["main"]), &serde_json::Value::Null);
    assert_eq!(told, [(verb, by, main), (verb, by, none)]);
    assert_eq!(trace["message"]["state"], "pending");
    let text = configured.run(&["trace", &id]).exits(0).stdout;
    assert!(
        text.contains("\trerouted\tby command line: by upstream main\n"),
        "{text}"
    );
}

#[test]
fn nothing_is_known_of_a_message_that_never_was() {
    let configured = Configured::new();
    std::fs::create_dir_all(configured.path("data/spool")).unwrap();
    configured
        .run(&["trace", "038FX65ZSR000"])
        .exits(66)
        .says("nothing is known of message 038FX65ZSR000");
    configured.run(&["trace", "not-an-id"]).exits(64);
}

#[test]
fn an_upstream_is_drained_for_the_next_start() {
    let configured = Configured::new();
    std::fs::create_dir_all(configured.path("data/spool")).unwrap();
    let drain = |arguments: &[&str]| {
        let mut all = vec!["queue", "drain"];
        all.extend(arguments);
        configured.run(&all)
    };
    drain(&["nowhere"])
        .exits(66)
        .says("there is no upstream `nowhere`");
    drain(&["main", "--to", "main"]).exits(64);
    drain(&["--end", "main"]).exits(66).says("is not drained");
    let done = drain(&["main"]).exits(0).stdout;
    assert!(done.contains("counts from the next start"), "{done}");
    let file = std::fs::read_to_string(configured.path("data/upstreams")).unwrap();
    assert!(file.contains("\"main\""), "{file}");
    drain(&["--end", "main"]).exits(0);
}

#[test]
fn stats_are_by_priority_upstream_and_account() {
    let configured = Configured::new();
    fill(&configured, "bob", &["b@example.net", "c@example.net"]);
    let stats = configured
        .run(&["queue", "stats", "--json"])
        .exits(0)
        .json();
    let sum = |name: &str| serde_json::json!([{"name": name, "messages": 2, "octets": 28}]);
    assert_eq!(
        (&stats["messages"], &stats["pending"]),
        (&2.into(), &2.into())
    );
    assert_eq!(stats["priorities"], sum("4"));
    assert_eq!(stats["upstreams"], sum("main"));
    assert_eq!(stats["accounts"], sum("bob"));
    assert!(stats["oldest"].is_string(), "{stats}");
    let text = configured.run(&["queue", "stats"]).exits(0).stdout;
    assert!(text.contains("account\tbob\t2\t28 B\n"), "{text}");
}

#[test]
fn an_upstream_is_parked_for_the_next_start() {
    let configured = Configured::new();
    std::fs::create_dir_all(configured.path("data/spool")).unwrap();
    let list = || {
        let run = configured.run(&["upstream", "list", "--json"]);
        run.exits(0).json()[0].clone()
    };
    assert_eq!(list()["condition"], "stopped");
    configured
        .run(&["upstream", "park", "maim"])
        .exits(66)
        .says("did you mean `main`?");
    configured
        .run(&["upstream", "resume", "main"])
        .exits(66)
        .says("is not parked");
    let done = configured.run(&["upstream", "park", "main", "--reason", "moving"]);
    let done = done.exits(0).stdout;
    assert!(done.contains("counts from the next start"), "{done}");
    let main = list();
    assert_eq!(
        (&main["condition"], &main["reason"]),
        (&"parked".into(), &"moving".into())
    );
    configured.run(&["upstream", "resume", "main"]).exits(0);
    assert_eq!(list()["condition"], "stopped");
}
