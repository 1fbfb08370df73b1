"""The ingester's commands called in this process, on a project with buckets and accounts."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemons.ingester.cli import main
from tests.support.aws_control import AWS_REGION, AwsControl
from tests.support.ingest_project import ACCOUNT_B, Project, SiteSetup
from tests.support.strict_s3.history import MutationKind
from tests.support.strict_s3.server import StrictS3


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that is over."""

    status: int
    out: str
    err: str

    def documents(self) -> list[Any]:
        """Return the JSON documents that it printed, one behind the other."""
        decoder, rest, found = json.JSONDecoder(), self.out.strip(), []
        while rest:
            document, end = decoder.raw_decode(rest)
            found.append(document)
            rest = rest[end:].strip()
        return found

    def complaints(self) -> list[str]:
        """Return what it said to people on stderr, without the log."""
        return [line for line in self.err.splitlines() if line.startswith("towpath ")]


class CommandGround:
    """A project without sites, an S3 without buckets, accounts without roles."""

    def __init__(
        self, folder: Path, s3: StrictS3, aws: AwsControl, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.s3 = s3
        self.aws = aws
        self.state = folder / "state"
        self.project = Project(folder / "project", {})
        self._capsys = capsys

    def add_site(
        self, site_id: str, account: str = ACCOUNT_B, *, role: bool = True, distribution: str = ""
    ) -> SiteSetup:
        """Set a site up: its folder, its bucket with a web client, its account's role."""
        site = SiteSetup(site_id, account, (f"{site_id}-podcast",), distribution)
        self.project.write_site(site, {each: f"https://{each}.example" for each in site.podcasts})
        self.s3.create_bucket(site.bucket)
        self.s3.seed(site.bucket, {"index.html": b"<!doctype html>"})
        if role:
            self.aws.accounts.add(account)
        return site

    def lay_here(self, site_id: str, path: str, body: bytes = b"content") -> Path:
        """Lay a file into a site's mirror."""
        target = self.project.mirror(site_id) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
        return target

    def files(self, site_id: str) -> dict[str, bytes]:
        """Return what lies in a site's mirror."""
        mirror = self.project.mirror(site_id)
        return {
            path.relative_to(mirror).as_posix(): path.read_bytes()
            for path in sorted(mirror.rglob("*"))
            if path.is_file()
        }

    def writes(self) -> list[tuple[str, str]]:
        """Return kind and key of everything that was changed in S3 by requests."""
        return [
            (each.kind.value, each.key)
            for each in self.s3.mutations()
            if each.kind is not MutationKind.SEED
        ]

    def call(self, verb: str, *argv: str) -> Ended:
        """Call a command as the shell would, `--root` and state folder given."""
        self._capsys.readouterr()
        usual = ["--root", str(self.project.root), "--state-directory", str(self.state)]
        status = main([verb, *usual, *argv])
        said = self._capsys.readouterr()
        return Ended(int(status), said.out, said.err)


@contextmanager
def open_commands(
    folder: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[CommandGround]:
    """Have the ground for the length of a block."""
    with StrictS3(aws_region=AWS_REGION) as s3, AwsControl() as aws:
        for name, value in aws.environment(s3.url).items():
            patch.setenv(name, value)
        yield CommandGround(folder, s3, aws, capsys)
