import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "install_prefix.sh"
LIMIT_SECONDS = 60


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """Return a prefix with releases `a` to `d`, of which `c` is in use."""
    for name in "abcd":
        (tmp_path / "releases" / name / "bin").mkdir(parents=True)
    (tmp_path / "releases" / ".lock").touch()
    (tmp_path / "bin").symlink_to("releases/c/bin")
    return tmp_path


@pytest.fixture
def daemon(prefix: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Have a process that was started from release `a`, and not restarted since."""
    started_from = f"{prefix}/releases/a/bin/python"
    argv = [sys.executable, "-c", "input()", started_from]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as process:
        yield process
        process.communicate(b"\n", timeout=LIMIT_SECONDS)


def switch(prefix: Path, name: str) -> str:
    """Run the part of the script that puts a release into use, and return what it said."""
    _, _, rest = SCRIPT.read_text().partition("<<'END'\n")
    program, end, _ = rest.partition("\nEND\n")
    assert end
    argv = [sys.executable, "-", str(prefix), name]
    done = subprocess.run(
        argv, input=program, text=True, capture_output=True, check=True, timeout=LIMIT_SECONDS
    )
    return done.stdout


def releases(prefix: Path) -> set[str]:
    """Return the releases that are left."""
    return {path.name for path in (prefix / "releases").iterdir() if path.is_dir()}


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs /proc")
@pytest.mark.usefixtures("daemon")
def test_a_release_that_a_process_runs_from_stays(prefix: Path) -> None:
    """After two upgrades without a restart the daemons would lose what they have yet to import."""
    said = switch(prefix, "d")

    assert (prefix / "bin").readlink() == Path("releases/d/bin")
    assert releases(prefix) == {"a", "c", "d"}
    assert said.splitlines() == [
        f"kept {prefix}/releases/a: a process runs from it",
        f"removed {prefix}/releases/b",
    ]


def test_of_what_nobody_uses_the_last_one_stays(prefix: Path) -> None:
    """It is the way back, and releases are some hundred megabytes each."""
    switch(prefix, "d")

    assert releases(prefix) == {"c", "d"}
    assert (prefix / "releases" / ".lock").exists()
