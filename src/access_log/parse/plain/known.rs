//! The steps of formats that are known when compiling: each is a piece of the program instead of data to be looked at for
//! every value of every line, which takes as long as to read the values.

use fearless_simd::Simd;

use super::{End, Known, PlainStep, Reading, Steps, Text, Way};
use crate::access_log::format::Field;

impl Known {
    /// The known format that has just these steps.
    pub(super) fn find(prefix: Text, steps: &[PlainStep]) -> Option<Self> {
        let is_same = |known: &[(Way, Text)]| {
            prefix == Text::of(b"")
                && known.len() == steps.len()
                && known
                    .iter()
                    .zip(steps)
                    .all(|((way, after), step)| *way == step.way && *after == step.after)
        };
        [(Main::STEPS, Self::Main), (Rgwlens::STEPS, Self::Rgwlens)]
            .into_iter()
            .find_map(|(steps, known)| is_same(steps).then_some(known))
    }
}

macro_rules! known {
    ($(#[$meta:meta])* $name:ident: $($way:expr, $after:literal;)+) => {
        $(#[$meta])*
        pub(super) struct $name;

        impl $name {
            const STEPS: &[(Way, Text)] = &[$(($way, Text::of($after))),+];
            const MARKS: usize = marks_of(Self::STEPS);
        }

        impl Steps for $name {
            #[inline(always)]
            fn marks(&self) -> usize {
                Self::MARKS
            }

            #[inline(always)]
            fn read<S: Simd>(&self, reading: &mut Reading<'_, '_, S>, marks: &[u32]) -> Option<()> {
                let marks: &[u32; Self::MARKS] = marks.first_chunk()?;
                let (mut at, mut used) = (0, 0);
                $({
                    const AFTER: Text = Text::of($after);
                    at = reading.value($way, at, marks[used], AFTER)?;
                    used += AFTER.quotes;
                })+
                reading.line_end(at)
            }
        }
    };
}

/// How many marks a line of these steps has, the newline included.
const fn marks_of(steps: &[(Way, Text)]) -> usize {
    let (mut marks, mut at) = (1, 0);
    while at < steps.len() {
        marks += steps[at].1.quotes;
        at += 1;
    }
    marks
}

known! {
    /// `main`, as nginx's own example and most of the world has it, with two numbers and a time more.
    Main:
    Way::RemoteAddr, b" - ";
    Way::Skip(30), b" [";
    Way::TimeLocal, b"] \"";
    Way::Request, b"\" ";
    Way::Status, b" ";
    Way::RequestLength, b" ";
    Way::BodyBytesSent, b" \"";
    Way::Skip(0), b"\" \"";
    Way::UserAgent, b"\" \"";
    Way::Skip(0), b"\" \"";
    Way::RequestTime, b"\"";
}

known! {
    /// `rgwlens`, the format that we ship.
    Rgwlens:
    Way::Msec, b" ";
    Way::Other(Field::Skip, End::Fixed(25)), b" ";
    Way::RemoteAddr, b" ";
    Way::Status, b" ";
    Way::RequestTime, b" ";
    Way::RequestLength, b" ";
    Way::BodyBytesSent, b" ";
    Way::BytesSent, b" \"";
    Way::Other(Field::UpstreamAddr, End::BeforeMark(0)), b"\" \"";
    Way::Other(Field::UpstreamStatus, End::Own), b"\" \"";
    Way::Other(Field::UpstreamHeaderTime, End::Own), b"\" \"";
    Way::Other(Field::UpstreamResponseTime, End::Own), b"\" \"";
    Way::Other(Field::GatewayRequestId, End::BeforeMark(0)), b"\" \"";
    Way::Other(Field::GatewayRequestId, End::BeforeMark(0)), b"\" \"";
    Way::Other(Field::ContentLength, End::BeforeMark(0)), b"\" \"";
    Way::Other(Field::HttpHost, End::BeforeMark(0)), b"\" \"";
    Way::Request, b"\" \"";
    Way::Other(Field::CopySource, End::BeforeMark(0)), b"\" \"";
    Way::Other(Field::CopyFrom, End::BeforeMark(0)), b"\" \"";
    Way::UserAgent, b"\" \"";
    Way::Skip(0), b"\"";
}

#[cfg(test)]
mod tests {
    use super::super::PlainPlan;
    use crate::access_log::LogFormat;

    #[test]
    fn the_formats_that_we_name_are_known() {
        for name in ["main", "rgwlens"] {
            let plan = PlainPlan::new(&LogFormat::named(name).unwrap().plan).unwrap();
            assert!(plan.known.is_some(), "{name}: {:#?}", plan.steps);
        }
    }
}
