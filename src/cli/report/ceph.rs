//! What Ceph said about itself, for people.

use crate::{
    cli::table::{Cell, Page, bytes, count, ms, percent, plain, rate, time},
    report::{CephCheck, CephIops, CephOsds, CephReport, Reading},
};

/// Pools that are shown.
const POOLS: usize = 10;

/// All sections of a cluster.
pub(in crate::cli) fn render(page: &mut Page, ceph: &CephReport) {
    let moment = if ceph.from_ms == ceph.until_ms {
        String::new()
    } else {
        format!("{} to {} UTC.", time(ceph.from_ms), time(ceph.until_ms))
    };
    page.heading(&format!("Ceph: cluster {}", plain(&ceph.cluster)), &moment);
    health(page, ceph);
    usage(page, ceph);
    if !ceph.iops.is_empty() {
        iops(page, &ceph.iops);
    }
    if !ceph.osds.is_empty() {
        osds(page, &ceph.osds);
    }
    pgs(page, ceph);
    if ceph.unanswered > 0 {
        page.warning(&format!(
            "{} of {} questions to Ceph were not answered; the log of rgwlens says why, as does `rgwlens ceph`.",
            count(ceph.unanswered),
            count(ceph.asked)
        ));
    }
}

fn health(page: &mut Page, ceph: &CephReport) {
    let Some(health) = &ceph.health else {
        page.warning("Ceph did not say how it is.");
        return;
    };
    let share = |(status, rounds): (&String, &u64)| format!("{} in {} rounds", plain(status), count(*rounds));
    let over: Vec<String> = ceph.rounds.iter().map(share).collect();
    let text = match over.len() {
        0 | 1 => format!("{}.", plain(health)),
        _ => format!("{} now; {}.", plain(health), over.join(", ")),
    };
    if health == "HEALTH_OK" {
        page.paragraph(&text)
    } else {
        page.warning(&text)
    }
    if !ceph.checks.is_empty() {
        page.table(&["check", "severity ", "count", "what Ceph says "], ceph.checks.iter().map(check));
    }
}

fn check(check: &CephCheck) -> Vec<Cell> {
    let severity = Cell::from(plain(check.severity.trim_start_matches("HEALTH_")));
    let muted = if check.muted { "muted: " } else { "" };
    vec![
        plain(&check.name).into(),
        severity
            .warn_if(check.severity == "HEALTH_WARN" && !check.muted)
            .bad_if(check.severity == "HEALTH_ERR" && !check.muted),
        whole(check.count).into(),
        format!("{muted}{}", plain(&check.message)).into(),
    ]
}

fn usage(page: &mut Page, ceph: &CephReport) {
    if let Some(usage) = &ceph.usage {
        let share = usage.used_bytes.zip(usage.total_bytes).filter(|(_, total)| *total > 0.0);
        let mut text = format!(
            "{} of {} are used ({}), {} are left",
            size(usage.used_bytes),
            size(usage.total_bytes),
            percent(share.map(|(used, total)| used / total)),
            size(usage.available_bytes),
        );
        if let Some(growth) = usage.growth_bytes {
            text += &format!("; {} in this time", change(growth));
        }
        if let Some(growth) = usage.growth_bytes_per_day {
            text += &format!(", {} a day", change(growth));
        }
        page.paragraph(&format!("{text}. {} objects.", whole(usage.objects)));
    }
    if ceph.pools.is_empty() {
        return;
    }
    page.table(
        &["pool", "used", "of what it can", "objects", "grown by"],
        ceph.pools.iter().take(POOLS).map(|pool| {
            vec![
                plain(&pool.name).into(),
                size(pool.used_bytes).into(),
                percent(pool.used_ratio).into(),
                whole(pool.objects).into(),
                pool.growth_bytes.map_or_else(|| "-".into(), change).into(),
            ]
        }),
    );
    if ceph.pools.len() > POOLS {
        page.note(&format!("{} smaller pools are not shown.", ceph.pools.len() - POOLS));
    }
}

fn iops(page: &mut Page, all: &[CephIops]) {
    page.heading(
        "IOPS of Ceph, and the bound on them",
        "Bound: OSDs that work x IOPS of one / copies (/ writes of the object store). Used: reads and writes together.",
    );
    let rows =
        all.iter().filter(|iops| iops.scope != "pool" || iops.used_ratio.is_some_and(|used| used.max > 0.0));
    let name = |iops: &CephIops| match iops.scope.as_str() {
        "cluster" => "all".to_owned(),
        "class" => format!("class {}", plain(&iops.class)),
        _ => plain(&iops.pool),
    };
    page.table(
        &["", "OSDs", "reads/s", "bound", "writes/s", "bound", "used", "used at most"],
        rows.map(|iops| {
            let used = |share: fn(&Reading) -> f64| {
                let share = iops.used_ratio.as_ref().map(share);
                Cell::from(percent(share)).warn_if(share.is_some_and(|share| share > 0.8))
            };
            vec![
                name(iops).into(),
                whole(iops.osds).into(),
                per_second(iops.reads.map(|reads| reads.now)).into(),
                per_second(iops.read_bound).into(),
                per_second(iops.writes.map(|writes| writes.now)).into(),
                per_second(iops.write_bound).into(),
                used(|used| used.now),
                used(|used| used.max),
            ]
        }),
    );
}

