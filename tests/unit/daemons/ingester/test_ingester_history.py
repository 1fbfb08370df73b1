import json
from datetime import timedelta
from pathlib import Path

import pytest

from daemons.ingester.phases.outcome import Phase
from daemons.ingester.runs import history
from daemons.ingester.runs.history import History, summary_document
from tests.support.run_results import AT, good_run, outcome, partial_run, run_result, site_result


def test_the_newest_run_comes_first(tmp_path: Path) -> None:
    """Whoever opens the page wants to know about tonight."""
    kept = History(tmp_path)
    for days in (0, 2, 1):
        kept.add(good_run(at=AT + timedelta(days=days)))

    headings = [line for line in kept.page.read_text().splitlines() if line.startswith("## ")]

    assert [heading[3:13] for heading in headings] == ["2026-11-23", "2026-11-22", "2026-11-21"]


def test_a_runs_json_is_the_whole_summary(tmp_path: Path) -> None:
    """The hook is given its path."""
    path = History(tmp_path).add(partial_run())

    document = json.loads(path.read_text())
    assert path.parent == tmp_path / "runs"
    assert document["errorCount"] == 1
    assert document["results"][0]["errors"][0]["message"] == "HTTP 404"


def test_what_was_written_before_stays_as_it_was(tmp_path: Path) -> None:
    """A history that is rewritten is lost by one bad write."""
    kept = History(tmp_path)
    path = kept.add(good_run())
    before = path.read_bytes()

    kept.add(good_run(at=AT + timedelta(seconds=1)))

    assert path.read_bytes() == before


def test_the_oldest_go_when_there_are_more_than_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run each quarter of an hour would fill a disk in years."""
    monkeypatch.setattr(history, "RUNS_KEPT", 3)
    kept = History(tmp_path)

    for days in range(5):
        kept.add(good_run(at=AT + timedelta(days=days)))

    assert len(list((tmp_path / "runs").iterdir())) == 6
    assert kept.page.read_text().count("\n## ") == 3
    assert "2026-11-21" not in kept.page.read_text()


def test_no_secret_is_in_a_summary() -> None:
    """A feed's address may carry one, and the summary is passed around."""
    failed = outcome(("https://feeds.test/x?token=abcdef12345", "AKIAIOSFODNN7EXAMPLE refused"))

    text = summary_document(run_result(site_result("a", {Phase.RSS: failed}))).decode()

    assert "abcdef12345" not in text
    assert "AKIAIOSFODNN7EXAMPLE" not in text


def test_any_text_can_be_kept(tmp_path: Path) -> None:
    """Half a character from a broken feed must not cost the record of the night."""
    failed = outcome(("\ud800", "\x00 \N{SNOWMAN}"))

    path = History(tmp_path).add(run_result(site_result("a", {Phase.RSS: failed})))

    assert json.loads(path.read_text())["errorCount"] == 1
