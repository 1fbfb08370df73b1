"""Every check and every test, part by part, with the time of each: what `make test` runs.

A failing part does not hide the next one; the exit status is 1 if any failed.
"""

import argparse
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

_ROOT = Path(__file__).resolve().parent.parent
_BIN = Path(sys.executable).parent
_SLOWEST = 5
_CHECKS: Sequence[tuple[str, Sequence[str]]] = (
    ("format", ("ruff", "format", "--check", "--quiet", ".")),
    ("lint", ("ruff", "check", "--quiet", ".")),
    ("types", ("mypy",)),
    ("imports", ("lint-imports", "--no-cache")),
)
_SUITES = ("unit", "contract", "integration", "infra", "acceptance")
# CDK has an environment of its own, and its tests share what was synthesised once.
_OF_INFRA = _ROOT / ".venv-infra" / "bin" / "python"
# Many tests wait for a daemon most of their time, so there is one process more than processors.
# A module stays in one process, as its nursery and its server do.
_SIDE_BY_SIDE = (f"--numprocesses={(os.cpu_count() or 1) + 1}", "--dist=loadfile")


@dataclass(frozen=True, slots=True)
class Part:
    """How one part went."""

    name: str
    seconds: float
    failed: bool
    counts: tuple[int, int, int] = (0, 0, 0)
    """Passed, failed, skipped."""
    slowest: tuple[tuple[float, str], ...] = ()
    """Seconds and name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts and print the table."""
    parser = argparse.ArgumentParser(prog="run_tests", description=__doc__)
    parser.add_argument("--part", choices=("checks", *_SUITES), help="only this part")
    arguments = parser.parse_args(argv)
    parts: list[Part] = []
    if arguments.part in {None, "checks"}:
        parts += [_run_check(name, command) for name, command in _CHECKS]
    for suite in _SUITES:
        if arguments.part in {None, suite} and any((_ROOT / "tests" / suite).rglob("test_*.py")):
            parts.append(_run_suite(suite))
    _print_table(parts)
    return int(any(part.failed for part in parts))


def _run_check(name: str, command: Sequence[str]) -> Part:
    print(f"== {name}: {' '.join(command)}", flush=True)
    began = time.monotonic()
    done = subprocess.run([_BIN / command[0], *command[1:]], cwd=_ROOT, check=False)
    return Part(name, time.monotonic() - began, failed=done.returncode != 0)


def _run_suite(suite: str) -> Part:
    print(f"== {suite} tests", flush=True)
    began = time.monotonic()
    with TemporaryDirectory(prefix="towpath-tests-") as folder:
        report = Path(folder) / "report.xml"
        run: Sequence[str | Path] = (sys.executable, "-m", "pytest", "-q", *_SIDE_BY_SIDE)
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        if suite == "infra":
            run = (_OF_INFRA, "-m", "pytest", "-q")
            # What is imported of CDK is compiled once, here: its installation compiles nothing.
            environment.pop("PYTHONDONTWRITEBYTECODE")
        command = [*run, f"tests/{suite}", f"--junitxml={report}"]
        done = subprocess.run(command, cwd=_ROOT, env=environment, check=False)
        counts, slowest = _read_report(report)
    return Part(suite, time.monotonic() - began, done.returncode != 0, counts, slowest)


def _read_report(
    report: Path,
) -> tuple[tuple[int, int, int], tuple[tuple[float, str], ...]]:
    if not report.exists():
        return (0, 0, 0), ()
    tree = ET.parse(report)  # noqa: S314 - pytest wrote it a moment ago
    total = failed = skipped = 0

    for suite in tree.iter("testsuite"):
        total += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    times = [
        (float(case.get("time", 0)), f"{case.get('classname')}::{case.get('name')}")
        for case in tree.iter("testcase")
    ]
    return (total - failed - skipped, failed, skipped), tuple(sorted(times)[-_SLOWEST:])


def _print_table(parts: Sequence[Part]) -> None:
    print("\npart           seconds   passed   failed  skipped")
    for part in parts:
        passed, failed, skipped = part.counts
        shown = f"{passed:9d}{failed:9d}{skipped:9d}" if any(part.counts) else ""
        verdict = "" if not part.failed else "   FAILED"
        print(f"{part.name:<12}{part.seconds:10.1f}{shown}{verdict}")
    slowest = sorted(item for part in parts for item in part.slowest)[-_SLOWEST:]
    if slowest:
        print("\nslowest tests")
        for seconds, name in reversed(slowest):
            print(f"{seconds:10.1f}  {name}")
    passed, failed, skipped = (sum(part.counts[index] for part in parts) for index in range(3))
    failed += sum(part.failed and not any(part.counts) for part in parts)
    print(f"\n{sum(part.seconds for part in parts):.0f} s in all")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")


if __name__ == "__main__":
    sys.exit(main())
