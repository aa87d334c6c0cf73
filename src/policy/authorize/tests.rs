use proptest::prelude::*;

use super::*;
use crate::mail::Domain;
use crate::policy::OnUnauthorized;

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn grant(text: &str) -> Grant {
    match text.strip_prefix("*.") {
        Some(parent) => Grant::Subdomains(Domain::parse(parent).unwrap()),
        None if text.contains('@') => Grant::Mailbox(mailbox(text)),
        None => Grant::Domain(Domain::parse(text).unwrap()),
    }
}

fn rules(grants: &[&str]) -> Rules {
    Rules {
        grants: Grants::Only(grants.iter().map(|text| grant(text)).collect()),
        scope: Scope::EnvelopeAndHeader,
        detail: Detail::Significant,
        on_unauthorized: OnUnauthorized::Reject,
    }
}

fn path(text: &str) -> ReversePath {
    ReversePath::take(&format!("<{text}>")).unwrap().0
}

fn at_mail(rules: &Rules, reverse_path: &str) -> Verdict {
    authorize_reverse_path(rules, &path(reverse_path))
}

/// A claim in which every place names the same sender.
struct Message {
    reverse_path: ReversePath,
    from: Vec<Mailbox>,
    sender: Option<Mailbox>,
    resent_from: Vec<Mailbox>,
    resent_sender: Vec<Mailbox>,
    shown: Vec<Mailbox>,
}

impl Message {
    fn of(sender: &str) -> Self {
        Self {
            reverse_path: path(sender),
            from: vec![mailbox(sender)],
            sender: None,
            resent_from: Vec::new(),
            resent_sender: Vec::new(),
            shown: Vec::new(),
        }
    }

    fn judged_by(&self, rules: &Rules) -> Verdict {
        let claim = SenderClaim {
            reverse_path: &self.reverse_path,
            from: &self.from,
            sender: self.sender.as_ref(),
            resent_from: &self.resent_from,
            resent_sender: &self.resent_sender,
            shown: &self.shown,
        };
        authorize(rules, &claim)
    }
}

fn denial(verdict: Verdict) -> Denial {
    match verdict {
        Verdict::Deny(denial) => denial,
        Verdict::Allow(reason) => panic!("allowed: {reason:?}"),
    }
}

fn is_allowed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Allow(_))
}

#[test]
fn a_domain_grants_exactly_that_domain() {
    let rules = rules(&["own.example"]);
    for sender in ["a@own.example", "b@OWN.Example", "\"x y\"@own.example"] {
        assert!(is_allowed(&at_mail(&rules, sender)), "{sender}");
    }
    for sender in [
        "a@sub.own.example",
        "a@badown.example",
        "a@own.example.evil",
        "a@example",
        "own.example@evil.example",
        "\"a@own.example\"@evil.example",
        "a%own.example@evil.example",
        "own.example!a@evil.example",
        "a@[192.0.2.1]",
        "a@0wn.example",
    ] {
        assert!(!is_allowed(&at_mail(&rules, sender)), "{sender}");
    }
}

#[test]
fn a_star_grants_subdomains_at_any_depth_and_not_the_domain() {
    let rules = rules(&["*.own.example"]);
    assert!(is_allowed(&at_mail(&rules, "a@x.own.example")));
    assert!(is_allowed(&at_mail(&rules, "a@y.x.own.example")));
    assert!(!is_allowed(&at_mail(&rules, "a@own.example")));
    assert!(!is_allowed(&at_mail(&rules, "a@xown.example")));
}

#[test]
fn an_address_grants_itself_in_any_letter_case() {
    let rules = rules(&["info@own.example"]);
    assert!(is_allowed(&at_mail(&rules, "INFO@Own.Example")));
    assert!(!is_allowed(&at_mail(&rules, "inf0@own.example")));
    assert!(!is_allowed(&at_mail(&rules, "info+x@own.example")));
}

#[test]
fn an_international_domain_is_granted_in_both_forms() {
    for granted in ["bücher.example", "xn--bcher-kva.example"] {
        let rules = rules(&[granted]);
        for sender in ["a@bücher.example", "a@xn--bcher-kva.example"] {
            assert!(is_allowed(&at_mail(&rules, sender)), "{granted} {sender}");
        }
        assert!(!is_allowed(&at_mail(&rules, "a@bucher.example")));
    }
}

