//! The documents say what is so: names of points, queries, links, commands, dependencies, and which faults are tested.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use rgwlens::{
    access_log::{Class, ClassifierSettings, LogFormat, ProbeSettings, Protocol, Reject},
    follow::{Lines, SKIP_REASONS},
    pipeline::Counter,
    point::{PointWriter, Tags, TimestampNs},
    stats::{
        Admission, DAMAGED, EventSettings, MEASUREMENTS, NO_BUCKET, OTHER, Part, Settings, UNKNOWN_BUCKET,
        Verdict, WindowKind, Windows, write_points,
    },
};

#[cfg(feature = "cli")]
mod support;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files below a folder of the repository with this ending, without what is built and what is hidden.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('.') || name == "target" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no {ending} below {folder}");
    found
}

/// What stands between backticks.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The cells of a table's row.
fn cells(line: &str) -> Option<Vec<&str>> {
    let line = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(line.split('|').map(str::trim).collect())
}

/// What a measurement consists of.
#[derive(Debug, Default, PartialEq, Eq)]
struct Shape {
    tags: BTreeSet<String>,
    /// Field and type.
    fields: BTreeMap<String, String>,
}

/// What is written, measurement by measurement. A field with two types is a mistake.
#[derive(Default)]
struct Written {
    shapes: BTreeMap<String, Shape>,
    current: String,
}

impl Written {
    fn field(&mut self, key: &str, kind: &str) {
        let shape = self.shapes.entry(self.current.clone()).or_default();
        let before = shape.fields.insert(key.to_owned(), kind.to_owned());
        assert!(before.is_none_or(|before| before == kind), "{}.{key} is {kind} too", self.current);
    }
}

impl PointWriter for Written {
    fn begin(&mut self, measurement: &str) {
        self.current = measurement.to_owned();
        self.shapes.entry(measurement.to_owned()).or_default();
    }

    fn tag(&mut self, key: &str, _value: &str) {
        self.shapes.entry(self.current.clone()).or_default().tags.insert(key.to_owned());
    }

    fn integer(&mut self, key: &str, _value: u64) {
        self.field(key, "integer");
    }

    fn float(&mut self, key: &str, _value: f64) {
        self.field(key, "float");
    }

    fn boolean(&mut self, key: &str, _value: bool) {
        self.field(key, "boolean");
    }

    fn text(&mut self, key: &str, _value: &str) {
        self.field(key, "text");
    }

    fn end(&mut self, _time: TimestampNs) {}
}

/// A round of the probe, as in a query of the page, and the user agent of a request of it.
const ROUND: &str = "6a01f2c0-0123456789abcdef";
const PROBE: &str = "rgwlens-probe/6a01f2c0-0123456789abcdef put -";

/// Lines that have everything, in the format `rgwlens`, at this time: at least one for each thing that can be said.
fn lines(seconds: i64) -> String {
    let line = |status: &str, time: &str, request: &str| {
        format!(
            "{seconds}.250 2026-11-21T19:00:00+00:00 192.0.2.1 {status} {time} 700 1000 1400 \"127.0.0.1:8080\" \
             \"{status}\" \"{time}\" \"{time}\" \"tx1\" \"-\" \"5\" \"s3.example.com\" \"{request}\" \"-\" \"-\" \
             \"curl/8\" \"-\"\n"
        )
    };
    let upload = line("200", "0.012", "PUT /bucket/key HTTP/1.1");
    let download = line("200", "0.090", "GET /bucket/key HTTP/1.1");
    let slow = line("200", "1.500", "GET /bucket/key HTTP/1.1");
    let refused = line("403", "0.001", "GET /elsewhere/key?X-Amz-Signature=0 HTTP/1.1");
    let list = line("500", "0.004", "GET / HTTP/1.1");
    let probe = line("200", "0.007", "PUT /rgwlens-probe-1/key HTTP/1.1").replace("curl/8", PROBE);
    [upload, download, slow, refused, list, probe, "not a line of this format\n".to_owned()].concat()
}

/// What these lines become.
fn parts(seconds: i64) -> Vec<Part> {
    let settings =
        Settings { events: EventSettings { sample: 1.0, ..EventSettings::default() }, ..Settings::default() };
    let windows = Windows::replay(settings.clone(), Admission::new(settings.admission.clone(), 1));
    let format = LogFormat::named("rgwlens").unwrap();
    let probe = ProbeSettings { key: None, addresses: vec!["192.0.2.1".into()] };
    let classifier = ClassifierSettings { probe, ..ClassifierSettings::default() };
    let mut counter = Counter::new(format, classifier, settings.slow, windows);
    counter.count(Lines { bytes: lines(seconds).as_bytes(), now_ms: None });
    assert_eq!(counter.windows.totals().counted, 6);
    counter.windows.close_all()
}

