//! What is exposed adds up to what was counted.

use super::*;
use crate::{
    access_log::{ClassifierSettings, LogFormat},
    follow::Lines,
    pipeline::Counter,
    stats::{Admission, Settings, Windows},
};

fn parts() -> Vec<Part> {
    let line = |status: &str, time: &str, request: &str| {
        format!(
            "192.0.2.1 - - [21/Nov/2026:19:00:00 +0000] \"{request} HTTP/1.1\" {status} 700 1000 \"-\" \"curl/8\" \
             \"-\" \"{time}\"\n"
        )
    };
    let lines = [
        line("200", "0.004", "GET /a/key"),
        line("200", "0.150", "GET /a/key"),
        line("200", "0.012", "GET /b/key"),
        line("500", "0.500", "GET /b/key"),
        line("200", "90.000", "PUT /c/key"),
    ];
    let settings = Settings::default();
    let windows = Windows::replay(settings.clone(), Admission::new(settings.admission.clone(), 1));
    let format = LogFormat::named("main").unwrap();
    let mut counter = Counter::new(format, ClassifierSettings::default(), settings.slow, windows);
    counter.count(Lines { bytes: lines.concat().as_bytes(), now_ms: None });
    counter.windows.close_all()
}

#[test]
fn sums_are_those_of_the_points_whatever_has_a_name() {
    for (buckets, named) in [(0, 0), (1, 1), (9, 3)] {
        let mut metrics = RequestMetrics::new(buckets);
        for _ in 0..2 {
            parts().iter().for_each(|part| metrics.add("access", part));
        }
        let mut text = Exposition::default();
        metrics.write(&[("node", "gw1")], &mut text);
        let text = text.into_text();
        let sum = |name: &str| -> f64 {
            let samples = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
            samples.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
        };
        for (name, expected) in [
            ("rgwlens_requests_total", 10.0),
            ("rgwlens_bucket_requests_total", 10.0),
            ("rgwlens_request_sent_bytes_total", 10_000.0),
            ("rgwlens_bucket_request_sent_bytes_total", 10_000.0),
            ("rgwlens_request_duration_seconds_count", 8.0),
            ("rgwlens_bucket_request_duration_seconds_count", 8.0),
            ("rgwlens_request_duration_seconds_sum", 180.332),
            ("rgwlens_request_slow_total", 2.0),
        ] {
            assert!((sum(name) - expected).abs() < 1e-9, "{name}: {} in {text}", sum(name));
        }
        let labels = "node=\"gw1\",log=\"access\",class=\"download\",size=\"small\"";
        for (edge, count) in [("0.005", 2), ("0.01", 2), ("0.02", 4), ("0.1", 4), ("0.2", 6), ("+Inf", 6)] {
            let sample =
                format!("rgwlens_request_duration_seconds_bucket{{{labels},le=\"{edge}\"}} {count}\n");
            assert!(text.contains(&sample), "{sample} is not in {text}");
        }
        let others = text.contains("bucket=\"_other_\"");
        assert_eq!((metrics.named.len(), others), (named, buckets < 3), "{text}");
    }
}
