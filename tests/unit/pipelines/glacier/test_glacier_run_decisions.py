"""What a run decides without touching anything: time, command, outcome, rows, room."""

from dataclasses import replace

import pytest

from pipelines.glacier.job_record import RunStatus, SceneEntry
from pipelines.glacier.regions import Bounds, Region, Selection, Slice
from pipelines.glacier.run.arguments import StepPlaces, step_arguments, step_command
from pipelines.glacier.run.combined_csv import merge_combined
from pipelines.glacier.run.deadline import Budget, plan_budget
from pipelines.glacier.run.progress import Progress, StepEnd, explain, judge
from pipelines.glacier.run.raw_tiles import is_wanted_tile
from pipelines.glacier.run.request import StepFlags
from pipelines.glacier.run.silent_step import failures_of, scenes_of
from pipelines.glacier.run.space import TILE_BYTES, needed_bytes
from pipelines.glacier.step_events import Found, SceneDone, Summary
from tests.support.glacier_run import request_of

OK = StepEnd(stopped=False, ok=True)
STOPPED = StepEnd(stopped=True, ok=False)
BROKEN = StepEnd(stopped=False, ok=False, reason="exit status 1")
PLACES = StepPlaces("/w/out", "/w/events", "/w/finished", "/w/tmp", "/p/r.gpkg", "/p", "/own")
SQUARE = Region("A", 9.0, ("22VFP",), Bounds(0, 0, 3000, 3000))


@pytest.mark.parametrize(
    ("remaining", "keeps_raw_tiles", "reserve", "budget"),
    [
        (900.0, False, None, Budget(840.0, 885.0)),
        (900.0, True, None, Budget(780.0, 885.0)),
        (900.0, True, 20.0, Budget(880.0, 895.0)),
        (60.0, False, None, Budget(30.0, 52.5)),
        (900.0, False, 0.0, Budget(900.0, 900.0)),
        (1.0, False, None, Budget(0.0, 0.5)),
        (-5.0, False, None, Budget(0.0, 0.0)),
    ],
)
def test_behind_the_step_there_is_time_to_store_and_to_answer(
    remaining: float, *, keeps_raw_tiles: bool, reserve: float | None, budget: Budget
) -> None:
    """The reserve is twice as long with raw tiles, and never all that there is."""
    assert (
        plan_budget(remaining, keeps_raw_tiles=keeps_raw_tiles, reserve_seconds=reserve) == budget
    )


def test_the_step_is_given_the_list_that_the_scripts_have() -> None:
    """The flags were hard-coded."""
    asked = request_of(download_flag=0, cores=3, clear_downloads=None)

    assert step_arguments(asked, output="/out", log_name="x.log") == (
        *("--regions", "134_Arsuk", "--date1", "2024-08-01", "--date2", "2024-08-31"),
        *("--download_flag", "0", "--post_processing_flag", "1", "--cores", "3"),
        *("--base_dir", "/out", "--log_name", "x.log"),
    )


def test_what_differs_from_the_defaults_of_the_scripts_is_said() -> None:
    """Positions stand in the place of the names."""
    asked = replace(request_of(layout="new"), selection=Selection((), Slice(0, 5)))

    arguments = step_arguments(asked, output="/out", log_name="x.log")

    assert arguments[:2] == ("--start_end_index", "0:5")
    assert arguments[-4:] == ("--clear_downloads", "1", "--folder_structure", "new")


def test_landsat_is_never_given_what_it_rejects() -> None:
    """Its script knows neither flags of downloads nor cores nor layouts."""
    asked = request_of(satellite="landsat", clear_downloads=1, layout="new", cores=2)

    assert step_arguments(asked, output="/out", log_name="x.log") == (
        *("--regions", "134_Arsuk", "--date1", "2024-08-01", "--date2", "2024-08-31"),
        *("--base_dir", "/out", "--log_name", "x.log"),
    )