/// A `##` section of measurements.md, by its title.
fn sections(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut sections: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut title = "";
    for line in text.lines() {
        match line.strip_prefix("## ") {
            Some(next) => title = next,
            None => sections.entry(title).or_default().push(line),
        }
    }
    sections
}

/// Its rows under a header that begins with `head`.
fn rows<'a>(section: &[&'a str], head: &str) -> Vec<Vec<&'a str>> {
    let mut rows = Vec::new();
    let mut inside = false;
    for line in section {
        match cells(line) {
            Some(row) if row[0] == head => inside = true,
            Some(row) if inside && !row[0].starts_with("--") => rows.push(row),
            Some(_) => {}
            None => inside = false,
        }
    }
    rows
}

/// What a section says of its measurement.
fn documented(section: &[&str]) -> Shape {
    let mut shape = Shape::default();
    for row in rows(section, "Tag") {
        shape.tags.extend(code(row[0]).into_iter().map(str::to_owned));
    }
    for row in rows(section, "Field") {
        for field in code(row[0]) {
            let before = shape.fields.insert(field.to_owned(), row[1].to_owned());
            assert!(before.is_none(), "{field} is there twice");
        }
    }
    shape
}

#[test]
fn measurements_are_those_that_are_written() {
    let mut written = Written::default();
    for part in parts(1_795_287_600) {
        write_points(&part, &Tags::default(), Some(&[]), &mut written);
    }
    let text = read("docs/measurements.md");
    let sections = sections(&text);
    let documented: BTreeMap<String, Shape> = sections
        .iter()
        .filter(|(title, _)| title.starts_with("rgw_"))
        .map(|(title, section)| ((*title).to_owned(), documented(section)))
        .collect();
    assert_eq!(documented, written.shapes, "left: docs/measurements.md, right: the code");

    let windows: BTreeMap<&str, &str> = rows(&sections["In short"], "Measurement")
        .iter()
        .map(|row| (code(row[0])[0], row[1]))
        .filter(|(name, _)| name.starts_with("rgw_"))
        .collect();
    let name = |kind: &WindowKind| match kind {
        WindowKind::Node => "node",
        WindowKind::Bucket => "bucket",
    };
    assert_eq!(windows, MEASUREMENTS.iter().map(|(measurement, kind)| (*measurement, name(kind))).collect());
}

/// The point about ourselves needs a daemon, so its names are taken from the one place that writes them.
#[test]
fn what_rgwlens_says_about_itself_is_documented() {
    let source = read("src/daemon/health.rs");
    let mut written = Shape::default();
    for part in source.split("(\"").skip(1) {
        let Some((name, rest)) = part.split_once("\".into(), Field::") else { continue };
        let kind = &rest[..rest.find('(').unwrap()];
        written.fields.insert(name.to_owned(), kind.to_lowercase());
    }
    for part in source.split("[(\"").skip(1) {
        written.tags.insert(part[..part.find('"').unwrap()].to_owned());
    }
    let text = read("docs/measurements.md");
    let mut documented = documented(&sections(&text)["rgwlens"]);
    // Said among the tags of every point.
    documented.tags.insert("log".to_owned());
    assert_eq!(documented, written, "left: docs/measurements.md, right: src/daemon/health.rs");
}

