//! When an upstream is tried again.

use toml::Spanned;

use crate::config::check::context::Context;
use crate::config::raw;
use crate::schedule::{RetryPlan, RetryPlanError};

/// Returns a retry plan of what is set here and, for the rest, of `base`; `None` after an error.
pub(in crate::config) fn plan(
    context: &mut Context,
    own: &raw::OwnRetry,
    base: &raw::Retry,
) -> Option<RetryPlan> {
    let first = own.first.as_ref().unwrap_or(&base.first);
    let longest = own.longest.as_ref().unwrap_or(&base.longest);
    let lifetime = own.lifetime.as_ref().unwrap_or(&base.lifetime);
    let made = RetryPlan::new(
        first.get_ref().get(),
        longest.get_ref().get(),
        lifetime.get_ref().get(),
    );
    let error = match made {
        Ok(plan) => return with_warning(context, own, base, plan),
        Err(error) => error,
    };
    let at_fault = match error {
        RetryPlanError::NoFirst => first,
        RetryPlanError::LongestBelowFirst => longest,
        RetryPlanError::LifetimeBelowFirst | RetryPlanError::WarningPastLifetime => lifetime,
    };
    let place = [at_fault, first].map(Spanned::span);
    let place = place.into_iter().find(|place| !place.is_empty());
    let hint = format!(
        "here first = \"{}\", longest = \"{}\", lifetime = \"{}\"",
        first.get_ref(),
        longest.get_ref(),
        lifetime.get_ref()
    );
    context.error(place.unwrap_or_default(), error.to_string(), hint);
    None
}

/// Returns the plan with its warning of delays; `None` after an error.
///
/// A warning that nobody has set here makes no fault of a short lifetime: there is none then.
fn with_warning(
    context: &mut Context,
    own: &raw::OwnRetry,
    base: &raw::Retry,
    plan: RetryPlan,
) -> Option<RetryPlan> {
    let warn_after = own.warn_after.as_ref().unwrap_or(&base.warn_after);
    let is_inherited = own.warn_after.is_none() && own.lifetime.is_some();
    let is_set_here = !is_inherited && !warn_after.span().is_empty();
    match plan.with_warning(warn_after.get_ref().get()) {
        Ok(plan) => Some(plan),
        Err(error) if is_set_here => {
            let hint = format!(
                "here warn_after = \"{}\", lifetime = \"{}\"; \"0s\" switches the warning off",
                warn_after.get_ref(),
                own.lifetime.as_ref().unwrap_or(&base.lifetime).get_ref()
            );
            context.error(warn_after.span(), error.to_string(), hint);
            None
        }
        Err(_) => Some(plan),
    }
}
