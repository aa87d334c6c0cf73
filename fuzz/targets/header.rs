//! Headers and the senders they name: what is allowed is granted, and stays allowed when it is written as it is stored.
#![no_main]

use libfuzzer_sys::fuzz_target;
use posthouse::mail::{Domain, Header, Mailbox, ReversePath};
use posthouse::message::{AddressRule, Inspected, Names, inspect, substitute};
use posthouse::policy::{
    Detail, Grant, Grants, OnUnauthorized, Rules, Scope, SenderClaim, Verdict, authorize,
};

fn rules() -> Rules {
    Rules {
        grants: Grants::Only(vec![
            Grant::Domain(Domain::parse("own.example").expect("a domain")),
            Grant::Mailbox(Mailbox::parse("me@else.example").expect("an address")),
        ]),
        scope: Scope::EnvelopeAndHeader,
        detail: Detail::Significant,
        on_unauthorized: OnUnauthorized::Reject,
    }
}

fn is_allowed(rules: &Rules, inspected: &Inspected) -> bool {
    let claim = SenderClaim {
        reverse_path: &ReversePath::Null,
        from: &inspected.from,
        sender: inspected.sender.as_ref(),
        resent_from: &inspected.resent_from,
        resent_sender: &inspected.resent_sender,
        shown: &inspected.shown,
    };
    matches!(authorize(rules, &claim), Verdict::Allow(_))
}

fuzz_target!(|octets: &[u8]| {
    let rules = rules();
    let Ok(header) = Header::parse(octets) else {
        return;
    };
    for rule in [AddressRule::All, AddressRule::Senders] {
        let Ok(inspected) = inspect(&header, rule) else {
            continue;
        };
        if is_allowed(&rules, &inspected) {
            assert!(inspected.from.iter().all(|mailbox| rules.may_use(mailbox)));
            assert!(inspected.shown.iter().all(|mailbox| rules.may_use(mailbox)));
            continue;
        }
        let sender = Mailbox::parse("me@else.example").expect("an address");
        for names in [Names::Removed, Names::Kept] {
            let written = substitute(&header, &sender, &|mailbox| rules.may_use(mailbox), names);
            let again = Header::parse(&written.header).expect("a header of ours is one");
            if let Ok(inspected) = inspect(&again, AddressRule::Senders) {
                assert!(is_allowed(&rules, &inspected) || names == Names::Kept);
            }
        }
    }
});
