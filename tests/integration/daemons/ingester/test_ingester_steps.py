import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemons.ingester.commands.steps import only
from daemons.ingester.phases.index_marker import pending_marker
from daemons.ingester.phases.outcome import Phase
from daemons.ingester.settings import Settings
from tests.support.aws_answers import Answer, denied
from tests.support.ingest_commands import CommandGround, open_commands
from tests.support.ingest_project import ACCOUNT_A, ACCOUNT_B

TRANSCRIPT = "transcripts/hardfork-podcast/2026-03-02_Episode_1--1749472638931.srt"
FUNCTIONS = {
    "rss-retrieval": "rss-retrieval-hardfork",
    "process-audio": "whisper-transcription-hardfork",
    "srt-indexing": "srt-indexing-hardfork",
}
DONE = {"status": "success", "message": "", "newEntriesAdded": 3}


@pytest.fixture
def ground(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[CommandGround]:
    """One site whose account is in order and has all functions."""
    with open_commands(tmp_path, monkeypatch, capsys) as made:
        made.add_site("hardfork", ACCOUNT_B)
        made.aws.functions.update(FUNCTIONS.values())
        yield made


@pytest.mark.parametrize(("verb", "function"), FUNCTIONS.items())
def test_step_in_the_cloud_waits_for_the_function(
    ground: CommandGround, verb: str, function: str
) -> None:
    """Who asks by hand wants to know how it ended."""
    ground.aws.answers[function] = [Answer(body=json.dumps(DONE).encode())]

    ended = ground.call(verb, "--env=prod", "--format=json")

    assert (ended.status, ended.complaints()) == (0, [])
    assert ended.documents() == [{"siteId": "hardfork", "function": function, "answer": DONE}]
    (invoked,) = ground.aws.invoked
    assert (invoked.kind, invoked.payload) == ("RequestResponse", b"{}")
    assert invoked.session.account_id == ACCOUNT_B


def test_function_that_reports_an_error_is_one(ground: CommandGround) -> None:
    """Lambda calls it a success: only the answer says otherwise."""
    said = {"status": "error", "message": "out of memory"}
    ground.aws.answers["srt-indexing-hardfork"] = [Answer(body=json.dumps(said).encode())]

    ended = ground.call("srt-indexing", "--env=prod")

    assert ended.status == 1
    assert '"out of memory"' in ended.out
    (complaint,) = ended.complaints()
    assert complaint.endswith("'srt-indexing-hardfork' reports an error: out of memory")


def test_function_that_is_denied_at_one_site_costs_that_site(ground: CommandGround) -> None:
    """The automation role may not fetch feeds unless somebody has granted it."""
    ground.add_site("naddpod", ACCOUNT_A)
    ground.aws.functions.add("rss-retrieval-naddpod")
    ground.aws.answers["rss-retrieval-hardfork"] = [denied()]

    ended = ground.call("rss-retrieval", "--env=prod")

    assert ended.status == 1
    assert ended.out == "naddpod\trss-retrieval-naddpod\t{}\n"
    (complaint,) = ended.complaints()
    assert "site 'hardfork': function 'rss-retrieval-hardfork' gave no result" in complaint


def test_person_acts_with_the_profile_that_the_site_names(
    ground: CommandGround, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person may do in an account what the automation role is not granted."""
    ground.call("gap")
    (session,) = ground.aws.assumed
    profiles = tmp_path / "credentials"
    profiles.write_text(
        f"[hardfork-admin]\naws_access_key_id={session.access_key}\n"
        f"aws_secret_access_key=x\naws_session_token={session.token}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profiles))
    folder = ground.project.folder("hardfork")
    (folder / ".env.aws-sso").write_text("AWS_PROFILE=hardfork-admin\n")

    ended = ground.call("srt-indexing", "--env=prod")

    assert ended.status == 0
    assert [each.session for each in ground.aws.invoked] == [session]
    assert ground.aws.assumed == [session]


def test_dry_run_of_a_function_is_refused(ground: CommandGround) -> None:
    """It would be a real one."""
    ended = ground.call("srt-indexing", "--env=prod", "--dry-run")

    assert ended.status == 2
    assert "--dry-run goes with --env=local" in ended.err
    assert ground.aws.asked == []


def test_step_here_is_a_run_of_one_phase_without_credentials(ground: CommandGround) -> None:
    """It has the run's locks, limits and summary, and touches nothing in AWS."""
    (ground.project.root / ".env.automation").unlink()

    ended = ground.call("srt-indexing", "--format=json")

    assert ended.status == 0
    (summary,) = ended.documents()
    (site,) = summary["results"]
    assert {name: phase["status"] for name, phase in site["phases"].items()} == {
        "pre-sync": "skipped",
        "consistency-check": "skipped",
        "rss-retrieval": "skipped",
        "audio-processing": "skipped",
        "search-entries": "ok",
        "s3-sync": "skipped",
        "cloud-indexing": "skipped",
        "cloudfront-invalidation": "skipped",
    }
    assert ground.aws.asked == []
    assert not (ground.state / "interval.json").exists()


def test_index_is_built_here_behind_the_entries(ground: CommandGround) -> None:
    """Who builds indexes at home does so with this step, and the next run must take it along."""
    ground.lay_here("hardfork", "rss/hardfork-podcast.xml")
    command = ["sh", "-c", "printf index-of-{site} > {index}"]
    options = ["--index-mode=local", *(f"--index-command={word}" for word in command)]

    planned = ground.call("srt-indexing", *options, "--dry-run")
    first = ground.call("srt-indexing", *options)
    second = ground.call("srt-indexing", *options, "--format=json")

    assert (planned.status, first.status, second.status) == (0, 0, 0)
    assert first.out.endswith("hardfork\tindex built\n")
    assert second.documents()[1] == {"siteId": "hardfork", "index": "unchanged", "error": ""}
    assert ground.files("hardfork")["search-index/orama_index.msp"] == b"index-of-hardfork"
    assert pending_marker(ground.state, "hardfork").is_set()


def test_index_that_cannot_be_built_is_an_error(ground: CommandGround) -> None:
    """The old one stays, and somebody has to know."""
    ground.lay_here("hardfork", "rss/hardfork-podcast.xml")

    ended = ground.call("srt-indexing", "--index-mode=local", "--index-command=false")

    assert ended.status == 1
    (complaint,) = ended.complaints()
    assert complaint.startswith("towpath ingester srt-indexing: site 'hardfork': 'false' failed")
    assert not pending_marker(ground.state, "hardfork").is_set()


def test_no_index_is_built_of_files_that_are_gone(ground: CommandGround) -> None:
    """The next run would put an empty index in the place of a good one."""
    ground.lay_here("hardfork", "rss/hardfork-podcast.xml")
    counts = ground.state / "sync" / "hardfork" / "files.json"
    counts.parent.mkdir(parents=True)
    counts.write_text('{"transcripts": 12}')

    ended = ground.call("srt-indexing", "--index-mode=local", "--index-command=true")

    assert ended.status == 1
    (complaint,) = ended.complaints()
    assert "held 12 files and holds none now; mount the drive" in complaint
    assert not pending_marker(ground.state, "hardfork").is_set()


def test_summary_of_a_step_is_told_to_people(ground: CommandGround) -> None:
    """The text is that of a run."""
    ended = ground.call("process-audio", "--dry-run")

    assert ended.status == 0
    assert ended.out.startswith("dry run finished: 1 site in ")


def test_only_one_phase_is_left(tmp_path: Path) -> None:
    """A file that skips the phase for runs does not skip it for who asks for it by name."""
    settings = Settings(root=tmp_path, skip_rss_retrieval=True)

    chosen = only(Phase.RSS, settings)

    assert chosen.local_only
    assert not chosen.skip_rss_retrieval
    assert chosen.skip_audio_processing
    assert chosen.skip_search_entries