#[test]
fn values_of_closed_tags_are_complete() {
    let text = read("docs/measurements.md");
    let sections = sections(&text);
    let in_row = |section: &str, head: &str, name: &str| -> BTreeSet<String> {
        let rows = rows(&sections[section], head);
        let row = rows.iter().find(|row| row[0] == format!("`{name}`")).unwrap_or_else(|| panic!("{name}"));
        code(row.last().unwrap()).into_iter().map(str::to_owned).collect()
    };
    let set = |names: &[&str]| -> BTreeSet<String> { names.iter().map(|name| (*name).to_owned()).collect() };

    let classes = sections["Words that recur"].iter().find(|line| line.starts_with("**class**")).unwrap();
    let classes = &classes[..classes.find(". Numbers").unwrap()];
    assert_eq!(
        code(classes).into_iter().collect::<BTreeSet<_>>(),
        Class::ALL.iter().map(|class| class.name()).collect()
    );
    let protocols: Vec<_> = Protocol::ALL.iter().map(|protocol| protocol.name()).collect();
    assert_eq!(in_row("rgw_operation", "Tag", "protocol"), set(&protocols));
    assert_eq!(
        in_row("rgw_log", "Tag", "reason"),
        set(&[Reject::REASONS, SKIP_REASONS, &[DAMAGED]].concat())
    );
    assert_eq!(in_row("rgw_event", "Field", "verdict"), set(&Verdict::ALL.map(Verdict::name)));
    let ours: Vec<_> =
        rows(&sections["Words that recur"], "Bucket").iter().map(|row| code(row[0])[0]).collect();
    assert_eq!(ours, [NO_BUCKET, UNKNOWN_BUCKET, OTHER]);
    let event = rows(&sections["rgw_event"], "Field");
    let fields: BTreeSet<&str> = event.iter().flat_map(|row| code(row[0])).collect();
    assert_eq!(fields, EventSettings::FIELDS.iter().copied().collect());
}

#[cfg(feature = "cli")]
mod with_the_program {
    use std::time::{Duration, SystemTime};

    use rgwlens::{
        ceph::{self, Collector, IopsSettings, Question, Snapshot},
        config::Config,
        influx::{Client, line_protocol::Encoder, sender::Sender},
        metrics::{Exposition, RequestMetrics},
        point::Point,
        probe::{self, Failure, FailureKind, Observation, Phases, ProbeMetrics, Round, Task},
    };

    use super::{support::influx::InfluxDb, *};

    /// A round in which everything happened that can be told.
    fn probed() -> Round {
        let took = Some(Duration::from_millis(5));
        let failure =
            Failure { kind: FailureKind::Http, code: Some("AccessDenied".into()), detail: "403".into() };
        let observation = |failure: Option<Failure>| Observation {
            task: Task::Put,
            size: Some(512),
            duration: Duration::from_millis(30),
            phases: Phases { dns: took, connect: took, tls: took, first_byte: took, body: took },
            requests: 1,
            status: Some(200),
            request_id: Some("tx1".into()),
            failure,
        };
        Round {
            endpoint: "main".into(),
            id: ROUND.into(),
            observations: vec![observation(None), observation(Some(failure))],
            skipped: Vec::new(),
            removed: 0,
            notes: Vec::new(),
        }
    }