def test_the_step_is_a_module_of_ours_or_a_script_of_the_project() -> None:
    """A script runs in its own folder, with its own modules."""
    builtin = step_command(request_of(), "builtin", PLACES, python="py", log_name="x.log")
    script = step_command(
        request_of(satellite="landsat"), "project", PLACES, python="py", log_name="x.log"
    )

    assert builtin.argv[:3] == ("py", "-m", "pipelines.glacier.step.sentinel2")
    assert (builtin.folder, builtin.environment["PYTHONPATH"]) == ("/w/out", "/own")
    assert script.argv[:2] == ("py", "download_clip_landsat.py")
    assert script.folder == script.environment["PYTHONPATH"]
    assert script.folder == "/p/1_download_merge_and_clip/landsat"
    assert script.environment["AWS_REQUEST_PAYER"] == "requester"


@pytest.mark.parametrize(
    ("end", "summary", "failures", "cut_off", "status"),
    [
        (None, None, {}, False, "partial"),
        (OK, Summary("success"), {}, True, "partial"),
        (STOPPED, None, {}, False, "partial"),
        (STOPPED, None, {"k": "why"}, False, "partial"),
        (STOPPED, Summary("success"), {}, False, "success"),
        (BROKEN, Summary("success"), {}, False, "failed"),
        (OK, Summary("failed"), {}, False, "failed"),
        (OK, Summary("success"), {"k": "why"}, False, "failed"),
        (OK, Summary("no_data"), {}, False, "no_data"),
        (OK, Summary("success"), {}, False, "success"),
    ],
)
def test_how_a_run_went_follows_from_step_and_uploads(
    end: StepEnd | None,
    summary: Summary | None,
    failures: dict[str, str],
    *,
    cut_off: bool,
    status: RunStatus,
) -> None:
    """What is not stored is not done, and what was stopped goes on."""
    progress = Progress(summary=summary)

    assert judge(progress, end, failures=failures, cut_off=cut_off) == status


@pytest.mark.parametrize(
    ("scenes", "status"),
    [((), "no_data"), (("written",), "success"), (("written", "failed"), "failed")],
)
def test_a_step_that_says_nothing_is_judged_by_its_scenes(
    scenes: tuple[str, ...], status: RunStatus
) -> None:
    """Landsat's script ends with 0 whether it found nothing, failed or succeeded."""
    progress = Progress()
    for number, each in enumerate(scenes):
        progress.add(SceneDone("A", str(number), "failed" if each == "failed" else "written"))

    assert judge(progress, OK, failures={}, cut_off=False) == status


def test_a_failure_is_explained_by_what_is_nearest_to_its_cause() -> None:
    """One line must do for a table of jobs."""
    progress = Progress()
    progress.add(SceneDone("A", "1", "failed", "no tile"))

    assert explain(progress, BROKEN, {}) == "the processing step failed: exit status 1; 1: no tile"
    assert explain(progress, OK, {"k": "why"}) == "1 files could not be stored; k: why"
    assert explain(progress, OK, {}) == "1 scenes or regions failed; 1: no tile"
    assert explain(Progress(), BROKEN, {}) == "the processing step failed: exit status 1"


def test_the_record_keeps_what_earlier_deliveries_did() -> None:
    """A continuation reports as present what the first one wrote."""
    progress = Progress()
    progress.add(Found("A", ("1", "2", "3", "4")))
    progress.add(SceneDone("A", "1", "present"))
    progress.add(SceneDone("A", "2", "written"))
    before = [
        SceneEntry("1", "written"),
        SceneEntry("2", "pending"),
        SceneEntry("3", "skipped", "dark"),
    ]

    assert progress.entries(before) == (
        SceneEntry("1", "written"),
        SceneEntry("2", "written"),
        SceneEntry("3", "skipped", "dark"),
        SceneEntry("4", "pending"),
    )
    assert progress.pending == ["3", "4"]


def test_an_acquisition_of_two_regions_is_two_scenes() -> None:
    """Neighbouring regions share acquisitions, and one may be too cloudy for one of them."""
    progress = Progress(several_regions=True)
    progress.add(Found("A", ("1",)))
    progress.add(Found("B", ("1",)))
    progress.not_stored(SceneDone("A", "1", "written"), "no bucket")

    assert progress.with_status("failed") == [("A/1", "not stored: no bucket")]
    assert progress.pending == ["B/1"]


