//! The page that a person reads.

use super::ceph;
use crate::{
    cli::table::{
        Cell, Page, Style, about_percent, bytes, bytes_per_second, count, ms, percent, plain, rate, span,
        time,
    },
    report::{BucketReport, Figures, Flow, Joined, LatencyStats, Report, SlowEvent},
};

/// A report as text.
pub(in crate::cli) fn render(report: &Report, style: &Style) -> String {
    let mut page = Page::new(style);
    if report.total.requests == 0 {
        // A store of the collector or the probe alone has no requests, and nothing is wrong with that.
        if report.ceph.is_empty() && report.probes.is_empty() || report.lines.read > 0 {
            empty(&mut page, report);
        }
        report.ceph.iter().for_each(|cluster| ceph::render(&mut page, cluster));
        probes(&mut page, report);
        return page.finish();
    }
    overview(&mut page, report);
    service(&mut page, report);
    latency(&mut page, report);
    slow(&mut page, report);
    gateways(&mut page, report);
    upstreams(&mut page, report);
    bandwidth(&mut page, report);
    sizes(&mut page, report);
    buckets(&mut page, report);
    operations(&mut page, report);
    probes(&mut page, report);
    statuses(&mut page, report);
    lines(&mut page, report);
    report.ceph.iter().for_each(|cluster| ceph::render(&mut page, cluster));
    page.finish()
}

fn empty(page: &mut Page, report: &Report) {
    if report.lines.read > 0 {
        page.warning(&format!(
            "{} lines were read, and none of them is a request in the log format that was expected.",
            count(report.lines.read)
        ));
        page.paragraph(
            "`rgwlens explain FILE` shows where a line stops to fit; --log-format takes nginx's own log_format directive.",
        );
        return;
    }
    page.paragraph("Nothing was counted in this time yet.");
    page.paragraph(
        "`rgwlens status` shows how far the daemon has come (a minute's requests are counted 15 s after it is over); \
         `rgwlens report /var/log/nginx/access.log*` reads log files without a daemon.",
    );
    damage(page, report);
}

fn probes(page: &mut Page, report: &Report) {
    if report.probes.is_empty() {
        return;
    }
    page.heading(
        "What the probe felt",
        "Mean time of a task from outside; and of those that nginx's log has too: outside, in nginx, in the gateway.",
    );
    page.table(
        &["endpoint ", "task ", "times", "failed", "mean", "joined", "outside", "nginx", "gateway"],
        report.probes.iter().map(|probe| {
            let joined = |of: fn(&Joined) -> Option<f64>| -> Cell {
                probe.joined.as_ref().and_then(of).map_or_else(|| "-".to_owned(), ms).into()
            };
            vec![
                plain(&probe.endpoint).into(),
                plain(&probe.task).into(),
                count(probe.count).into(),
                Cell::from(count(probe.failed)).bad_if(probe.failed > 0),
                ms(probe.outside_ms).into(),
                count(probe.joined.map_or(0, |joined| joined.count)).into(),
                joined(|joined| Some(joined.outside_ms)),
                joined(|joined| Some(joined.nginx_ms)),
                joined(|joined| joined.gateway_ms),
            ]
        }),
    );
}

fn overview(page: &mut Page, report: &Report) {
    let show = |ms: Option<i64>| ms.map(time).unwrap_or_default();
    page.heading("What the object gateway did", "");
    let (from, until) = (show(report.from_ms), show(report.until_ms));
    page.paragraph(&format!("{from} to {until} UTC ({})", span(report.seconds)));
    let nodes: Vec<&str> = report.nodes.iter().map(|node| node.node.as_str()).collect();
    let gateways = if nodes.len() == 1 { "Gateway" } else { "Gateways" };
    page.paragraph(&format!("{gateways}: {}", nodes.join(", ")));
    page.paragraph(&format!(
        "{} requests, {} a second; {} received, {} sent",
        count(report.total.requests),
        rate(report.requests_per_second.mean),
        bytes(report.total.bytes_in),
        bytes(report.total.bytes_out),
    ));
}

