//! A person's permission, from the first request to the refresh token: the device flow over a client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::device::{self, Device, DeviceError, Poll};
use super::request::Moment;
use super::settings::{DeviceLogin, Grant, RefreshToken, Settings};
use super::store::Stored;
use super::tokens::LIMIT;
use super::{KeyError, TokenError};
use crate::clock::Clock;
use crate::http::{Client, Request};

/// A device flow (RFC 8628).
pub struct DeviceFlow<'a> {
    settings: &'a Settings,
    grant: &'a RefreshToken,
    login: &'a DeviceLogin,
    client: Client,
    clock: Arc<dyn Clock>,
}

/// How long the server is asked, and how often. Pure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Patience {
    interval: Duration,
    end: Instant,
}

/// RFC 8628 §3.5: how much longer to wait after `slow_down`.
const SLOWER: Duration = Duration::from_secs(5);

impl Patience {
    /// Returns when to ask next, or that the code is not valid any more by then.
    fn next(self, now: Instant) -> Result<Instant, DeviceError> {
        let next = now + self.interval;
        if next >= self.end {
            return Err(DeviceError::Expired);
        }
        Ok(next)
    }

    fn slower(&mut self) {
        self.interval += SLOWER;
    }
}

impl<'a> DeviceFlow<'a> {
    /// Makes a flow, where the settings have one.
    pub fn new(settings: &'a Settings, client: Client, clock: Arc<dyn Clock>) -> Option<Self> {
        let Grant::RefreshToken(grant) = &settings.grant else {
            return None;
        };
        Some(Self {
            settings,
            grant,
            login: grant.login.as_ref()?,
            client,
            clock,
        })
    }

    /// Asks for a code that a person can type in.
    ///
    /// # Errors
    /// [`DeviceError::Failed`].
    pub async fn begin(&self) -> Result<Device, DeviceError> {
        let moment = self.moment()?;
        let request = device::begin(self.settings, self.grant, self.login, &moment);
        let answer = self.send(request).await?;
        let pause = answer.retry_after(self.clock.now());
        device::begun(&answer, pause).map_err(DeviceError::Failed)
    }

    /// Waits until the person has decided; returns what is to be stored.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub async fn wait(&self, device: &Device) -> Result<Stored, DeviceError> {
        let mut patience = Patience {
            interval: device.interval,
            end: self.clock.instant() + device.lifetime,
        };
        loop {
            let next = patience.next(self.clock.instant())?;
            tokio::time::sleep_until(next.into()).await;
            let moment = self.moment()?;
            let request = device::ask(self.settings, self.grant, device, &moment);
            let answer = match self.send(request).await {
                // RFC 8628 §3.5: a connection that fails is a reason to ask less often.
                Err(DeviceError::Failed(TokenError::Temporary { .. })) => {
                    patience.slower();
                    continue;
                }
                sent => sent?,
            };
            let pause = answer.retry_after(self.clock.now());
            match device::asked(&answer, pause) {
                Poll::Granted(granted) => {
                    let refresh = granted.refresh.ok_or(DeviceError::NoRefreshToken)?;
                    return Ok(Stored::by_login(refresh, &self.grant.client_id));
                }
                Poll::Over(error) => return Err(error),
                Poll::Pending => {}
                Poll::SlowDown => patience.slower(),
            }
        }
    }

    async fn send(
        &self,
        request: Result<Request, KeyError>,
    ) -> Result<crate::http::Answer, DeviceError> {
        let unusable = |error: KeyError| TokenError::Unusable(error.to_string().into());
        let request = request.map_err(unusable).map_err(DeviceError::Failed)?;
        let sent = self.client.send(request, LIMIT).await;
        sent.map_err(|error| DeviceError::Failed(error.into()))
    }

    fn moment(&self) -> Result<Moment, DeviceError> {
        Moment::new(self.clock.now()).map_err(DeviceError::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn it_is_asked_in_time_and_less_often_when_told_so() {
        let start = SystemClock.instant();
        let second = Duration::from_secs(1);
        let mut patience = Patience {
            interval: 5 * second,
            end: start + 20 * second,
        };
        assert_eq!(patience.next(start), Ok(start + 5 * second));
        patience.slower();
        let at = start + 5 * second;
        assert_eq!(patience.next(at), Ok(at + 10 * second));
        assert_eq!(
            patience.next(start + 10 * second),
            Err(DeviceError::Expired)
        );
    }
}
