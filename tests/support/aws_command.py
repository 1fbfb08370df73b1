"""Stands in for the AWS CLI on a private machine: the two verbs that user data needs.

It acts as the instance's role, as the metadata service tells, and finds S3 where
`/etc/aws-stand-in` says. What would go to CloudWatch is noted in `/var/log/aws-stand-in`. The
signature is a mere form, which the strict S3 does not compute.

Rule: the standard library alone, for it runs on a machine before anything is installed there.
"""

import json
import shlex
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

_METADATA = "http://169.254.169.254/latest"
_LIMIT_SECONDS = 10.0


def main(argv: Sequence[str]) -> int:
    """Do what these arguments ask for; 2 where that is not known here."""
    match argv:
        case ["s3", "cp", "--only-show-errors", source, target] if source.startswith("s3://"):
            Path(target).write_bytes(_get(source.removeprefix("s3://")))
        case ["cloudwatch", "put-metric-data", *_]:
            with Path("/var/log/aws-stand-in").open("a", encoding="utf-8") as notes:
                notes.write(shlex.join(argv) + "\n")
        case _:
            sys.stderr.write(f"aws: {argv} is not known to this stand-in\n")
            return 2
    return 0


def _get(name: str) -> bytes:
    endpoint = Path("/etc/aws-stand-in").read_text(encoding="utf-8").strip()
    role = _told("iam/security-credentials/").decode().strip()
    keys = json.loads(_told(f"iam/security-credentials/{role}"))
    region = _told("placement/region").decode()
    scope = f"{keys['AccessKeyId']}/20260101/{region}/s3/aws4_request"
    signed = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    headers = {"Authorization": signed, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    return _fetch(f"{endpoint}/{name}", headers)


def _told(name: str) -> bytes:
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = _fetch(f"{_METADATA}/api/token", headers, method="PUT").decode()
    return _fetch(f"{_METADATA}/meta-data/{name}", {"X-aws-ec2-metadata-token": token})


def _fetch(url: str, headers: Mapping[str, str], *, method: str = "GET") -> bytes:
    request = urllib.request.Request(url, headers=dict(headers), method=method)  # noqa: S310 - ours
    with urllib.request.urlopen(request, timeout=_LIMIT_SECONDS) as answer:  # noqa: S310 - the same
        body: bytes = answer.read()
    return body


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
