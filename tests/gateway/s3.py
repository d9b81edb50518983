"""boto3, with every call of S3 that RGW knows, and some that it does not."""

import io
import threading

import boto3
import requests
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from common import ADMIN, ALICE, BOB, CAROL, ENDPOINT, NAME, PORT, WEBSITE, body, fail

MIB = 1 << 20
# Making a client is not safe in several threads, using one is.
MAKING = threading.Lock()


def client(who, addressing="path", signature="s3v4", host=None, service="s3"):
    config = Config(
        signature_version=signature, s3={"addressing_style": addressing}, retries={"max_attempts": 0}
    )
    endpoint = f"http://{host}:{PORT}" if host else ENDPOINT
    with MAKING:
        return boto3.client(
            service,
            endpoint_url=endpoint,
            region_name="default",
            aws_access_key_id=who[0],
            aws_secret_access_key=who[1],
            config=config,
        )


def refused(call, *rest, **more):
    """The gateway says no: that is what is asked for here."""
    try:
        call(*rest, **more)
    except ClientError:
        return
    fail(f"the gateway should have refused {call} {rest} {more}")


def either(call, *rest, **more):
    """Whatever this release says."""
    try:
        return call(*rest, **more)
    except (ClientError, ResponseParserError):
        return None


def objects(s3, bucket):
    """Uploads, downloads, ranges, conditions, copies, deletes."""
    s3.create_bucket(Bucket=bucket)
    s3.head_bucket(Bucket=bucket)
    for size in (0, 1, 4096, 100_000, 3 * MIB):
        key = f"plain/{size}"
        s3.put_object(Bucket=bucket, Key=key, Body=body(size))
        s3.head_object(Bucket=bucket, Key=key)
        answer = s3.get_object(Bucket=bucket, Key=key)
        assert len(answer["Body"].read()) == size
    etag = answer["ETag"]
    for spec in ("bytes=0-0", "bytes=100-199", "bytes=-5", "bytes=1000-"):
        s3.get_object(Bucket=bucket, Key="plain/100000", Range=spec)["Body"].read()
    refused(s3.get_object, Bucket=bucket, Key="plain/1", Range="bytes=5-9")
    refused(s3.get_object, Bucket=bucket, Key=key, IfNoneMatch=etag)
    refused(s3.get_object, Bucket=bucket, Key=key, IfMatch='"nothing"')
    refused(s3.get_object, Bucket=bucket, Key="nowhere")
    refused(s3.head_object, Bucket=bucket, Key="nowhere")
    s3.get_object(Bucket=bucket, Key="plain/4096", ResponseContentType="text/x", ResponseCacheControl="no-cache")
    for key in (
        "a b/c d", "é/ü", "a//b", "/a", "a/../b", "a%2Fb", "a+b=c&d", "?acl", "x" * 900, "tab\tkey", "quote\"key", "back\\slash", "~!*'()",
    ):
        s3.put_object(Bucket=bucket, Key=key, Body=b"odd", Metadata={"some_thing": "1"})
        s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.copy_object(Bucket=bucket, Key="copies/1", CopySource={"Bucket": bucket, "Key": "plain/4096"})
    s3.copy_object(
        Bucket=bucket,
        Key="copies/1",
        CopySource={"Bucket": bucket, "Key": "copies/1"},
        MetadataDirective="REPLACE",
        Metadata={"a": "b"},
    )
    refused(s3.copy_object, Bucket=bucket, Key="copies/2", CopySource={"Bucket": bucket, "Key": "nowhere"})
    s3.delete_object(Bucket=bucket, Key="copies/1")
    s3.delete_object(Bucket=bucket, Key="nowhere")


def multipart(s3, bucket):
    s3.upload_fileobj(
        io.BytesIO(body(11 * MIB)), bucket, "large", Config=TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    )
    s3.download_fileobj(
        bucket, "large", io.BytesIO(), Config=TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=4 * MIB)
    )
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    here = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
    parts = [s3.upload_part(PartNumber=1, Body=body(5 * MIB), **here)["ETag"]]
    large, small = {"Bucket": bucket, "Key": "large"}, {"Bucket": bucket, "Key": "plain/100000"}
    copied = s3.upload_part_copy(PartNumber=2, CopySource=large, CopySourceRange=f"bytes=0-{5 * MIB - 1}", **here)
    parts.append(copied["CopyPartResult"]["ETag"])
    copied = s3.upload_part_copy(PartNumber=3, CopySource=small, **here)
    parts.append(copied["CopyPartResult"]["ETag"])
    s3.list_parts(**here)
    s3.list_multipart_uploads(Bucket=bucket)
    parts = [{"PartNumber": n + 1, "ETag": etag} for n, etag in enumerate(parts)]
    refused(s3.complete_multipart_upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": '"00"'}]}, **here)
    s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **here)
    s3.get_object(Bucket=bucket, Key="parts", PartNumber=1)["Body"].read()
    s3.head_object(Bucket=bucket, Key="parts", PartNumber=1)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="given-up")["UploadId"]
    s3.abort_multipart_upload(Bucket=bucket, Key="given-up", UploadId=upload)
    refused(s3.upload_part, Bucket=bucket, Key="given-up", UploadId=upload, PartNumber=1, Body=b"x")


