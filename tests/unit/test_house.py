"""Rules about the project itself: names, pages and pins that must agree with the code."""

import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from shared.reference import render_reference, render_toml

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COMMANDS: dict[str, str] = PROJECT["project"]["entry-points"]["towpath.commands"]
DAEMONS = sorted(path.parent.name for path in (ROOT / "daemons").glob("*/__main__.py"))
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    return [ROOT / name for name in listed.decode().split("\0") if name]


@pytest.mark.parametrize("daemon", DAEMONS)
def test_one_word_names_a_daemon_everywhere(daemon: str) -> None:
    """Whoever knows the name finds folder, command, configuration and tests."""
    assert COMMANDS[daemon] == f"daemons.{daemon}.cli"
    assert (ROOT / "configs" / f"{daemon}.toml").is_file()
    assert (ROOT / "tests" / "unit" / "daemons" / daemon).is_dir()


@pytest.mark.parametrize("daemon", DAEMONS)
def test_sample_configuration_is_current(daemon: str) -> None:
    """A sample that lags behind the code misleads; `make reference` writes it."""
    model = import_module(f"daemons.{daemon}.settings").Settings

    assert (ROOT / "configs" / f"{daemon}.toml").read_text() == render_toml(model, daemon)


@pytest.mark.parametrize("daemon", DAEMONS)
def test_options_page_is_current(daemon: str) -> None:
    """The same for the page; `make reference` writes both."""
    model = import_module(f"daemons.{daemon}.settings").Settings

    page = ROOT / "docs" / "options" / f"{daemon}.md"
    assert page.read_text() == render_reference(model, daemon)


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_requirements_are_pinned_with_hashes_and_name_no_index(path: Path) -> None:
    """An index that a pin file names would be asked by everybody who installs from it."""
    text = path.read_text()
    pins = re.findall(r"(?m)^[A-Za-z0-9._\[\],-]+==\S+", text)

    assert pins
    assert "://" not in text
    assert "--index-url" not in text
    assert text.count("--hash=sha256:") >= len(pins)


def test_pins_of_people_and_of_tests_agree() -> None:
    """What is tested is what is installed."""
    runtime, development = (
        dict(
            re.findall(r"(?m)^([A-Za-z0-9._-]+)==(\S+)", (ROOT / "requirements" / name).read_text())
        )
        for name in ("runtime.txt", "dev.txt")
    )

    assert runtime.items() <= development.items()


def test_every_promise_names_a_test_that_exists() -> None:
    """A promise that nothing checks is a wish."""
    promises = re.findall(
        r"(?m)^\| \d+ \|.*\|\s*`(tests/[^`]+)`.*\|$", (ROOT / "README.md").read_text()
    )

    assert promises
    for promise in promises:
        path, _, name = promise.partition("::")
        assert f"def {name}(" in (ROOT / path).read_text(), promise


def test_documents_name_only_files_that_exist() -> None:
    """A dead link is the first thing a newcomer meets."""
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_no_module_is_a_room_too_many() -> None:
    """House style: 400 lines at most."""
    long = {
        str(path.relative_to(ROOT)): lines
        for path in _tracked()
        if path.suffix == ".py" and path.is_file() and "tests" not in path.parts
        if (lines := path.read_text().count("\n")) > 400
    }

    assert not long


def test_packages_hold_a_docstring_and_no_imports() -> None:
    """The import path is the file path, so `__init__` has nothing to pass on."""
    for folder in ("shared", "daemons"):
        for path in (ROOT / folder).rglob("__init__.py"):
            assert "import" not in re.sub(r'(?s)""".*?"""', "", path.read_text()), path


def test_help_is_answered_without_loading_the_heavy_parts() -> None:
    """`towpath --help` is what people type first; it must not wait for an SDK."""
    program = (
        "import sys; from shared.cli import main; main(['--help']); "
        "sys.stderr.write(' '.join(sorted(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert "uploader" in done.stdout
    loaded = set(done.stderr.split())
    assert not loaded & {
        "pydantic",
        "anyio",
        "asyncio",
        "structlog",
        "aiobotocore",
        "daemons.uploader.cli",
    }
