"""The functions' packages: real zips of this tree and the libraries that a function needs.

    python -m infra.wildlife_package DIR

Two of them, as Parquet needs ten times the room of all the rest: `states.zip` for five functions,
`tables.zip` for WriteParquet. Rule: the same tree and lock file give the same bytes, and the folder
below DIR that they lie in is named after their content.
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from infra.assets import REQUIREMENTS, ROOT
from shared.errors import PermanentError

RUNTIME = "python3.12"
"""The oldest on a system (Amazon Linux 2023, glibc 2.34) that the wheels of Pillow, pyarrow and
uvloop load on: python3.11 has glibc 2.26, and they want 2.27 and 2.28."""
_GLIBC_MINOR = 34
STATES, TABLES = "states.zip", "tables.zip"
UNPACKED_MAX = 250 * 1024 * 1024
"""Of a function with its layers (Lambda Developer Guide, "Quotas")."""

_LEFT_OUT: Mapping[str, frozenset[str]] = {
    # The spreadsheet export and the watching of folders are no business of a function.
    STATES: frozenset({"et-xmlfile", "openpyxl", "pyarrow", "watchfiles"}),
    TABLES: frozenset({"et-xmlfile", "openpyxl", "watchfiles"}),
}
_SOURCES = ("pipelines/__init__.py", "pipelines/wildlife", "shared")
_SERVICES = frozenset({"s3", "secretsmanager", "sso", "sso-oidc", "sts"})
"""Whose models the SDK is left: 60 folders of some 400."""
_UNUSED = re.compile(
    r"(^|/)(__pycache__|tests)/"
    r"|^bin/|^pyarrow/(includes?|src)/"
    r"|\.(pyc|pyi|pyx|pxd|pxi|h|hpp|c|cmake)$"
    r"|^pyarrow/(lib)?_?(arrow_)?(python_)?(flight|s3|s3fs|gcsfs|azurefs|hdfs|orc|cuda|gandiva)\b"
    r"|^pyarrow/_pyarrow_cpp_tests"
)
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The oldest moment that a zip knows; the time of a build would change the bytes."""
_PLAIN, _PROGRAM = 0o100644 << 16, 0o100755 << 16
_PIP_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Package:
    """A built zip."""

    path: Path
    packed_bytes: int
    unpacked_bytes: int


def build_packages(folder: Path) -> Sequence[Package]:
    """Build both below `folder`, in one that their content names; PermanentError if too large."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="towpath-functions-", dir=folder) as temporary:
        built = {name: _build(name, Path(temporary)) for name in (STATES, TABLES)}
        digest = hashlib.sha256()
        for path in built.values():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        target = folder / digest.hexdigest()[:16]
        target.mkdir(exist_ok=True)
        for name, path in built.items():
            path.replace(target / name)
    return [measured(target / name) for name in built]


def measured(path: Path) -> Package:
    """Return what a zip weighs; PermanentError where Lambda would refuse it."""
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(each.file_size for each in archive.infolist())
    if unpacked > UNPACKED_MAX:
        raise PermanentError(
            f"package {path.name!r} has {unpacked} bytes unpacked, Lambda takes {UNPACKED_MAX}; "
            "leave libraries out in infra/wildlife_package.py"
        )
    return Package(path, path.stat().st_size, unpacked)


def write_zip(path: Path, members: Iterable[tuple[str, Path]]) -> None:
    """Write a zip whose bytes depend on names and contents alone."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, source in sorted(members):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = _PROGRAM if ".so" in source.suffixes else _PLAIN
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, source.read_bytes())


def source_files() -> Iterator[tuple[str, Path]]:
    """Yield the files of this tree that a function needs, and the way in."""
    yield "index.py", ROOT / "infra" / "wildlife_index.py"
    for name in _SOURCES:
        found = ROOT / name
        for path in sorted(found.rglob("*")) if found.is_dir() else [found]:
            relative = path.relative_to(ROOT).as_posix()
            if path.is_file() and not _UNUSED.search(relative):
                yield relative, path


def is_needed(relative: str) -> bool:
    """Say whether a function needs a library's file. Pure."""
    if _UNUSED.search(relative):
        return False
    path = PurePosixPath(relative)
    if path.parts[:2] == ("botocore", "data") and len(path.parts) > 3:  # noqa: PLR2004 - data/SERVICE/FILE
        return path.parts[2] in _SERVICES
    # Wheels have no links: of three copies of a library the one that is asked for by name is kept.
    return not re.fullmatch(r"pyarrow/libarrow_python\w*\.so(\.\d+\.\d+\.\d+)?", relative)


def chosen_requirements(name: str, text: str) -> str:
    """Return the lock file without what a package leaves out. Pure."""
    entries = re.split(r"\n(?=\S)", text.strip())
    left_out = _LEFT_OUT[name]
    kept = [each for each in entries if each.partition("==")[0].strip() not in left_out]
    return "\n".join(kept) + "\n"


def _build(name: str, folder: Path) -> Path:
    requirements = folder / f"{name}.txt"
    locked = (REQUIREMENTS / "wildlife.txt").read_text(encoding="utf-8")
    requirements.write_text(chosen_requirements(name, locked), encoding="utf-8")
    libraries = folder / f"{name}-libraries"
    _install(requirements, libraries)
    members = [
        (relative, path)
        for path in libraries.rglob("*")
        if path.is_file() and is_needed(relative := path.relative_to(libraries).as_posix())
    ]
    path = folder / name
    write_zip(path, [*members, *source_files(), own_metadata(folder)])
    return path


def own_metadata(folder: Path) -> tuple[str, Path]:
    """Write what tells our version, for which reports and requests ask as if it was installed."""
    version = suite_version()
    path = folder / "METADATA"
    path.write_text(f"Metadata-Version: 2.1\nName: towpath\nVersion: {version}\n", encoding="utf-8")
    return f"towpath-{version}.dist-info/METADATA", path


def suite_version() -> str:
    """Return the version that pyproject.toml gives."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def _install(requirements: Path, target: Path) -> None:
    """Unpack wheels for the functions' system, whatever this one is."""
    platforms = [f"--platform=manylinux_2_{minor}_x86_64" for minor in range(_GLIBC_MINOR, 16, -1)]
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-compile", "--no-deps", "--only-binary=:all:", "--require-hashes"),
        *("--implementation=cp", f"--python-version={RUNTIME.removeprefix('python')}"),
        *(*platforms, "--platform=manylinux2014_x86_64", f"--target={target}"),
        *("--requirement", str(requirements)),
    ]
    done = subprocess.run(  # noqa: S603 - our own interpreter, an argument list
        command, check=False, capture_output=True, text=True, timeout=_PIP_SECONDS, env=os.environ
    )
    if done.returncode != 0:
        raise PermanentError(
            f"the functions' libraries cannot be had: {done.stderr.strip()[-500:]!r}; "
            "make requirements/wildlife.txt fit with `make lock`"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Build the packages, say on standard error what they weigh, and print their folder."""
    parser = argparse.ArgumentParser(prog="python -m infra.wildlife_package", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    folder: Path = parser.parse_args(argv).folder
    try:
        packages = build_packages(folder)
    except PermanentError as error:
        sys.stderr.write(f"{error}\n")
        return error.status
    for package in packages:
        sys.stderr.write(
            f"{package.path.name}: {package.packed_bytes / 1e6:.1f} MB, "
            f"unpacked {package.unpacked_bytes / 1e6:.1f} of {UNPACKED_MAX / 1e6:.1f} MB\n"
        )
    sys.stdout.write(f"{packages[0].path.parent}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