def lists(s3, bucket):
    s3.list_buckets()
    for more in ({}, {"Prefix": "plain/"}, {"Delimiter": "/"}, {"MaxKeys": 2}):
        s3.list_objects(Bucket=bucket, **more)
        s3.list_objects_v2(Bucket=bucket, **more)
    for _ in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 7}):
        pass
    s3.list_object_versions(Bucket=bucket)
    refused(s3.list_objects_v2, Bucket="there-is-no-such-bucket")


def versions(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.get_bucket_versioning(Bucket=bucket)
    for n in range(3):
        s3.put_object(Bucket=bucket, Key="versioned", Body=body(n))
    s3.delete_object(Bucket=bucket, Key="versioned")
    refused(s3.get_object, Bucket=bucket, Key="versioned")
    found = s3.list_object_versions(Bucket=bucket, Prefix="versioned")
    for version in found["Versions"]:
        s3.head_object(Bucket=bucket, Key="versioned", VersionId=version["VersionId"])
        s3.get_object(Bucket=bucket, Key="versioned", VersionId=version["VersionId"])["Body"].read()
        s3.delete_object(Bucket=bucket, Key="versioned", VersionId=version["VersionId"])
    for marker in found["DeleteMarkers"]:
        s3.delete_object(Bucket=bucket, Key="versioned", VersionId=marker["VersionId"])
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


def settings(s3, bucket, other):
    """The sub-resources of a bucket and an object: set, read, delete."""
    either(s3.get_bucket_acl, Bucket=bucket)
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    s3.put_object_acl(Bucket=bucket, Key="plain/1", ACL="public-read")
    s3.get_object_acl(Bucket=bucket, Key="plain/1")
    policy = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",'
        f'"Action":"s3:GetObject","Resource":"arn:aws:s3:::{bucket}/plain/*"}}]}}'
    )
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    s3.get_bucket_policy(Bucket=bucket)
    either(s3.get_bucket_policy_status, Bucket=bucket)
    refused(s3.put_bucket_policy, Bucket=bucket, Policy="{")
    other.get_object(Bucket=bucket, Key="plain/4096")["Body"].read()
    refused(other.put_object, Bucket=bucket, Key="plain/4096", Body=b"")
    refused(other.delete_bucket, Bucket=bucket)
    s3.delete_bucket_policy(Bucket=bucket)
    rules = {"Rules": [{"ID": "r", "Filter": {"Prefix": "old/"}, "Status": "Enabled", "Expiration": {"Days": 3}}]}
    either(s3.put_bucket_lifecycle_configuration, Bucket=bucket, LifecycleConfiguration=rules)
    either(s3.get_bucket_lifecycle_configuration, Bucket=bucket)
    s3.delete_bucket_lifecycle(Bucket=bucket)
    rules = {"CORSRules": [{"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["*"]}]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration=rules)
    s3.get_bucket_cors(Bucket=bucket)
    preflight = {"Origin": "http://a.example", "Access-Control-Request-Method": "GET"}
    requests.options(f"{ENDPOINT}/{bucket}/plain/1", headers=preflight)
    requests.options(f"{ENDPOINT}/{bucket}", headers=preflight)
    requests.get(f"{ENDPOINT}/{bucket}/plain/1", headers={"Origin": "http://a.example"})
    s3.delete_bucket_cors(Bucket=bucket)
    refused(s3.get_bucket_cors, Bucket=bucket)
    tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
    either(s3.put_bucket_tagging, Bucket=bucket, Tagging=tags)
    either(s3.get_bucket_tagging, Bucket=bucket)
    either(s3.delete_bucket_tagging, Bucket=bucket)
    s3.put_object_tagging(Bucket=bucket, Key="plain/1", Tagging=tags)
    s3.get_object_tagging(Bucket=bucket, Key="plain/1")
    s3.delete_object_tagging(Bucket=bucket, Key="plain/1")
    block = {"BlockPublicAcls": False}
    either(s3.put_public_access_block, Bucket=bucket, PublicAccessBlockConfiguration=block)
    either(s3.get_public_access_block, Bucket=bucket)
    either(s3.delete_public_access_block, Bucket=bucket)
    for name in (
        "location", "logging", "request_payment", "website", "replication", "encryption", "accelerate_configuration",
        "notification_configuration", "ownership_controls",
    ):
        either(getattr(s3, f"get_bucket_{name}"), Bucket=bucket)
    either(s3.put_bucket_request_payment, Bucket=bucket, RequestPaymentConfiguration={"Payer": "BucketOwner"})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    either(s3.put_bucket_encryption, Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    rules = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    either(s3.put_bucket_ownership_controls, Bucket=bucket, OwnershipControls=rules)
    either(s3.put_bucket_notification_configuration, Bucket=bucket, NotificationConfiguration={})
    either(s3.list_bucket_analytics_configurations, Bucket=bucket)
    either(s3.list_bucket_inventory_configurations, Bucket=bucket)
    either(s3.get_object_attributes, Bucket=bucket, Key="plain/1", ObjectAttributes=["ETag"])
    either(s3.get_object_torrent, Bucket=bucket, Key="plain/1")
    either(s3.restore_object, Bucket=bucket, Key="plain/1", RestoreRequest={"Days": 1})


def locks(s3, bucket):
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    either(s3.get_object_lock_configuration, Bucket=bucket)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    lock = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    either(s3.put_object_lock_configuration, Bucket=bucket, ObjectLockConfiguration=lock)
    s3.put_object(Bucket=bucket, Key="locked", Body=b"")
    for call in (s3.get_object_retention, s3.get_object_legal_hold):
        either(call, Bucket=bucket, Key="locked")
    either(s3.put_object_legal_hold, Bucket=bucket, Key="locked", LegalHold={"Status": "ON"})
    either(s3.put_object_legal_hold, Bucket=bucket, Key="locked", LegalHold={"Status": "OFF"})


def websites(s3, bucket):
    s3.create_bucket(Bucket=bucket, ACL="public-read")
    site = {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "error.html"}}
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=site)
    s3.get_bucket_website(Bucket=bucket)
    for key in ("index.html", "error.html", "folder/index.html"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"<p>", ContentType="text/html", ACL="public-read")
    host = f"{bucket}.{WEBSITE}"
    for path in ("/", "/index.html", "/folder/", "/folder", "/nowhere", "/?acl", "/index.html?uploads"):
        requests.get(ENDPOINT + path, headers={"Host": host}, allow_redirects=False)
        requests.head(ENDPOINT + path, headers={"Host": host})
    requests.put(f"{ENDPOINT}/x", headers={"Host": host}, data=b"")
    requests.get(ENDPOINT, headers={"Host": f"there-is-no-such-site.{WEBSITE}"})
    requests.get(ENDPOINT, headers={"Host": WEBSITE})
    s3.delete_bucket_website(Bucket=bucket)


def presigned(bucket):
    for signature in ("s3v4", "s3"):
        s3 = client(ALICE, signature=signature)
        for method, call in (("GET", "get_object"), ("PUT", "put_object"), ("HEAD", "head_object"), ("DELETE", "delete_object")):
            url = s3.generate_presigned_url(call, Params={"Bucket": bucket, "Key": "signed"}, ExpiresIn=60)
            requests.request(method, url, data=body(100) if method == "PUT" else None)
        requests.get(url.replace("ignature=", "ignature=0"))
        url = s3.generate_presigned_url("list_objects_v2", Params={"Bucket": bucket, "Prefix": "plain"}, ExpiresIn=60)
        requests.get(url)
        s3.put_object(Bucket=bucket, Key="v2 or v4", Body=b"1")
    form = client(ALICE).generate_presigned_post(bucket, "form/${filename}", Conditions=[["starts-with", "$key", ""]])
    for url in (form["url"], form["url"] + "/"):
        requests.post(url, data=form["fields"], files={"file": ("name.txt", body(1000))})
    form["fields"]["policy"] = "e30="
    requests.post(form["url"], data=form["fields"], files={"file": ("name.txt", b"x")})


def strangers(s3, bucket):
    """Without a key, with a wrong one, and with somebody else's."""
    s3.put_object(Bucket=bucket, Key="public", Body=body(5000), ACL="public-read")
    for path in ("", "/", f"/{bucket}", f"/{bucket}/", f"/{bucket}/public", f"/{bucket}/plain/0", "/no-such-bucket/k"):
        requests.get(ENDPOINT + path)
        requests.head(ENDPOINT + path)
    requests.put(f"{ENDPOINT}/{bucket}/stranger", data=b"x" * 1000)
    requests.delete(f"{ENDPOINT}/{bucket}/public")
    requests.post(f"{ENDPOINT}/{bucket}?delete", data=b"<Delete/>")
    requests.put(f"{ENDPOINT}/new-bucket-of-a-stranger")
    for who in (("NOSUCHKEY00000000000", ALICE[1]), (ALICE[0], "wrong"), (BOB[0], BOB[1])):
        them = client(who)
        either(them.get_object, Bucket=bucket, Key="plain/0")
        either(them.put_object, Bucket=bucket, Key="theirs", Body=b"x")
        either(them.list_objects_v2, Bucket=bucket)
        either(them.list_buckets)


def tenants(bucket):
    """A user of a tenant, who does not name it: no access log can."""
    carol = client(CAROL)
    carol.create_bucket(Bucket=bucket)
    carol.put_object(Bucket=bucket, Key="k", Body=body(10), ACL="public-read")


def other_tenants(bucket):
    for name in (f"acme:{bucket}", f"acme%3A{bucket}", f":{bucket}", bucket, f"nobody:{bucket}"):
        requests.get(f"{ENDPOINT}/{name}/k")
        requests.get(f"{ENDPOINT}/{name}")


def virtual_hosts(bucket):
    s3 = client(ALICE, addressing="virtual", host=NAME)
    s3.create_bucket(Bucket=bucket)
    for key in ("k", "a/b", "admin/usage", "swift/v1/c", "auth/v1.0", "é ü"):
        s3.put_object(Bucket=bucket, Key=key, Body=body(300))
        s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        s3.head_object(Bucket=bucket, Key=key)
    s3.list_objects_v2(Bucket=bucket)
    s3.get_bucket_location(Bucket=bucket)
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}, {"Key": "a/b"}]})
    client(ALICE, addressing="path", host=NAME).list_objects_v2(Bucket=bucket)
    # Whatever name leads to the gateway and is none of its own is a bucket.
    named = client(ALICE, host="cname.example.net", addressing="path")
    either(named.list_objects_v2, Bucket=bucket)
    requests.get(f"{ENDPOINT}/k", headers={"Host": "cname.example.net"})
    requests.get(f"{ENDPOINT}/k/x", headers={"Host": "localhost"})
    requests.get(f"{ENDPOINT}/{bucket}/x", headers={"Host": "x"})
    for host in ("[::1]", "[2001:db8::1]:80", f"{bucket}.{NAME}:80x", f"{bucket.upper()}.{NAME}", f"{bucket}.{NAME}.", "1.2.3.4:80", "1.2.3"):
        requests.get(f"{ENDPOINT}/{bucket}/x", headers={"Host": host})


