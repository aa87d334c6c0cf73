//! What MAIL asks for beside the sender: times become absolute, and what cannot be had is refused.

use crate::clock::Timestamp;
use crate::mail::DeliverBy;
use crate::smtp::parameter::MailParameters;
use crate::smtp::replies;
use crate::smtp::server::{Limits, Terms};

use super::intake::Refusal;
use super::settings::Profile;

/// Returns on which terms a message is taken whose MAIL came `now`.
///
/// # Errors
/// A [`Refusal`] where it is to be held beyond the limit, or would be late before it is released.
pub(super) fn terms(
    asked: &MailParameters,
    limits: &Limits,
    profile: &Profile,
    now: Timestamp,
) -> Result<Terms, Refusal> {
    let release = asked.hold.map(|hold| hold.release(now));
    if let (Some(release), Some(longest)) = (release, limits.future_release) {
        let latest = now.after(longest);
        if release > latest {
            let detail = format!("at the latest until {}", latest.to_second());
            return Err(Refusal::new(replies::HELD_TOO_LONG, &detail));
        }
    }
    let deliver_by = asked.by.map(|by| by.deadline(now));
    if is_late(release, deliver_by) {
        return Err(Refusal::new(replies::LATE_BEFORE_RELEASE, &""));
    }
    let given = asked.mt_priority.map(|asked| {
        let effective = profile.effective_priority(Some(asked.priority()));
        asked.within(effective)
    });
    Ok(Terms {
        release,
        deliver_by,
        new_priority: given.filter(|given| Some(*given) != asked.mt_priority),
    })
}

/// Returns whether a message would be late before anybody tries to relay it.
fn is_late(release: Option<Timestamp>, deliver_by: Option<DeliverBy>) -> bool {
    match (release, deliver_by) {
        (Some(release), Some(deliver_by)) => deliver_by.deadline <= release,
        (None, _) | (_, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::mail::{DeliverByMode, DeliverByTrace, MtPriority, Priority};
    use crate::submission::settings::tests::profile;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_795_243_860_000);

    fn with(parameters: &str, profile: &Profile) -> Result<Terms, String> {
        let asked = MailParameters::parse(parameters).unwrap();
        let limits = Limits {
            future_release: Some(Duration::from_hours(1)),
            ..Limits::default()
        };
        terms(&asked, &limits, profile, NOW).map_err(|refusal| {
            let line = refusal.reply.line_with(&refusal.detail);
            String::from_utf8_lossy(line.trim_ascii_end()).into_owned()
        })
    }

    #[test]
    fn times_count_from_mail() {
        let terms = with(" HOLDFOR=60 BY=90;RT", &profile()).unwrap();
        assert_eq!(terms.release, Some(NOW.after(Duration::from_mins(1))));
        let deadline = DeliverBy {
            deadline: NOW.after(Duration::from_secs(90)),
            mode: DeliverByMode::Return,
            trace: DeliverByTrace::On,
        };
        assert_eq!(terms.deliver_by, Some(deadline));
        assert_eq!(with("", &profile()), Ok(Terms::default()));
    }

    #[test]
    fn a_release_that_has_passed_is_now() {
        let terms = with(" HOLDUNTIL=2020-01-01T00:00:00Z", &profile()).unwrap();
        assert_eq!(terms.release, Some(NOW));
    }

    #[test]
    fn a_message_is_held_up_to_the_limit_and_no_longer() {
        assert!(with(" HOLDUNTIL=2026-11-21T07:51:00Z", &profile()).is_ok());
        let refused = "501 5.5.4 the message cannot be held so long: at the latest until 2026-11-21T07:51:00Z";
        let late = with(" HOLDUNTIL=2026-11-21T07:51:01Z", &profile());
        assert_eq!(late, Err(refused.to_owned()));
        assert_eq!(
            with(" HOLDUNTIL=9999-12-01T00:00:00Z", &profile()),
            Err(refused.to_owned())
        );
    }

    #[test]
    fn a_message_is_not_late_before_it_is_released() {
        for by in ["60;R", "60;N", "-5;N", "1;R"] {
            let parameters = format!(" HOLDFOR=60 BY={by}");
            let refused = with(&parameters, &profile()).unwrap_err();
            assert!(refused.starts_with("501 5.5.4 "), "{refused}");
        }
        assert!(with(" HOLDFOR=60 BY=61;R", &profile()).is_ok());
        assert!(with(" BY=-5;N", &profile()).is_ok());
    }

    #[test]
    fn a_client_hears_of_a_priority_that_is_not_the_one_it_asked_for() {
        let mut profile = profile();
        profile.max_priority = Some(Priority::High);
        let new = |value, profile: &Profile| {
            let terms = with(&format!(" MT-PRIORITY={value}"), profile).unwrap();
            terms.new_priority.map(MtPriority::value)
        };
        assert_eq!(new(9, &profile), Some(3));
        assert_eq!(new(4, &profile), None);
        assert_eq!(new(-9, &profile), Some(0));
        profile.priority = Priority::VeryLow;
        assert_eq!(new(-9, &profile), None);
    }
}
