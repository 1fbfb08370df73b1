"""Sentinel-2's step between a catalogue on loopback and an output folder of a test's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.glacier.step.grid import Grid
from pipelines.glacier.step.sentinel2.command import main
from pipelines.glacier.step_events import EVENTS_VARIABLE, Found, SceneDone, Summary, parse_lines
from shared.cli import run_command
from tests.support.glacier_regions import Row, write_regions
from tests.support.glacier_scenes import BOUNDS, Place, Scene, pattern
from tests.support.glacier_stac import StacServer

REGION = "134_Arsuk"
GRID = Grid.of(BOUNDS, 10.0)
AUGUST = ("--date1", "2024-08-01", "--date2", "2024-08-31")
BOTH = ("--download_flag", "1", "--post_processing_flag", "1")
DOWNLOAD = ("--download_flag", "1")
POST_PROCESS = ("--post_processing_flag", "1")
CLEAR = ("--clear_downloads", "1")
ACQUISITION = "S2B_MSIL2A_20240801T143749_N0511_R039"
SECOND = "20240806T143749"
SECOND_ACQUISITION = "S2B_MSIL2A_20240806T143749_N0511_R039"


def whole(
    tile: str = "22VFP",
    seed: int = 0,
    *,
    sensed: str = "20240801T143749",
    baseline: str = "N0511",
) -> Scene:
    """Return a scene that covers all of the region."""
    place = Place.around()
    return Scene(place, pattern(place, seed), tile, sensed=sensed, baseline=baseline)


def partly(fraction: float, seed: int = 0, *, sensed: str = "20240801T143749") -> Scene:
    """Return a scene that covers so much of the region, from the west, but for its slant."""
    scene = whole(seed=seed, sensed=sensed)
    margin = 20
    scene.pixels[:, margin + round((scene.place.width - 2 * margin) * fraction) :] = 0
    return scene


def halves(seeds: tuple[int, int] = (1, 2), overlap: int = 40) -> tuple[Scene, Scene]:
    """Return the west in tile 22VFP and the east in 22VEP, with columns that both have."""
    place = Place.around()
    middle = place.width // 2
    west = place.part(0, 0, middle + overlap // 2, place.height)
    east = place.part(middle - overlap // 2, 0, place.width - middle + overlap // 2, place.height)
    return (
        Scene(west, pattern(west, seeds[0]), "22VFP"),
        Scene(east, pattern(east, seeds[1]), "22VEP"),
    )


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run of the step ended, and what it told."""

    status: int
    out: str
    err: str
    events: Sequence[Found | SceneDone | Summary]

    @property
    def done(self) -> dict[str, SceneDone]:
        """What became of each scene."""
        return {event.id: event for event in self.events if isinstance(event, SceneDone)}

    @property
    def statuses(self) -> dict[str, str]:
        """The status of each scene."""
        return {name: event.status for name, event in self.done.items()}

    @property
    def summary(self) -> Summary:
        """The last event, which stdout has as well."""
        (said,) = parse_lines(self.out.splitlines())
        assert isinstance(said, Summary)
        assert self.events[-1] == said
        return said


@dataclass(slots=True)
class Sentinel2Ground:
    """A region file, an output folder, and what runs the step."""

    root: Path
    stac: StacServer
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def __post_init__(self) -> None:
        self.stac.items.clear()
        self.stac.assets.clear()
        self.stac.faults.clear()
        self.stac.asked.clear()
        self.regions(Row(REGION, tiles="22VFP,22VEP"))

    @property
    def base(self) -> Path:
        """The output folder."""
        return self.root / "sentinel2"

    def regions(self, *rows: Row) -> None:
        """Have other regions."""
        path = self.root / "regions.gpkg"
        path.unlink(missing_ok=True)
        write_regions(path, rows)

    def publish(self, *scenes: Scene) -> None:
        """Add scenes to the catalogue."""
        for scene in scenes:
            self.stac.publish(scene)

    def run(self, *flags: str, region: str = REGION) -> Ran:
        """Run the step in this process."""
        events = self.root / "events.jsonl"
        events.unlink(missing_ok=True)
        self.monkeypatch.setenv(EVENTS_VARIABLE, str(events))
        where = ("--base_dir", str(self.base), "--region_file", str(self.root / "regions.gpkg"))
        line = [*where, "--stac_url", self.stac.url, "--regions", region, *AUGUST, *flags]
        status = run_command("glacier sentinel2", main, line)
        captured = self.capsys.readouterr()
        lines = events.read_text().splitlines() if events.exists() else []
        return Ran(status, captured.out, captured.err, parse_lines(lines))

    def files(self) -> list[str]:
        """Return everything below the output folder, but for the log."""
        found = (path for path in self.base.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.base)) for path in found if path.suffix != ".log")

    def scene(self, acquisition: str = ACQUISITION, region: str = REGION) -> Path:
        """Return where a scene lies in the layout of old."""
        return self.base / region / "clipped" / f"{acquisition}.tif"
