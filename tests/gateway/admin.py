"""The admin API, signed by hand."""

import requests
from botocore.auth import HmacV1Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from common import ADMIN, ALICE, ENDPOINT


def call(who, method, path):
    request = AWSRequest(method=method, url=ENDPOINT + path)
    HmacV1Auth(Credentials(who[0], who[1])).add_auth(request)
    prepared = request.prepare()
    return requests.request(method, prepared.url, headers=dict(prepared.headers)).status_code


def run(prefix):
    user, bucket = f"{prefix}-user", f"{prefix}-s3"
    for method, path in (
        ("GET", "/admin/usage"),
        ("GET", f"/admin/usage?uid=alice&show-entries=False"),
        ("GET", "/admin/user?uid=alice"),
        ("GET", "/admin/user?uid=nobody"),
        ("PUT", f"/admin/user?uid={user}&display-name=x&access-key={user}&secret-key=s"),
        ("POST", f"/admin/user?uid={user}&display-name=y"),
        ("PUT", f"/admin/user?subuser={user}:s&uid={user}&access=full"),
        ("POST", f"/admin/user?subuser={user}:s&uid={user}&access=read"),
        ("PUT", f"/admin/user?key&uid={user}"),
        ("DELETE", f"/admin/user?key&access-key={user}"),
        ("PUT", f"/admin/user?caps&uid={user}&user-caps=usage%3Dread"),
        ("DELETE", f"/admin/user?caps&uid={user}&user-caps=usage%3Dread"),
        ("GET", f"/admin/user?quota&uid={user}&quota-type=user"),
        ("PUT", f"/admin/user?quota&uid={user}&quota-type=user&enabled=false"),
        ("DELETE", f"/admin/user?subuser={user}:s&uid={user}"),
        ("GET", "/admin/user?list"),
        ("GET", "/admin/bucket"),
        ("GET", "/admin/bucket?uid=alice&stats=True"),
        ("GET", f"/admin/bucket?policy&bucket={bucket}"),
        ("GET", f"/admin/bucket?index&bucket={bucket}"),
        ("PUT", f"/admin/bucket?quota&uid=alice&bucket={bucket}"),
        ("DELETE", f"/admin/bucket?object&bucket={bucket}&object=nothing"),
        ("DELETE", f"/admin/bucket?bucket=no-such-bucket"),
        ("DELETE", f"/admin/user?uid={user}"),
        ("GET", "/admin/metadata/user"),
        ("GET", "/admin/metadata/user?key=alice"),
        ("GET", "/admin/metadata/bucket"),
        ("GET", "/admin/log?type=metadata"),
        ("GET", "/admin/log?type=data"),
        ("GET", "/admin/config?type=zone"),
        ("GET", "/admin/realm?list"),
        ("GET", "/admin/nothing"),
        ("GET", "/admin"),
        ("DELETE", "/admin/usage?uid=nobody"),
    ):
        call(ADMIN, method, path)
    call(ALICE, "GET", "/admin/usage")
    requests.get(f"{ENDPOINT}/admin/user?uid=alice")