fn service(page: &mut Page, report: &Report) {
    page.heading(
        "How well it went",
        "Requests of clients: without health checks, replication, the admin API and garbage.",
    );
    let service = &report.service;
    let figures = &service.figures;
    let row = |name: &str, number: Cell, share: String, meaning: &str| {
        vec![name.into(), number, share.into(), meaning.into()]
    };
    let number = |number: u64| Cell::from(count(number));
    let all_well = figures.errors_5xx == 0 && figures.requests > 0;
    page.table(
        &["", "requests", "share", "meaning "],
        [
            row("all", number(figures.requests), percent((figures.requests > 0).then_some(1.0)), ""),
            row("success rate", number(figures.ok), percent(service.success_rate), "answered below 400"),
            row(
                "availability",
                number(figures.requests - figures.errors_5xx.min(figures.requests)).good_if(all_well),
                percent(service.availability),
                "not answered with 5xx",
            ),
            row(
                "4xx",
                number(figures.errors_4xx),
                percent(service.errors_4xx_rate),
                "refused: denied, not found, bad request",
            ),
            row(
                "5xx",
                number(figures.errors_5xx).bad_if(figures.errors_5xx > 0),
                percent(service.errors_5xx_rate),
                "the gateway failed",
            ),
            row(
                "aborted",
                number(figures.aborted),
                percent(service.aborted_rate),
                "the client went away (499)",
            ),
        ],
    );
}

/// Cells of latencies, or of nothing to tell them from.
fn times<const N: usize>(stats: Option<LatencyStats>, of: [fn(&LatencyStats) -> f64; N]) -> [Cell; N] {
    of.map(|of| stats.as_ref().map_or_else(|| "-".to_owned(), |stats| ms(of(stats))).into())
}

fn latency(page: &mut Page, report: &Report) {
    page.heading(
        "Latency",
        "How long answers below 400 took, to the last byte. P99: 99 of 100 took at most this. Large bodies are apart: \
         they take long for their size.",
    );
    page.table(
        &["class", "body ", "requests", "min", "mean", "P50", "P90", "P99", "max"],
        report.classes.iter().map(|class| {
            let mut row = vec![class.class.into(), class.size.into(), count(class.figures.requests).into()];
            row.extend(times(
                class.latency,
                [|l| l.min_ms, |l| l.mean_ms, |l| l.p50_ms, |l| l.p90_ms, |l| l.p99_ms, |l| l.max_ms],
            ));
            row
        }),
    );
}

fn slow(page: &mut Page, report: &Report) {
    let slow = &report.slow;
    page.heading(
        "Slow requests",
        "Small ones by their time (over 1 s unless configured), large ones by their transfer rate (under 1 MiB/s).",
    );
    if slow.requests == 0 {
        page.paragraph("None.");
        return;
    }
    page.paragraph(&format!(
        "{} of all uploads, downloads, lists and deletes were slow: {}.",
        count(slow.requests),
        percent(slow.share)
    ));
    page.table(
        &["class", "body ", "slow", "requests", "share"],
        slow.classes.iter().filter(|class| class.slow > 0).map(|class| {
            let numbers = [count(class.slow), count(class.requests), about_percent(class.share)];
            [class.class, class.size].into_iter().map(Cell::from).chain(numbers.map(Cell::from)).collect()
        }),
    );
    page.heading(
        "Where slow requests were",
        "Which gateway has them, and how many of its own requests that is.",
    );
    page.table(
        &["gateway", "slow", "of all slow", "requests", "of its own"],
        slow.nodes.iter().map(|node| {
            vec![
                node.node.as_str().into(),
                Cell::from(count(node.slow)).warn_if(node.slow > 0),
                about_percent(node.share_of_slow).into(),
                count(node.requests).into(),
                about_percent(node.share).into(),
            ]
        }),
    );
    if slow.slowest.is_empty() {
        return;
    }
    page.heading(
        &format!("The slowest {} of {} that were kept", slow.slowest.len(), count(slow.kept)),
        "Verdict: where most of the time went, if the log has upstream times. Times are UTC.",
    );
    for event in &slow.slowest {
        slow_event(page, event);
    }
}

