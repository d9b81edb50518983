//! `rgwlens run`.

use super::{OK, args::GlobalArgs, context};
use crate::daemon;

pub(super) fn run(global: &GlobalArgs) -> anyhow::Result<u8> {
    let config = context::load(global)?;
    let log = context::start_log(global, &config);
    daemon::run(config, global.config.clone(), |config| log.follow(config))?;
    Ok(OK)
}