#[test]
fn look_alikes_of_a_granted_address_are_denied() {
    let rules = rules(&["kim@paypal.example"]);
    for sender in [
        "\u{212a}im@paypal.example",
        "kim@pаypal.example",
        "kım@paypal.example",
    ] {
        assert!(!is_allowed(&at_mail(&rules, sender)), "{sender}");
    }
}

#[test]
fn detail_counts_unless_it_is_ignored() {
    let mut rules = rules(&["info@own.example", "a+b@own.example"]);
    rules.detail = Detail::Ignored;
    assert!(is_allowed(&at_mail(&rules, "info+x+y@own.example")));
    assert!(is_allowed(&at_mail(&rules, "a+b@own.example")));
    for sender in [
        "a@own.example",
        "a+c@own.example",
        "+info@own.example",
        "info+x@other.example",
    ] {
        assert!(!is_allowed(&at_mail(&rules, sender)), "{sender}");
    }
}

#[test]
fn the_null_reverse_path_passes_at_mail_and_the_header_is_judged_later() {
    let rules = rules(&["own.example"]);
    assert_eq!(
        authorize_reverse_path(&rules, &ReversePath::Null),
        Verdict::Allow(Reason::NullReversePath)
    );
    let mut message = Message::of("a@own.example");
    message.reverse_path = ReversePath::Null;
    assert!(is_allowed(&message.judged_by(&rules)));
    message.from = vec![mailbox("a@evil.example")];
    assert_eq!(denial(message.judged_by(&rules)).place(), Place::From);
}

#[test]
fn every_place_is_judged() {
    let (rules, evil) = (rules(&["own.example"]), mailbox("a@evil.example"));
    let place_of = |change: &dyn Fn(&mut Message)| {
        let mut message = Message::of("me@own.example");
        change(&mut message);
        denial(message.judged_by(&rules)).place()
    };
    assert_eq!(
        place_of(&|m| m.reverse_path = path("a@evil.example")),
        Place::ReversePath
    );
    assert_eq!(place_of(&|m| m.from.push(evil.clone())), Place::From);
    assert_eq!(place_of(&|m| m.sender = Some(evil.clone())), Place::Sender);
    assert_eq!(
        place_of(&|m| m.resent_from.push(evil.clone())),
        Place::ResentFrom
    );
    assert_eq!(
        place_of(&|m| m.resent_sender.push(evil.clone())),
        Place::ResentSender
    );
    assert_eq!(place_of(&|m| m.shown.push(evil.clone())), Place::Name);
}

#[test]
fn a_message_from_nobody_is_denied() {
    let mut message = Message::of("me@own.example");
    message.from.clear();
    let denial = denial(message.judged_by(&rules(&["own.example"])));
    assert_eq!(denial.sender(), None);
    assert_eq!(
        denial.to_string(),
        "From names no sender; this account may send as own.example"
    );
}

#[test]
fn the_header_does_not_count_where_only_the_envelope_is_judged() {
    let mut rules = rules(&["own.example"]);
    rules.scope = Scope::Envelope;
    let mut message = Message::of("me@own.example");
    message.from = vec![mailbox("a@evil.example")];
    assert!(is_allowed(&message.judged_by(&rules)));
    message.reverse_path = path("a@evil.example");
    assert!(!is_allowed(&message.judged_by(&rules)));
}

#[test]
fn an_account_without_lists_may_send_as_anyone() {
    let mut rules = rules(&[]);
    assert!(!is_allowed(&Message::of("a@b.c").judged_by(&rules)));
    rules.grants = Grants::Anyone;
    assert_eq!(
        Message::of("a@b.c").judged_by(&rules),
        Verdict::Allow(Reason::Anyone)
    );
    assert_eq!(at_mail(&rules, "a@b.c"), Verdict::Allow(Reason::Anyone));
}

#[test]
fn the_reason_names_the_grant_for_each_address() {
    let verdict = Message::of("info@own.example").judged_by(&rules(&["x.example", "own.example"]));
    let decision = |place| Decision {
        place,
        sender: mailbox("info@own.example"),
        grant: grant("own.example"),
    };
    let decisions = vec![decision(Place::ReversePath), decision(Place::From)];
    assert_eq!(verdict, Verdict::Allow(Reason::Granted(decisions)));
}

