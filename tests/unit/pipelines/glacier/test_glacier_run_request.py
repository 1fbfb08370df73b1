"""What events and environments mean, and what is wrong with them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.glacier.dates import Window
from pipelines.glacier.finished import finished_text, parse_finished
from pipelines.glacier.regions import Selection, Slice
from pipelines.glacier.run.environment import NAMES, event_of_environment
from pipelines.glacier.run.request import Place, RunRequest, StepFlags, parse_event
from pipelines.glacier.run.settings import BadSettings, parse_settings
from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.step_events import SceneDone
from pipelines.glacier.submit.event import build_environment, build_event
from pipelines.glacier.submit.submission import Digests, Processing
from tests.support.glacier_plans import submission_of
from tests.support.glacier_run import event

REFERENCE = {
    "satellite": "sentinel2",
    "regions": "134_Arsuk",
    "date1": "2024-08-01",
    "date2": "2024-08-01",
    "s3_bucket": "greenland-glacier-data",
}


def problems(**changes: object) -> tuple[str, ...]:
    """Return what is wrong with an event that is right but for these fields."""
    return parse_event(event(**changes)).problems


def test_the_event_of_the_first_handler_is_understood() -> None:
    """Scripts that invoke the function by hand go on working."""
    parsed = parse_event(REFERENCE)

    assert parsed.request == RunRequest(
        Place(
            "greenland-glacier-data",
            "1_download_merge_and_clip",
            "sentinel2",
            "lambda-sentinel2-134_Arsuk",
        ),
        Selection(("134_Arsuk",)),
        Window(date(2024, 8, 1), date(2024, 8, 1)),
    )
    assert (parsed.problems, parsed.warnings) == ((), ())


def test_everything_a_submitter_sends_is_honoured() -> None:
    """Flags were read and ignored."""
    sent = event(
        download_flag=0,
        post_processing_flag="1",
        clear_downloads=True,
        cores=4,
        layout="new",
        force_reprocess="true",
        allow_stale=1,
        dry_run=True,
        project_digest="a" * 64,
        config_sha256="b" * 64,
        email="ops@example.org",
        base_dir="/elsewhere",
        log_name="x.log",
    )

    parsed = parse_event(sent)

    request = parsed.request
    assert request is not None
    assert request.flags == StepFlags(
        download=False, post_processing=True, clear_downloads=True, cores=4, layout="new"
    )
    assert (request.force_reprocess, request.allow_stale, request.dry_run) == (True, True, True)
    assert (request.project_digest, request.config_sha256) == ("a" * 64, "b" * 64)
    assert (parsed.warnings, parsed.ignored) == ((), ("base_dir", "log_name"))
    assert (request.submission_id, request.keeps_raw_tiles) == ("submission-1", False)


@pytest.mark.parametrize(
    ("changes", "names", "job_name"),
    [
        ({"regions": None}, ("134_Arsuk",), None),
        ({"region": None, "regions": ["A", "B"]}, ("A", "B"), "lambda-sentinel2-A_B"),
        ({"region": "", "regions": " A, B,,A "}, ("A", "B"), "lambda-sentinel2-A_B"),
        ({"region": "A,B", "regions": "A,B"}, ("A", "B"), "lambda-sentinel2-A_B"),
    ],
)
def test_either_name_gives_one_region_or_several(
    changes: Mapping[str, object], names: tuple[str, ...], job_name: str | None
) -> None:
    """Handlers of two generations named the field differently."""
    sent = event(**changes) if job_name is None else event(job_name=None, **changes)

    request = parse_event(sent).request

    assert request is not None
    assert request.selection.names == names
    assert request.regions_text == ",".join(names)
    assert job_name in {None, request.place.job_name}


def test_an_index_selects_where_no_names_do() -> None:
    """An index beat the names without a word."""
    sent = event(region=None, regions=None, job_name=None, start_end_index="5:7")

    request = parse_event(sent).request

    assert request is not None
    assert request.selection == Selection((), Slice(5, 7))
    assert request.place.job_name == "lambda-sentinel2-5_7"
    assert request.regions_text == "5:7"


def test_old_names_of_days_are_understood_with_a_warning() -> None:
    """They were in every script of the first year."""
    parsed = parse_event(
        event(date1=None, date2=None, start_date="2024-08-01", end_date="2024-08-02")
    )

    assert parsed.request is not None
    assert parsed.request.window.days == 2
    assert [line.split("'")[1] for line in parsed.warnings] == ["start_date", "end_date"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"satellite": None}, "'satellite' is missing"),
        ({"satellite": "modis"}, "'satellite' 'modis' is not valid"),
        ({"region": None, "regions": None}, "'regions' is missing"),
        ({"region": "A", "regions": "B"}, "contradict"),
        ({"regions": ["A", 1], "region": None}, "'regions'"),
        ({"regions": "../etc", "region": None}, "'regions' '../etc' is not valid"),
        ({"regions": ",", "region": None}, "'regions'"),
        ({"regions": "A" * 20_000, "region": None}, "'regions'"),
        ({"start_end_index": "0:5"}, "give one of the two"),
        ({"start_end_index": "5:5"}, "'start_end_index' '5:5' is not valid"),
        ({"date1": None}, "'date1' is missing"),
        ({"date2": "2024-02-31"}, "'date2' '2024-02-31' is not valid"),
        ({"date1": "2024-09-01"}, "is after"),
        ({"date1": "2024-08-01", "start_date": "2024-08-02"}, "contradict"),
        ({"start_date": "yesterday"}, "'start_date' 'yesterday'"),
        ({"s3_bucket": "No_Bucket"}, "'s3_bucket'"),
        ({"s3_base_path": "a/../b"}, "'s3_base_path'"),
        ({"job_name": "../../other"}, "'job_name'"),
        ({"job_name": "_runs"}, "'job_name'"),
        ({"cores": 0}, "'cores'"),
        ({"download_flag": 2}, "'download_flag'"),
        ({"layout": "older"}, "'layout'"),
        ({"submission_id": {"a": 1}}, "'submission_id'"),
        ({"force_reprocess": "perhaps"}, "'force_reprocess'"),
    ],
)
def test_what_is_missing_wrong_or_contradictory_is_named_once(
    changes: Mapping[str, object], said: str
) -> None:
    """A mistake ran a default glacier and was reported as a success."""
    found = problems(**changes)

    assert [said in line for line in found] == [True], found


def test_all_mistakes_are_told_at_once() -> None:
    """Nobody wants to send an event five times to learn five mistakes."""
    parsed = parse_event({"satellite": "modis", "date1": "x", "colour": "blue"})

    assert len(parsed.problems) == 4
    assert parsed.warnings == ("event field 'colour' is not known; it is not used",)


@pytest.mark.parametrize("sent", [None, [], "text", 5])
def test_what_is_no_object_is_no_event(sent: object) -> None:
    """An invocation without a payload gives the handler null."""
    parsed = parse_event(sent)

    assert (parsed.request, parsed.place) == (None, None)
    assert "the event is" in parsed.problems[0]


@pytest.mark.parametrize(
    ("changes", "has_place"),
    [
        ({"date1": None}, True),
        ({"job_name": None, "region": None, "regions": None}, False),
        ({"satellite": None}, False),
        ({"s3_bucket": "No_Bucket"}, False),
        ({"job_name": "a/b"}, False),
    ],
)
def test_the_record_of_a_bad_event_lies_where_the_event_leaves_no_doubt(
    changes: Mapping[str, object], *, has_place: bool
) -> None:
    """Whoever waits for the job finds it; nobody else's object is touched."""
    assert (parse_event(event(**changes)).place is not None) == has_place


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.sampled_from([*NAMES, "x"]) | st.text(max_size=5),
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=20)
        | st.lists(st.text(max_size=5))
        | st.floats(),
    )
)
def test_whatever_is_sent_is_a_request_or_has_problems(sent: dict[str, object]) -> None:
    """Everything from outside is hostile; the handler answers 400 and never trips."""
    parsed = parse_event(sent)

    assert (parsed.request is None) == bool(parsed.problems)


