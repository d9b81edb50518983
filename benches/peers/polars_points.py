"""The same as duckdb.sql, for Polars: polars_points.py LOG"""

import os
import sys

os.environ["POLARS_MAX_THREADS"] = "1"

import polars as pl  # reads its number of threads here
from polars import col, lit, when

TEXTS_BEFORE = ["address", "dash", "user", "time", "zone", "request"]
NUMBERS = {"status": pl.UInt16, "bytes_in": pl.UInt64, "bytes_out": pl.UInt64}
TEXTS_AFTER = ["referer", "agent", "forwarded"]
COLUMNS = (
    dict.fromkeys(TEXTS_BEFORE, pl.String) | NUMBERS | dict.fromkeys(TEXTS_AFTER, pl.String) | {"seconds": pl.Float64}
)

ok = col("status") < 400

requests = (
    pl.scan_csv(sys.argv[1], separator=" ", quote_char='"', has_header=False, schema=COLUMNS)
    .select(
        *NUMBERS,
        col("time").str.slice(0, 20).alias("node_window"),
        col("time").str.slice(0, 18).alias("bucket_window"),
        col("request").str.slice(0, 3).alias("method"),
        col("request").str.splitn("/", 3).struct.field("field_1").alias("head"),
        (pl.max_horizontal("bytes_in", "bytes_out") > 1 << 20).alias("large"),
        (col("seconds") * 1000).round().cast(pl.UInt32).alias("ms"),
    )
    .with_columns(
        col("head").str.splitn("?", 2).struct.field("field_0").alias("bucket"),
        when(col("method") == "GET")
        .then(when(col("head").str.contains("?", literal=True)).then(lit("list")).otherwise(lit("download")))
        .when(col("method") == "PUT").then(lit("upload"))
        .when(col("method") == "HEA").then(lit("head"))
        .when(col("method") == "DEL").then(lit("delete"))
        .otherwise(lit("multipart"))
        .alias("class"),
    )
    .drop("method", "head")
)  # fmt: skip

AGGREGATES = [
    pl.len().alias("requests"),
    ok.sum().alias("ok"),
    col("status").is_between(400, 498).sum().alias("errors_4xx"),
    (col("status") >= 500).sum().alias("errors_5xx"),
    (col("status") == 499).sum().alias("aborted"),
    col("bytes_in").sum(),
    col("bytes_out").sum(),
    col("ms").filter(ok).sum().alias("latency_sum_ms"),
    *[
        # Polars's name for the nearest rank.
        col("ms").filter(ok).quantile(share, interpolation="equiprobable").alias(f"latency_p{share * 100:.0f}_ms")
        for share in (0.5, 0.9, 0.99)
    ],
]

GROUPS = [
    (["node_window", "class", "large"], AGGREGATES),
    (["bucket_window", "bucket", "class", "large"], AGGREGATES),
    (["node_window", "status"], AGGREGATES[:1]),
]

points = pl.collect_all([requests.group_by(keys).agg(columns) for keys, columns in GROUPS], engine="streaming")
pl.concat(points, how="diagonal").write_csv(sys.stdout.buffer)
