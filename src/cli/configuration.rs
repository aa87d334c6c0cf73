//! The option `--config`, and what is read from the file it names.

use std::path::{Path, PathBuf};

use crate::config::{self, Checked, Upstream};
use crate::identity::UpstreamName;

use super::failure::{Code, Failure};
use super::sender;

/// Which configuration is meant.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ConfigurationOption {
    /// The configuration file
    #[arg(
        long = "config",
        short = 'c',
        value_name = "FILE",
        env = "POSTHOUSE_CONFIG",
        default_value = DEFAULT_FILE
    )]
    pub(super) file: PathBuf,
}

/// Where a configuration is looked for when none is named.
pub(super) const DEFAULT_FILE: &str = "/etc/posthouse/posthouse.toml";

impl ConfigurationOption {
    /// Reads and checks the configuration.
    pub(super) fn load(&self) -> Result<Checked, Failure> {
        load(&self.file)
    }

    /// Reads and checks the configuration, and adds to what accounts may send as the senders that have been verified.
    pub(super) fn load_verified(&self) -> Result<Checked, Failure> {
        let mut config = self.load()?;
        config.profiles = config.profiles_with(&sender::ledger(&config)?);
        Ok(config)
    }

    /// Returns the data directory, even where something else in the file is wrong.
    pub(super) fn data_dir(&self) -> Result<PathBuf, Failure> {
        require(&self.file)?;
        let found = config::data_dir(&self.file);
        found.map_err(|report| Failure::configuration(&self.file, &report))
    }
}

/// Reads and checks a configuration.
pub(super) fn load(file: &Path) -> Result<Checked, Failure> {
    require(file)?;
    config::load(file).map_err(|report| Failure::configuration(file, &report))
}

/// Finds an upstream of a configuration.
pub(super) fn upstream<'a>(
    config: &'a Checked,
    name: &UpstreamName,
) -> Result<&'a Upstream, Failure> {
    config.upstreams.get(name).ok_or_else(|| {
        let names: Vec<_> = config.upstreams.keys().map(ToString::to_string).collect();
        Failure::new(Code::NoInput, format!("there is no upstream `{name}`"))
            .with_hint(format!("defined are: {}", names.join(", ")))
    })
}

/// Makes sure that the file is there: its absence is no fault of its text.
pub(super) fn require(file: &Path) -> Result<(), Failure> {
    match file.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => {
            let message = format!("there is no configuration {}", file.display());
            Err(Failure::new(Code::NoInput, message).with_hint(
                "name one with --config FILE; `posthouse check --defaults` prints one to begin with, \
                 and `posthouse try` needs none",
            ))
        }
        Err(error) => Err(Failure::file(Code::NoInput, "read", file, &error)),
    }
}
