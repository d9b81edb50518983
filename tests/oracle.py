#!/usr/bin/env python3
"""Counts a log in the format `rgwlens` once more, in another language and another way: every value is kept, and sorted.

    oracle.py LOG NODE_MS BUCKET_MS

prints one JSON object a line for each (measurement, window, bucket, class, size). It shares nothing with the program but
the documentation, and knows only the kinds of requests that the generator of the tests makes.
"""

import collections
import json
import math
import re
import sys

LINE = re.compile(
    r"(?P<seconds>\d+)\.(?P<millis>\d{3}) \S+ \S+ (?P<status>\d{3}) (?P<time>\d+\.\d{3}) "
    r'(?P<length>\d+) (?P<sent>\d+) \d+ "[^"]*" "[^"]*" "[^"]*" "[^"]*" "[^"]*" "[^"]*" '
    r'"(?P<content_length>[^"]*)" "[^"]*" "(?P<method>[A-Z]+) (?P<path>[^ "?]*)(?P<query>\?[^ "]*)? HTTP/1\.1" '
)
SMALL = 1 << 20


def classify(method, path, query, status):
    """The bucket and the class."""
    if path == "/":
        # Anonymous, unless it was refused.
        return "", "list" if 400 <= status <= 403 else "health"
    parts = path.lstrip("/").split("/", 1)
    if path.startswith("/swift/v1/"):
        parts = path[len("/swift/v1/") :].split("/", 1)
    bucket = parts[0]
    if len(parts) == 1:
        return bucket, "list"
    if method == "POST" and query == "?uploads":
        return bucket, "multipart"
    return bucket, {"GET": "download", "PUT": "upload", "DELETE": "delete", "HEAD": "head"}[method]


class Cell:
    """What is counted of one series in one window."""

    def __init__(self):
        self.counts = collections.Counter()
        self.times = []

    def add(self, status, time, bytes_in, bytes_out):
        outcome = "ok" if status < 400 else "aborted" if status == 499 else f"errors_{status // 100}xx"
        for field, value in (("requests", 1), (outcome, 1), ("bytes_in", bytes_in), ("bytes_out", bytes_out)):
            self.counts[field] += value
        if outcome == "ok":
            self.times.append(time)

    def report(self):
        fields = ["requests", "ok", "errors_4xx", "errors_5xx", "aborted", "bytes_in", "bytes_out"]
        exact = {field: self.counts[field] for field in fields}
        exact["latency_count"] = len(self.times)
        exact["latency_sum_ms"] = sum(self.times)
        near = {}
        if self.times:
            ordered = sorted(self.times)
            exact["latency_min_ms"] = ordered[0]
            exact["latency_max_ms"] = ordered[-1]
            exact["latency_mean_ms"] = sum(ordered) / len(ordered)
            for percent in (50, 90, 99):
                # Nearest rank.
                near[f"latency_p{percent}_ms"] = ordered[math.ceil(len(ordered) * percent / 100) - 1]
        return {"exact": exact, "near": near}


def main():
    log, node_ms, bucket_ms = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    requests = []
    with open(log, encoding="ascii") as lines:
        for number, line in enumerate(lines, 1):
            match = LINE.match(line)
            if match is None:
                sys.exit(f"line {number} is not of the format: {line}")
            bucket, kind = classify(match["method"], match["path"], match["query"] or "", int(match["status"]))
            length = match["content_length"]
            came = int(match["length"])
            # Of a body that was not announced, what came is all there is to go by; requests without one have none.
            announced = came if match["method"] in ("PUT", "POST") else 0
            bytes_in = announced if length == "-" else min(came, int(length))
            bytes_out = int(match["sent"])
            requests.append(
                {
                    "ms": int(match["seconds"]) * 1000 + int(match["millis"]),
                    "status": int(match["status"]),
                    "time": int(match["time"].replace(".", "")),
                    "bytes_in": bytes_in,
                    "bytes_out": bytes_out,
                    "bucket": bucket,
                    "class": kind,
                    "size": "small" if max(bytes_in, bytes_out) <= SMALL else "large",
                }
            )

    # A bucket has a series of its own from the window of its first success on.
    known_from = {}
    for request in requests:
        if 200 <= request["status"] <= 299 or request["status"] == 304:
            window = request["ms"] // bucket_ms
            bucket = request["bucket"]
            known_from[bucket] = min(window, known_from.get(bucket, window))

    cells = collections.defaultdict(Cell)
    for request in requests:
        bucket = request["bucket"] or "_none_"
        window = request["ms"] // bucket_ms
        if request["bucket"] and known_from.get(bucket, math.inf) > window:
            bucket = "_unknown_"
        tags = (request["class"], request["size"])
        node = ("rgw_node", request["ms"] // node_ms * node_ms, "", *tags)
        of_bucket = ("rgw_bucket", window * bucket_ms, bucket, *tags)
        for key in (node, of_bucket):
            cells[key].add(request["status"], request["time"], request["bytes_in"], request["bytes_out"])

    for (measurement, start, bucket, kind, size), cell in sorted(cells.items()):
        row = {"measurement": measurement, "start": start, "bucket": bucket, "class": kind, "size": size}
        print(json.dumps(row | cell.report()))


if __name__ == "__main__":
    main()