fn slow_event(page: &mut Page, event: &SlowEvent) {
    page.paragraph(&format!(
        "{}  {:>8}  {} {:03}  {}  {}{}",
        time(event.time_ms),
        ms(event.request_time_ms.into()),
        event.class,
        event.status,
        bytes(event.bytes_in.max(event.bytes_out)),
        event.node,
        event.verdict.map(|verdict| format!("  {verdict}")).unwrap_or_default(),
    ));
    let slash = if event.object.is_empty() { "" } else { "/" };
    let from = if event.remote_addr.is_empty() { "" } else { " from " };
    page.note(&format!("{}{slash}{}{from}{}", event.bucket, event.object, event.remote_addr));
}

fn gateways(page: &mut Page, report: &Report) {
    page.heading(
        "Gateways",
        "Success, 5xx and P99 are of clients' requests; P99 of those with small bodies.",
    );
    page.table(
        &["gateway", "requests", "per s", "success", "5xx", "slow", "P99 up", "P99 down"],
        report.nodes.iter().map(|node| {
            let p99 = |name: &str| {
                let small = node.classes.iter().find(|c| c.class == name && c.size == "small");
                let [cell] = times(small.and_then(|class| class.latency), [|l| l.p99_ms]);
                cell
            };
            vec![
                node.node.as_str().into(),
                count(node.total.requests).into(),
                rate(node.requests_per_second).into(),
                percent(node.service.success_rate).into(),
                Cell::from(count(node.service.figures.errors_5xx))
                    .bad_if(node.service.figures.errors_5xx > 0),
                Cell::from(count(node.total.slow)).warn_if(node.total.slow > 0),
                p99("upload"),
                p99("download"),
            ]
        }),
    );
}

fn upstreams(page: &mut Page, report: &Report) {
    if report.upstreams.is_empty() {
        return;
    }
    page.heading(
        "RGW behind nginx",
        "By the server that answered; percentiles of requests with small bodies.",
    );
    let many = report.nodes.len() > 1;
    page.table(
        &["upstream", "requests", "5xx", "slow", "in", "out", "P50", "P99"],
        report.upstreams.iter().map(|upstream| {
            let name = if many {
                format!("{} {}", upstream.node, upstream.upstream)
            } else {
                upstream.upstream.clone()
            };
            let figures = &upstream.figures;
            let mut row = vec![
                name.into(),
                count(figures.requests).into(),
                Cell::from(count(figures.errors_5xx)).bad_if(figures.errors_5xx > 0),
                Cell::from(count(figures.slow)).warn_if(figures.slow > 0),
                bytes(figures.bytes_in).into(),
                bytes(figures.bytes_out).into(),
            ];
            row.extend(times(upstream.latency_small, [|l| l.p50_ms, |l| l.p99_ms]));
            row
        }),
    );
}

fn bandwidth(page: &mut Page, report: &Report) {
    page.heading(
        "Bandwidth",
        "Counted when a request ends. Mean: over all of the time. Peak: the busiest window of buckets (a minute unless \
         configured), all gateways together.",
    );
    let row = |name: &str, total: String, flow: &Flow, show: fn(f64) -> String| {
        let (peak, at) = flow.peak.map_or_else(Default::default, |p| (show(p.per_second), time(p.start_ms)));
        vec![name.into(), total.into(), show(flow.mean).into(), peak.into(), at.into()]
    };
    let per_second = |per_second| format!("{}/s", rate(per_second));
    page.table(
        &["", "total", "mean", "peak", "peak at (UTC)"],
        [
            row("in", bytes(report.total.bytes_in), &report.bytes_in_per_second, bytes_per_second),
            row("out", bytes(report.total.bytes_out), &report.bytes_out_per_second, bytes_per_second),
            row("requests", count(report.total.requests), &report.requests_per_second, per_second),
        ],
    );
}

/// Classes whose bodies are objects.
const WITH_BODIES: [&str; 4] = ["upload", "download", "copy", "website"];

