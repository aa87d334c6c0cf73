//! `posthouse upstream login`.

use std::sync::Arc;

use tokio::runtime;

use crate::clock::{Clock, SystemClock};
use crate::config::{Checked, Engine};
use crate::dns::SystemResolver;
use crate::http::{Dial, Direct};
use crate::identity::UpstreamName;
use crate::mail::{Cause, Failure as Why, Stage, Unusable};
use crate::oauth::device::{Device, DeviceError};
use crate::oauth::{self, DeviceFlow, Grant, Settings, Store, Stored};
use crate::upstream::repair::repair;
use crate::upstream::smtp::{self, Credential};

use crate::cli::configuration::ConfigurationOption;
use crate::cli::failure::{Code, Failure};
use crate::cli::output::{Output, Style};
use crate::cli::running;

/// Let a person permit an upstream to be used: shows a code to type into a browser, on any device
///
/// The upstream must be one whose login is by OAuth with a person's permission ([upstream.NAME.smtp.oauth.microsoft] with
/// `login = true`, or [….generic] with `device_url`). What the person permits is kept below `data_dir` as a refresh
/// token, for the server alone. It is not shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  posthouse upstream login office")]
pub(super) struct Arguments {
    /// The upstream
    #[arg(value_name = "NAME", value_parser = UpstreamName::parse)]
    name: UpstreamName,
    #[command(flatten)]
    configuration: ConfigurationOption,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<(), Failure> {
    let config = arguments.configuration.load()?;
    let name = &arguments.name;
    let (smtp, settings) = wanted(&config, name)?;
    let Grant::RefreshToken(grant) = &settings.grant else {
        return Err(own_permission(name));
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let flow = flow(smtp, settings, &clock)?;
    let Some(flow) = flow else {
        return Err(no_flow(name, settings));
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::of(Code::Unavailable, &error))?;
    let stored = runtime.block_on(permitted(&flow, name, output))?;
    let store = Store::new(&grant.file);
    store
        .save(&stored)
        .map_err(|error| Failure::of(Code::CannotCreate, &error))?;
    output.styled(Style::Green, "The permission is stored.")?;
    running::reload_after_edit(&config.server.data_dir, output)
}

/// Runs the flow and shows what the person is to do.
async fn permitted(
    flow: &DeviceFlow<'_>,
    name: &UpstreamName,
    output: &mut Output,
) -> Result<Stored, Failure> {
    let device = flow.begin().await.map_err(|error| failed(name, &error))?;
    show(&device, output)?;
    let waited = flow.wait(&device).await;
    waited.map_err(|error| failed(name, &error))
}

fn show(device: &Device, output: &mut Output) -> Result<(), Failure> {
    output.line(
        "Open this address in a browser, on this or any other device, and log in as the mailbox:",
    )?;
    output.styled(
        Style::Bold,
        format_args!("\n  {}\n", device.verification_url),
    )?;
    output.line("Type in this code:")?;
    output.styled(Style::Bold, format_args!("\n  {}\n", device.user_code))?;
    let minutes = device.lifetime.as_secs().div_ceil(60);
    output.line(format_args!(
        "It is good for {minutes} minutes. Waiting for the permission; Ctrl-C gives up."
    ))
}

/// Returns the settings of the upstream's login by OAuth.
fn wanted<'a>(
    config: &'a Checked,
    name: &UpstreamName,
) -> Result<(&'a smtp::Settings, &'a Settings), Failure> {
    let Some(upstream) = config.upstreams.get(name) else {
        let names: Vec<_> = config.upstreams.keys().map(ToString::to_string).collect();
        let failure = Failure::new(Code::NoInput, format!("there is no upstream `{name}`"));
        return Err(failure.with_hint(format!("defined are: {}", names.join(", "))));
    };
    let login = match &upstream.engine {
        Engine::Smtp(settings) => settings.login.as_ref().map(|login| (settings, login)),
        Engine::Graph(_) | Engine::Maildir(_) => None,
    };
    match login.map(|(settings, login)| (settings, &login.credential)) {
        Some((settings, Credential::Token(wanted))) => Ok((settings, wanted)),
        Some((_, Credential::Password(_))) | None => {
            let message = format!("the login of `{name}` is not by OAuth");
            let hint = format!(
                "write [upstream.{name}.smtp.oauth.microsoft] with tenant_id, client_id and login = true, in the place of \
                 `password`; docs/upstreams.md tells more"
            );
            Err(Failure::new(Code::Configuration, message).with_hint(hint))
        }
    }
}

fn flow<'a>(
    smtp: &smtp::Settings,
    settings: &'a Settings,
    clock: &Arc<dyn Clock>,
) -> Result<Option<DeviceFlow<'a>>, Failure> {
    let resolver = SystemResolver::new();
    let resolver = resolver.map_err(|error| Failure::of(Code::Unavailable, &error))?;
    let dialer: Arc<dyn Dial> = Arc::new(Direct::new(Arc::new(resolver), smtp.local_address));
    let client = oauth::client(settings, dialer);
    let client = client.map_err(|error| Failure::of(Code::Configuration, &error))?;
    Ok(DeviceFlow::new(settings, client, Arc::clone(clock)))
}

/// Nobody needs to permit what is the program's own.
fn own_permission(name: &UpstreamName) -> Failure {
    let message = format!("`{name}` needs no login: the program has a permission of its own");
    Failure::new(Code::Configuration, message).with_hint(format!(
        "`posthouse test-mail --upstream {name}` shows whether it works"
    ))
}

/// Says why nobody can permit it this way.
fn no_flow(name: &UpstreamName, settings: &Settings) -> Failure {
    let host = settings.token_url.host_str().unwrap_or_default();
    if host.ends_with("googleapis.com") {
        let message =
            format!("`{name}` cannot be permitted this way: Google does not allow it for mail");
        return Failure::new(Code::Configuration, message).with_hint(
            "use a service account, or a refresh token that was got elsewhere, as `refresh_token`",
        );
    }
    let message =
        format!("the permission of `{name}` is written in the configuration (`refresh_token`)");
    Failure::new(Code::Configuration, message)
        .with_hint("write login = true in its place (`device_url` in a generic form), then log in")
}

fn failed(name: &UpstreamName, error: &DeviceError) -> Failure {
    let failure = Failure::new(
        Code::Unavailable,
        format!("`{name}` is not permitted: {error}"),
    );
    let again = format!("`posthouse upstream login {name}` begins anew");
    match error {
        DeviceError::Denied | DeviceError::Expired => failure.with_hint(again),
        DeviceError::NoRefreshToken => {
            failure.with_hint("the scope must ask for it, in most cases with `offline_access`")
        }
        DeviceError::Failed(error) => {
            let cause = Cause::Unusable(Unusable::from(error.to_string()));
            let advice = repair(&Why::new(Stage::Authenticate, cause));
            match advice {
                Some(advice) => failure.with_hint(advice.replace("NAME", name.as_str())),
                None => failure,
            }
        }
    }
}
