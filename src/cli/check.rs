//! `rgwlens check`.

use super::args::{CheckArgs, GlobalArgs};

pub(super) fn run(_global: &GlobalArgs, _args: &CheckArgs) -> anyhow::Result<u8> {
    anyhow::bail!("not here yet")
}
