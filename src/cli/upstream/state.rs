//! How an upstream fares, in words.

use crate::control::view::UpstreamView;

/// Says how an upstream fares: `parked by an operator`, `drained to spare`.
pub(in crate::cli) fn state(upstream: &UpstreamView) -> String {
    let condition = &upstream.condition;
    match (&upstream.drained_to, upstream.parked_by.as_deref()) {
        (_, Some("operator")) => format!("{condition} by an operator"),
        (Some(to), _) if condition == "drained" => format!("{condition} to {to}"),
        (_, _) => condition.clone(),
    }
}