def test_an_environment_is_read_in_either_case() -> None:
    """Images of the cluster have lower-case names, those of AWS upper-case ones."""
    given_variables = {
        "SATELLITE": "landsat",
        "regions": "A",
        "REGIONS": "A",
        "DATE1": "",
        "PATH": "/",
    }

    assert event_of_environment(given_variables) == {"satellite": "landsat", "regions": "A"}
    with pytest.raises(ValueError, match="set one of them"):
        event_of_environment({"DATE1": "2024-08-01", "date1": "2024-08-02"})


def test_settings_have_defaults_that_fit_an_image() -> None:
    """An image needs no variable at all."""
    chosen = parse_settings({}, own_root="/opt/app", version="1")

    assert (chosen.mode, chosen.step, chosen.project_root) == ("image", "builtin", "/opt/app")
    assert (chosen.aws_region, chosen.endpoint_url) == ("us-west-2", None)


def test_a_project_of_the_bucket_runs_its_own_step() -> None:
    """That is what the mode is for; the built-in one can be asked for."""
    chosen = parse_settings(
        {
            "GLACIER_PROJECT_MODE": "s3",
            "GLACIER_RESERVE_SECONDS": "0",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9000",
        }
    )

    assert (chosen.step, chosen.project_root) == ("project", "/tmp/greenland-glacier-flow")
    assert (chosen.reserve_seconds, chosen.aws_region) == (0.0, "eu-west-1")
    assert chosen.endpoint_url == "http://127.0.0.1:9000"


def test_bad_settings_are_told_by_variable() -> None:
    """A function that is configured wrongly must not run with defaults."""
    with pytest.raises(BadSettings) as told:
        parse_settings({"GLACIER_PROJECT_MODE": "zip", "GLACIER_STEP": "mine"})

    assert [line.split()[1] for line in str(told.value).splitlines()] == [
        "GLACIER_PROJECT_MODE",
        "GLACIER_STEP",
    ]


def test_the_list_of_finished_scenes_comes_back_as_it_was_written() -> None:
    """The step reads what the run wrote, and leaves out what is none of it."""
    scenes = [SceneDone("A", "1", "present"), SceneDone("A", "2", "skipped", "dark")]
    text = finished_text([*scenes, SceneDone("A", "3", "failed")])

    found = parse_finished([*text.splitlines(), "{", '{"event": "found"}'])

    assert list(found.values()) == scenes


@pytest.mark.parametrize("satellite", ["sentinel2", "landsat"])
def test_what_a_submission_sends_is_understood_to_the_last_field(satellite: SatelliteName) -> None:
    """Event and environment of a job say the same, and neither says anything unknown."""
    processing = Processing(download_flag=False, clear_downloads=True, cores=3, layout="new")
    submission = replace(
        submission_of("lambda", satellite),
        processing=processing,
        digests=Digests("a" * 64, "b" * 64),
        email="ops@example.org",
        allow_stale=True,
    )
    sent = build_event(submission, "000_x", submission.window, "job-1")

    of_event = parse_event(sent)
    of_environment = parse_event(event_of_environment(build_environment(sent, processing)))

    assert (of_event.problems, of_event.warnings) == ((), ())
    assert of_event.request == of_environment.request
    assert of_event.request is not None
    assert of_event.request.flags.cores == 3