    #[test]
    fn what_the_probe_says_is_documented() {
        let mut written = Written::default();
        for point in probe::points(&probed(), 0) {
            point.write(&Tags::default(), &mut written);
        }
        let text = read("docs/measurements.md");
        let sections = sections(&text);
        for (measurement, shape) in &written.shapes {
            assert_eq!(
                documented(&sections[measurement.as_str()]),
                *shape,
                "{measurement}: left is the page"
            );
        }
        let row = |name: &str| {
            let rows = rows(&sections["s3_probe"], "Tag");
            let row = rows.iter().find(|row| row[0] == name).expect("a row");
            code(row[1]).into_iter().map(str::to_owned).collect::<BTreeSet<_>>()
        };
        assert_eq!(row("`task`"), Task::ALL.iter().map(|task| task.name().to_owned()).collect());
        let outcomes = FailureKind::ALL.iter().map(|kind| kind.name()).chain(["ok"]).map(str::to_owned);
        assert_eq!(row("`outcome`"), outcomes.collect());
        // What `/metrics` has is on its own page.
        let page = read("docs/probe.md");
        let settings = Config::from_toml(
            "[probe]\naccess_key = \"a\"\nsecret_key = \"b\"\n[[probe.endpoint]]\nurl = \"http://localhost\"",
        );
        let mut metrics = ProbeMetrics::new(&settings.unwrap().probe.settings.unwrap());
        metrics.observe(&probed(), 1.0);
        let mut requests = RequestMetrics::new(10);
        parts(1_795_287_600).iter().for_each(|part| requests.add("access", part));
        let mut exposition = Exposition::default();
        metrics.write(&mut exposition);
        requests.write(&[], &mut exposition);
        let exposed = exposition.into_text()
            + &read("src/daemon/exposed.rs").replace("\"rgwlens_", "\n# TYPE rgwlens_");
        let mut families = 0;
        for family in exposed.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let family = family.split([' ', '"']).next().unwrap();
            assert!(page.contains(&format!("`{family}`")), "docs/probe.md does not have {family}");
            families += 1;
        }
        assert!(families > 25, "{families}");
    }

    /// What a cluster said once, as points of this time.
    fn ceph_points(state: &str, seconds: i64) -> Vec<Point> {
        let mut snapshot = Snapshot::default();
        for question in Question::ALL {
            let name = if question == Question::Df { "df".into() } else { question.words().join("-") };
            let said = read(format!("tests/ceph-json/{state}/{name}.json"));
            snapshot.take(question, said.as_bytes()).unwrap();
        }
        ceph::write_points(&snapshot, &IopsSettings::default(), true, seconds * 1_000_000_000)
    }

    /// Points about asking, from a command that answers one question and fails at the others.
    async fn collector_points() -> Vec<Point> {
        let answer = format!("cat {}", root().join("tests/ceph-json/nautilus/status.json").display());
        let command = ["sh", "-c", &answer].map(str::to_owned).to_vec();
        let settings = ceph::Settings { command, ..ceph::Settings::default() };
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        let outcome = Collector::new(settings, "gw1").round(0, deadline, 0).await;
        outcome.points.into_iter().filter(|point| point.measurement == "ceph_collector").collect()
    }

    #[tokio::test]
    async fn what_ceph_says_is_documented() {
        let mut written = Written::default();
        for state in ["luminous", "nautilus", "pacific-healthy-busy", "pacific-degraded"] {
            ceph_points(state, 0).iter().for_each(|point| point.write(&Tags::default(), &mut written));
        }
        collector_points().await.iter().for_each(|point| point.write(&Tags::default(), &mut written));
        let text = read("docs/measurements.md");
        let sections = sections(&text);
        let ours = sections.iter().filter(|(title, _)| title.starts_with("ceph_"));
        let mut documented: BTreeMap<String, Shape> =
            ours.map(|(title, section)| ((*title).to_owned(), documented(section))).collect();
        // Said among the tags of every point.
        documented.get_mut("ceph_collector").unwrap().tags.insert("node".to_owned());
        assert_eq!(documented, written.shapes, "left: docs/measurements.md, right: src/ceph/points");
        let declared: BTreeSet<&str> = ceph::MEASUREMENTS.iter().map(|(name, _)| *name).collect();
        assert_eq!(documented.keys().map(String::as_str).collect::<BTreeSet<_>>(), declared);
    }

    #[test]
    fn tags_of_every_point() {
        let config = Config::from_toml("").unwrap();
        let tags = config.tags_of(&config.logs[0]);
        let written: Vec<&str> = tags.iter().map(|(key, _)| key).collect();
        let text = read("docs/measurements.md");
        let mut documented: Vec<_> =
            rows(&sections(&text)["Tags of every point"], "Tag").iter().map(|row| code(row[0])[0]).collect();
        documented.sort_unstable();
        assert_eq!(documented, written);
    }

    /// InfluxDB 3 refuses a table in which a tag and a field have one name, so no operator may choose one of ours.
    #[test]
    fn an_operators_tag_cannot_have_a_name_of_ours() {
        let text = read("docs/measurements.md");
        for (title, section) in sections(&text) {
            let shape = documented(&section);
            for name in shape.tags.iter().chain(shape.fields.keys()) {
                let config = format!("[tags]\n{name} = \"x\"");
                assert!(Config::from_toml(&config).is_err(), "{title}: {name} may be a tag of [tags]");
            }
        }
    }

    #[test]
    fn the_readmes_configuration_is_one() {
        let text = read("README.md");
        let (_, rest) = text.split_once("```toml\n").expect("a configuration");
        let config = Config::from_toml(&rest[..rest.find("```").unwrap()]).unwrap();
        assert_eq!(config.outputs.len(), 1);
        assert!(LogFormat::named(&config.logs[0].format).is_some());
    }

    /// Every query of the page, asked of a real server that has the points of a few lines.
    #[tokio::test]
    async fn queries_have_answers() {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
        let influx = InfluxDb::shared();
        let target = influx.database("docs");
        let mut encoder = Encoder::new(target.dialect());
        encoder.set_tags(&Tags::new([("cluster", "ceph"), ("node", "gw1"), ("log", "access")]));
        // Whole windows ago, and within the hour of all the queries.
        for part in parts(now - 1800) {
            write_points(&part, &Tags::default(), Some(&[]), &mut encoder);
        }
        for point in probe::points(&probed(), (now - 1800) * 1_000_000_000) {
            point.write(&Tags::default(), &mut encoder);
        }
        // Two rounds: growth takes two.
        for ago in [1800, 1200] {
            for point in ceph_points("nautilus", now - ago) {
                point.write(&Tags::default(), &mut encoder);
            }
        }
        Sender::new(Client::new(target).unwrap()).send(encoder.lines()).await.unwrap();
        let text = read("docs/measurements.md");
        let queries: Vec<&str> = text
            .split("```sql\n")
            .skip(1)
            .flat_map(|rest| rest[..rest.find("```").expect("an end")].lines())
            .collect();
        assert!(queries.len() >= 8, "{queries:?}");
        for query in queries {
            // `top` gives no row without one of its fields, `fill(0)` gives rows without points.
            let rows = influx.rows("docs", &query.replace("fill(0)", "fill(none)"));
            assert!(!rows.is_empty(), "nothing answers {query}");
            let numbers =
                rows.iter().flat_map(|row| row.as_array().unwrap().iter().skip(1)).filter(|v| v.is_number());
            assert!(numbers.count() > 0, "{query}: {rows:?}");
        }
        let total = |measurement: &str| {
            influx.rows("docs", &format!("SELECT sum(\"requests\") FROM \"{measurement}\""))[0][1].clone()
        };
        for measurement in ["rgw_node", "rgw_status", "rgw_bucket", "rgw_operation"] {
            assert_eq!(total(measurement), 6, "{measurement}");
        }
    }
}

