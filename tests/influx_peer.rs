//! Our encoder and client against those of the crate `influxdb2`: what VictoriaMetrics has of the same points must be
//! the same, whoever wrote them.
#![cfg(feature = "cli")]

mod support;

use influxdb2::models::{DataPoint, WriteDataPoint as _};
use rgwlens::{
    influx::{Client, line_protocol::Encoder, sender::Sender},
    point::PointWriter as _,
};
use support::influx::VictoriaMetrics;

const START_MS: i64 = 1_700_000_000_000;

/// Tags and numbers that both can say. What the peer cannot (a newline, a trailing backslash, an empty tag, a number
/// that is not finite) is why it is not used.
const BUCKETS: [&str; 6] = ["plain", "with space", "a,b", "a=b", "tenant/bucket", "bücket"];

const FLOATS: [f64; 6] = [0.0, 0.001, 12.5, 1e-7, 123_456_789.125, 1e21];

#[tokio::test]
async fn a_peer_writes_the_same_series() {
    let victoria = VictoriaMetrics::start();
    let target = victoria.target();
    let mut ours = Encoder::new(target.dialect());
    let mut theirs = Vec::new();
    for (n, (bucket, float)) in BUCKETS.into_iter().zip(FLOATS).enumerate() {
        for (late, requests) in [(0, 7 + n as u64), (1, 1), (10_000, 1 << 40)] {
            let time_ns = (START_MS + late) * 1_000_000;
            ours.begin("rgw_bucket");
            ours.tag("writer", "ours");
            ours.tag("bucket", bucket);
            ours.integer("requests", requests);
            ours.float("latency_p99_ms", float);
            ours.boolean("slow", n % 2 == 0);
            ours.end(time_ns);
            DataPoint::builder("rgw_bucket")
                .tag("writer", "theirs")
                .tag("bucket", bucket)
                .field("requests", requests as i64)
                .field("latency_p99_ms", float)
                .field("slow", n % 2 == 0)
                .timestamp(time_ns)
                .build()
                .expect("a point with fields")
                .write_data_point_to(&mut theirs)
                .expect("a Vec takes every write");
        }
    }
    let lines = ours.take();
    let report = Sender::new(Client::new(target).expect("a client")).send(&lines).await.expect("able");
    assert_eq!(report.written, 18);
    influxdb2::Client::new(&victoria.url, "org", "token")
        .write_line_protocol("org", "bucket", theirs)
        .await
        .expect("the peer writes");

    let of = |writer: &str| {
        let mut series = victoria.export(&format!("{{writer=\"{writer}\"}}"));
        for series in &mut series {
            series["metric"].as_object_mut().expect("labels").remove("writer");
        }
        series.sort_by_key(|series| series["metric"].to_string());
        series
    };
    let ours = of("ours");
    assert_eq!(ours.len(), 3 * BUCKETS.len());
    assert_eq!(ours[0]["timestamps"], serde_json::json!([START_MS, START_MS + 1, START_MS + 10_000]));
    assert_eq!(ours, of("theirs"));
}