fn osds(page: &mut Page, all: &[CephOsds]) {
    page.heading("OSDs", "By device class. P99: 99 of 100 OSDs have at most this latency.");
    page.table(
        &["class", "OSDs", "up", "in", "fewest up", "fullest", "commit P99", "apply P99", "at most"],
        all.iter().map(|osds| {
            let down = osds.up < osds.total;
            let most =
                [osds.commit_p99_ms, osds.apply_p99_ms].into_iter().flatten().map(|reading| reading.max);
            let latency =
                |reading: Option<Reading>| reading.map_or_else(|| "-".into(), |reading| ms(reading.now));
            vec![
                if osds.class == "_all_" { "all".into() } else { plain(&osds.class).into() },
                whole(osds.total).into(),
                Cell::from(whole(osds.up)).bad_if(down),
                whole(osds.r#in).into(),
                whole(osds.least_up).into(),
                percent(osds.fullest_percent.map(|percent| percent / 100.0)).into(),
                latency(osds.commit_p99_ms).into(),
                latency(osds.apply_p99_ms).into(),
                most.reduce(f64::max).map_or_else(|| "-".into(), ms).into(),
            ]
        }),
    );
}

fn pgs(page: &mut Page, ceph: &CephReport) {
    if ceph.pgs.is_empty() {
        return;
    }
    page.heading("PGs", "");
    let readings = [("degraded", ceph.degraded_ratio), ("misplaced", ceph.misplaced_ratio)];
    let shares = readings.into_iter().filter_map(|(name, reading)| {
        let reading = reading.filter(|reading| reading.max > 0.0)?;
        Some(format!("{} {name} ({} at most)", percent(Some(reading.now)), percent(Some(reading.max))))
    });
    let mut shares: Vec<String> = shares.collect();
    shares.extend(ceph.unfound_objects.filter(|unfound| unfound.max > 0.0).map(|unfound| {
        format!("{} objects unfound ({} at most)", whole(Some(unfound.now)), whole(Some(unfound.max)))
    }));
    if !shares.is_empty() {
        page.warning(&format!("{}.", shares.join(", ")));
    }
    page.table(
        &["state", "PGs"],
        ceph.pgs.iter().map(|pgs| vec![plain(&pgs.state).into(), whole(Some(pgs.count)).into()]),
    );
}

fn whole(number: Option<f64>) -> String {
    number.map_or_else(|| "-".into(), |number| count(number.max(0.0) as u64))
}

fn size(number: Option<f64>) -> String {
    number.map_or_else(|| "-".into(), |number| bytes(number.max(0.0) as u64))
}

fn per_second(number: Option<f64>) -> String {
    number.map_or_else(|| "-".into(), rate)
}

fn change(growth: f64) -> String {
    let sign = if growth < 0.0 { "-" } else { "+" };
    format!("{sign}{}", bytes(growth.abs() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ceph::{IopsSettings, Question, Snapshot, write_points},
        cli::table::Style,
        point::Tags,
        report::CephBuilder,
    };

    /// `UPDATE_GOLDEN=1 cargo test` writes the file anew.
    #[test]
    fn a_page_of_each_cluster() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ceph-json");
        let mut text = String::new();
        for state in ["pacific-healthy-busy", "luminous", "pacific-degraded-osd-down"] {
            let mut snapshot = Snapshot::default();
            for question in Question::ALL {
                let name = if question == Question::Df { "df".into() } else { question.words().join("-") };
                snapshot
                    .take(question, &std::fs::read(format!("{root}/{state}/{name}.json")).unwrap())
                    .unwrap();
            }
            let mut builder = CephBuilder::default();
            for point in write_points(&snapshot, &IopsSettings::default(), true, 1_795_287_360_000_000_000) {
                builder.add(&point, &Tags::new([("cluster", state)]));
            }
            let style = Style::default();
            let mut page = Page::new(&style);
            builder.finish().iter().for_each(|ceph| render(&mut page, ceph));
            text += &page.finish();
        }
        let file = format!("{root}/report.txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(text == golden, "differs from {file} (UPDATE_GOLDEN=1 writes it anew):\n{text}");
    }
}
