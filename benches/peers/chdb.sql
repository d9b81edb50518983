-- The same as duckdb.sql, for chDB (ClickHouse in a process).

SELECT
    node_window, bucket_window, bucket, class, large, status,
    count() AS requests,
    countIf(status < 400) AS ok,
    countIf(status BETWEEN 400 AND 498) AS errors_4xx,
    countIf(status >= 500) AS errors_5xx,
    countIf(status = 499) AS aborted,
    sum(bytes_in) AS bytes_in,
    sum(bytes_out) AS bytes_out,
    sumIf(ms, status < 400) AS latency_sum_ms,
    -- Each with weight 1, it is the nearest rank, while quantilesExact is one off where a share is a whole number.
    quantilesExactWeightedIf(0.5, 0.9, 0.99)(ms, 1, status < 400) AS latency,
    latency[1] AS latency_p50_ms, latency[2] AS latency_p90_ms, latency[3] AS latency_p99_ms
FROM (
    SELECT
        substring(time, 1, 20) AS node_window,
        substring(time, 1, 18) AS bucket_window,
        splitByChar('/', request, 3)[2] AS head,
        splitByChar('?', head)[1] AS bucket,
        multiIf(
            startsWith(request, 'GET'), if(position(head, '?') > 0, 'list', 'download'),
            startsWith(request, 'PUT'), 'upload',
            startsWith(request, 'HEAD'), 'head',
            startsWith(request, 'DELETE'), 'delete',
            'multipart') AS class,
        greatest(bytes_in, bytes_out) > 1048576 AS large,
        status, bytes_in, bytes_out,
        toUInt32(round(seconds * 1000)) AS ms
    FROM file('$log', 'CustomSeparated',
        'address String, dash String, user String, time String, zone String, request String, status UInt16,
         bytes_in UInt64, bytes_out UInt64, referer String, agent String, forwarded String, seconds Float64')
)
GROUP BY GROUPING SETS ((node_window, class, large), (bucket_window, bucket, class, large), (node_window, status))
SETTINGS max_threads = 1, input_format_parallel_parsing = 0,
    format_custom_escaping_rule = 'CSV', format_custom_field_delimiter = ' '
