"""A machine's disk: this machine's root with a layer above it that keeps every change, in memory.

What the host has installed is there, what it has enabled or holds of its people is not: the
machine boots what every boot needs and nothing else, and starts without units, accounts,
configuration or state of ours.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.namespaces import PRIVATE, mount

_UNITS = Path("usr/lib/systemd/system")
_WANTED: Mapping[str, Sequence[str]] = {
    "sockets.target": ("systemd-journald-dev-log.socket", "systemd-journald.socket"),
    "sysinit.target": (
        "systemd-journal-flush.service",
        "systemd-journald.service",
        "systemd-tmpfiles-setup.service",
    ),
}
"""What each target starts, where it is installed."""

_EMPTY = ("home", "media", "mnt", "opt", "root", "srv")
"""Folders of people, and of programs that no package manager installed."""
_REMOVED = (
    "etc/systemd/system",
    "etc/systemd/system-generators",
    "etc/systemd/user",
    "etc/sysusers.d",
    "etc/towpath",
    "etc/udev/rules.d",
    "usr/lib/systemd/system-generators",
    "usr/local/lib/systemd",
    "var/lib/towpath",
    "var/log/journal",
)
_FRESH = ("var/log/journal",)
_ACCOUNTS = ("group", "gshadow", "passwd", "shadow")
_WRITTEN = {
    "etc/fstab": "",
    "etc/hostname": "machine\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/systemd/journald.conf": "[Journal]\nStorage=persistent\n",
}


def mount_disk(folder: Path) -> Path:
    """Mount a fresh disk below a folder, in mounts of this thread's own; returns its root."""
    mount("", Path("/"), flags=PRIVATE)
    mount("tmpfs", folder, "tmpfs", options="mode=700")
    upper, work, root = (folder / name for name in ("changes", "work", "root"))
    for made in (upper, work, root):
        made.mkdir()
    upper.chmod(0o755)
    mount("overlay", root, "overlay", options=f"lowerdir=/,upperdir={upper},workdir={work}")
    _forget_host(root)
    return root


def _forget_host(root: Path) -> None:
    for name in _EMPTY:
        if (root / name).is_dir():
            mount("tmpfs", root / name, "tmpfs", options="mode=755")
    for name in _REMOVED:
        shutil.rmtree(root / name, ignore_errors=True)
    (root / "etc/systemd/system").mkdir(parents=True)
    for name in _FRESH:
        (root / name).mkdir()
        mount("tmpfs", root / name, "tmpfs", options="mode=755")
    for name in _ACCOUNTS:
        _forget_account(root / "etc" / name)
    for name, text in _WRITTEN.items():
        (root / name).unlink(missing_ok=True)
        (root / name).write_text(text)
    _want_little(root)


def _want_little(root: Path) -> None:
    for pattern in ("*.wants", "*.requires"):
        for folder in (root / _UNITS).glob(pattern):
            shutil.rmtree(folder)
    for target, units in _WANTED.items():
        wants = root / _UNITS / f"{target}.wants"
        wants.mkdir()
        for unit in units:
            if (root / _UNITS / unit).exists():
                (wants / unit).symlink_to(f"../{unit}")
    default = root / "etc/systemd/system/default.target"
    default.symlink_to(f"/{_UNITS}/multi-user.target")


def _forget_account(table: Path) -> None:
    """Take accounts of ours, from an installation on the host, out of a table."""
    if table.is_file():
        lines = table.read_text().splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith("towpath")]
        if kept != lines:
            table.write_text("".join(kept))
