//! The probe against a real gateway behind a real nginx: what it finds, what it says of faults, and what it leaves behind.
#![cfg(feature = "cli")]

mod support;

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use rgwlens::{
    influx::Secret,
    probe::{Endpoint, FailureKind, Probe, Round, Settings, Style, Task},
};
use serde_json::Value as Json;
use support::{
    ceph::Cluster,
    gateway::{Gateway, USERS, User},
    influx::InfluxDb,
    nginx::Nginx,
    ports,
    process::Process,
    proxy::{Harm, Proxy},
    site::Site,
    wait_for,
};
use tempfile::TempDir;

/// A cluster with a gateway that works: one for all tests that run at the same time.
struct World {
    gateway: Gateway,
    cluster: Cluster,
}

impl World {
    fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<World>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let cluster = Cluster::lean();
            let started = Arc::new(Self { gateway: Gateway::start(&cluster), cluster });
            *shared = Arc::downgrade(&started);
            started
        })
    }
}

/// nginx in front of a gateway, with our log format, also over TLS if there is a certificate.
fn nginx(gateway: u16, log: &Path, tls: Option<(u16, &Path)>) -> Nginx {
    Nginx::start(|port, _| {
        let tls = tls.map_or_else(String::new, |(port, dir)| {
            let dir = dir.display();
            format!(
                "listen 127.0.0.1:{port} ssl; ssl_certificate {dir}/server.pem; ssl_certificate_key {dir}/server.key;"
            )
        });
        format!(
            "{}\nserver {{ listen 127.0.0.1:{port}; {tls} client_max_body_size 0; access_log {} rgwlens;\n\
             location / {{ proxy_pass http://127.0.0.1:{gateway}; proxy_http_version 1.1;\n\
             proxy_set_header Host $http_host; proxy_request_buffering off; proxy_read_timeout 60s; }} }}",
            include_str!("../nginx/log_format.conf"),
            log.display(),
        )
    })
}

fn endpoint(url: &str) -> Endpoint {
    let (name, url) = ("main".to_owned(), url.to_owned());
    Endpoint { name, url, connect: None, style: Style::Path, ca_file: None }
}

/// Short times: nothing here takes long unless it is to fail.
fn settings(user: &User, url: &str) -> Settings {
    Settings {
        endpoints: vec![endpoint(url)],
        region: "us-east-1".into(),
        access_key: Secret::Value(user.access_key.into()),
        secret_key: Secret::Value(user.secret_key.into()),
        mark_key: None,
        bucket: None,
        sizes: vec![512],
        part_size: 5 << 20,
        objects: 15,
        fresh_connections: false,
        connect_timeout: Duration::from_secs(20),
        timeout: Duration::from_secs(20),
        round_timeout: Duration::from_secs(60),
        leftovers_after: Duration::from_secs(3_600),
    }
}

fn round(settings: Settings) -> Round {
    let mut rounds = rounds(settings);
    assert_eq!(rounds.len(), 1);
    rounds.remove(0)
}

fn rounds(settings: Settings) -> Vec<Round> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let longest = settings.longest_round() + Duration::from_secs(10);
    let probe = Probe::new(settings).unwrap();
    runtime.block_on(async { tokio::time::timeout(longest, probe.rounds()).await.expect("in time") })
}

fn assert_ok(round: &Round) {
    assert!(round.is_ok(), "{round:#?}");
}

/// The failure of the first task that failed.
fn first_failure(round: &Round) -> (Task, FailureKind, Option<String>) {
    let failed = round.observations.iter().find_map(|o| Some((o.task, o.failure.as_ref()?)));
    let (task, failure) = failed.unwrap_or_else(|| panic!("nothing failed: {round:#?}"));
    (task, failure.kind, failure.code.clone())
}

/// Buckets of a user, by the gateway's own tool.
fn buckets(world: &World, user: &User) -> Vec<String> {
    let uid = format!("--uid={}", user.uid);
    let answer = world.cluster.tool("radosgw-admin", &["bucket", "list", &uid]).unwrap();
    serde_json::from_str(&answer).unwrap()
}