fn sizes(page: &mut Page, report: &Report) {
    let with_bodies = || report.sizes.iter().filter(|size| WITH_BODIES.contains(&size.class));
    let Some(first) = with_bodies().next() else { return };
    page.heading("Sizes", "Share of the answers below 400 by the size of their body.");
    let mut edges: Vec<String> = vec!["class".into(), "answers".into()];
    edges.extend(first.steps.iter().map(|step| match step.up_to_bytes {
        Some(edge) => format!("≤ {}", bytes(edge).replace(".0", "")),
        None => "more".into(),
    }));
    let edges: Vec<&str> = edges.iter().map(String::as_str).collect();
    page.table(
        &edges,
        with_bodies().map(|size| {
            let share = |requests: u64| (size.requests > 0).then(|| requests as f64 / size.requests as f64);
            let mut row = vec![size.class.into(), count(size.requests).into()];
            row.extend(size.steps.iter().map(|step| Cell::from(about_percent(share(step.requests)))));
            row
        }),
    );
}

fn buckets(page: &mut Page, report: &Report) {
    let buckets = &report.buckets;
    let shown = buckets.by_requests.len();
    page.heading(
        &format!("Buckets: the {shown} busiest of {}", count(buckets.named)),
        "Counted when their window closes (a minute unless configured), so the latest seconds may be missing here.",
    );
    page.table(
        &["bucket", "requests", "success", "4xx", "5xx", "slow", "in", "out"],
        buckets.by_requests.iter().chain(&buckets.reserved).map(|bucket| {
            let figures = &bucket.figures;
            vec![
                bucket.bucket.as_str().into(),
                count(figures.requests).into(),
                about_percent(share(figures.ok, figures.requests)).into(),
                count(figures.errors_4xx).into(),
                Cell::from(count(figures.errors_5xx)).bad_if(figures.errors_5xx > 0),
                Cell::from(count(figures.slow)).warn_if(figures.slow > 0),
                bytes(figures.bytes_in).into(),
                bytes(figures.bytes_out).into(),
            ]
        }),
    );
    let listed: u64 = buckets.by_requests.iter().chain(&buckets.reserved).map(|b| b.figures.requests).sum();
    let more = buckets.named.saturating_sub(shown as u64);
    if more > 0 {
        let rest = buckets.total.requests.saturating_sub(listed);
        page.note(&format!("and {} more with {} requests", count(more), count(rest)));
    }
    for bucket in &buckets.reserved {
        page.note(match bucket.bucket.as_str() {
            "_none_" => "_none_: requests without a bucket",
            "_unknown_" => "_unknown_: names that never answered with success here",
            _ => "_other_: buckets over the limits",
        });
    }
    flows(page, "Buckets that received most", &buckets.by_bytes_in, buckets.total.bytes_in, |bucket| {
        (bucket.figures.bytes_in, &bucket.bytes_in_per_second)
    });
    flows(page, "Buckets that sent most", &buckets.by_bytes_out, buckets.total.bytes_out, |bucket| {
        (bucket.figures.bytes_out, &bucket.bytes_out_per_second)
    });
    errors(page, &buckets.by_errors);
    slow_buckets(page, &buckets.by_slow);
}

fn flows(
    page: &mut Page,
    heading: &str,
    buckets: &[BucketReport],
    total: u64,
    of: fn(&BucketReport) -> (u64, &Flow),
) {
    if buckets.is_empty() {
        return;
    }
    page.heading(
        heading,
        "Mean: all gateways together. Peak: the busiest window (a minute unless configured) of a single gateway.",
    );
    page.table(
        &["bucket", "total", "share", "mean", "peak"],
        buckets.iter().map(|bucket| {
            let (amount, flow) = of(bucket);
            let peak = flow.peak.map_or_else(|| "-".to_owned(), |peak| bytes_per_second(peak.per_second));
            vec![
                bucket.bucket.as_str().into(),
                bytes(amount).into(),
                about_percent(share(amount, total)).into(),
                bytes_per_second(flow.mean).into(),
                peak.into(),
            ]
        }),
    );
}

