//! From lines of any log to measured requests. nginx's go their own, shorter way ([`RequestReader`]); RGW's own logs bring
//! RGW's account of each request along, and any number of requests a line.

use super::RequestReader;
use crate::{
    access_log::{
        Asked, Classifier, ClassifierSettings, GatewayLog, GatewayParser, InputFormat, Parsed, Record,
        Reject, Told, unescape,
    },
    stats::{Request, SlowSettings},
};

/// What stands on a line: one of these for nginx's, any number for an ops log's.
#[derive(Clone, Copy, Debug)]
pub enum Unit<'a> {
    /// A request, and what the gateway says about it (nothing in nginx's log).
    Request(&'a Request<'a>, &'a Told<'a>),
    /// What should be one, and cannot be read.
    Rejected(Reject),
    /// A line that is about no request.
    Skipped,
}

/// Reads lines of any format.
#[derive(Debug)]
pub enum InputReader {
    /// Of nginx.
    Nginx(Box<RequestReader>),
    /// Of RGW itself.
    Gateway(Box<GatewayReader>),
}

impl InputReader {
    /// Lines of this format, from a gateway with these settings.
    pub fn new(format: InputFormat, classifier: ClassifierSettings) -> Self {
        match format {
            InputFormat::Nginx(format) => Self::Nginx(Box::new(RequestReader::new(format, classifier))),
            InputFormat::Gateway(log) => Self::Gateway(Box::new(GatewayReader::new(log, classifier))),
        }
    }

    /// Hands what stands on a line to `each`, with its bytes.
    pub fn read(&mut self, line: &[u8], slow: &SlowSettings, mut each: impl FnMut(&[u8], Unit<'_>)) {
        match self {
            Self::Nginx(reader) => {
                let read =
                    reader.read(line, slow, |request| each(line, Unit::Request(request, &Told::default())));
                if let Err(reject) = read {
                    each(line, Unit::Rejected(reject));
                }
            }
            Self::Gateway(reader) => reader.read(line, slow, each),
        }
    }
}

/// Reads lines of RGW's own logs. Owns the buffers that decoding needs.
#[derive(Debug)]
pub struct GatewayReader {
    parser: GatewayParser,
    decoder: Decoder,
}

impl GatewayReader {
    /// Lines of this log, from a gateway with these settings.
    pub fn new(log: GatewayLog, classifier: ClassifierSettings) -> Self {
        let decoder = Decoder { classifier: Classifier::new(classifier), buffers: Buffers::default() };
        Self { parser: GatewayParser::new(log), decoder }
    }

    /// Hands what stands on a line to `each`, with its bytes, in order.
    pub fn read(&mut self, line: &[u8], slow: &SlowSettings, mut each: impl FnMut(&[u8], Unit<'_>)) {
        let decoder = &mut self.decoder;
        self.parser.parse(line, |bytes, parsed| match &parsed {
            Parsed::Record(record, told) => {
                decoder
                    .request(record, told, slow, |request, told| each(bytes, Unit::Request(request, told)));
            }
            Parsed::Rejected(reject) => each(bytes, Unit::Rejected(*reject)),
            Parsed::Skipped => each(bytes, Unit::Skipped),
        });
    }
}

/// From what a log says to what it means.
#[derive(Debug)]
struct Decoder {
    classifier: Classifier,
    buffers: Buffers,
}

#[derive(Debug, Default)]
struct Buffers {
    uri: Vec<u8>,
    bucket: Vec<u8>,
    object: Vec<u8>,
    user: Vec<u8>,
    names: Vec<u8>,
    label: Vec<u8>,
}

impl Decoder {
    fn request(
        &mut self,
        record: &Record<'_>,
        told: &Told<'_>,
        slow: &SlowSettings,
        each: impl FnOnce(&Request<'_>, &Told<'_>),
    ) {
        let Buffers { uri, bucket, object, user, names, label } = &mut self.buffers;
        let asked = Asked {
            method: record.method,
            uri: unescape(record.uri, record.escape, uri),
            status: record.status,
            remote_addr: record.remote_addr,
            user_agent: record.user_agent,
            time_ms: record.time_ms,
            ..Asked::default()
        };
        let told = Told {
            operation: told.operation,
            error_code: told.error_code,
            bucket: unescape(told.bucket, record.escape, bucket),
            object: unescape(told.object, record.escape, object),
            user: unescape(told.user, record.escape, user),
        };
        let what = self.classifier.classify_told(&asked, &told, names);
        each(&Request::new(record, &what, slow, label), &told);
    }
}