/// A heading's anchor, as forges make it.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// Lines of a document that are not within a fenced block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

#[test]
fn links_lead_somewhere() {
    let mut links = 0;
    let mut broken = Vec::new();
    for document in files("", ".md") {
        let text = fs::read_to_string(&document).unwrap();
        for target in prose(&text).flat_map(|line| line.split("](").skip(1)) {
            let target = &target[..target.find(')').unwrap_or(target.len())];
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            links += 1;
            let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() { document.clone() } else { document.parent().unwrap().join(path) };
            let leads = path.exists()
                && (fragment.is_empty()
                    || prose(&fs::read_to_string(&path).unwrap_or_default())
                        .any(|line| line.starts_with('#') && anchor(line) == fragment));
            if !leads {
                broken.push(format!("{}: {target}", document.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(links >= 20, "only {links} links were found");
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The command for all tests is the one that runs before a change goes in.
#[test]
fn the_readme_names_the_command_for_the_tests() {
    let runs = read(".ci/run");
    let runs: Vec<&str> = runs
        .lines()
        .map(|line| line.strip_prefix("exec ").unwrap_or(line))
        .filter(|line| line.starts_with("scripts/"))
        .collect();
    assert!(!runs.is_empty());
    let command = runs.join(" && ");
    for document in ["README.md", "CONTRIBUTING.md"] {
        let text = read(document);
        assert!(text.lines().any(|line| line.trim() == command), "{document} does not say `{command}`");
    }
}

#[test]
fn every_dependency_has_its_reasons() {
    let manifest = read("Cargo.toml");
    let mut declared = BTreeSet::new();
    let mut dependencies = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            dependencies = line.contains("dependencies");
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| dependencies) {
            declared.insert(name);
        }
    }
    let text = read("docs/dependencies.md");
    let reasoned: BTreeSet<&str> = text
        .lines()
        .filter_map(cells)
        // Behind the crate stand its features.
        .flat_map(|row| code(row[0].split(" with ").next().unwrap_or_default()))
        .collect();
    assert_eq!(reasoned, declared, "left: docs/dependencies.md, right: Cargo.toml");
}

/// Names of all test functions that begin with the ID of a fault, by ID; and all names of functions.
fn tested() -> (BTreeMap<String, BTreeSet<String>>, BTreeSet<String>) {
    let (mut by_fault, mut all) = (BTreeMap::<_, BTreeSet<_>>::new(), BTreeSet::new());
    for file in files("src", ".rs").into_iter().chain(files("tests", ".rs")) {
        // There `s3_` is the protocol.
        let protocol = file.starts_with(root().join("src/access_log"));
        for line in fs::read_to_string(&file).unwrap().lines() {
            let line = line.trim_start();
            let Some(name) = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ") else {
                continue;
            };
            let name = &name[..name.find(['(', '<']).unwrap_or(name.len())];
            all.insert(name.to_owned());
            let ids = name.split('_').take_while(|word| is_fault(word)).filter(|_| !protocol);
            for id in ids {
                by_fault.entry(id.to_uppercase()).or_default().insert(name.to_owned());
            }
        }
    }
    (by_fault, all)
}

/// `k1`, `r20`.
fn is_fault(word: &str) -> bool {
    word.strip_prefix(['k', 'r', 'c', 's', 'd'])
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The last column of the tables of faults is what is in the tree. `UPDATE_DOCS=1` writes it anew.
#[test]
fn faults_are_tested_as_documented() {
    let path = "docs/guarantees.md";
    let text = read(path);
    let (mut by_fault, all) = tested();
    let mut expected = String::new();
    for line in text.lines() {
        let row = cells(line).filter(|row| row.len() == 3 && is_fault(&row[0].to_lowercase()));
        match row {
            Some(row) => {
                // Tests without the ID in their name are listed by hand, as long as they are there.
                let mut tests: BTreeSet<&str> =
                    code(row[2]).into_iter().filter(|t| all.contains(*t)).collect();
                let named = by_fault.remove(row[0]).unwrap_or_default();
                tests.extend(named.iter().map(String::as_str));
                let list: Vec<String> = tests.iter().map(|test| format!("`{test}`")).collect();
                let list = match list.is_empty() {
                    false => list.join(", "),
                    // A reason, by hand.
                    true if row[2].starts_with("none: ") => row[2].to_owned(),
                    true => "not yet".to_owned(),
                };
                expected += &format!("| {} | {} | {list} |\n", row[0], row[1]);
            }
            None => expected += &format!("{line}\n"),
        }
    }
    assert!(by_fault.is_empty(), "{path} does not know the faults of these tests: {by_fault:?}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(path), &expected).unwrap();
        return;
    }
    for (has, needs) in text.lines().zip(expected.lines()) {
        assert_eq!(has, needs, "{path}: `UPDATE_DOCS=1 cargo test --test docs` mends it");
    }
}

/// Modules of the crate that a source file imports: `crate::a::…` and `crate::{a::…, b::…}`.
fn imports(source: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect()
    };
    let mut found = BTreeSet::new();
    for rest in source.split("crate::").skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            found.insert(word(rest));
            continue;
        };
        // Words that follow the list's own commas.
        let (mut depth, mut begins) = (0, true);
        for (at, c) in list.char_indices() {
            match c {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                c if begins && !c.is_whitespace() => {
                    found.insert(word(&list[at..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn layers_import_downwards() {
    let text = read("ARCHITECTURE.md");
    let sections = sections(&text);
    let layers: Vec<(&str, &str)> =
        rows(&sections["Layers"], "Module").iter().map(|row| (code(row[0])[0], row[1])).collect();
    let modules: BTreeSet<&str> = layers.iter().map(|(module, _)| *module).collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in files("src", ".rs") {
        let path = file.strip_prefix(root().join("src")).unwrap().to_string_lossy().into_owned();
        let module = path.split(['/', '.']).next().unwrap();
        // Tests may make what they need of anything.
        if matches!(module, "lib" | "main") || path.ends_with("tests.rs") || path.contains("/tests/") {
            continue;
        }
        let Some(at) = layers.iter().position(|(known, _)| *known == module) else {
            panic!("ARCHITECTURE.md, Layers, does not know {module}")
        };
        let allowed: BTreeSet<&str> = match layers[at].1 {
            "nothing" => BTreeSet::new(),
            "all" => modules.clone(),
            "all below" => layers[..at].iter().map(|(module, _)| *module).collect(),
            named => code(named).into_iter().collect(),
        };
        for import in imports(&fs::read_to_string(&file).unwrap()) {
            if modules.contains(import.as_str()) && import != module {
                seen += 1;
                if !allowed.contains(import.as_str()) {
                    wrong.push(format!("{path} imports {import}"));
                }
            }
        }
    }
    assert!(seen > 50, "only {seen} imports were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A test that a document calls the keeper of an invariant is there.
#[test]
fn tests_that_hold_an_invariant_exist() {
    let text = read("ARCHITECTURE.md");
    let (_, all) = tested();
    let held: Vec<&str> = text
        .lines()
        .flat_map(|line| line.split("*Held by*").skip(1))
        .flat_map(|held| code(&held[..held.find("*Absent").unwrap_or(held.len())]))
        .filter(|name| !name.contains(['/', '.']))
        .collect();
    assert!(held.len() >= 10, "{held:?}");
    for test in held {
        assert!(all.contains(test), "ARCHITECTURE.md: there is no test {test}");
    }
}
