"""Every check and every test, with the time of each part: what `make test` runs.

What mostly waits runs beside what mostly computes: the tests of infra, in an environment of their
own, beside the checks, and the daemons' acceptance beside the units. A failing part does not hide
another; the exit status is 1 if any failed.
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
# The longest modules come first, so that none of them is left to run alone at the end.
_SUITES = ("acceptance", "integration", "contract", "unit")
_COMPILED = ("shared", "daemons", "pipelines", "scripts", "tests/support")
_WRITES_NOTHING = "PYTHONDONTWRITEBYTECODE"
# CDK has an environment of its own, and its tests share what was synthesised once.
_OF_INFRA = _ROOT / ".venv-infra" / "bin" / "python"
# Many tests wait for a daemon most of their time, so there is one process more than processors.
# A module stays in one process, as its nursery and its server do.
_SIDE_BY_SIDE = (
    f"--numprocesses={(os.cpu_count() or 1) + 1}",
    "--dist=loadfile",
    "--no-loadscope-reorder",
)


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
    choices = ("checks", "infra", *_SUITES)
    parser.add_argument("--part", choices=choices, help="only this part")
    part = parser.parse_args(argv).part
    began = time.monotonic()
    parts: list[Part] = []
    with TemporaryDirectory(prefix="towpath-tests-") as folder:
        beside = _start_infra(Path(folder)) if part in {None, "infra"} else None
        rewriting = _start_rewriting() if part is None else None
        if part in {None, "checks"}:
            parts += [_run_check(name, command) for name, command in _CHECKS]
        if beside is not None:
            parts.append(beside.finish())
        if rewriting is not None:
            rewriting.wait()
        suites = _SUITES if part is None else tuple({part} & set(_SUITES))
        if suites:
            parts += _run_suites(suites, Path(folder))
    _print_table(parts, time.monotonic() - began)
    return int(any(part.failed for part in parts))


def _run_check(name: str, command: Sequence[str]) -> Part:
    print(f"== {name}: {' '.join(command)}", flush=True)
    began = time.monotonic()
    done = subprocess.run([_BIN / command[0], *command[1:]], cwd=_ROOT, check=False)
    return Part(name, time.monotonic() - began, failed=done.returncode != 0)


@dataclass(frozen=True, slots=True)
class _Beside:
    """The tests of infra, under way."""

    process: subprocess.Popen[bytes]
    output: Path
    report: Path
    began: float

    def finish(self) -> Part:
        """Wait for them, show what they said, and return how it went."""
        failed = self.process.wait() != 0
        print("== infra tests", flush=True)
        sys.stdout.write(self.output.read_text(encoding="utf-8", errors="replace"))
        cases = _read_report(self.report)
        return _part("infra", time.monotonic() - self.began, cases, broken=failed)


def _start_infra(folder: Path) -> _Beside:
    output, report = folder / "infra.txt", folder / "infra.xml"
    command = (_OF_INFRA, "-m", "pytest", "-q", "tests/infra", f"--junitxml={report}")
    with output.open("wb") as stream:
        # What is imported of CDK is compiled once, here: its installation compiles nothing.
        process = subprocess.Popen(command, cwd=_ROOT, stdout=stream, stderr=subprocess.STDOUT)
    return _Beside(process, output, report, time.monotonic())


def _start_rewriting() -> "subprocess.Popen[bytes]":
    """Have pytest rewrite the assertions of every module once, and keep what it has written.

    Each of the processes that run the tests would do it by itself: half of what collecting takes.
    Whether it succeeds does not matter; what is wrong with a module is told when it is run.
    """
    environment = {k: v for k, v in os.environ.items() if k != _WRITES_NOTHING}
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", *_folders(_SUITES)]
    nothing = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=_ROOT, env=environment, stdout=nothing, stderr=nothing)


def _folders(suites: Sequence[str]) -> Sequence[str]:
    return [f"tests/{suite}" for suite in suites]


def _run_suites(suites: Sequence[str], folder: Path) -> Sequence[Part]:
    """Run the tests of several parts in one go; their seconds are those of the tests, added up."""
    # Hundreds of processes are started that write no bytecode, and would compile it each time.
    subprocess.run([sys.executable, "-m", "compileall", "-q", *_COMPILED], cwd=_ROOT, check=False)
    print(f"== tests: {', '.join(suites)}", flush=True)
    report = folder / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-q", *_SIDE_BY_SIDE, *_folders(suites)]
    environment = {**os.environ, _WRITES_NOTHING: "1"}
    done = subprocess.run(
        [*command, f"--junitxml={report}"], cwd=_ROOT, env=environment, check=False
    )
    cases = _read_report(report)
    parts = []
    for suite in suites:
        own = [case for case in cases if case.name.startswith(f"tests.{suite}.")]
        parts.append(_part(suite, sum(case.seconds for case in own), own, broken=False))
    if done.returncode != 0 and not any(part.failed for part in parts):
        parts.append(Part("pytest itself", 0.0, failed=True))
    return parts


@dataclass(frozen=True, slots=True)
class _Case:
    """One test."""

    name: str
    seconds: float
    failed: bool
    skipped: bool


def _part(name: str, seconds: float, cases: Sequence[_Case], *, broken: bool) -> Part:
    failed = sum(case.failed for case in cases)
    skipped = sum(case.skipped for case in cases)
    slowest = sorted((case.seconds, case.name) for case in cases)[-_SLOWEST:]
    counts = (len(cases) - failed - skipped, failed, skipped)
    return Part(name, seconds, broken or failed > 0, counts, tuple(slowest))


def _read_report(report: Path) -> Sequence[_Case]:
    if not report.exists():
        return ()
    tree = ET.parse(report)  # noqa: S314 - pytest wrote it a moment ago
    return [
        _Case(
            f"{case.get('classname')}::{case.get('name')}",
            float(case.get("time", 0)),
            failed=case.find("failure") is not None or case.find("error") is not None,
            skipped=case.find("skipped") is not None,
        )
        for case in tree.iter("testcase")
    ]


def _print_table(parts: Sequence[Part], seconds: float) -> None:
    print("\npart           seconds   passed   failed  skipped")
    for part in parts:
        passed, failed, skipped = part.counts
        shown = f"{passed:9d}{failed:9d}{skipped:9d}" if any(part.counts) else ""
        verdict = "" if not part.failed else "   FAILED"
        print(f"{part.name:<12}{part.seconds:10.1f}{shown}{verdict}")
    slowest = sorted(item for part in parts for item in part.slowest)[-_SLOWEST:]
    if slowest:
        print("\nslowest tests")
        for took, name in reversed(slowest):
            print(f"{took:10.1f}  {name}")
    passed, failed, skipped = (sum(part.counts[index] for part in parts) for index in range(3))
    failed += sum(part.failed and not any(part.counts) for part in parts)
    print(f"\n{seconds:.0f} s in all")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")


if __name__ == "__main__":
    sys.exit(main())
