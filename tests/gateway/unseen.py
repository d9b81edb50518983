"""What an access log as we ship it cannot show: once is enough."""

import requests

import raw
import s3
import swift
from common import ENDPOINT


def run(prefix):
    s3.tenants(f"{prefix}-tenant")
    s3.other_services()
    swift.tenants(f"{prefix}-tenant")
    swift.with_headers(f"{prefix}-headers")
    raw.two_hosts(f"{prefix}-hosts")
    # `get info`, with a blank.
    requests.get(f"{ENDPOINT}/swift/info")
