"""Real clients against a gateway at GATEWAY_PORT: `drive.py PREFIX PART…`, at the same time. The names of the buckets begin
with PREFIX and PART."""

import os
import sys
import threading

import common

common.resolve_names_here()
# What the surroundings have to say of proxies, keys and certificates is not for these clients.
for variable in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
    del os.environ[variable]

import admin, raw, s3, swift, tools, unseen  # noqa: E402 (names have to be resolved here first)

PARTS = {"s3": s3.run, "swift": swift.run, "tools": tools.run, "raw": raw.run, "admin": admin.run, "unseen": unseen.run}


def main(prefix, names):
    ended = []

    def part(name):
        PARTS[name](f"{prefix}-{name}")
        ended.append(name)

    threads = [threading.Thread(target=part, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failed = sorted(set(names) - set(ended))
    if failed:
        common.fail(f"failed: {failed}")


main(sys.argv[1], sys.argv[2:])
