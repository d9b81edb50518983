"""Whether the contestants of scripts/compare say the same: what each printed, beside the points of rgwlens.

Counts and sums have to be equal, percentiles within 1 %, which is what rgwlens promises of its own. A bucket without a
series of its own (docs/measurements.md) is in `_unknown_` or `_other_`, which have to hold exactly what such buckets had.
"""

import csv
import hashlib
import json
import re
from collections import Counter, defaultdict
from datetime import datetime, timezone

OUTCOMES = ("ok", "errors_4xx", "errors_5xx", "aborted")
BYTES = ("bytes_in", "bytes_out")
SUMS = ("requests", *OUTCOMES, *BYTES, "latency_sum_ms")
PERCENTILES = ("latency_p50_ms", "latency_p90_ms", "latency_p99_ms")
WITHOUT_NAME = ("_unknown_", "_other_")
TOLERANCE = 0.01


class Account:
    """Compares one contestant's figures with ours, and remembers what differs."""

    def __init__(self):
        self.compared = 0
        self.percentiles = 0
        self.farthest = 0.0
        self.differences = []
        # Instead of how much was compared.
        self.words = ""

    def equal(self, what, ours, theirs):
        self.compared += 1
        if ours != theirs:
            self.differences.append(f"{what}: rgwlens {ours}, it {theirs}")

    def near(self, what, ours, exact):
        if ours is None or exact is None:
            self.equal(what, ours, exact)
            return
        self.percentiles += 1
        distance = abs(ours - exact)
        if distance:
            self.farthest = max(self.farthest, distance / exact if exact else 1.0)
        if distance > TOLERANCE * exact:
            self.differences.append(f"{what}: rgwlens {ours}, exact {exact}")

    def same_keys(self, what, ours, theirs):
        """Those that both have."""
        for key in ours.keys() ^ theirs.keys():
            self.differences.append(f"{what} {key}: only {'rgwlens' if key in ours else 'it'} has it")
        return ours.keys() & theirs.keys()

    def rows(self, what, ours, theirs):
        for key in self.same_keys(what, ours, theirs):
            for name in SUMS:
                self.equal(f"{what} {key} {name}", ours[key][name], theirs[key][name])
            for name in PERCENTILES:
                self.near(f"{what} {key} {name}", ours[key][name], theirs[key][name])


    def __str__(self):
        if self.differences:
            return f"{len(self.differences):,} figures differ"
        if self.words:
            return self.words
        if not self.percentiles:
            return f"{self.compared:,} figure{'s' if self.compared > 1 else ''}"
        return f"{self.compared:,} figures; {self.percentiles:,} percentiles, at most {self.farthest:.2%} off"


class Points:
    """Rows of figures by window, class and size (`node`), by window, bucket, class and size (`bucket`), and requests by
    window and status (`status`). A percentile of nothing is None."""

    def __init__(self):
        self.node, self.bucket, self.status = {}, {}, {}
        # Requests by upper edge in ms: the fields latency_le_… of all windows.
        self.at_most = Counter()
        self.digest = ""

    def total(self, field):
        return sum(row[field] for row in self.node.values())


def read_points(path):
    """rgwlens's line protocol."""
    points = Points()
    with open(path, "rb") as file:
        points.digest = hashlib.file_digest(file, "sha256").hexdigest()
    with open(path) as lines:
        for line in lines:
            measurement, _, rest = line.partition(",")
            if measurement not in ("rgw_node", "rgw_bucket", "rgw_status"):
                continue
            # No blank, comma or quote is in these tags and fields.
            tags, fields, time = rest.split(" ")
            tags = dict(tag.split("=", 1) for tag in tags.split(","))
            fields = dict(field.split("=", 1) for field in fields.split(","))
            time = int(time) // 10**9
            if measurement == "rgw_status":
                points.status[time, int(tags["status"])] = int(fields["requests"][:-1])
                continue
            row = {name: int(fields[name][:-1]) for name in SUMS}
            row |= {name: float(fields[name]) if name in fields else None for name in PERCENTILES}
            if measurement == "rgw_bucket":
                points.bucket[time, tags["bucket"], tags["class"], tags["size"]] = row
                continue
            points.node[time, tags["class"], tags["size"]] = row
            for name, value in fields.items():
                if name.startswith("latency_le_"):
                    points.at_most[int(name.removeprefix("latency_le_"))] += int(value[:-1])
    return points


def epoch(window):
    """Of a window as the queries leave it: `[12/Aug/2025:00:00:1` of a node, `[12/Aug/2025:00:00` of a bucket."""
    text = window + ("0" if len(window) == len("[12/Aug/2025:00:00:1") else ":00")
    return int(datetime.strptime(text, "[%d/%b/%Y:%H:%M:%S").replace(tzinfo=timezone.utc).timestamp())


def read_query(path):
    """The CSV of duckdb.sql and its like. A column that a row has nothing for is empty, false or 0."""
    points = Points()
    times = {}
    with open(path, newline="") as lines:
        for row in csv.DictReader(lines):
            window = row["bucket_window"] or row["node_window"]
            if window not in times:
                times[window] = epoch(window)
            time = times[window]
            if not row["class"]:
                points.status[time, int(row["status"])] = int(row["requests"])
                continue
            size = "large" if row["large"] in ("true", "1") else "small"
            figures = {name: int(row[name] or 0) for name in SUMS}
            # ClickHouse has a 0 for the percentile of nothing.
            known = {name for name in PERCENTILES if row[name] and figures["ok"]}
            figures |= {name: float(row[name]) if name in known else None for name in PERCENTILES}
            if row["bucket"]:
                points.bucket[time, row["bucket"], row["class"], size] = figures
            else:
                points.node[time, row["class"], size] = figures
    return points