def other_services():
    """IAM, STS and SNS, which say in the body what they want."""
    either(client(ADMIN, service="iam", signature=None).list_roles)
    either(client(ALICE, service="sts", signature=None).get_session_token)
    either(client(ALICE, service="sns", signature=None).list_topics)


def clean(s3, bucket):
    """Deletes by the hundred, then the bucket, which is not empty at first."""
    refused(s3.delete_bucket, Bucket=bucket)
    while True:
        found = s3.list_object_versions(Bucket=bucket)
        keys = [{"Key": o["Key"], "VersionId": o["VersionId"]} for k in ("Versions", "DeleteMarkers") for o in found.get(k, [])]
        if not keys:
            break
        s3.delete_objects(Bucket=bucket, Delete={"Objects": keys})
    s3.delete_bucket(Bucket=bucket)
    refused(s3.head_bucket, Bucket=bucket)


def run(prefix):
    s3, other, bucket = client(ALICE), client(BOB), f"{prefix}-s3"
    objects(s3, bucket)
    multipart(s3, bucket)
    lists(s3, bucket)
    settings(s3, bucket, other)
    versions(s3, bucket)
    presigned(bucket)
    strangers(s3, bucket)
    locks(s3, f"{prefix}-locks")
    websites(s3, f"{prefix}-site")
    virtual_hosts(f"{prefix}-vhost.dotted")
    other_tenants(f"{prefix}-tenant")
    clean(s3, bucket)
