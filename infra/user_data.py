"""The script that a new instance runs once: what it is told, and the steps of `user_data.sh`. Pure.

No program is pasted into it. It fetches the one deployment asset, makes an environment of hashed
requirements, writes the configuration and lets `towpath units install` do the rest. It runs on
Amazon Linux 2023 of either architecture and on any systemd machine with Python >= 3.11 and `aws`.

Rule: every value is quoted for the shell, so that no setting can end up as a command. References
that the template resolves may stand in the name of the bucket alone, which AWS keeps harmless.
"""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infra.permissions import NAMESPACE

PREFIX = "/opt/towpath"
LARGEST_BYTES = 16 * 1024
"""Of user data, before it is encoded for transport (EC2 User Guide)."""

_DELIMITER = "TOWPATH_END_OF_FILE"
_PLAIN = re.compile(r"[a-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Asset:
    """The one object that an instance installs itself from."""

    bucket: str
    key: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Installation:
    """What one instance is told."""

    service: str
    region: str
    asset: Asset
    files: Mapping[str, str]
    """What lies below /etc/towpath, by name."""
    unit_options: Sequence[str] = ()
    """Further options of `towpath units install`."""
    instances: int = 1
    """How many units of the service run."""

    @property
    def units(self) -> tuple[str, ...]:
        """The units that must run in the end."""
        if self.instances == 1:
            return (f"towpath-{self.service}.service",)
        numbers = range(1, self.instances + 1)
        return tuple(f"towpath-{self.service}@{number}.service" for number in numbers)


def render_user_data(installation: Installation, steps: str) -> str:
    """Return the script; `steps` is the text of `user_data.sh`.

    Raises:
        ValueError: a file would end the script's own text, or there is more than EC2 takes.
    """
    # Said each time: what is left out stays as it was installed before.
    options = [*installation.unit_options, "--instances", str(installation.instances)]
    values = {
        "service": installation.service,
        "region": installation.region,
        "prefix": PREFIX,
        "namespace": NAMESPACE,
        "asset_key": installation.asset.key,
        "asset_sha256": installation.asset.sha256,
    }
    script = "\n".join(
        [
            "#!/bin/bash",
            f"# Installs Towpath's {installation.service} on this machine. Safe to run again:",
            "#     sudo bash /var/lib/cloud/instance/user-data.txt",
            "set -Eeuo pipefail",
            "umask 022",
            "",
            *(f"readonly {name}={shlex.quote(value)}" for name, value in values.items()),
            # A reference to the account stands in it, so that its text is known to AWS alone.
            f'readonly asset_bucket="{installation.asset.bucket}"',
            f"readonly unit_options=({shlex.join(options)})",
            f"readonly units=({shlex.join(installation.units)})",
            "",
            "write_files() {",
            *_writes(installation.files),
            "}",
            "",
            steps.lstrip("\n"),
        ]
    )
    if (size := len(script.encode())) > LARGEST_BYTES:
        raise ValueError(f"user data has {size} bytes, EC2 takes {LARGEST_BYTES}; shorten a file")
    return script


def agent_file(installation_units: Sequence[str], log_group: str) -> str:
    """Return the CloudWatch agent's file: the journal of these units and of the installation."""
    collected = {
        "units": [*installation_units, "cloud-final.service"],
        "log_group_name": log_group,
        "log_stream_name": "{instance_id}",
    }
    document = {"logs": {"logs_collected": {"journald": {"collect_list": [collected]}}}}
    return json.dumps(document, indent=1) + "\n"


def _writes(files: Mapping[str, str]) -> list[str]:
    """Return the commands that write the files, each replaced as a whole.

    `replace_file` is a function of the steps: it notes where a daemon's settings have changed.
    """
    lines: list[str] = []
    for name, text in files.items():
        if not _PLAIN.fullmatch(name):
            raise ValueError(f"{name!r} is no plain name of a file")
        if not text.endswith("\n") or _DELIMITER in text.split("\n"):
            raise ValueError(f"the text of {name!r} must end in a line end and hold no delimiter")
        path = f"/etc/towpath/{name}"
        lines += [
            f"cat > {path}.next <<'{_DELIMITER}'",
            *text.rstrip("\n").split("\n"),
            _DELIMITER,
            f"replace_file {path}",
        ]
    return lines