/// A client of a user, for what is not the probe's to do.
fn s3cmd(world: &World, user: &User, arguments: &[&str]) -> String {
    let host = format!("127.0.0.1:{}", world.gateway.port);
    let output = Command::new("s3cmd")
        .args(["--config=/dev/null", "--no-ssl", "--signature-v2"])
        .args([format!("--host={host}"), format!("--host-bucket={host}")])
        .args([format!("--access_key={}", user.access_key), format!("--secret_key={}", user.secret_key)])
        .args(arguments)
        .output()
        .expect("s3cmd is there: scripts/test-deps");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_task_of_a_round_succeeds_in_every_way_it_can_be_made() {
    let world = World::shared();
    let url = format!("http://127.0.0.1:{}", world.gateway.port);
    let user = &USERS[2];
    let plain = round(settings(user, &url));
    assert_ok(&plain);
    let count = |task| plain.observations.iter().filter(|o| o.task == task).count();
    for task in Task::ALL {
        assert_eq!(count(task), if task == Task::Put { 16 } else { 1 }, "{task:?}");
    }
    let many = plain.observations.iter().find(|o| o.task == Task::DeleteMany).unwrap();
    assert_eq!(many.requests, 16, "one listing, and each object by itself");
    assert!(plain.observations.iter().all(|o| o.request_id.as_ref().is_some_and(|id| id.starts_with("tx"))));
    let first = &plain.observations[0].phases;
    assert!(first.dns.is_some() && first.connect.is_some() && first.tls.is_none());
    assert!(plain.observations.iter().all(|o| o.phases.first_byte.is_some() && o.phases.body.is_some()));
    let get = plain.observations.iter().find(|o| o.task == Task::Get).unwrap();
    let all: Duration = get.phases.all().into_iter().flatten().sum();
    assert!(all <= get.duration, "phases do not overlap: {get:?}");

    // Several endpoints at once: what one suffers is not the other's.
    let mut two = settings(user, &url);
    two.endpoints.push(Endpoint { name: "gone".into(), ..endpoint("http://127.0.0.1:1") });
    let two = rounds(two);
    let names: Vec<&str> = two.iter().map(|round| round.endpoint.as_str()).collect();
    assert_eq!(names, ["main", "gone"]);
    assert_ok(&two[0]);
    assert_eq!(first_failure(&two[1]), (Task::Create, FailureKind::Refused, None));

    // A large object in parts, a connection for each request, a bucket that stays.
    s3cmd(&world, user, &["mb", "s3://fixed"]);
    let large = Settings {
        sizes: vec![512, 12 << 20],
        bucket: Some("fixed".into()),
        fresh_connections: true,
        objects: 2,
        ..settings(user, &url)
    };
    let large = round(large);
    assert_ok(&large);
    let parts = large.observations.iter().find(|o| o.task == Task::Put && o.size == Some(12 << 20)).unwrap();
    assert_eq!(parts.requests, 5, "a beginning, three parts, an end");
    assert!(large.observations.iter().all(|o| o.phases.connect.is_some()), "{large:#?}");
    assert!(large.observations.iter().all(|o| !matches!(o.task, Task::Create | Task::Remove)));
    assert_eq!(s3cmd(&world, user, &["ls", "--recursive", "s3://fixed"]), "");
    s3cmd(&world, user, &["rb", "s3://fixed"]);

    // The bucket in the host's name, and one node behind a common name.
    let mut virtual_host = settings(user, &format!("http://s3.example.com:{}", world.gateway.port));
    virtual_host.endpoints[0].style = Style::VirtualHost;
    virtual_host.endpoints[0].connect = Some(format!("127.0.0.1:{}", world.gateway.port));
    assert_ok(&round(virtual_host));
    assert_eq!(buckets(&world, user), Vec::<String>::new(), "nothing is left behind");
}

#[test]
fn check_says_whether_a_round_could_begin_and_begins_none() {
    let world = World::shared();
    let user = &USERS[2];
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let nginx = nginx(world.gateway.port, &log, None);
    let url = format!("http://127.0.0.1:{}", nginx.port);
    let check = |secret_key: &str, level: &str, message: &str, mend: Option<&str>| {
        let config = dir.path().join("rgwlens.toml");
        let endpoint = format!("[[probe.endpoint]]\nname = 'vip'\nurl = '{url}'");
        fs::write(&config, format!("log = []\n[probe]\nenabled = true\n{endpoint}\n")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_rgwlens"))
            .args(["--config", config.to_str().unwrap(), "check", "--json"])
            .envs([("ACCESS_KEY", user.access_key), ("SECRET_ACCESS_KEY", secret_key)])
            .output()
            .unwrap();
        let findings: Vec<Json> = serde_json::from_slice(&output.stdout).unwrap();
        let found = findings.iter().find(|finding| finding["subject"] == "probe vip");
        let found = found.unwrap_or_else(|| panic!("{findings:#?}"));
        assert_eq!(found["level"], level, "{found}");
        assert!(found["message"].as_str().unwrap().contains(message), "{found}");
        assert_eq!(
            found["mend"].as_str().map(|it| it.contains(mend.unwrap_or_default())),
            mend.map(|_| true)
        );
        assert!(!String::from_utf8_lossy(&output.stdout).contains(secret_key), "a secret");
    };
    check(user.secret_key, "ok", "lists the buckets", None);
    check("not-the-secret-of-this-user", "fail", "SignatureDoesNotMatch", Some("radosgw-admin user create"));
    drop(nginx);
    let log = fs::read_to_string(&log).unwrap();
    assert!(log.lines().count() == 2 && log.lines().all(|line| line.contains(" \"GET /?")), "{log}");
}

#[test]
fn faults_have_their_kind_and_the_next_round_is_well() {
    // Of its own: one that is frozen does not acknowledge what other gateways of its cluster tell it, and holds up their
    // creating and removing of buckets.
    let cluster = Cluster::lean();
    let mut gateway = Gateway::start(&cluster);
    let dir = tempfile::tempdir().unwrap();
    let nginx = nginx(gateway.port, &dir.path().join("access.log"), None);
    let direct = format!("http://127.0.0.1:{}", gateway.port);
    let behind = format!("http://127.0.0.1:{}", nginx.port);
    let user = &USERS[1];
    let check = |settings: Settings, task: Task, kind: FailureKind, code: Option<&str>| {
        let (started, longest) = (Instant::now(), settings.longest_round());
        let round = round(settings);
        assert_eq!(first_failure(&round), (task, kind, code.map(str::to_owned)), "{round:#?}");
        assert!(started.elapsed() < longest + Duration::from_secs(5), "a round that has no end");
        round
    };
    let create = Task::Create;

    let wrong = Settings { secret_key: Secret::Value("guessed".into()), ..settings(user, &behind) };
    let failed = check(wrong, create, FailureKind::Http, Some("SignatureDoesNotMatch"));
    assert!(failed.observations[0].request_id.is_some() && failed.observations[0].status == Some(403));
    assert!(!format!("{failed:?}").contains("guessed"));
    let unknown = Settings { access_key: Secret::Value("nobody".into()), ..settings(user, &behind) };
    check(unknown, create, FailureKind::Http, Some("InvalidAccessKeyId"));
    check(settings(user, "http://s3.invalid"), create, FailureKind::Dns, None);
    let missing = Settings { secret_key: Secret::File("/nonexistent".into()), ..settings(user, &behind) };
    check(missing, create, FailureKind::Setup, None);

    let corrupt = Proxy::start(gateway.port, Harm::Corrupt);
    let through = |proxy: &Proxy| settings(user, &format!("http://127.0.0.1:{}", proxy.port));
    let failed = check(through(&corrupt), Task::Get, FailureKind::Content, None);
    let others = failed.observations.iter().filter(|o| o.failure.is_some()).count();
    assert_eq!((others, failed.skipped.len()), (1, 0), "{failed:#?}");
    let cut = Proxy::start(gateway.port, Harm::CutAnswers);
    check(through(&cut), create, FailureKind::Broken, None);

    // It takes connections, and nothing more.
    gateway.freeze();
    let short = |url: &str| {
        let (second, timeout) = (Duration::from_secs(1), Duration::from_secs(2));
        Settings { timeout: second, round_timeout: timeout, ..settings(user, url) }
    };
    check(short(&direct), create, FailureKind::Timeout, None);
    check(short(&behind), create, FailureKind::Timeout, None);
    gateway.thaw();
    assert_ok(&round(settings(user, &behind)));

    gateway.stop();
    let failed = check(settings(user, &direct), create, FailureKind::Refused, None);
    assert!(failed.skipped.contains(&(Task::Put, Some(512))), "{failed:#?}");
    let failed = check(settings(user, &behind), create, FailureKind::Http, None);
    assert_eq!(failed.observations[0].status, Some(502));
    gateway.start_again();
    assert_ok(&round(settings(user, &behind)));
}

/// An authority, and a certificate of it for 127.0.0.1 that is good for so many days.
fn certificates(days: i32) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| {
        let output = Command::new("openssl").current_dir(dir.path()).args(arguments.split(' ')).output();
        let output = output.expect("openssl is there: scripts/test-deps");
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -keyout";
    openssl(&format!("req -x509 {new} ca.key -out ca.pem -days 30 -subj /CN=test"));
    openssl(&format!("req {new} server.key -out server.csr -subj /CN=127.0.0.1"));
    fs::write(dir.path().join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    let sign = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out server.pem -days";
    openssl(&format!("{sign} {days}"));
    dir
}

#[test]
fn a_certificate_has_to_be_good() {
    let world = World::shared();
    let dir = tempfile::tempdir().unwrap();
    let user = &USERS[1];
    for (days, good) in [(1, true), (-1, false)] {
        let (certificates, port) = (certificates(days), ports::free());
        let log = dir.path().join("access.log");
        let _nginx = nginx(world.gateway.port, &log, Some((port, certificates.path())));
        let mut trusting = settings(user, &format!("https://127.0.0.1:{port}"));
        let distrusting = trusting.clone();
        trusting.endpoints[0].ca_file = Some(certificates.path().join("ca.pem"));
        let seen = round(trusting);
        if good {
            assert_ok(&seen);
            assert!(seen.observations[0].phases.tls.is_some());
        } else {
            let failure = seen.observations[0].failure.as_ref().unwrap();
            assert_eq!(failure.kind, FailureKind::Tls, "{failure:?}");
            assert!(failure.detail.contains("xpired"), "{failure:?}");
        }
        assert_eq!(
            first_failure(&round(distrusting)).1,
            FailureKind::Tls,
            "of an authority that nobody knows"
        );
    }
}

#[test]
fn what_a_killed_probe_left_behind_goes_and_nothing_else() {
    let world = World::shared();
    let user = &USERS[0];
    let file = tempfile::NamedTempFile::new().unwrap();
    let foreign = file.path().to_str().unwrap();
    fs::write(foreign, "theirs").unwrap();
    // As similar as a name can be without the key.
    let similar = format!("rgwlens-probe-6a010000-0123456789abcdef-{}", "0".repeat(16));
    s3cmd(&world, user, &["mb", "s3://rgwlens-probe-backup"]);
    s3cmd(&world, user, &["put", foreign, "s3://rgwlens-probe-backup/key"]);
    s3cmd(&world, user, &["mb", &format!("s3://{similar}")]);
    let theirs = {
        let mut theirs = vec!["rgwlens-probe-backup".to_owned(), similar];
        theirs.sort();
        theirs
    };

    let kill_between_put_and_delete = || {
        let proxy = Proxy::start(world.gateway.port, Harm::StallAtDelete);
        let mut command = support::site::program();
        command.args(["--config", "/dev/null", "probe"]);
        command.env("CLUSTER_ENDPOINT", format!("127.0.0.1:{}", proxy.port));
        command.env("ACCESS_KEY", user.access_key).env("SECRET_ACCESS_KEY", user.secret_key);
        let probe = Process::start(&mut command).unwrap();
        wait_for("the probe deletes", || proxy.has_stalled().then_some(()));
        assert_eq!(probe.end("KILL"), None);
        let left: Vec<String> = buckets(&world, user).into_iter().filter(|b| !theirs.contains(b)).collect();
        assert_eq!(left.len(), 1, "the killed probe's bucket is there");
        left[0].clone()
    };
    let left = kill_between_put_and_delete();
    let second = Duration::from_secs(1);
    let url = format!("http://127.0.0.1:{}", world.gateway.port);
    let young = round(settings(user, &url));
    assert_ok(&young);
    assert_eq!(young.removed, 0, "it may be another probe's that is at work");
    let eager = || Settings { leftovers_after: second, ..settings(user, &url) };
    let old =
        wait_for("the leftovers are old enough", || Some(round(eager())).filter(|round| round.removed > 0));
    assert_ok(&old);
    assert_eq!(old.removed, 2, "an object and its bucket");
    assert_eq!(buckets(&world, user), theirs, "{left}");

    // A probe's bucket with somebody's object in it is somebody's.
    let left = kill_between_put_and_delete();
    s3cmd(&world, user, &["put", foreign, &format!("s3://{left}/key")]);
    let noted =
        wait_for("the leftovers are old enough", || Some(round(eager())).filter(|r| !r.notes.is_empty()));
    assert_eq!(noted.removed, 0);
    assert!(noted.notes[0].contains(&left), "{:?}", noted.notes);
    assert_eq!(s3cmd(&world, user, &["ls", "--recursive", &format!("s3://{left}")]).lines().count(), 2);
    assert!(s3cmd(&world, user, &["ls", "s3://rgwlens-probe-backup"]).contains("/key"));
}

/// A real Prometheus that asks a port every second.
struct Prometheus {
    port: u16,
    _process: Process,
    _dir: TempDir,
}

impl Prometheus {
    fn start(target: u16) -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), ports::free());
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: rgwlens, static_configs: [{{targets: \
             ['127.0.0.1:{target}']}}]}}]\n"
        );
        fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let mut command = Command::new("prometheus");
        command.current_dir(dir.path()).stdout(log.try_clone().unwrap()).stderr(log);
        command.arg("--config.file=prometheus.yml").arg("--storage.tsdb.path=data");
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let process = Process::start(&mut command).expect("prometheus is there: scripts/test-deps");
        Self { port, _process: process, _dir: dir }
    }

    /// Values of a query, by the label `task`.
    fn ask(&self, query: &str) -> Vec<(String, f64)> {
        let encoded: String = query.bytes().map(|b| format!("%{b:02X}")).collect();
        let path = format!("/api/v1/query?query={encoded}");
        let Some((200, body)) = support::influx::http(self.port, "GET", &path, &[], b"") else {
            return Vec::new();
        };
        let answer: Json = serde_json::from_slice(&body).expect("JSON");
        let results = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let row = |row: &Json| {
            let value = row["value"][1].as_str()?.parse().ok()?;
            Some((row["metric"]["task"].as_str().unwrap_or_default().to_owned(), value))
        };
        results.iter().filter_map(row).collect()
    }
}

