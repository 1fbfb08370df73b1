"""The environment of a test: nothing of the person who runs it."""

import os
from pathlib import Path

import pytest

_PREFIXES = ("AWS_", "GLACIER_", "S3_", "TOWPATH_", "XDG_")
_NAMES = frozenset(
    {
        "BUCKET",
        "CREDENTIALS_DIRECTORY",
        "FILE_STABILITY_SECONDS",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "LOG_LEVEL",
        "NEOWISE_YEARS",
        "NOTIFY_SOCKET",
        "SLEEP_SEC",
        "STATE_DIRECTORY",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
        "WORKERS",
    }
)


def is_foreign(name: str) -> bool:
    """Say whether a variable of the caller could steer the code under test.

    Those of AWS, of the suite, of a systemd unit that runs the tests, and of proxies.
    """
    upper = name.upper()
    return upper.startswith(_PREFIXES) or upper in _NAMES or upper.endswith("_PROXY")


def isolate(patch: pytest.MonkeyPatch, home: Path) -> None:
    """Strip the environment and set what no test may be without."""
    for name in list(os.environ):
        if is_foreign(name):
            patch.delenv(name)
    patch.setenv("HOME", str(home))
    patch.setenv("AWS_CONFIG_FILE", str(home / "no-aws-config"))
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "no-aws-credentials"))
    # Nothing asks the link-local address unless a test points it at a stand-in.
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
