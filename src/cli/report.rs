//! `rgwlens report`.

use super::args::{GlobalArgs, ReportArgs};

pub(super) fn run(_global: &GlobalArgs, _args: &ReportArgs) -> anyhow::Result<u8> {
    anyhow::bail!("not here yet")
}
