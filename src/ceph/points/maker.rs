//! Points, field by field.

use crate::point::{Field, Point, Tags, TimestampNs};

/// Points of one time.
pub(in crate::ceph) struct Maker {
    time: TimestampNs,
    pub(in crate::ceph) points: Vec<Point>,
}

impl Maker {
    pub(in crate::ceph) fn new(time: TimestampNs) -> Self {
        Self { time, points: Vec::new() }
    }

    /// Adds a point, unless there is nothing to say.
    pub(in crate::ceph) fn point(&mut self, measurement: &str, tags: &[(&str, &str)], fields: Fields) {
        if !fields.0.is_empty() {
            let tags = Tags::new(tags.iter().copied());
            self.points.push(Point {
                measurement: measurement.into(),
                tags,
                fields: fields.0,
                time: self.time,
            });
        }
    }
}

/// Fields of a point. What is `None` is left out.
#[derive(Default)]
pub(in crate::ceph) struct Fields(Vec<(String, Field)>);

impl Fields {
    pub(in crate::ceph) fn number(mut self, name: &str, number: Option<f64>) -> Self {
        self.0.extend(number.filter(|n| n.is_finite()).map(|number| (name.into(), Field::Float(number))));
        self
    }

    pub(in crate::ceph) fn numbers(self, numbers: &[(&str, f64)]) -> Self {
        numbers.iter().fold(self, |fields, (name, number)| fields.number(name, Some(*number)))
    }

    pub(in crate::ceph) fn flag(mut self, name: &str, flag: Option<bool>) -> Self {
        self.0.extend(flag.map(|flag| (name.into(), Field::Boolean(flag))));
        self
    }

    /// A text, up to a bound.
    pub(in crate::ceph) fn text(mut self, name: &str, text: Option<&str>) -> Self {
        const LONGEST: usize = 300;
        let short = |text: &str| text.chars().take(LONGEST).collect();
        self.0.extend(text.map(|text| (name.into(), Field::Text(short(text)))));
        self
    }
}
