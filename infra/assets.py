"""The one object that instances install themselves from: the wheel and its hashed requirements.

Rule: the same tree gives the same bytes, so that a deployment that changes nothing sends nothing
and replaces nothing.
"""

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.errors import PermanentError, UsageError

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"

_BUILD_SECONDS = 300.0
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The oldest moment that a zip knows; the time of a build would change the bytes."""
_MODE = 0o100644 << 16


@dataclass(frozen=True, slots=True)
class Bundle:
    """A built asset."""

    path: Path
    sha256: str


def build_bundle(folder: Path, *, requirements: Path, wheels: Path | None = None) -> Bundle:
    """Build the wheel of this tree and put it into `folder` as a zip, with its requirements.

    `wheels` is a folder of wheels to take along, for instances that reach no package index.
    """
    with TemporaryDirectory(prefix="towpath-wheel-") as temporary:
        members = {"requirements.txt": requirements, **_more(wheels)}
        wheel = _build_wheel(Path(temporary))
        members[wheel.name] = wheel
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"towpath-{requirements.stem}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, source in sorted(members.items()):
                info = zipfile.ZipInfo(name, _EPOCH)
                info.external_attr = _MODE
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, source.read_bytes())
    return Bundle(path, hashlib.sha256(path.read_bytes()).hexdigest())


def _build_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(  # noqa: S603 - our own interpreter, an argument list
        command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=_BUILD_SECONDS
    )
    if done.returncode != 0:
        raise PermanentError(
            f"the wheel cannot be built: {done.stderr.strip()[-500:]!r}; try {' '.join(command)!r}"
        )
    [wheel] = folder.glob("*.whl")
    return wheel


def _more(wheels: Path | None) -> dict[str, Path]:
    if wheels is None:
        return {}
    found = {f"wheels/{path.name}": path for path in wheels.glob("*.whl")}
    if not found:
        raise UsageError(f"wheels = {str(wheels)!r} holds no wheel; fill it with `pip download`")
    return found