def query(account, points, path):
    theirs = read_query(path)
    account.rows("rgw_node", points.node, theirs.node)
    for key in account.same_keys("rgw_status", points.status, theirs.status):
        account.equal(f"rgw_status {key}", points.status[key], theirs.status[key])

    named = {key: row for key, row in points.bucket.items() if key[1] not in WITHOUT_NAME}
    account.rows("rgw_bucket", named, {key: row for key, row in theirs.bucket.items() if key in named})
    without_name = defaultdict(Counter), defaultdict(Counter)
    for rows, sums in zip((points.bucket, theirs.bucket), without_name):
        for (time, bucket, *key), row in rows.items():
            if (time, bucket, *key) not in named:
                sums[time, *key].update({name: row[name] for name in SUMS})
    ours, theirs = without_name
    for key in account.same_keys("buckets without a name", ours, theirs):
        for name in SUMS:
            account.equal(f"buckets without a name {key} {name}", ours[key][name], theirs[key][name])


def totals(account, points, theirs):
    """`theirs`: by bucket, and outcome or direction of bytes, over the whole log."""
    ours = Counter()
    for (_, bucket, _, _), row in points.bucket.items():
        for name in (*OUTCOMES, *BYTES):
            ours[bucket, name] += row[name]
    buckets = {bucket for bucket, _ in (*ours, *theirs)}.difference(WITHOUT_NAME)
    for name in (*OUTCOMES, *BYTES):
        before_named = 0
        for bucket in buckets:
            account.compared += 1
            before_named += theirs[bucket, name] - ours[bucket, name]
            if theirs[bucket, name] < ours[bucket, name]:
                account.differences.append(f"{bucket} {name}: rgwlens {ours[bucket, name]}, it {theirs[bucket, name]}")
        rest = sum(ours[bucket, name] for bucket in WITHOUT_NAME)
        account.equal(f"buckets while without a name, {name}", rest, before_named)


def mawk(account, points, path):
    theirs = Counter()
    with open(path, newline="") as lines:
        for row in csv.DictReader(lines):
            theirs[row["bucket"], row["outcome"]] += int(row["requests"])
            for name in BYTES:
                theirs[row["bucket"], name] += int(row[name])
    totals(account, points, theirs)


def mtail(account, points, path):
    with open(path) as file:
        metrics = {name: programs[0]["LabelValues"] for name, programs in json.load(file).items()}
    theirs = Counter()
    for metric in ("requests", *BYTES):
        for series in metrics[metric]:
            bucket, outcome = series["Labels"]
            theirs[bucket, outcome if metric == "requests" else metric] += series["Value"]["Value"]
    totals(account, points, theirs)
    histogram = metrics["request_seconds"][0]["Value"]
    account.equal("requests with a latency", points.total("ok"), histogram["Count"])
    at_most = 0
    for edge, count in sorted((float(edge), count) for edge, count in histogram["Buckets"].items()):
        at_most += count
        # Up to here the edges of rgwlens's histogram are exact.
        if edge <= 0.255:
            account.equal(f"requests of at most {edge} s", points.at_most[round(edge * 1000)], at_most)


def goaccess(account, points, path):
    with open(path) as file:
        report = json.load(file)
    account.equal("requests", points.total("requests"), report["general"]["valid_requests"])
    account.equal("lines without a request", 0, report["general"]["failed_requests"])
    account.equal("bytes_out", points.total("bytes_out"), report["general"]["bandwidth"])
    ours, theirs = Counter(), Counter()
    for (_, status), requests in points.status.items():
        ours[status] += requests
    for kind in report["status_codes"]["data"]:
        for item in kind["items"]:
            theirs[int(re.match(r"\d+", item["data"])[0])] += item["hits"]["count"]
    for status in account.same_keys("status", ours, theirs):
        account.equal(f"status {status}", ours[status], theirs[status])


def lines(account, points, path):
    with open(path) as file:
        account.equal("lines", points.total("requests"), int(file.read().split()[0]))


def itself(account, points, path):
    """What all others are compared with: its measurements have the same total."""
    account.words = "–"
    requests = points.total("requests")
    account.equal("rgw_node, rgw_status", requests, sum(points.status.values()))
    account.equal("rgw_node, rgw_bucket", requests, sum(row["requests"] for row in points.bucket.values()))


def same_bytes(account, points, path):
    account.words = "every byte"
    with open(path, "rb") as file:
        account.equal("SHA-256", points.digest, hashlib.file_digest(file, "sha256").hexdigest())


def store(account, points, path):
    """`rgwlens report --json` of the store, which has whole windows only."""
    with open(path) as file:
        report = json.load(file)
    ours = defaultdict(Counter)
    for (time, *key), row in points.node.items():
        if report["from_ms"] <= time * 1000 < report["until_ms"]:
            ours[tuple(key)].update({name: row[name] for name in SUMS})
    theirs = {
        (row["class"], row["size"]): {**row, "latency_sum_ms": row["latency"]["sum_ms"]} for row in report["classes"]
    }
    for key in account.same_keys("class", ours, theirs):
        for name in SUMS:
            account.equal(f"{key} {name}", ours[key][name], theirs[key][name])
    account.equal("lines", sum(row["requests"] for row in ours.values()), report["lines"]["counted"])
