//! nginx's variables: what each is to us, which bytes its value can hold, and what is lost without it.

/// What a variable becomes in a [`Record`](crate::access_log::Record).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::access_log) enum Field {
    /// Nothing.
    Skip,
    Msec,
    TimeIso8601,
    TimeLocal,
    Request,
    Method,
    Uri,
    Status,
    RequestLength,
    ContentLength,
    BodyBytesSent,
    BytesSent,
    RequestTime,
    Host,
    HttpHost,
    RemoteAddr,
    UserAgent,
    UpstreamAddr,
    UpstreamStatus,
    UpstreamResponseTime,
    UpstreamHeaderTime,
    CopySource,
    CopyFrom,
    Destination,
    ContentType,
    GatewayRequestId,
}

impl Field {
    /// A line without these is not worth counting.
    pub(super) fn is_needed(self) -> bool {
        matches!(
            self,
            Self::Msec
                | Self::TimeIso8601
                | Self::TimeLocal
                | Self::Request
                | Self::Method
                | Self::Uri
                | Self::Status
                | Self::BodyBytesSent
                | Self::BytesSent
                | Self::RequestTime
        )
    }

    /// The value's own grammar says where it ends: nginx itself makes it, and nothing else.
    pub(super) fn ends_itself(self) -> bool {
        matches!(
            self,
            Self::Msec
                | Self::TimeIso8601
                | Self::TimeLocal
                | Self::Status
                | Self::RequestLength
                | Self::BodyBytesSent
                | Self::BytesSent
                | Self::RequestTime
                | Self::UpstreamStatus
                | Self::UpstreamResponseTime
                | Self::UpstreamHeaderTime
        )
    }
}

/// Which bytes a value can hold, as logged. Decides whether the text after it marks its end for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// Digits, `.`, or `-` for none.
    Number,
    /// Exactly 26 bytes: `21/Nov/2026:18:59:54 +0000`.
    TimeLocal,
    /// Exactly 25 bytes: `2026-11-21T18:59:54+00:00`.
    TimeIso8601,
    /// A word that nginx makes: addresses, protocols, ids.
    Word,
    /// A stranger's, but nginx lets no blank pass (since 1.21.1 for `$host`).
    NoBlank,
    /// Words or numbers, one for each upstream server tried, with `, ` or ` : ` between.
    List,
    /// Anything: a stranger's text, or a variable that the operator made.
    Any,
}

impl Alphabet {
    pub(super) fn may_contain(self, byte: u8) -> bool {
        let word = |others: &[u8]| byte.is_ascii_alphanumeric() || others.contains(&byte);
        match self {
            Self::Number => byte.is_ascii_digit() || byte == b'.' || byte == b'-',
            Self::TimeLocal => word(b"/: +-"),
            Self::TimeIso8601 => word(b"-:+"),
            Self::Word => word(b".:_-/[]%"),
            Self::NoBlank => byte != b' ',
            Self::List => word(b".:_-/[]% ,"),
            Self::Any => true,
        }
    }

    /// The length of every value, where there is but one.
    pub(super) fn width(self) -> Option<usize> {
        match self {
            Self::TimeLocal => Some(26),
            Self::TimeIso8601 => Some(25),
            _ => None,
        }
    }
}

