//! The kinds of value a key can have. Stricter than the `config` crate, which rounds 1.7 to 2 and takes 5 for `true`; and
//! each of them can also be written as text, which is all that an environment variable can hold.

use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::units::{parse_duration, parse_size, show_duration, show_size};

/// Any value of TOML, before it is known what it has to be.
#[derive(Deserialize)]
#[serde(untagged)]
enum Raw {
    Flag(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<String>),
    Other(serde::de::IgnoredAny),
}

/// A key's value of one kind: how it is read, what is said if it cannot be, how it is written.
macro_rules! leaf {
    ($(#[$doc:meta])* $name:ident($inner:ty), $expected:literal, $read:expr, $show:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
        #[serde(try_from = "Raw", into = "serde_json::Value")]
        pub(super) struct $name(pub(super) $inner);

        impl TryFrom<Raw> for $name {
            type Error = &'static str;

            fn try_from(raw: Raw) -> Result<Self, Self::Error> {
                let read: fn(Raw) -> Option<$inner> = $read;
                read(raw).map(Self).ok_or(concat!("must be ", $expected))
            }
        }

        impl From<$name> for serde_json::Value {
            fn from(value: $name) -> Self {
                let show: fn($inner) -> Self = $show;
                show(value.0)
            }
        }
    };
}

leaf!(
    /// A duration.
    Span(Duration),
    "a duration such as \"10s\", \"1h30m\" or \"30d\" (units: ms, s, m, h, d, w; a number alone is seconds)",
    |raw| match raw {
        Raw::Integer(seconds) => u64::try_from(seconds).ok().map(Duration::from_secs),
        Raw::Text(text) => parse_duration(&text),
        _ => None,
    },
    |span| show_duration(span).into()
);

leaf!(
    /// A size in bytes.
    Size(u64),
    "a size such as \"64KiB\", \"1MiB\" or \"10GiB\" (a number alone is bytes)",
    |raw| match raw {
        Raw::Integer(bytes) => u64::try_from(bytes).ok(),
        Raw::Text(text) => parse_size(&text),
        _ => None,
    },
    |size| show_size(size).into()
);

leaf!(
    /// A count.
    Count(u64),
    "a whole number, 0 or more",
    |raw| match raw {
        Raw::Integer(count) => u64::try_from(count).ok(),
        Raw::Text(text) => text.parse().ok(),
        _ => None,
    },
    |count| count.into()
);

leaf!(
    /// A share of a whole.
    Share(f64),
    "a number from 0.0 to 1.0",
    |raw| match raw {
        Raw::Integer(share) => Some(share as f64),
        Raw::Float(share) => Some(share),
        Raw::Text(text) => text.parse().ok(),
        _ => None,
    },
    |share| share.into()
);

leaf!(
    /// Yes or no.
    Flag(bool),
    "true or false",
    |raw| match raw {
        Raw::Flag(flag) => Some(flag),
        Raw::Text(text) => text.parse().ok(),
        _ => None,
    },
    |flag| flag.into()
);

leaf!(
    /// Some texts; one alone needs no brackets.
    Texts(Vec<String>),
    "a list of texts such as [\"a\", \"b\"]",
    |raw| match raw {
        Raw::Text(text) => Some(vec![text]),
        Raw::List(texts) => Some(texts),
        _ => None,
    },
    |texts| texts.into()
);
