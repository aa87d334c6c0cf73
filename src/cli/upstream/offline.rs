//! What is kept of the upstreams, changed while no server runs.

use std::io;
use std::path::Path;

use crate::app::Register;
use crate::config::Checked;
use crate::identity::UpstreamName;

use crate::cli::failure::{Code, Failure};
use crate::cli::queue::{check_owner, exists};

/// Changes what the next start reads about an upstream.
pub(super) fn change<T>(
    config: &Checked,
    data_dir: &Path,
    upstream: &UpstreamName,
    change: impl FnOnce(&mut Register) -> io::Result<T>,
) -> Result<T, Failure> {
    exists(config, upstream)?;
    check_owner(&config.spool.directory)?;
    let failed = |error: io::Error| {
        let path = Register::empty(data_dir).path().to_owned();
        Failure::file(Code::CannotCreate, "change", &path, &error)
    };
    let mut register = Register::load(data_dir).map_err(failed)?;
    change(&mut register).map_err(failed)
}
