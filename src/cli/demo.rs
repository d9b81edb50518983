//! `rgwlens demo`.

use super::args::{DemoArgs, GlobalArgs};

pub(super) fn run(_global: &GlobalArgs, _args: &DemoArgs) -> anyhow::Result<u8> {
    anyhow::bail!("not here yet")
}
