"""Towpath on a machine: its program in /opt, its configuration in /etc, and a strict S3 beside it.

Rule: nothing is done here that a person would not do: files are written where the documents say,
and everything else is done by `towpath` and `systemctl`.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.machine import Finished, Machine, Network, open_machine, open_network
from tests.support.machine_boot import Bind
from tests.support.machine_journal import Entry
from tests.support.machine_program import PREFIX
from tests.support.strict_s3.access import ACCESS_KEY, SECRET_KEY, KeyState
from tests.support.strict_s3.server import StrictS3

PROGRAM = f"{PREFIX}/bin/towpath"
CONFIGURATION = "/etc/towpath"
CREDENTIALS = f"{CONFIGURATION}/credentials/aws"
_SETTLED_SECONDS = 60.0
_INSTALL_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Cloud:
    """What machines reach: a network, and an S3 that stays while they come and go."""

    network: Network
    s3: StrictS3


@dataclass(frozen=True, slots=True)
class TowpathMachine:
    """A machine with the program on it, and the S3 that it can reach."""

    machine: Machine
    s3: StrictS3

    def configure(self, service: str, **settings: object) -> None:
        """Write a service's configuration; the endpoint is that of the S3."""
        whole = {"endpoint_url": self.s3.url, **settings}
        lines = [f"{name} = {_toml(value)}\n" for name, value in whole.items()]
        self.machine.write(f"{CONFIGURATION}/{service}.toml", "".join(lines))

    def give_keys(self) -> None:
        """Write the file of credentials, for root alone; the key is nowhere else on the machine."""
        text = f"aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
        self.machine.write(CREDENTIALS, f"[default]\n{text}", mode=0o600)

    def towpath(
        self, *argv: str, check: bool = True, env: Mapping[str, str] | None = None
    ) -> Finished:
        """Run `towpath` as root."""
        return self.machine.run(PROGRAM, *argv, check=check, env=env, limit=_INSTALL_SECONDS)

    def systemctl(self, *argv: str, check: bool = True) -> Finished:
        """Run `systemctl`."""
        return self.machine.run("systemctl", *argv, check=check, limit=_INSTALL_SECONDS)

    def override(self, unit: str, *lines: str) -> None:
        """Have a drop-in with these lines for a service, and only these."""
        text = "\n".join(["[Service]", *lines, ""])
        self.machine.write(f"/etc/systemd/system/{unit}.d/override.conf", text)
        self.systemctl("daemon-reload")

    def put(self, path: str, content: bytes) -> Path:
        """Put a whole file in place that nobody has changed for a while; returns the way to it.

        Folders that are made for it belong to whom the folder above belongs to; the file is root's.
        """
        place = self.machine.path(path)
        for folder in reversed([each for each in place.parents if not each.exists()]):
            above = folder.parent.stat()
            folder.mkdir()
            os.chown(folder, above.st_uid, above.st_gid)
        staged = place.parent / f".{place.name}"
        staged.write_bytes(content)
        staged.chmod(0o644)
        changed = staged.stat().st_mtime - _SETTLED_SECONDS
        os.utime(staged, (changed, changed))
        staged.rename(place)
        return place

    def wait_for(self, event: str, *, after: int = 0, count: int = 1, **fields: str) -> Entry:
        """Wait until one of ours has logged an event; fields are named as in the journal."""
        wanted = {"EVENT": event, **fields}
        return self.machine.journal.wait_for(wanted, after=after, count=count)

    def main_pid(self, unit: str) -> int:
        """Return the main process of a service, as the machine counts."""
        return int(self.machine.show(unit, "MainPID")["MainPID"])


def _toml(value: object) -> str:
    """Return a value in TOML, in one line; of all but tables it is what JSON writes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(inner)}" for name, inner in value.items()) + "}"
    return json.dumps(value)


@contextmanager
def open_cloud(buckets: Sequence[str]) -> Iterator[Cloud]:
    """Have a network with an S3 on it, with empty buckets, for a block; it knows a single key."""
    with open_network() as network, network.strict_s3(buckets) as s3:
        s3.access.keys[ACCESS_KEY] = KeyState.VALID
        s3.access.others = KeyState.UNKNOWN
        yield Cloud(network, s3)


@contextmanager
def open_towpath(
    program: Path, cloud: Cloud, binds: Sequence[Bind] = ()
) -> Iterator[TowpathMachine]:
    """Have a machine with the program and the keys, and nothing of ours installed, for a block."""
    whole = [Bind(str(program), PREFIX), *binds]
    with open_machine(cloud.network, whole) as machine:
        made = TowpathMachine(machine, cloud.s3)
        made.give_keys()
        yield made
