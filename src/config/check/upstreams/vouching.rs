//! Who is asked about the servers of an upstream: DANE and MTA-STS.

use toml::Spanned;

use crate::config::check::context::Context;
use crate::config::raw;
use crate::upstream::smtp::{Dane, MtaSts, Vouching};

use super::Reported;
use super::values::Values;

/// How the certificate is judged, as far as it matters here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Judged {
    /// By the authorities of a file.
    ByFile,
    /// By those of the system.
    BySystem,
    /// It is pinned, not judged, or not looked at.
    Otherwise,
}

/// Returns who is asked. Nobody has to say so for servers that MX records name: they come from DNS, which anybody on the
/// way could have written.
pub(super) fn vouching(
    context: &mut Context,
    smtp: &raw::Smtp,
    values: &Values,
) -> Result<Vouching, Reported> {
    let judged = judged(smtp, values);
    let by_default = *smtp.mx.get_ref() && judged == Judged::BySystem;
    for (key, wanted) in [("dane", &smtp.dane), ("mta_sts", &smtp.mta_sts)] {
        if let Some(wanted) = wanted.as_ref().filter(|wanted| *wanted.get_ref())
            && judged == Judged::Otherwise
        {
            let message =
                format!("`{key}` changes nothing here: no certificate is judged by its name");
            let hint = format!(
                "take out `{key}`, or what speaks against it: `fingerprint`, `verify = false`, `tls = \"disabled\"`"
            );
            context.error(wanted.span(), message, hint);
            return Err(Reported);
        }
    }
    Ok(Vouching {
        dane: match smtp.dane.as_ref().map(Spanned::get_ref) {
            Some(true) => Dane::On,
            None if by_default => Dane::WherePossible,
            Some(false) | None => Dane::Off,
        },
        mta_sts: mta_sts(context, smtp, by_default)?,
    })
}

fn mta_sts(context: &mut Context, smtp: &raw::Smtp, by_default: bool) -> Result<MtaSts, Reported> {
    match &smtp.mta_sts {
        Some(wanted) if *wanted.get_ref() && !smtp.mx.get_ref() => {
            let message = "a policy of MTA-STS is about servers that MX records name";
            let hint = "write `mx = true`, or take out `mta_sts`: the certificate must be for `host` in any case";
            context.error(wanted.span(), message, hint);
            Err(Reported)
        }
        Some(wanted) if *wanted.get_ref() => Ok(MtaSts::On),
        None if by_default => Ok(MtaSts::On),
        Some(_) | None => Ok(MtaSts::Off),
    }
}

fn judged(smtp: &raw::Smtp, values: &Values) -> Judged {
    let is_open = values.tls.value == raw::TlsPolicy::Disabled;
    match (smtp.verify.get_ref(), &smtp.fingerprint, &smtp.ca_file) {
        _ if is_open => Judged::Otherwise,
        (false, ..) | (true, Some(_), _) => Judged::Otherwise,
        (true, None, Some(_)) => Judged::ByFile,
        (true, None, None) => Judged::BySystem,
    }
}
