//! A real gateway behind nginx, with the files that we ship for both, and what rgwlens makes of its requests.
#![cfg(feature = "cli")]

mod support;

use support::ceph::Cluster;
use support::gateway::Gateway;
use support::nginx::{self, Nginx};

#[test]
fn the_shipped_files_serve() {
    let cluster = Cluster::lean();
    let mut gateway = Gateway::start(&cluster);
    let upstream = format!("server 127.0.0.1:{};", gateway.port);
    let nginx = Nginx::start(|port, prefix| nginx::shipped_site(port, prefix, &upstream));
    let answer = |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: s3.example.com\r\nConnection: close\r\n\r\n");
        String::from_utf8(nginx.send(request.as_bytes())).expect("an answer in ASCII")
    };
    assert!(answer("/").starts_with("HTTP/1.1 200 "));
    gateway.stop();
    assert!(answer("/").starts_with("HTTP/1.1 502 "));
    gateway.start_again();
    // The only server of a group is asked at once after it failed.
    assert!(answer("/nosuchbucket/key").contains("<Code>NoSuchBucket</Code>"));
    let ops = std::fs::read_to_string(gateway.ops_log()).expect("an ops log");
    assert!(ops.contains(r#""operation":"get_obj""#), "{ops}");
}