#[test]
fn a_round_is_seen_from_outside_from_inside_and_by_prometheus() {
    let world = World::shared();
    let user = &USERS[3];
    let influx = InfluxDb::shared();
    let mut site = Site::new("rgwlens");
    let nginx = nginx(world.gateway.port, &site.log(), None);
    fs::write(site.path("mark"), "shared\n").unwrap();
    fs::write(site.path("secret"), user.secret_key).unwrap();
    let metrics = ports::free();
    let probe = format!(
        "[probe]\nenabled = true\ninterval = \"10s\"\njitter = \"0s\"\naccess_key = \"{}\"\nsecret_key_file = \"{}\"\n\
         mark_key_file = \"{}\"\n[[probe.endpoint]]\nurl = \"http://127.0.0.1:{}\"\n\
         [metrics]\nenabled = true\nlisten = \"127.0.0.1:{metrics}\"\n[windows]",
        user.access_key,
        site.path("secret").display(),
        site.path("mark").display(),
        nginx.port,
    );
    site.replace("[windows]", &probe);
    site.output_influx("influx", &influx, "probe");

    // One round by hand, before anything follows the log.
    let by_hand: Json = serde_json::from_str(&site.succeed(&["probe", "--json"])).unwrap();
    assert_eq!(by_hand[0]["ok"], true, "{by_hand}");
    let connected =
        by_hand[0]["tasks"].as_array().unwrap().iter().filter(|t| t["phases"]["connect_ms"].is_number());
    assert_eq!(connected.count(), 1, "one connection for all of it: {by_hand}");
    // 8 tasks, the 15 more objects that are put, and each deleted.
    let requests = 8 + 15 + 15;
    assert_eq!(support::site::count_lines(&[&site.log()]), requests);
    let lines = site.succeed(&["explain", "--json", site.log().to_str().unwrap()]);
    assert_eq!(lines.matches("\"class\":\"probe\"").count() as u64, requests, "{lines}");
    assert!(!lines.contains("\"bucket\":\"rgwlens-probe-"), "buckets of probes are no names");

    let daemon = site.start();
    let prometheus = Prometheus::start(metrics);
    let counted = |query: &str, expected: &[(&str, f64)]| {
        let mut last = Vec::new();
        wait_for(&format!("{query} is {expected:?}"), || {
            last = prometheus.ask(query);
            expected
                .iter()
                .all(|(task, value)| last.iter().any(|(t, v)| t == task && v >= value))
                .then_some(())
        });
        last
    };
    let tasks = ["create", "put", "list_buckets", "list_objects", "get", "delete", "delete_many", "remove"];
    let once: Vec<(&str, f64)> =
        tasks.iter().map(|task| (*task, if *task == "put" { 16.0 } else { 1.0 })).collect();
    let each: Vec<(&str, f64)> = tasks.iter().map(|task| (*task, 0.0)).collect();
    let counts = counted("s3_request_duration_seconds_count", &once);
    assert_eq!(counts.len(), tasks.len(), "no other label than the task: {counts:?}");
    counted("s3_request_duration_seconds_histogram_bucket{le=\"+Inf\"}", &once);
    counted("s3_request_duration_seconds_histogram_bucket{le=\"0.05\"}", &each);
    counted("s3_request_last_duration_seconds", &each);
    counted("rate(s3_request_duration_seconds_sum[1m]) / rate(s3_request_duration_seconds_count[1m])", &[]);
    let fails = counted("s3_requests_fails_total", &each);
    assert!(fails.iter().all(|(_, fails)| *fails == 0.0), "{fails:?}");
    counted(
        "sum by (task) (rgwlens_probe_phase_duration_seconds_count{phase=\"first_byte\",endpoint=\"main\"})",
        &once,
    );
    counted(
        "rgwlens_requests_total{class=\"probe\",outcome=\"ok\",size=\"small\"}",
        &[("", 2.0 * requests as f64)],
    );
    counted("rgwlens_log_lines_total{log=\"access\"}", &[("", 2.0 * requests as f64)]);
    counted("rgwlens_output_up", &[("", 1.0)]);
    let text = support::influx::http(metrics, "GET", "/metrics", &[], b"").expect("an answer").1;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("metrics"), &text).unwrap();
    let file = fs::File::open(dir.path().join("metrics")).unwrap();
    let lint = Command::new("promtool").args(["check", "metrics"]).stdin(file).output().expect("promtool");
    let said = String::from_utf8_lossy(&lint.stderr);
    assert!(!said.contains("error while linting"), "{said}\n{}", String::from_utf8_lossy(&text));

    // The same round in InfluxDB, seen from both sides.
    let outside = wait_for("the rounds are in InfluxDB", || {
        let rows = influx.rows(
            "probe",
            "SELECT \"round\", \"requests\", \"duration_ms\" FROM \"s3_probe\" WHERE \"task\" = 'put'",
        );
        rows.first().cloned()
    });
    let id = outside[1].as_str().expect("a round").to_owned();
    assert_eq!(outside[2], 16);
    let inside = wait_for("the gateway's node saw them", || {
        let query = format!(
            "SELECT \"round\", \"request_time_ms\", \"upstream_time_ms\", \"status\" FROM \"rgw_probe\" \
             WHERE \"round\" = '{id}' AND \"task\" = 'put'"
        );
        Some(influx.rows("probe", &query)).filter(|rows| rows.len() == 16)
    });
    for row in &inside {
        assert!(row[2].is_u64() && row[3].is_u64() && row[4] == 200, "{row}");
    }
    let users = influx.rows("probe", "SELECT sum(\"requests\") FROM \"rgw_node\" WHERE \"class\" != 'probe'");
    assert!(users.is_empty(), "requests of the probe are no user's: {users:?}");
    let named =
        influx.rows("probe", "SELECT sum(\"requests\") FROM \"rgw_bucket\" WHERE \"bucket\" != '_none_'");
    assert!(named.is_empty(), "buckets of the probe have no series: {named:?}");
    assert_eq!(daemon.end("TERM"), Some(0), "{}", site.said());
    assert!(!site.said().contains(user.secret_key) && !site.said().contains("shared"));
}
