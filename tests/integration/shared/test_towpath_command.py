import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOWPATH = Path(sys.executable).with_name("towpath")
HEAVY = {"pydantic", "pydantic_settings", "anyio", "structlog", "aiobotocore", "rich", "asyncio"}


def towpath(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the real command."""
    return subprocess.run(
        [TOWPATH, *argv],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_help_imports_nothing_heavy() -> None:
    """What is imported decides how long it takes; this holds on a busy machine too."""
    code = "import sys; from shared.cli import main; main(['--help']); print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )

    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & HEAVY
    assert not {name for name in loaded if name.startswith("daemons.") and name.endswith(".cli")}


def test_help_needs_less_than_150_ms_of_work() -> None:
    """The promise of the design, in processor time: what else the machine does counts less."""

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert towpath("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.15


def test_a_bad_value_is_one_readable_line(tmp_path: Path) -> None:
    """Exit status 2 and one line: the contract's own words."""
    done = towpath("config", "show", "uploader", HOME=str(tmp_path), S3_UPLOAD_INTERVAL="abc")

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "towpath config: S3_UPLOAD_INTERVAL='abc' is not valid for --interval; "
        "allowed: a number of seconds greater than 0, at most 86400\n"
    )


@pytest.mark.parametrize("argv", [["config", "reference", "uploader"], ["--version"]])
def test_a_reader_that_leaves_is_no_error(argv: list[str]) -> None:
    """`towpath status | head -1` must not end in a traceback, be the output long or short."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [TOWPATH, *argv],
            env={**os.environ, "PYTHONUNBUFFERED": ""},
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )
    finally:
        os.close(writer)

    assert done.returncode == 0
    assert done.stderr == b""


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("towpath conf", {"config"}),
        ("towpath config sh", {"show"}),
        ("towpath config show --or", {"--origin"}),
        ("towpath completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_bash_completes_commands_verbs_and_flags(line: str, expected: set[str]) -> None:
    """A completion that nobody ever ran through a shell does not work."""
    words = line.split(" ")
    script = (
        'eval "$(towpath completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        '_towpath; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{TOWPATH.parent}:{os.environ['PATH']}"

    done = subprocess.run(
        ["bash", "-c", script, "bash", *words],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert set(done.stdout.split()) == expected