#[test]
fn a_denial_says_what_the_account_may_use() {
    let denied = denial(at_mail(
        &rules(&["own.example", "*.own.example", "me@bücher.example"]),
        "ceo@bücher.example",
    ));
    assert_eq!(
        denied.to_string(),
        "ceo@xn--bcher-kva.example in MAIL FROM is not allowed; this account may send as own.example, \
         *.own.example, me@xn--bcher-kva.example"
    );
    let nobody = denial(at_mail(&rules(&[]), "a@b.c"));
    assert!(
        nobody
            .to_string()
            .ends_with("this account may not send as anyone")
    );
}

#[test]
fn a_denial_stays_short() {
    let label = "x".repeat(60);
    let domain = format!("{label}.{label}.{label}.example");
    let grants: Vec<String> = (0..1000)
        .map(|number| format!("{number}@{domain}"))
        .collect();
    let grants: Vec<&str> = grants.iter().map(String::as_str).collect();
    let text = denial(at_mail(&rules(&grants), &format!("ceo@{domain}"))).to_string();
    assert!(text.len() < 700, "{}", text.len());
    assert!(text.ends_with(" and 995 more"));
}

/// The rules once more, on lower-case ASCII texts.
fn oracle(grants: &[String], ignores_detail: bool, sender: &str) -> bool {
    let (local_part, domain) = sender.split_once('@').unwrap();
    let base = local_part.split_once('+').map_or(local_part, |(base, _)| {
        if base.is_empty() { local_part } else { base }
    });
    grants.iter().any(|grant| {
        grant == domain
            || grant == sender
            || (ignores_detail && *grant == format!("{base}@{domain}"))
            || grant
                .strip_prefix('*')
                .is_some_and(|suffix| domain.ends_with(suffix))
    })
}

const DOMAIN: &str = "(a\\.|b\\.|ab\\.){0,2}(b|ab)\\.c";
const SENDER: &str = "(x|y|xy|\\+)(\\+x|\\+y){0,2}@(a\\.|b\\.|ab\\.){0,2}(b|ab)\\.c";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn verdicts_are_those_of_the_rules_written_plainly(
        domains in prop::collection::vec(DOMAIN, 0..3),
        parents in prop::collection::vec(DOMAIN, 0..2),
        granted in prop::collection::vec(SENDER, 0..3),
        claimed in prop::collection::vec(SENDER, 1..6),
        has_null_reverse_path: bool,
        ignores_detail: bool,
    ) {
        let parents = parents.into_iter().map(|parent| format!("*.{parent}"));
        let grants: Vec<String> = domains.into_iter().chain(parents).chain(granted).collect();
        let mut rules = rules(&grants.iter().map(String::as_str).collect::<Vec<_>>());
        if ignores_detail {
            rules.detail = Detail::Ignored;
        }
        let senders: Vec<Mailbox> = claimed.iter().map(|text| mailbox(text)).collect();
        let message = Message {
            reverse_path: if has_null_reverse_path { ReversePath::Null } else { path(&claimed[0]) },
            from: vec![senders[0].clone()],
            sender: senders.get(1).cloned(),
            resent_from: senders.get(2..3).unwrap_or_default().to_vec(),
            resent_sender: senders.get(3..4).unwrap_or_default().to_vec(),
            shown: senders.get(4..).unwrap_or_default().to_vec(),
        };
        let expected = claimed.iter().all(|sender| oracle(&grants, ignores_detail, sender));
        prop_assert_eq!(is_allowed(&message.judged_by(&rules)), expected);
        let at_mail = authorize_reverse_path(&rules, &message.reverse_path);
        let expected = has_null_reverse_path || oracle(&grants, ignores_detail, &claimed[0]);
        prop_assert_eq!(is_allowed(&at_mail), expected);
    }

    #[test]
    fn what_is_allowed_is_covered_by_a_listed_grant(
        text in "[a-zA-Zżü.+\"@ ]{1,10}@(own|OWN|bücher|xn--bcher-kva|evil)\\.example",
    ) {
        let rules = rules(&["own.example", "me@bücher.example"]);
        if let Ok(sender) = Mailbox::parse(&text)
            && is_allowed(&authorize_reverse_path(&rules, &ReversePath::Mailbox(sender.clone())))
        {
            let domain = sender.domain().as_ascii();
            prop_assert!(domain == "own.example" || (domain == "xn--bcher-kva.example" && sender.local_part().as_unquoted().eq_ignore_ascii_case("me")));
        }
    }
}
