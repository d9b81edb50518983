//! A gateway's own account of its requests: its ops log, and its debug log for those that the ops log leaves out.

use std::collections::{BTreeMap, HashMap};
use std::fs;

use serde_json::{Deserializer, Value};

use super::gateway::Gateway;

/// What the gateway says of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// RGW's name.
    pub operation: String,
    /// `bucket` or `tenant/bucket`, empty for none. `None` where it was not logged: nobody's signature was good.
    pub bucket: Option<String>,
    /// Only the debug log has the key.
    pub object: String,
    /// What the ops log has besides, if the request is in it.
    pub ops: Option<Ops>,
}

/// Numbers of the ops log.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ops {
    pub status: u16,
    pub bytes_sent: u64,
    pub bytes_received: u64,
}

/// The account, to be asked for a request of nginx's.
pub struct Account {
    /// By nginx's `$request_id`.
    ops: HashMap<String, (String, String, Ops)>,
    /// By the gateway's own id of the request.
    debug: HashMap<String, Told>,
}

impl Account {
    /// Reads both logs of a gateway that runs with `debug rgw = 10`.
    pub fn of(gateway: &Gateway) -> Self {
        let read = |path| String::from_utf8_lossy(&fs::read(path).expect("the gateway logs")).into_owned();
        Self { ops: ops(&read(gateway.ops_log())), debug: debug(&read(gateway.log())) }
    }

    /// What the gateway says of the request of this `$request_id`, which it answered with this id of its own (`-` if nginx
    /// did not see the answer). `None` if it never became an operation.
    pub fn of_request(&self, request_id: &str, gateway_id: &str) -> Option<Told> {
        let ops = self.ops.get(request_id);
        let debug = self.debug.get(gateway_id).cloned();
        let Some((operation, bucket, numbers)) = ops else { return debug };
        let object = debug.map(|told| {
            assert_eq!(told.operation, *operation, "the gateway's two logs on {request_id}");
            told.object
        });
        let (operation, bucket) = (operation.clone(), Some(bucket.clone()));
        Some(Told { operation, bucket, object: object.unwrap_or_default(), ops: Some(*numbers) })
    }

    /// How many requests the ops log has.
    pub fn ops_entries(&self) -> usize {
        self.ops.len()
    }
}

/// A stream of objects: what several threads write at a time may stand on one line.
fn ops(text: &str) -> HashMap<String, (String, String, Ops)> {
    let entry = |entry: Value| {
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| entry[key].as_u64().unwrap_or_default();
        let headers = entry["http_x_headers"].as_array().cloned().unwrap_or_default();
        let id = headers.iter().find_map(|header| header["HTTP_X_REQUEST_ID"].as_str())?;
        let numbers = Ops {
            status: text("http_status").parse().expect("a status"),
            bytes_sent: number("bytes_sent"),
            bytes_received: number("bytes_received"),
        };
        Some((id.to_owned(), (text("operation"), text("bucket"), numbers)))
    };
    let entries = Deserializer::from_str(text).into_iter::<Value>();
    entries.map(|value| value.expect("JSON of the ops log")).filter_map(entry).collect()
}

/// `… req 7 0.001s s3:get_obj verifying requester` and its like, by the id that the request's first line has.
fn debug(text: &str) -> HashMap<String, Told> {
    let (mut ids, mut told) = (HashMap::new(), BTreeMap::<&str, Told>::new());
    for line in text.lines() {
        let Some((_, rest)) = line.split_once(" req ") else { continue };
        let Some((number, rest)) = rest.split_once(' ') else { continue };
        let Some((_, rest)) = rest.split_once(' ') else { continue };
        if let Some((_, id)) = rest.split_once("initializing for trans_id = ") {
            ids.insert(id.to_owned(), number);
        } else if let Some(operation) = rest.strip_suffix(" verifying requester") {
            let operation = operation.split_once(':').map_or(operation, |(_, operation)| operation);
            operation.clone_into(&mut told.entry(number).or_default().operation);
        } else if let Some((_, names)) = rest.split_once("s->object=")
            && let Some((object, bucket)) = names.rsplit_once(" s->bucket=")
        {
            let told = told.entry(number).or_default();
            told.bucket = Some(bucket.to_owned());
            object.strip_prefix("<NULL>").unwrap_or(object).clone_into(&mut told.object);
        }
    }
    let named =
        |(id, number)| Some((id, told.get(number).filter(|told| !told.operation.is_empty())?.clone()));
    ids.into_iter().filter_map(named).collect()
}
