# mawk -f mawk.awk LOG
# Requests and bytes of each bucket and class of status, over the whole log: no windows, no percentiles.

{
    # The target: /bucket/key, or /bucket?query.
    split($7, path, /[\/?]/)
    outcome = $9 == 499 ? "aborted" : $9 < 400 ? "ok" : $9 < 500 ? "errors_4xx" : "errors_5xx"
    series = path[2] "," outcome
    requests[series]++
    bytes_in[series] += $10
    bytes_out[series] += $11
}

END {
    print "bucket,outcome,requests,bytes_in,bytes_out"
    for (series in requests)
        printf "%s,%d,%.0f,%.0f\n", series, requests[series], bytes_in[series], bytes_out[series]
}
