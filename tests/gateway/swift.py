"""Swift: by the client's library, by its command, and by hand."""

import hashlib
import hmac
import io
import subprocess
import tarfile
import time

import requests
from swiftclient.client import Connection
from swiftclient.exceptions import ClientException

from common import ALICE, CAROL, ENDPOINT, WORK, body

STORAGE = f"{ENDPOINT}/swift/v1"


def connection(user, key):
    # The gateway hands out the address that it is configured with, which is not this test's.
    return Connection(f"{ENDPOINT}/auth/v1.0", user, key, os_options={"object_storage_url": STORAGE}, retries=0)


def either(call, *rest, **more):
    try:
        return call(*rest, **more)
    except ClientException:
        return None


def library(prefix):
    swift, c = connection("alice:swift", ALICE[2]), f"{prefix}-swift"
    swift.get_account()
    swift.head_account()
    either(swift.post_account, {"X-Account-Meta-Colour": "blue"})
    swift.put_container(c)
    swift.put_container(f"{c}-2")
    swift.head_container(c)
    either(swift.post_container, c, {"X-Container-Meta-A": "b", "X-Container-Read": ".r:*"})
    for size in (0, 10, 100_000, 3 << 20):
        swift.put_object(c, f"plain/{size}", body(size))
        swift.head_object(c, f"plain/{size}")
        swift.get_object(c, f"plain/{size}")
    swift.get_object(c, "plain/100000", headers={"Range": "bytes=5-99"})
    either(swift.get_object, c, "nowhere")
    either(swift.head_object, c, "nowhere")
    swift.post_object(c, "plain/10", {"X-Object-Meta-A": "b"})
    swift.copy_object(c, "plain/10", f"/{c}/copied")
    swift.put_object(c, "copied by put", b"", headers={"X-Copy-From": f"/{c}/plain/10"})
    for n in range(2):
        swift.put_object(f"{c}-2", f"segments/{n}", body(1000))
    swift.put_object(c, "dynamic", b"", headers={"X-Object-Manifest": f"{c}-2/segments/"})
    swift.get_object(c, "dynamic")
    swift.get_container(c)
    swift.get_container(c, limit=2, prefix="plain", delimiter="/")
    either(swift.get_container, "no-such-container")
    for key in ("a b", "é", "a//b", "x?y"):
        swift.put_object(c, key, b"odd")
        swift.delete_object(c, key)
    either(swift.delete_container, c)
    either(connection("alice:swift", "wrong").get_account)


def tenants(c):
    """A user of a tenant; accounts in addresses."""
    carol = connection("acme$carol:swift", CAROL[2])
    carol.put_container(c)
    either(carol.get_container, f"AUTH_acme/{c}")


def by_hand(prefix):
    c = f"{prefix}-swift"
    auth = {"X-Auth-User": "alice:swift", "X-Auth-Key": ALICE[2]}
    token = requests.get(f"{ENDPOINT}/auth/1.0", headers=auth).headers["X-Auth-Token"]
    requests.get(f"{ENDPOINT}/auth/v1.0", headers={"X-Auth-User": "nobody:x", "X-Auth-Key": "y"})
    requests.get(f"{ENDPOINT}/auth")
    mine = {"X-Auth-Token": token}

    def ask(method, path, headers=None, data=None, **more):
        return requests.request(method, ENDPOINT + path, headers={**mine, **(headers or {})}, data=data, **more)

    # The key of temporary URLs.
    ask("POST", "/swift/v1", {"X-Account-Meta-Temp-Url-Key": "temporary"})
    for method in ("GET", "PUT", "HEAD"):
        path, expires = f"/v1/{c}/plain/10", int(time.time()) + 60
        signed = hmac.new(b"temporary", f"{method}\n{expires}\n{path}".encode(), hashlib.sha1).hexdigest()
        for signature in (signed, "0" * 40):
            url = f"{ENDPOINT}/swift{path}?temp_url_sig={signature}&temp_url_expires={expires}"
            requests.request(method, url, data=b"0123456789" if method == "PUT" else None)
    ask("PUT", f"/swift/v1/{c}/static?multipart-manifest=put", data=f'[{{"path":"/{c}-2/segments/0"}}]')
    ask("GET", f"/swift/v1/{c}/static")
    ask("GET", f"/swift/v1/{c}/static?multipart-manifest=get")
    ask("DELETE", f"/swift/v1/{c}/static?multipart-manifest=delete")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for n in range(3):
            info = tarfile.TarInfo(f"archived/{n}")
            info.size = 100
            tar.addfile(info, io.BytesIO(body(100)))
    ask("PUT", f"/swift/v1/{c}?extract-archive=tar", data=archive.getvalue())
    ask("POST", "/swift/v1?bulk-delete", {"Content-Type": "text/plain"}, f"{c}/archived/0\n{c}/archived/1\n")
    ask("DELETE", "/swift/v1?bulk-delete", {"Content-Type": "text/plain"}, f"{c}/archived/2\n")
    ask("COPY", f"/swift/v1/{c}/plain/10", {"Destination": f"{c}/copied%20by%20hand"})
    ask("COPY", f"/swift/v1/{c}/plain/10")
    ask("PUT", f"/swift/v1/{c}/by-hand", {"X-Copy-From": f"{c}/plain/10"})
    for method, path in (
        ("GET", "/swift/v1/"),
        ("GET", "/swift/v1?format=json"),
        ("GET", "/swift/v1/?format=xml"),
        ("GET", f"/swift/v1/{c}?format=json&prefix=plain"),
        ("GET", f"/swift/v1/{c}/"),
        ("OPTIONS", f"/swift/v1/{c}"),
        ("OPTIONS", f"/swift/v1/{c}/plain/10"),
        ("GET", "/swift/healthcheck"),
        ("HEAD", "/swift/healthcheck"),
        ("GET", "/swift/crossdomain.xml"),
        ("GET", "/swift"),
        ("GET", "/swift/"),
        ("GET", f"/swift/v2/{c}"),
        ("PUT", "/swift/v1"),
        ("COPY", f"/swift/v1/{c}"),
        ("GET", f"/swiftly/{c}"),
    ):
        ask(method, path)
    requests.get(f"{ENDPOINT}/swift/v1/{c}/plain/10")
    requests.get(f"{ENDPOINT}/swift/v1")


def command(prefix):
    c, file = f"{prefix}-cmd", f"{WORK}/{prefix}.bin"
    with open(file, "wb") as out:
        out.write(body(2_500_000))
    login = ["swift", "-q", "-A", f"{ENDPOINT}/auth/v1.0", "-U", "alice:swift", "-K", ALICE[2], "--os-storage-url", STORAGE]
    for arguments in (
        ["post", c],
        ["upload", "--object-name", "whole", c, file],
        ["upload", "--object-name", "split", "-S", "1000000", c, file],
        ["stat", c, "split"],
        ["list", c],
        ["download", "-o", "-", c, "split"],
        ["copy", "-d", f"/{c}/copy", c, "whole"],
        ["delete", c, "whole"],
        ["delete", c],
    ):
        subprocess.run(login + arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)


def with_headers(c):
    """What only a header says: a copy to another container, a browser's form, which to a container is an upload."""
    swift = connection("alice:swift", ALICE[2])
    swift.put_container(c)
    swift.put_container(f"{c}-2")
    swift.put_object(c, "k", body(1000))
    swift.copy_object(c, "k", f"/{c}-2/a copy")
    requests.post(f"{STORAGE}/{c}", files={"file": ("form.txt", b"form")})


def run(prefix):
    library(prefix)
    by_hand(prefix)
    command(prefix)
