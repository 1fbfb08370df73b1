"""The clients that are compared: how each is started, and with which settings.

One kind moves a tree into the bucket, the other only says how a tree and the bucket differ.
Every client gets the same fake keys, an empty home and no instance metadata. The peers run as their
users are told to run them for many files; what differs from their defaults is named here.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.trees import BUCKET

_PROBE_SECONDS = 60
_RCLONE = {
    "RCLONE_CONFIG_BENCH_TYPE": "s3",
    "RCLONE_CONFIG_BENCH_PROVIDER": "Other",
    "RCLONE_CONFIG_BENCH_ENV_AUTH": "true",
    "RCLONE_CONFIG_BENCH_REGION": "eu-west-1",
    "RCLONE_CONFIG_BENCH_LIST_VERSION": "2",
    "RCLONE_CONFIG_BENCH_NO_CHECK_BUCKET": "true",
    # The stub makes up the ETag of large bodies.
    "RCLONE_CONFIG_BENCH_USE_MULTIPART_ETAG": "false",
}


@dataclass(frozen=True, slots=True)
class Tool:
    """One client: `argv(root, endpoint)` is about everything below root/BUCKET, and BUCKET."""

    name: str
    argv: Callable[[Path, str], list[str]]
    version_argv: tuple[str, ...]
    settings: Mapping[str, str]

    def environment(self, home: Path, endpoint: str) -> dict[str, str]:
        """The whole environment: nothing of the caller's but the search path comes through."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "bench-only",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": endpoint,
            "S3_ENDPOINT_URL": endpoint,
            "RCLONE_CONFIG_BENCH_ENDPOINT": endpoint,
            **self.settings,
        }

    def version(self, home: Path) -> str | None:
        """Ask the tool for its version; None when it cannot be run."""
        try:
            answer = subprocess.run(
                self.version_argv,
                env=self.environment(home, "http://127.0.0.1:9"),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_PROBE_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        lines = (answer.stdout or answer.stderr).strip().splitlines()
        return lines[0] if lines else ""


def towpath_uploader(program: Path) -> Tool:
    """Our uploader: one pass over the root."""

    def argv(root: Path, endpoint: str) -> list[str]:  # noqa: ARG001 - it is in the environment
        state = root.parent / f"{root.name}-state"
        options = ["--once", "-d", str(root), "-s", "0", "--state-directory", str(state)]
        return [str(program), "uploader", *options]

    return Tool("towpath", argv, (str(program), "uploader", "--help"), {})


def s5cmd(program: Path) -> Tool:
    """s5cmd with its defaults (256 workers), without its line for every file."""

    def argv(root: Path, endpoint: str) -> list[str]:
        quiet = ["--log", "error", "--endpoint-url", endpoint]
        return [str(program), *quiet, "mv", f"{root / BUCKET}/", f"s3://{BUCKET}/"]

    return Tool("s5cmd", argv, (str(program), "version"), {})


def rclone(program: Path) -> Tool:
    """Rclone, told to compare checksums and to use 64 transfers: its default of 4 is for disks."""
    options = ["--quiet", "--checksum", "--fast-list", "--transfers", "64", "--checkers", "64"]

    def argv(root: Path, endpoint: str) -> list[str]:  # noqa: ARG001 - it is in the environment
        return [str(program), "move", *options, str(root / BUCKET), f"bench:{BUCKET}"]

    return Tool("rclone", argv, (str(program), "version"), _RCLONE)


def aws(program: Path) -> Tool:
    """The AWS CLI with its defaults (10 requests at a time), without its line for every file."""

    def argv(root: Path, endpoint: str) -> list[str]:
        quiet = ["--only-show-errors", "--endpoint-url", endpoint]
        return [
            str(program),
            "s3",
            "mv",
            "--recursive",
            *quiet,
            f"{root / BUCKET}/",
            f"s3://{BUCKET}/",
        ]

    return Tool("aws", argv, (str(program), "--version"), {})


def towpath_sync(task: str) -> Tool:
    """Our sync: `look` or `night` of `bench.ingest_client`, as the ingester opens it."""

    def argv(root: Path, endpoint: str) -> list[str]:
        return [*client, task, str(root), "--endpoint", endpoint]

    client = [sys.executable, "-m", "bench.ingest_client"]
    here = {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    return Tool("towpath", argv, (sys.executable, "--version"), here)


def aws_sync(program: Path, *, down: bool) -> Tool:
    """`aws s3 sync --dryrun` with its defaults: a line for every difference, and none here."""

    def argv(root: Path, endpoint: str) -> list[str]:
        command = [str(program), "s3", "sync", "--dryrun", "--no-progress"]
        return [*command, "--endpoint-url", endpoint, *_way(root, f"s3://{BUCKET}", down=down)]

    return Tool("aws", argv, (str(program), "--version"), {})


def rclone_check(program: Path) -> Tool:
    """`rclone check`: it reads every local file for its MD5."""

    def argv(root: Path, endpoint: str) -> list[str]:  # noqa: ARG001 - it is in the environment
        options = ["--fast-list", "--checkers", "64"]
        return [str(program), "check", *options, *_way(root, f"bench:{BUCKET}", down=False)]

    return Tool("rclone", argv, (str(program), "version"), _RCLONE)


def rclone_copy(program: Path, *, down: bool) -> Tool:
    """`rclone copy --dry-run` by size and S3's own times: else it would be a HEAD for each file."""

    def argv(root: Path, endpoint: str) -> list[str]:  # noqa: ARG001 - it is in the environment
        options = ["--dry-run", "--fast-list", "--checkers", "64", "--use-server-modtime"]
        return [str(program), "copy", *options, *_way(root, f"bench:{BUCKET}", down=down)]

    return Tool("rclone", argv, (str(program), "version"), _RCLONE)


def _way(root: Path, remote: str, *, down: bool) -> list[str]:
    ends = [str(root / BUCKET), remote]
    return ends[::-1] if down else ends


def all_tools(programs: Path, peers: Path) -> list[Tool]:
    """List the clients: ours from the folder `programs`, the peers from the environment `peers`.

    s5cmd's launcher is a Python script around the program it ships; the program itself is run.
    """
    launched = sorted(peers.glob("lib/python*/site-packages/s5cmd/bin/s5cmd"))
    return [
        towpath_uploader(programs / "towpath"),
        s5cmd(launched[0] if launched else peers / "bin/s5cmd"),
        rclone(peers / "bin/rclone"),
        aws(peers / "bin/aws"),
    ]
