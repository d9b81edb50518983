//! The text exposition format of Prometheus, version 0.0.4.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::fmt::Write as _;

/// The `Content-Type` of an exposition.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family's samples mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, sum and count.
    Histogram,
    /// Sum and count.
    Summary,
}

/// An exposition in the making. All samples of a family stand together.
#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// Begins a family. Names and help are ours: nothing in them has to be escaped.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
        };
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A sample of it. Values of labels may be anybody's.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.name(name, labels);
        // As Prometheus spells them; Rust would say `inf`.
        let _ = match value {
            f64::INFINITY => self.0.write_str("+Inf\n"),
            f64::NEG_INFINITY => self.0.write_str("-Inf\n"),
            value => writeln!(self.0, "{value}"),
        };
    }

    /// The same for what is counted.
    pub fn count(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.name(name, labels);
        let _ = writeln!(self.0, "{value}");
    }

    /// A histogram with these upper edges: `counts` in each bucket by itself, the last above all edges.
    pub fn histogram(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        edges: &[f64],
        counts: &[u64],
        sum: f64,
    ) {
        let bucket = format!("{name}_bucket");
        let mut total = 0u64;
        for (at, count) in counts.iter().enumerate() {
            total = total.saturating_add(*count);
            let edge = edges.get(at).map_or_else(|| "+Inf".to_owned(), |edge| format!("{edge:?}"));
            let with_edge: Vec<_> = labels.iter().copied().chain([("le", edge.as_str())]).collect();
            self.count(&bucket, &with_edge, total);
        }
        self.summary(name, labels, total, sum);
    }

    /// Sum and count, of a summary or as the end of a histogram.
    pub fn summary(&mut self, name: &str, labels: &[(&str, &str)], count: u64, sum: f64) {
        self.sample(&format!("{name}_sum"), labels, sum);
        self.count(&format!("{name}_count"), labels, count);
    }

    /// All of it.
    pub fn into_text(self) -> String {
        self.0
    }

    fn name(&mut self, name: &str, labels: &[(&str, &str)]) {
        self.0.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            self.0.push(if at == 0 { '{' } else { ',' });
            self.0.push_str(label);
            self.0.push_str("=\"");
            for c in value.chars() {
                match c {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    c => self.0.push(c),
                }
            }
            self.0.push('"');
        }
        self.0.push_str(if labels.is_empty() { " " } else { "} " });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_the_format() {
        let mut text = Exposition::default();
        text.family("a_total", Kind::Counter, "As many.");
        text.count("a_total", &[], 3);
        text.count("a_total", &[("l", "a\"b\\c\nd"), ("m", "é")], u64::MAX);
        text.family("g", Kind::Gauge, "As much.");
        text.sample("g", &[], 0.25);
        text.sample("g", &[("l", "x")], f64::INFINITY);
        text.family("h", Kind::Histogram, "Times.");
        text.histogram("h", &[("task", "put")], &[0.05, 1.0], &[1, 2, 4], 9.5);
        assert_eq!(
            text.into_text(),
            "# HELP a_total As many.\n# TYPE a_total counter\n\
             a_total 3\n\
             a_total{l=\"a\\\"b\\\\c\\nd\",m=\"é\"} 18446744073709551615\n\
             # HELP g As much.\n# TYPE g gauge\n\
             g 0.25\n\
             g{l=\"x\"} +Inf\n\
             # HELP h Times.\n# TYPE h histogram\n\
             h_bucket{task=\"put\",le=\"0.05\"} 1\n\
             h_bucket{task=\"put\",le=\"1.0\"} 3\n\
             h_bucket{task=\"put\",le=\"+Inf\"} 7\n\
             h_sum{task=\"put\"} 9.5\n\
             h_count{task=\"put\"} 7\n"
        );
    }
}