def test_an_account_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that says nonsense without end must not use up the memory."""
    monkeypatch.setattr("pipelines.glacier.run.progress.SCENES_MAX", 10)
    progress = Progress()
    for _ in range(2):
        progress.add(Found("A", tuple(map(str, range(15)))))
    for number in range(15):
        progress.add(SceneDone("A", str(number), "written"))

    assert (len(progress.found), len(progress.scenes)) == (10, 10)


@pytest.mark.parametrize(
    ("theirs", "ours", "merged"),
    [
        ("", "", ""),
        ("", "0,1\na_b_2_c,x\n", "0,1\na_b_2_c,x\n"),
        ("0,1\na_b_2_c,x\n", "", "0,1\na_b_2_c,x\n"),
        (
            "0,1,2\na_b_3_c,x,y\n",
            "0,1\na_b_2_c,z\n",
            "0,1,2\na_b_2_c,z,\na_b_3_c,x,y\n",
        ),
        ("0,1\na_b_2_c,old\n", "0,1\na_b_2_c,new\n", "0,1\na_b_2_c,new\n"),
        ("odd,x\n\n", "a_b_2_c,y", "0,1\nodd,x\na_b_2_c,y\n"),
    ],
)
def test_rows_are_merged_by_acquisition(theirs: str, ours: str, merged: str) -> None:
    """Every call overwrote the table with its own rows."""
    assert merge_combined(theirs, ours) == merged
    assert merge_combined(merged, ours) == merged, "merging again changes nothing"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("S2B_MSIL2A_20240801T143749_N0511_R039_T22VFP_20240801T201519_B08", True),
        ("S2B_MSIL2A_20240801T143749_N0511_R039_T22WEB_20240801T201519_B08", False),
        ("S2B_MSIL2A_20240901T143749_N0511_R039_T22VFP_20240801T201519_B08", False),
        ("S2B_MSIL2A_2024xx01T143749_N0511_R039_T22VFP_20240801T201519_B08", False),
        ("S2B_MSIL2A_20240801T143749", False),
    ],
)
def test_raw_tiles_are_chosen_by_their_names(name: str, *, wanted: bool) -> None:
    """Processing without downloads works on what an earlier run has stored."""
    assert is_wanted_tile(name, SQUARE, request_of().window) == wanted


def test_scripts_that_say_nothing_are_read_by_their_files() -> None:
    """A raster in the place of a scene is one; templates, tables and other regions are none."""
    sentinel2 = scenes_of(
        request_of(),
        ["A"],
        ["A/clipped/1.tif", "A/template/A.tif", "B/clipped/1.tif", "A/clipped/x.csv"],
    )
    landsat = scenes_of(request_of(satellite="landsat"), ["A"], ["A/1.tif", "_reference/A.tif"])

    assert sentinel2 == landsat == [SceneDone("A", "1", "written")]


def test_the_file_of_errors_names_the_scenes() -> None:
    """It is all that Landsat's script says of a failure."""
    lines = ["REGION: A, SUBSET ID: 1_ortho, Err: no such key", "something else"]

    assert failures_of(lines) == [SceneDone("A", "1_ortho", "failed", "no such key")]


def test_room_for_one_acquisition_is_the_least() -> None:
    """Disks were full after four tiles; where only windows are read, tiles need no room."""
    four = replace(SQUARE, tiles=("22VFP", "22VFQ", "22WEB", "22WEC"))
    windows = needed_bytes(request_of(clear_downloads=1), [SQUARE, four])

    assert needed_bytes(request_of(clear_downloads=0), [SQUARE, four]) - windows == 4 * TILE_BYTES
    assert needed_bytes(request_of(satellite="landsat"), [four]) < windows
    assert needed_bytes(request_of(), []) > 0
    assert not StepFlags().clear_downloads
