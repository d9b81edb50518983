"""What no library sends, and clients that go away."""

import socket
import time

import requests

from common import ALICE, ENDPOINT, HOST, NAME, PORT, body
from s3 import client

HOST_LINE = f"Host: {NAME}\r\n"


def send(data, read=True, wait=0.0, parts=(), hang_up=False):
    with socket.create_connection((HOST, PORT), timeout=20) as connection:
        connection.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))
        for part in parts:
            connection.sendall(part)
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        time.sleep(wait)
        got = b""
        try:
            while read:
                more = connection.recv(65536)
                if not more:
                    break
                got += more
        except OSError:
            pass
        return got


def one(method, target, headers="", version=" HTTP/1.1", host=HOST_LINE, **more):
    return send(f"{method} {target}{version}\r\n{host}Connection: close\r\n{headers}\r\n", **more)


def targets(bucket):
    for target in (
        f"/{bucket}/k", f"//{bucket}/k", f"/{bucket}//k", f"/{bucket}/a/../k", f"/{bucket}/a/./k", f"/{bucket}/%2e%2e/k",
        f"/{bucket}%2Fk", f"/{bucket}/a%2Fb", f"/{bucket}/a+b", f"/{bucket}/%zz", f"/{bucket}/%00", f"/{bucket}/k?acl",
        f"/{bucket}?ACL", f"/{bucket}?%61cl", f"/{bucket}?acl%3Dx", f"/{bucket}?uploads&acl", f"/{bucket}?versions",
        f"/{bucket}?encryption", f"/{bucket}?notification", f"/{bucket}?unknown", f"/{bucket}?policyStatus", f"/{bucket}/k?uploads",
        f"/{bucket}/k?uploadId=", f"/{bucket}/k?torrent", f"/{bucket}/k?attributes", f"/{bucket}/k?tagging", f"/{bucket}/k?layout",
        f"/{bucket}/k?retention", f"/{bucket}/k?legal-hold", f"/{bucket}?object-lock", f"/{bucket}?tagging", f"/{bucket}?mdsearch",
        "/?usage", "/?Action=ListTopics", "//admin/usage", "/adminx", "/swiftx/y", "/_bad_/k", "/x/k", f"/{bucket.upper()}/k",
        "/" + "n" * 300 + "/k", "/a:b:c/k", f"http://{NAME}/{bucket}/k", f"http://user:pw@{NAME}/{bucket}/k?acl", "*", "nopath", f"/{bucket}/k#fragment", f"/{bucket}/ü",
        f"/{bucket}/\xff", f"/{bucket}/a b",
    ):
        for method in ("GET", "HEAD"):
            one(method, target)
    for method in ("PUT", "DELETE", "POST", "OPTIONS", "COPY"):
        for target in (
            "/", f"/no-such-{bucket}/k", f"/no-such-{bucket}", f"/no-such-{bucket}?acl", f"/no-such-{bucket}?tagging",
            f"/no-such-{bucket}?versioning", f"/no-such-{bucket}?location", f"/no-such-{bucket}?uploads", f"/no-such-{bucket}?encryption",
            f"/no-such-{bucket}?ownershipControls", f"/no-such-{bucket}/k?tagging", f"/no-such-{bucket}/k?uploadId=2~x", f"/no-such-{bucket}/k?uploadId=",
            f"/no-such-{bucket}/k?restore", f"/no-such-{bucket}/k?append&position=0", f"/no-such-{bucket}/k?retention",
            f"/no-such-{bucket}?publicAccessBlock", f"/no-such-{bucket}?object-lock", f"/no-such-{bucket}?delete",
        ):
            one(method, target, "Content-Length: 0\r\n")
    for method in ("get", "PATCH", "TRACE", "CONNECT", "PRI", "PROPFIND", "LINK"):
        one(method, f"/{bucket}/k")


def two_hosts(bucket):
    """An address with a host, and a header with another one: the gateway goes by the header."""
    for host in (HOST_LINE, f"Host: {bucket}.{NAME}\r\n", ""):
        for path in ("/", "/k", "/b/k"):
            one("GET", f"http://invented.{NAME}{path}", host=host)
            one("GET", f"http://invented.example{path}", host=host, version=" HTTP/1.0")


def garbage():
    for data in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"\r\n\r\n", b"G", b"", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
    ):
        send(data, hang_up=True)
    send(b"GET /\r\n")
    one("GET", "/" + "x" * 9000)
    one("GET", "/", "X-Large: " + "x" * 40_000 + "\r\n")
    one("GET", "/", "Range: bytes=\"; drop\r\nUser-Agent: \"quoted\" \\ \x1b[31m\r\nReferer: a b\tc\r\n")
    one("PUT", "/b/k", "Content-Length: -1\r\n")
    one("GET", "/", host=f"Host: {NAME}\r\nHost: other\r\n")


def uploads(bucket):
    """Bodies in chunks, bodies that wait to be asked for, and bodies that never end."""
    signed = client(ALICE).generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "raw"}, ExpiresIn=600)
    target = signed[len(ENDPOINT):]
    host = f"Host: {HOST}:{PORT}\r\n"
    requests.put(signed, data=iter([body(1000), body(2000)]))
    send(f"PUT {target} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n", parts=[b"123456789"])
    for cut in (0, 1000, 300_000):
        send(f"PUT {target} HTTP/1.1\r\n{host}Content-Length: 1000000\r\n\r\n", read=False, parts=[body(cut)], wait=0.1)
    with socket.create_connection((HOST, PORT), timeout=20) as connection:
        connection.sendall(f"PUT {target} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: 40000\r\n\r\n".encode())
        for _ in range(4):
            connection.sendall(body(10_000))
            time.sleep(0.1)
        connection.recv(1000)


def downloads(bucket):
    """A client that reads slowly, and some that leave in the middle."""
    s3 = client(ALICE)
    s3.put_object(Bucket=bucket, Key="large", Body=body(6 << 20))
    signed = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "large"}, ExpiresIn=600)
    request = f"GET {signed[len(ENDPOINT):]} HTTP/1.1\r\nHost: {HOST}:{PORT}\r\nConnection: close\r\n\r\n"
    for wait in (0.0, 0.05, 0.3):
        send(request, read=False, wait=wait)
    with requests.get(signed, stream=True) as answer:
        for _ in answer.iter_content(1 << 20):
            time.sleep(0.02)


def run(prefix):
    bucket = f"{prefix}-raw"
    client(ALICE).create_bucket(Bucket=bucket)
    targets(bucket)
    garbage()
    uploads(bucket)
    downloads(bucket)
