//! A person's permission, given on another device (RFC 8628). Pure.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::answer::{self, Granted, Seconds};
use super::error::TokenError;
use super::form::Form;
use super::keys::KeyError;
use super::refusal::Refusal;
use super::request::{Moment, Program};
use super::settings::{DeviceLogin, RefreshToken, Settings};
use crate::http::{Answer, Request};
use crate::secret::Secret;
use crate::telemetry::printable;

/// What the person is told, and what is asked with meanwhile.
#[derive(Clone, Debug)]
pub struct Device {
    code: Secret,
    /// What the person types in.
    pub user_code: Box<str>,
    /// Where.
    pub verification_url: Box<str>,
    /// How long the code is valid.
    pub lifetime: Duration,
    /// How long to wait between questions.
    pub interval: Duration,
}

/// What the server says to a question.
#[derive(Debug)]
pub enum Poll {
    /// The person has agreed.
    Granted(Granted),
    /// The person has not decided yet.
    Pending,
    /// It is asked too often: wait five seconds longer from now on.
    SlowDown,
    /// It is over.
    Over(DeviceError),
}

/// Why there is no permission.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DeviceError {
    /// The person refused.
    Denied,
    /// The person took too long.
    Expired,
    /// The server refuses, or cannot.
    Failed(TokenError),
    /// The server gave a permission that cannot be renewed: the scope lacks `offline_access`, or the server gives none.
    NoRefreshToken,
}

impl std::error::Error for DeviceError {}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str("the permission was refused"),
            Self::Expired => f.write_str("nobody gave the permission in time"),
            Self::Failed(error) => error.fmt(f),
            Self::NoRefreshToken => f.write_str(
                "the server gave no refresh token, so that the permission would soon be over",
            ),
        }
    }
}

/// An answer of the device authorization endpoint (RFC 8628 §3.2). Google calls the address a URL.
#[derive(Deserialize)]
struct Body {
    device_code: Secret,
    user_code: String,
    #[serde(alias = "verification_url")]
    verification_uri: String,
    expires_in: Seconds,
    interval: Option<Seconds>,
}

/// RFC 8628 §3.2: where nothing is said.
const INTERVAL: u64 = 5;

/// Makes the request that begins the flow (RFC 8628 §3.1).
///
/// # Errors
/// [`KeyError`] where an assertion cannot be signed.
pub fn begin(
    settings: &Settings,
    grant: &RefreshToken,
    login: &DeviceLogin,
    moment: &Moment,
) -> Result<Request, KeyError> {
    let form = match &login.scope {
        Some(scope) => Form::new("scope", scope),
        None => Form::empty(),
    };
    let to = (&settings.token_url, moment);
    Program::of(grant).post(form, &login.device_url, to)
}

/// Reads the answer to [`begin`].
///
/// # Errors
/// [`TokenError`].
pub fn begun(answer: &Answer, pause: Option<Duration>) -> Result<Device, TokenError> {
    if !answer.is_success() {
        return Err(Refusal::read(answer).judge(pause));
    }
    let body: Body = serde_json::from_slice(&answer.body)
        .map_err(|_| TokenError::temporary("the device endpoint's answer is not understood"))?;
    let Seconds(lifetime) = body.expires_in;
    let Seconds(interval) = body.interval.unwrap_or(Seconds(INTERVAL));
    Ok(Device {
        code: body.device_code,
        user_code: printable(&body.user_code),
        verification_url: printable(&body.verification_uri),
        lifetime: Duration::from_secs(lifetime),
        interval: Duration::from_secs(interval.clamp(1, 300)),
    })
}

/// Makes the question whether the person has decided (RFC 8628 §3.4).
///
/// # Errors
/// [`KeyError`] where an assertion cannot be signed.
pub fn ask(
    settings: &Settings,
    grant: &RefreshToken,
    device: &Device,
    moment: &Moment,
) -> Result<Request, KeyError> {
    let form = Form::new("grant_type", "urn:ietf:params:oauth:grant-type:device_code")
        .with("device_code", device.code.expose());
    let url = &settings.token_url;
    Program::of(grant).post(form, url, (url, moment))
}

/// Reads the answer to [`ask`] (RFC 8628 §3.5).
pub fn asked(answer: &Answer, pause: Option<Duration>) -> Poll {
    let error = match answer::access_token(answer, pause) {
        Ok(granted) if granted.refresh.is_none() => {
            return Poll::Over(DeviceError::NoRefreshToken);
        }
        Ok(granted) => return Poll::Granted(granted),
        Err(error) => error,
    };
    match &*Refusal::read(answer).error {
        "authorization_pending" => Poll::Pending,
        "slow_down" => Poll::SlowDown,
        "access_denied" | "authorization_declined" => Poll::Over(DeviceError::Denied),
        "expired_token" | "code_expired" => Poll::Over(DeviceError::Expired),
        _ => match error {
            // The code stays valid meanwhile.
            TokenError::Temporary { .. } => Poll::SlowDown,
            TokenError::Unusable(_) => Poll::Over(DeviceError::Failed(error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::http::HeaderMap;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    fn poll(error: &str) -> Poll {
        asked(&answer(400, &format!(r#"{{"error":"{error}"}}"#)), None)
    }

    #[test]
    fn the_code_is_read_and_the_secret_one_does_not_print() {
        let text = r#"{"device_code":"GmRh","user_code":"WDJB-MJHT","verification_uri":"https://microsoft.com/devicelogin","expires_in":900}"#;
        let device = begun(&answer(200, text), None).unwrap();
        assert_eq!(&*device.user_code, "WDJB-MJHT");
        assert_eq!(device.interval, Duration::from_secs(5));
        assert_eq!(device.lifetime, Duration::from_mins(15));
        assert!(!format!("{device:?}").contains("GmRh"));
    }

    fn short(poll: &Poll) -> String {
        match poll {
            Poll::Granted(_) => "granted".to_owned(),
            Poll::Over(DeviceError::Failed(_)) => "failed".to_owned(),
            Poll::Over(error) => format!("{error:?}"),
            Poll::Pending => "pending".to_owned(),
            Poll::SlowDown => "slow down".to_owned(),
        }
    }

    #[test]
    fn every_answer_of_the_standard_has_its_meaning() {
        let rows = [
            ("authorization_pending", "pending"),
            ("slow_down", "slow down"),
            ("access_denied", "Denied"),
            ("authorization_declined", "Denied"),
            ("expired_token", "Expired"),
            ("invalid_client", "failed"),
        ];
        for (error, meaning) in rows {
            assert_eq!(short(&poll(error)), meaning, "{error}");
        }
        let answers = [
            (503, "", "slow down"),
            (
                200,
                r#"{"access_token":"a","refresh_token":"r"}"#,
                "granted",
            ),
            (200, r#"{"access_token":"a"}"#, "NoRefreshToken"),
        ];
        for (status, body, meaning) in answers {
            assert_eq!(
                short(&asked(&answer(status, body), None)),
                meaning,
                "{body}"
            );
        }
    }
}