/// What a variable is to us, and what its values look like.
pub(super) fn lookup(name: &str) -> (Field, Alphabet) {
    match name {
        "msec" => (Field::Msec, Alphabet::Number),
        "time_iso8601" => (Field::TimeIso8601, Alphabet::TimeIso8601),
        "time_local" => (Field::TimeLocal, Alphabet::TimeLocal),
        "request" => (Field::Request, Alphabet::Any),
        "request_method" => (Field::Method, Alphabet::Word),
        "request_uri" => (Field::Uri, Alphabet::Any),
        "status" => (Field::Status, Alphabet::Number),
        "request_length" => (Field::RequestLength, Alphabet::Number),
        // The header as the client sent it: nginx answers 400 when it is not a number, and logs it all the same.
        "content_length" | "http_content_length" => (Field::ContentLength, Alphabet::Any),
        "body_bytes_sent" => (Field::BodyBytesSent, Alphabet::Number),
        "bytes_sent" => (Field::BytesSent, Alphabet::Number),
        "request_time" => (Field::RequestTime, Alphabet::Number),
        "host" => (Field::Host, Alphabet::NoBlank),
        "http_host" => (Field::HttpHost, Alphabet::Any),
        "remote_addr" => (Field::RemoteAddr, Alphabet::Word),
        "http_user_agent" => (Field::UserAgent, Alphabet::Any),
        "upstream_addr" => (Field::UpstreamAddr, Alphabet::List),
        "upstream_status" => (Field::UpstreamStatus, Alphabet::List),
        "upstream_response_time" => (Field::UpstreamResponseTime, Alphabet::List),
        "upstream_header_time" => (Field::UpstreamHeaderTime, Alphabet::List),
        "http_x_amz_copy_source" => (Field::CopySource, Alphabet::Any),
        "http_x_copy_from" => (Field::CopyFrom, Alphabet::Any),
        "http_destination" => (Field::Destination, Alphabet::Any),
        "content_type" | "http_content_type" => (Field::ContentType, Alphabet::Any),
        "upstream_http_x_amz_request_id" | "upstream_http_x_trans_id" => {
            (Field::GatewayRequestId, Alphabet::Any)
        }
        "upstream_connect_time"
        | "upstream_response_length"
        | "upstream_bytes_received"
        | "upstream_bytes_sent"
        | "upstream_cache_status" => (Field::Skip, Alphabet::List),
        "connection"
        | "connection_requests"
        | "connection_time"
        | "pid"
        | "remote_port"
        | "server_port"
        | "proxy_port"
        | "gzip_ratio"
        | "tcpinfo_rtt" => (Field::Skip, Alphabet::Number),
        "hostname" | "http2" | "http3" | "https" | "nginx_version" | "pipe" | "realip_remote_addr"
        | "request_completion" | "request_id" | "scheme" | "server_addr" | "server_name"
        | "server_protocol" | "ssl_cipher" | "ssl_protocol" | "ssl_session_id" | "ssl_session_reused" => {
            (Field::Skip, Alphabet::Word)
        }
        _ => (Field::Skip, Alphabet::Any),
    }
}

/// What is lost without any of these fields: first the variable to add, then what is lost.
pub(super) type Loss = (&'static [Field], &'static str, &'static str);

/// Without these a format is refused.
pub(super) const NEEDED: &[Loss] = &[
    (
        &[Field::Msec, Field::TimeIso8601, Field::TimeLocal],
        "msec",
        "no request can be put into a window of time",
    ),
    (
        &[Field::Request, Field::Method],
        "request_method",
        "nothing says what was asked (`$request` says it too)",
    ),
    (
        &[Field::Request, Field::Uri],
        "request_uri",
        "nothing says which bucket was asked for (`$request` says it too)",
    ),
    (&[Field::Status], "status", "a success cannot be told from an error"),
    (&[Field::RequestTime], "request_time", "there are no latencies, percentiles or slow requests"),
    (&[Field::BodyBytesSent, Field::BytesSent], "body_bytes_sent", "downloads have no bytes"),
];

/// Without these a format serves, but says less.
pub(super) const USEFUL: &[Loss] = &[
    (&[Field::Msec], "msec", "requests are known to the second only"),
    (&[Field::BodyBytesSent], "body_bytes_sent", "bytes sent to clients include response headers"),
    (&[Field::RequestLength, Field::ContentLength], "request_length", "uploads have no bytes"),
    (&[Field::ContentLength], "content_length", "bytes received from clients include request headers"),
    (
        &[Field::HttpHost, Field::Host],
        "http_host",
        "the bucket of a virtual-host style request is not seen: its key is taken for the bucket",
    ),
    (&[Field::RemoteAddr], "remote_addr", "health checks cannot be told by address"),
    (&[Field::UserAgent], "http_user_agent", "health checks cannot be told by user agent"),
    (&[Field::UpstreamAddr], "upstream_addr", "gateways behind this nginx cannot be told apart"),
    (&[Field::UpstreamStatus], "upstream_status", "a retry on a second gateway is not seen"),
    (
        &[Field::UpstreamResponseTime],
        "upstream_response_time",
        "a slow gateway cannot be told from a slow client",
    ),
    (&[Field::UpstreamHeaderTime], "upstream_header_time", "the gateway's time to first byte is not known"),
    (&[Field::CopySource], "http_x_amz_copy_source", "an S3 copy counts as an upload"),
    (&[Field::CopyFrom], "http_x_copy_from", "a Swift copy counts as an upload"),
    (
        &[Field::GatewayRequestId],
        "upstream_http_x_amz_request_id",
        "a line cannot be joined with the gateway's own log",
    ),
];
