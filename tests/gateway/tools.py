"""The command-line clients that operators have: s3cmd, rclone, aws."""

import os
import subprocess

from common import ALICE, ENDPOINT, HOST, PORT, WORK, body


def call(*command, **environment):
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, env={**os.environ, "HOME": WORK, **environment}
    )
    return done.returncode


def files(prefix):
    folder = f"{WORK}/{prefix}"
    os.makedirs(folder, exist_ok=True)
    for name, size in (("small.txt", 100), ("with blank.txt", 5000), ("big.bin", 17 << 20)):
        with open(f"{folder}/{name}", "wb") as out:
            out.write(body(size))
    return folder


def s3cmd(prefix, folder):
    bucket = f"s3://{prefix}-s3cmd"
    base = ["s3cmd", "--no-ssl", f"--access_key={ALICE[0]}", f"--secret_key={ALICE[1]}", f"--host={HOST}:{PORT}"]
    base += [f"--host-bucket={HOST}:{PORT}", "--config=/dev/null", "--quiet", "--no-check-md5", "--region=default"]
    for arguments in (
        ["mb", bucket],
        ["put", f"{folder}/small.txt", f"{folder}/with blank.txt", bucket],
        ["put", "--multipart-chunk-size-mb=5", f"{folder}/big.bin", bucket],
        ["ls", bucket],
        ["info", f"{bucket}/small.txt"],
        ["get", "--force", f"{bucket}/big.bin", f"{folder}/got.bin"],
        ["cp", f"{bucket}/small.txt", f"{bucket}/copy.txt"],
        ["mv", f"{bucket}/copy.txt", f"{bucket}/moved.txt"],
        ["setacl", "--acl-public", f"{bucket}/small.txt"],
        ["du", bucket],
        ["--signature-v2", "ls", bucket],
        ["del", f"{bucket}/moved.txt"],
        ["rb", "--recursive", "--force", bucket],
        ["ls"],
    ):
        call(*base, *arguments)


def rclone(prefix, folder):
    remote = f":s3:{prefix}-rclone"
    base = ["rclone", "--config=/dev/null", "--s3-provider=Ceph", f"--s3-endpoint={ENDPOINT}", "--retries=1", "--low-level-retries=1"]
    base += [f"--s3-access-key-id={ALICE[0]}", f"--s3-secret-access-key={ALICE[1]}", "--s3-upload-cutoff=5M", "--s3-chunk-size=5M"]
    for arguments in (
        ["mkdir", remote],
        ["copy", "--exclude", "got.bin", folder, f"{remote}/folder"],
        ["check", "--exclude", "got.bin", folder, f"{remote}/folder"],
        ["lsl", remote],
        ["cat", f"{remote}/folder/small.txt"],
        ["moveto", f"{remote}/folder/small.txt", f"{remote}/moved.txt"],
        ["purge", remote],
        ["lsd", ":s3:"],
    ):
        call(*base, *arguments)


def aws(prefix, folder):
    bucket = f"s3://{prefix}-aws"
    login = {"AWS_ACCESS_KEY_ID": ALICE[0], "AWS_SECRET_ACCESS_KEY": ALICE[1], "AWS_DEFAULT_REGION": "default"}
    for arguments in (
        ["s3", "mb", bucket],
        ["s3", "sync", "--exclude", "got.bin", folder, bucket],
        ["s3", "ls", "--recursive", bucket],
        ["s3", "cp", f"{bucket}/big.bin", f"{folder}/got.bin"],
        ["s3", "cp", f"{bucket}/small.txt", f"{bucket}/copy.txt"],
        ["s3", "rb", "--force", bucket],
    ):
        # Debian's own, not one that an operator's PATH may hold.
        call("/usr/bin/aws", "--endpoint-url", ENDPOINT, *arguments, **login)


def run(prefix):
    folder = files(prefix)
    s3cmd(prefix, folder)
    rclone(prefix, folder)
    aws(prefix, folder)
