//! `rgwlens status`.

use super::args::{GlobalArgs, StatusArgs};

pub(super) fn run(_global: &GlobalArgs, _args: &StatusArgs) -> anyhow::Result<u8> {
    anyhow::bail!("not here yet")
}
