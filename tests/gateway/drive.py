"""Real clients against a gateway at GATEWAY_PORT: `drive.py PREFIX [PART…]`. Which bucket is whose begins with PREFIX."""

import sys
import threading

import common

common.resolve_names_here()

import admin, raw, s3, swift, tools  # noqa: E402 (after the names are resolved here)

PARTS = {"s3": s3.run, "swift": swift.run, "tools": tools.run, "raw": raw.run, "admin": admin.run}


def main():
    prefix, names = sys.argv[1], sys.argv[2:] or list(PARTS)
    failed = []

    def part(name):
        try:
            PARTS[name](f"{prefix}-{name}")
        except BaseException as error:  # noqa: BLE001 (a thread's end is nobody's business otherwise)
            failed.append(name)
            raise error

    threads = [threading.Thread(target=part, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        common.fail(f"failed: {failed}")


main()
