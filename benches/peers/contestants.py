"""Who takes part in scripts/compare, and how each is run."""

from dataclasses import dataclass, field
from pathlib import Path

import equality

HERE = Path(__file__).resolve().parent

DUCKDB = "import duckdb, sys; duckdb.execute(open(sys.argv[1]).read().replace('$log', sys.argv[2]))"
CHDB = (
    "import chdb, sys; sql = open(sys.argv[1]).read().replace('$log', sys.argv[2]); "
    "sys.stdout.buffer.write(chdb.query(sql, 'CSVWithNames').bytes())"
)


@dataclass
class Contestant:
    name: str
    # Of the package that it is in.
    package: str
    # For the page: how many threads, what comes out.
    threads: str
    computes: str
    # The log's path goes where `LOG` is.
    command: list
    # Compares what it printed with rgwlens's points.
    agrees: object
    environment: dict = field(default_factory=dict)
    # Removed before each run.
    leaves: tuple = ()
    # Prints the result, of what does not print it by itself.
    result: list | None = None

    def on(self, log):
        return [str(log) if word == "LOG" else str(word) for word in self.command]


def contestants(rgwlens, python, work):
    """rgwlens with one thread is the first: what it prints is what the others are compared with."""
    configuration = work / "rgwlens.toml"
    database = work / "rgwlens.db"
    configuration.write_text(f'node = "gw1"\n\n[store]\npath = "{database}"\n')

    def replay(to, jobs):
        format = ["--log-format", "main", "--node", "gw1"]
        return [rgwlens, "--config", configuration, "replay", "-j", jobs, "--to", to, *format, "LOG"]

    points = "all that rgwlens writes, as line protocol"
    same_points = "node, status and bucket windows: requests by outcome, bytes, exact P50/P90/P99"
    one = "1"
    return [
        Contestant("rgwlens replay -j 1", "rgwlens", one, points, replay("stdout", 1), equality.itself),
        Contestant("rgwlens replay -j 2", "rgwlens", "2", points, replay("stdout", 2), equality.same_bytes),
        Contestant(
            "rgwlens replay --to store", "rgwlens", one, "the same, as synced transactions of its store",
            replay("store", 1), equality.store,
            leaves=tuple(Path(f"{database}{end}") for end in ("", "-wal", "-shm")),
            result=[rgwlens, "--config", configuration, "report", "--json"],
        ),
        Contestant(
            "Polars", "polars", one, same_points,
            [python, HERE / "polars_points.py", "LOG"], equality.query,
        ),
        Contestant(
            "DuckDB", "duckdb", one, same_points,
            [python, "-c", DUCKDB, HERE / "duckdb.sql", "LOG"], equality.query,
        ),
        Contestant(
            "chDB (ClickHouse)", "chdb", one, same_points,
            [python, "-c", CHDB, HERE / "chdb.sql", "LOG"], equality.query,
        ),
        Contestant(
            "GoAccess", "goaccess", one, "requests, bytes and visitors by status; no windows",
            ["goaccess", "--no-global-config", "--config-file", HERE / "goaccess.conf", "--output", "json", "LOG"],
            equality.goaccess,
        ),
        Contestant(
            "mtail", "mtail", one, "counters by bucket and outcome, a histogram of all latencies; no windows",
            ["mtail", "--logtostderr", "--address", "localhost", "--port", "0",
             "--one_shot", "--one_shot_format", "json", "--progs", HERE / "rgw.mtail", "--logs", "LOG"],
            equality.mtail, environment={"GOMAXPROCS": "1"},
        ),
        Contestant(
            "mawk", "mawk", one, "requests and bytes by bucket and outcome; no windows, no latencies",
            ["mawk", "-f", HERE / "mawk.awk", "LOG"], equality.mawk,
        ),
        Contestant("wc -l", "coreutils", one, "lines", ["wc", "-l", "LOG"], equality.lines),
    ]  # fmt: skip
