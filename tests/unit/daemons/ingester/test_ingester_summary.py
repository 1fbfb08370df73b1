from dataclasses import replace
from datetime import timedelta

import pytest

from daemons.ingester.phases.outcome import Outcome, Phase
from daemons.ingester.runs.summary import duration, history_entry, rate, rates, summary_lines
from daemons.ingester.syncing.compare import Direction
from daemons.ingester.syncing.gap import GapReport
from daemons.ingester.syncing.report import SyncReport
from tests.support.run_results import (
    failed_run,
    good_run,
    outcome,
    partial_run,
    run_result,
    site_result,
)


def test_errors_of_all_sites_come_last() -> None:
    """They are what somebody reads who sees the end of a long log."""
    first = site_result("hardfork", {Phase.RSS: outcome(("feed", "HTTP 500"))})
    second = site_result("naddpod", {Phase.UPLOAD: outcome(("audio/a.mp3", "denied"))})
    broken = replace(site_result("search", {}), misconfigured="id 'x' is wrong\nurl is missing")

    lines = list(summary_lines(run_result(first, second, broken)))

    at = lines.index("errors:")
    assert lines[0] == "run finished with errors: 3 sites in 1 min 15 s, 4 errors"
    assert lines[at + 1 :] == [
        "  hardfork: rss-retrieval: feed: HTTP 500",
        "  naddpod: s3-sync: audio/a.mp3: denied",
        "  search: configuration: id 'x' is wrong",
        "  search: configuration: url is missing",
    ]


def test_a_run_without_errors_says_so_and_lists_none() -> None:
    """Nobody has to look for what is not there."""
    lines = list(summary_lines(good_run()))

    assert lines[0] == "run finished: 1 site in 1 min 15 s, no errors"
    assert "errors:" not in lines


def test_each_site_says_how_its_phases_ended_and_what_was_done() -> None:
    """A phase that was left out is not one that went well."""
    site = site_result("hardfork", {Phase.PRE_SYNC: Outcome(), Phase.RSS: Outcome(skipped="flag")})
    site = replace(site, new_episodes=2, transcribed=1, uploads={"totalFilesSynced": 7})
    site = replace(site, index_triggered=True, index_accepted=True, index_confirmed=False)

    lines = list(summary_lines(run_result(site)))

    assert lines[1] == "  hardfork (Hardfork): pre-sync ok, rss-retrieval skipped"
    assert lines[2] == (
        "    2 new episodes, 1 transcribed, 7 uploaded, index accepted, index not confirmed"
    )


def test_what_is_no_failure_and_somebody_should_know_is_said() -> None:
    """Public links change, feeds have items without audio."""
    site = replace(site_result("hardfork"), renumbered=3, left_to_others=1, superseded=("a", "b"))
    site.skipped_items.update({"no enclosure": 4})
    site.outcomes[Phase.RSS].warnings.add("feed", "unknown zone")

    text = "\n".join(summary_lines(run_result(site)))

    for part in (
        "4 no enclosure",
        "3 existing episodes",
        "process: 1 episode",
        "2 files of",
        "1 warn",
    ):
        assert part in text


def test_thousands_of_errors_are_counted_and_not_all_shown() -> None:
    """The JSON has them; a terminal has an end."""
    many = outcome(*((f"audio/{number}.mp3", "denied") for number in range(3000)))

    lines = list(summary_lines(run_result(site_result("hardfork", {Phase.UPLOAD: many}))))

    assert lines[-1] == "  hardfork: and 2950 more, in the JSON"
    assert len(lines) < 70


def test_no_text_from_outside_acts_on_a_terminal_or_shows_a_secret() -> None:
    """Titles, reasons and addresses come from feeds."""
    phases = {Phase.RSS: outcome(("a\x1b[2J\nb", "https://x.test/?token=abcdef12345"))}
    site = replace(site_result("hardfork", phases), site_title="T\x07\r")

    text = "\n".join(summary_lines(run_result(site)))

    assert not {"\x1b", "\x07", "\r"} & set(text)
    assert "abcdef12345" not in text


@pytest.mark.parametrize(
    ("done", "attempted", "said"),
    [(0, 0, "n/a"), (3, 4, "3/4 (75 %)"), (0, 2, "0/2 (0 %)"), (999, 1000, "999/1000 (99 %)")],
)
def test_a_rate_is_of_what_was_attempted(done: int, attempted: int, said: str) -> None:
    """Nothing attempted is neither a success nor a failure, and 99.9 % is not all."""
    assert rate(done, attempted) == said


def test_rates_count_attempts() -> None:
    """What was left out was not attempted."""
    site = replace(failed_run().sites[0], transcribed=1, transcription_failures=1)

    found = dict(rates([site, site_result("naddpod")]))

    assert found == {
        "sites": "1/2 (50 %)",
        "downloads": "n/a",
        "transcriptions": "1/2 (50 %)",
        "uploads": "n/a",
        "index triggers": "n/a",
    }


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (59, "59.0 s"), (61, "1 min 1 s"), (7322, "2 h 2 min 2 s")],
)
def test_a_duration_reads_well(seconds: float, said: str) -> None:
    """Hours of seconds say nothing."""
    assert duration(timedelta(seconds=seconds)) == said


def test_the_json_has_every_count_of_an_upload_that_did_not_take_place() -> None:
    """Whoever adds them up must not have to know which phases were left out."""
    counts = SyncReport("hardfork", Direction.PUSH, GapReport("hardfork", "bucket")).upload_counts()

    document = site_result("hardfork", {}).to_json()

    assert {name: document[name] for name in counts} == dict.fromkeys(counts, 0)


def test_an_interrupted_run_says_so() -> None:
    """Its counts are not those of a whole run."""
    lines = list(summary_lines(run_result(site_result("hardfork", {}), interrupted=True)))

    assert lines[0].startswith("run interrupted: 1 site")
    assert "not begun" in lines[1]


def test_the_page_of_runs_has_date_status_and_errors() -> None:
    """It is what is left of a run after a year."""
    text = history_entry(partial_run())

    assert text.startswith("## 2026-11-21T08:00:03.412Z: run finished with errors\n")
    assert "- hardfork: rss-retrieval: hard-fork/a: HTTP 404\n" in text
