"""The options of Sentinel-2's step: old spellings, defaults, and what is wrong all at once."""

from datetime import date
from pathlib import Path

import pytest

from pipelines.glacier.dates import Window
from pipelines.glacier.lines.line import parse_line
from pipelines.glacier.step.sentinel2.options import SYNTAX, Sentinel2Options, resolve
from shared.errors import UsageError
from tests.support.glacier_regions import Row, write_regions

TODAY = date(2026, 3, 1)
# As the handler of 2025 builds it.
LINE = (
    "--regions 134_Arsuk --date1 2024-08-01 --date2 2024-08-01 --download_flag 1"
    " --post_processing_flag 1 --cores 1 --base_dir /out/sentinel2 --log_name _runs/job.log"
)


@pytest.fixture(scope="module")
def region_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three regions of 9, 50 and 100 square kilometres."""
    rows = [Row("134_Arsuk"), Row("101_b", area=50.0), Row("001_c", area=100.0)]
    return write_regions(tmp_path_factory.mktemp("regions") / "r.gpkg", rows)


def resolved(region_file: Path, line: str, **environ: str) -> Sentinel2Options:
    """Return what a line means."""
    known = {"GLACIER_REGION_FILE": str(region_file), **environ}
    return resolve(parse_line(SYNTAX, line.split()), known, TODAY)


def names(options: Sentinel2Options) -> list[str]:
    """Return the regions in their order."""
    return [region.name for region in options.step.regions]


def test_line_of_the_handler_is_understood(region_file: Path) -> None:
    """Handlers that are deployed build it; it never changes."""
    options = resolved(region_file, LINE)

    assert names(options) == ["134_Arsuk"]
    assert options.step.window == Window(date(2024, 8, 1), date(2024, 8, 1))
    assert options.step.log_path == Path("/out/sentinel2/_runs/job.log")
    assert (options.download, options.post_processing, options.clear_downloads) == (
        True,
        True,
        False,
    )
    assert options.layout == "old"


def test_defaults_are_those_of_the_original(region_file: Path) -> None:
    """From the first day of the mission until today, every region by name."""
    options = resolved(region_file, "--base_dir /out --download_flag 1")

    assert options.step.window == Window(date(2015, 6, 23), TODAY)
    assert names(options) == ["001_c", "101_b", "134_Arsuk"]
    assert options.collection == "sentinel-2-l2a"
    assert options.step.stac_url == "https://earth-search.aws.element84.com/v1"
    assert options.step.log_path == Path("/out/sentinel_glacier.log")
    assert not options.reads_windows


def test_short_spellings_are_understood(region_file: Path) -> None:
    """Batch scripts have them, with a single dash."""
    line = "-r 134_Arsuk -d1 2024-08-01 -d2 2024-08-02 --base_dir /out --post_processing_flag 1"
    options = resolved(region_file, line)

    assert names(options) == ["134_Arsuk"]
    assert options.step.window.days == 2


@pytest.mark.parametrize(
    ("flags", "chosen"),
    [
        ("--min_area 50", ["001_c", "101_b"]),
        ("--max_area 50", ["134_Arsuk"]),
        ("--start_end_index 1:", ["101_b", "134_Arsuk"]),
        ("--ignore_regions 101_b", ["001_c", "134_Arsuk"]),
        ("--min_area 50 --start_end_index 0:1", ["001_c"]),
        ("--regions 134_Arsuk,,001_c", ["134_Arsuk", "001_c"]),
    ],
)
def test_regions_are_selected_as_everywhere(
    region_file: Path, flags: str, chosen: list[str]
) -> None:
    """Area first, then position, names, and what is left out."""
    line = f"--base_dir /out --download_flag 1 {flags}"

    assert names(resolved(region_file, line)) == chosen


def test_catalogue_and_region_file_are_those_of_line_then_environment(region_file: Path) -> None:
    """Images set the variables; a line beats them."""
    url = "http://127.0.0.1:8080/v1"
    line = "--base_dir /out --download_flag 1"

    assert resolved(region_file, line, GLACIER_STAC_URL=url).step.stac_url == url
    other = f"{line} --stac_url http://127.0.0.1:9/ --region_file {region_file}"
    asked = resolved(Path("/nowhere"), other, GLACIER_STAC_URL=url)
    assert asked.step.stac_url == "http://127.0.0.1:9"


def test_windows_are_read_only_where_nothing_is_kept(region_file: Path) -> None:
    """Fetching alone, or keeping what is fetched, needs whole tiles."""
    both = f"{LINE} --clear_downloads 1"

    assert resolved(region_file, both).reads_windows
    assert not resolved(region_file, both.replace("--download_flag 1", "")).reads_windows
    assert not resolved(region_file, LINE).reads_windows


def test_everything_that_is_wrong_is_told_at_once(region_file: Path) -> None:
    """One mistake a run is tiresome."""
    line = "--date1 2024-08-02 --date2 2024-08-01 --regions 134_arsuk,9 --download_flag 1"

    with pytest.raises(UsageError) as caught:
        resolved(region_file, line, GLACIER_STAC_URL="ftp://there")

    said = str(caught.value).splitlines()
    assert len(said) == 5
    for word in ("2024-08-02", "--base_dir", "'134_Arsuk'", "'9'", "GLACIER_STAC_URL"):
        assert any(word in line for line in said), word


@pytest.mark.parametrize(
    "flags",
    [
        "--download_flag 2",
        "--min_area -1",
        "--min_area nan",
        "--date1 2024-99-99",
        "--date1 20240801",
        "--log_name ..",
        "--stac_url file:///etc",
        "--start_end_index 5",
        "--region_file /nowhere.gpkg",
        "--regions 001_c --regions 134_Arsuk",
    ],
)
def test_bad_values_are_refused(region_file: Path, flags: str) -> None:
    """None of them is guessed at."""
    with pytest.raises(UsageError):
        resolved(region_file, f"--base_dir /out --download_flag 1 {flags}")


def test_nothing_to_do_is_bad_input(region_file: Path) -> None:
    """Both are off by default; doing nothing must not look like finding nothing."""
    with pytest.raises(UsageError, match="nothing to do"):
        resolved(region_file, "--base_dir /out")
