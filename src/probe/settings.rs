//! What is probed, and how: validated.

use std::{path::PathBuf, time::Duration};

use crate::influx::Secret;

/// What every round does, at which endpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where S3 is asked for, all at once, names unique. The first is the one that the metrics without the label
    /// `endpoint` are about.
    pub endpoints: Vec<Endpoint>,
    /// The region that requests are signed for: the zonegroup's `api_name`.
    pub region: String,
    /// The access key of the probe's own user.
    pub access_key: Secret,
    /// Its secret.
    pub secret_key: Secret,
    /// What the gateways' rgwlens knows our requests by.
    pub mark_key: Option<Secret>,
    /// A bucket that is there and stays; without it every round creates one and removes it.
    pub bucket: Option<String>,
    /// Sizes of objects, bytes; at least one. With the first the whole round is made, with the others put, get, delete.
    pub sizes: Vec<u64>,
    /// Larger objects are uploaded in parts of this size, bytes.
    pub part_size: u64,
    /// How many objects are put, and deleted, in a row.
    pub objects: usize,
    /// A new connection for every request, instead of one a round.
    pub fresh_connections: bool,
    /// Until a connection is there, TLS included.
    pub connect_timeout: Duration,
    /// Until a request has its whole answer, connection included.
    pub timeout: Duration,
    /// Until a round is over, but for what it leaves behind to remove: another `timeout` at the most.
    pub round_timeout: Duration,
    /// What a probe left behind is removed when it is as old as this.
    pub leftovers_after: Duration,
}

impl Settings {
    /// The longest that a round can take.
    pub fn longest_round(&self) -> Duration {
        self.round_timeout + self.timeout
    }
}

/// Where S3 is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Tag and label `endpoint`.
    pub name: String,
    /// `http://` or `https://`, host, port; a path may follow.
    pub url: String,
    /// Connect to this `host:port`, whatever the URL says: one node behind a common name, whose certificate has that name.
    pub connect: Option<String>,
    /// How a bucket stands in a URL.
    pub style: Style,
    /// PEM file with the certificate authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// How a bucket stands in a URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// `http://host/bucket/key`
    #[default]
    Path,
    /// `http://bucket.host/key`
    VirtualHost,
}