fn errors(page: &mut Page, buckets: &[BucketReport]) {
    if buckets.is_empty() {
        return;
    }
    page.heading("Buckets with most errors", "4xx and 5xx together.");
    page.table(
        &["bucket", "errors", "of its requests", "4xx", "5xx"],
        buckets.iter().map(|bucket| {
            let figures = &bucket.figures;
            vec![
                bucket.bucket.as_str().into(),
                count(figures.errors()).into(),
                about_percent(share(figures.errors(), figures.requests)).into(),
                count(figures.errors_4xx).into(),
                Cell::from(count(figures.errors_5xx)).bad_if(figures.errors_5xx > 0),
            ]
        }),
    );
}

fn slow_buckets(page: &mut Page, buckets: &[BucketReport]) {
    if buckets.is_empty() {
        return;
    }
    page.heading("Buckets with most slow requests", "");
    page.table(
        &["bucket", "slow", "of its requests"],
        buckets.iter().map(|bucket| {
            let Figures { slow, requests, .. } = bucket.figures;
            vec![
                bucket.bucket.as_str().into(),
                Cell::from(count(slow)).warn_if(slow > 0),
                about_percent(share(slow, requests)).into(),
            ]
        }),
    );
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Operations a page lists; the JSON has them all.
const OPERATIONS: usize = 25;

fn operations(page: &mut Page, report: &Report) {
    if report.operations.is_empty() {
        return;
    }
    page.heading("Operations", "As RGW names them; percentiles over bodies of all sizes.");
    page.table(
        &["operation", "api ", "requests", "4xx", "5xx", "slow", "P50", "P99"],
        report.operations.iter().take(OPERATIONS).map(|operation| {
            let figures = &operation.figures;
            let mut row = vec![
                operation.operation.into(),
                operation.protocol.into(),
                count(figures.requests).into(),
                count(figures.errors_4xx).into(),
                Cell::from(count(figures.errors_5xx)).bad_if(figures.errors_5xx > 0),
                Cell::from(count(figures.slow)).warn_if(figures.slow > 0),
            ];
            row.extend(times(operation.latency, [|l| l.p50_ms, |l| l.p99_ms]));
            row
        }),
    );
    if let Some(rest) = report.operations.get(OPERATIONS..).filter(|rest| !rest.is_empty()) {
        let requests: u64 = rest.iter().map(|operation| operation.figures.requests).sum();
        page.paragraph(&format!(
            "  and {} more with {} requests: --json lists them all",
            count(rest.len() as u64),
            count(requests)
        ));
    }
}

fn statuses(page: &mut Page, report: &Report) {
    page.heading("Statuses", "Of all requests, health checks included; 000: closed without an answer.");
    let total = report.total.requests;
    page.table(
        &["status", "requests", "share"],
        report.statuses.iter().map(|status| {
            vec![
                Cell::from(format!("{:03}", status.status)).bad_if(status.status >= 500),
                count(status.requests).into(),
                percent(share(status.requests, total)).into(),
            ]
        }),
    );
}

fn lines(page: &mut Page, report: &Report) {
    let lines = &report.lines;
    page.heading("Lines of the log", "");
    let rejected = lines.rejected.iter().fold(0u64, |sum, r| sum.saturating_add(r.lines));
    page.paragraph(&format!(
        "{} read: {} counted ({} of them late), {} rejected, {} expired (older than what is kept)",
        count(lines.read),
        count(lines.counted),
        count(lines.late),
        count(rejected),
        count(lines.expired),
    ));
    if !lines.rejected.is_empty() {
        let rows = lines.rejected.iter().map(|r| vec![plain(&r.reason).into(), count(r.lines).into()]);
        page.table(&["rejected for", "lines"], rows);
        page.note("`rgwlens explain FILE` shows where such lines stop to fit the log format.");
    }
    if !lines.conserved {
        page.warning("These do not add up to the lines read: please report this as a bug.");
    }
    damage(page, report);
}

fn damage(page: &mut Page, report: &Report) {
    if report.parts.damaged > 0 {
        page.warning(&format!(
            "{} parts of the store are damaged and left out: figures are too low.",
            count(report.parts.damaged)
        ));
    }
    if report.parts.duplicates > 0 {
        page.note(&format!("{} parts were there twice, and count once.", count(report.parts.duplicates)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access_log::Class,
        point::Tags,
        report::{
            Builder, Options,
            sample::{Made, parts, tags},
        },
    };

    const PLAIN: Style = Style { colour: false, width: Some(80) };

    /// A quarter of an hour of two gateways.
    fn busy() -> Report {
        const BUCKETS: [&str; 5] = ["backups", "photos", "team/shared", "logs", "website-assets.example.com"];
        let mut builder = Builder::new(Options { top: 4, slowest: 3 });
        for (node, seed) in [("gw1.example.com", 1u64), ("gw2.example.com", 7)] {
            let mut made: Vec<Made> = (0..3000u64)
                .map(|i| {
                    let x = xxhash_rust::xxh3::xxh3_64_with_seed(&i.to_le_bytes(), seed);
                    let class = [
                        Class::Upload,
                        Class::Download,
                        Class::Download,
                        Class::List,
                        Class::Head,
                        Class::Delete,
                    ][(x % 6) as usize];
                    let status = match x >> 8 & 0x3f {
                        0 => 404,
                        1 if seed == 7 => 503,
                        2 => 499,
                        _ => 200,
                    };
                    let body = (x >> 16 & 0xffff) << (x >> 32 & 7);
                    let (bytes_in, bytes_out) = match class {
                        Class::Upload => (body, 0),
                        Class::Download => (0, body),
                        _ => (0, 300),
                    };
                    let took = 5 + (x >> 40 & 0x3f) as u32 + if x >> 48 & 0xff == 0 { 1500 } else { 0 };
                    Made::new(i as i64 * 300, class, BUCKETS[(x >> 20) as usize % 5])
                        .status(status)
                        .took(took)
                        .bytes(bytes_in, bytes_out)
                        .upstream("127.0.0.1:7480", took / 2)
                })
                .collect();
            made.extend((0..90).map(|i| Made::new(i * 10_000, Class::Health, "").took(1)));
            made.push(Made::new(899_000, Class::Upload, "backups").took(95_000).bytes(5 << 20, 0));
            made.push(Made::new(899_500, Class::Download, "admin.php").status(404));
            parts(&made).iter().for_each(|part| builder.add(part, &tags(node)));
        }
        builder.finish()
    }

    #[test]
    fn the_page_at_80_columns() {
        let text = render(&busy(), &PLAIN);
        let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{wide:#?}");
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/report.txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(file, &text).unwrap();
        }
        let golden = std::fs::read_to_string(file).unwrap();
        assert!(text == golden, "differs from {file} (UPDATE_GOLDEN=1 writes it anew):\n{text}");
    }

    #[test]
    fn colours_change_nothing_else() {
        let report = busy();
        let plain = render(&report, &PLAIN);
        let coloured = render(&report, &Style { colour: true, ..PLAIN });
        assert!(!plain.contains('\x1b') && coloured.contains('\x1b'));
        let mut stripped = coloured;
        for code in ["0", "1", "2", "31", "32", "33"] {
            stripped = stripped.replace(&format!("\x1b[{code}m"), "");
        }
        assert_eq!(stripped, plain);
    }

    #[test]
    fn names_of_strangers_stay_text() {
        let made = [Made::new(0, Class::Download, "b").took(5000)];
        let mut report = {
            let mut builder = Builder::new(Options::default());
            let tags = Tags::new([("node", "gw\x1b[2J1")]);
            parts(&made).iter().for_each(|part| builder.add(part, &tags));
            builder.finish()
        };
        for name in [&mut report.slow.slowest[0].object, &mut report.buckets.by_requests[0].bucket] {
            *name = "a\x1b]0;pwned\x07\u{9b}31m\u{202e}\r\nb".into();
        }
        let text = render(&report, &PLAIN);
        assert!(text.contains("pwned"));
        assert_eq!(text.chars().find(|c| c.is_control() && *c != '\n'), None);
        assert!(!text.contains('\u{202e}'));
    }

    #[test]
    fn an_empty_report_says_what_to_do() {
        let mut report = Builder::new(Options::default()).finish();
        let text = render(&report, &PLAIN);
        assert!(text.contains("rgwlens status") && text.contains("rgwlens report /var/log/nginx"), "{text}");
        report.lines.read = 5;
        assert!(render(&report, &PLAIN).contains("rgwlens explain"));
    }
}
