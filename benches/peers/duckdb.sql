-- Columns of rgwlens's rgw_node and rgw_status (windows of 10 s) and rgw_bucket (60 s), as CSV. The log is one of
-- examples/generate: path-style S3, one time zone, no escapes. scripts/compare puts its path in for $log.

SET threads = 1;
SET preserve_insertion_order = false;
SET enable_progress_bar = false;

COPY (
    SELECT
        node_window, bucket_window, bucket, class, large, status,
        count(*) AS requests,
        count(*) FILTER (status < 400) AS ok,
        count(*) FILTER (status BETWEEN 400 AND 498) AS errors_4xx,
        count(*) FILTER (status >= 500) AS errors_5xx,
        count(*) FILTER (status = 499) AS aborted,
        sum(bytes_in) AS bytes_in,
        sum(bytes_out) AS bytes_out,
        sum(ms) FILTER (status < 400) AS latency_sum_ms,
        quantile_disc(ms, [0.5, 0.9, 0.99]) FILTER (status < 400) AS latency,
        latency[1] AS latency_p50_ms, latency[2] AS latency_p90_ms, latency[3] AS latency_p99_ms
    FROM (
        SELECT
            -- "[12/Aug/2025:00:00:1" and "[12/Aug/2025:00:00": as text, which is cheaper than a time.
            left(time, 20) AS node_window,
            left(time, 18) AS bucket_window,
            split_part(request, '/', 2) AS head,
            split_part(head, '?', 1) AS bucket,
            CASE
                WHEN starts_with(request, 'GET') THEN CASE WHEN contains(head, '?') THEN 'list' ELSE 'download' END
                WHEN starts_with(request, 'PUT') THEN 'upload'
                WHEN starts_with(request, 'HEAD') THEN 'head'
                WHEN starts_with(request, 'DELETE') THEN 'delete'
                ELSE 'multipart'
            END AS class,
            greatest(bytes_in, bytes_out) > 1048576 AS large,
            status, bytes_in, bytes_out,
            (seconds * 1000)::UINTEGER AS ms
        FROM read_csv(
            '$log',
            delim = ' ', quote = '"', escape = '"', header = false, auto_detect = false,
            columns = {
                address: 'VARCHAR', dash: 'VARCHAR', user: 'VARCHAR', time: 'VARCHAR', zone: 'VARCHAR',
                request: 'VARCHAR', status: 'USMALLINT', bytes_in: 'UBIGINT', bytes_out: 'UBIGINT',
                referer: 'VARCHAR', agent: 'VARCHAR', forwarded: 'VARCHAR', seconds: 'DOUBLE'
            }
        )
    )
    GROUP BY GROUPING SETS ((node_window, class, large), (bucket_window, bucket, class, large), (node_window, status))
) TO '/dev/stdout' (FORMAT csv, HEADER);
