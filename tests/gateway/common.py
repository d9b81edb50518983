"""What the clients share: where the gateway is, who they are, and how a step may end."""

import os
import random
import socket
import sys

HOST, PORT = "127.0.0.1", int(os.environ["GATEWAY_PORT"])
ENDPOINT = f"http://{HOST}:{PORT}"
NAME, WEBSITE = "s3.example.com", "web.example.com"
WORK = os.environ["GATEWAY_WORK"]
RANDOM = random.Random(int(os.environ.get("GATEWAY_SEED", "1")))

# As tests/support/gateway.rs has them.
ALICE = ("ALICEKEY0000000000AA", "alicesecret0000000000000000000000000000A", "aliceswiftkey")
BOB = ("BOBKEY000000000000BB", "bobsecret000000000000000000000000000000B", "bobswiftkey")
CAROL = ("CAROLKEY0000000000CC", "carolsecret0000000000000000000000000000C", "carolswiftkey")
ADMIN = ("ADMINKEY0000000000DD", "adminsecret0000000000000000000000000000D", "adminswiftkey")


def resolve_names_here():
    """All names below ours are this machine, as they would be in the DNS of a real gateway."""
    system = socket.getaddrinfo

    def here(host, *rest, **more):
        name = host.decode() if isinstance(host, bytes) else host
        known = isinstance(name, str) and name.endswith((NAME, WEBSITE, "cname.example.net"))
        return system(HOST if known else host, *rest, **more)

    socket.getaddrinfo = here


def body(length):
    return RANDOM.randbytes(length)


def fail(what):
    print(what, file=sys.stderr)
    sys.exit(1)
