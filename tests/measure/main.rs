//! What it costs, alive and in bulk: `scripts/measure` runs each of these by its name. They print tables of Markdown, and
//! assert nothing about a speed.
#![cfg(feature = "cli")]

mod growth;
mod live;
mod machine;
mod memory;
mod replay;
#[path = "../support/shapes.rs"]
mod shapes;
mod start;
#[path = "../support/mod.rs"]
mod support;
#[path = "../../examples/generate/traffic.rs"]
mod traffic;

use std::io::Write as _;

/// A line of what is printed.
fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("write");
}

/// How long a run: the variable, or what `scripts/measure` says it takes.
fn setting(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |value| value.parse().expect("a number"))
}
