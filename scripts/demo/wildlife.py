"""Fifth chapter: three trail cameras, whose clocks are wrong in three ways, and a budget.

No AWS, no network: the state machine that AWS would execute is executed here, and the detector is a
real process with a little model of its own.
"""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from anyio import to_thread

from scripts.demo.board import Row
from scripts.demo.checks import Check
from scripts.demo.children import Children, open_children
from scripts.demo.ended import Ended, run_to_end
from scripts.demo.stage import DemoFailed, Stage
from scripts.demo.wildlife_card import Cards, write_cards
from scripts.demo.wildlife_facts import Ending, digest_of, find
from scripts.demo.wildlife_forest import CAMERAS, Forest, grow_forest
from scripts.demo.wildlife_verdict import judge
from tests.support.tiny_detector import write_tiny_detector

TITLE = "Camera traps"
MEANING = (
    "pictures of trail cameras: clocks repaired, animals found, sightings with place and weather, "
    "a table and a report, within a budget"
)
_RUN_SECONDS = 150.0
_MODEL_PIXELS = 320
_BUDGET, _TOO_LITTLE = 1.0, 0.01
"""DKK."""
_SIZES = {"full": (26, 40), "small": (4, 3)}
"""Visits and quiet pictures of each camera."""


async def run_chapter(stage: Stage) -> bool:
    """Play the chapter; returns whether every promise was kept.

    Raises:
        DemoFailed: it could not be played to its end.
    """
    stage.board.chapter(TITLE, MEANING)
    async with open_children() as children:
        story = _Story(stage, children)
        with stage.board.live():
            await story.prepare()
            ending = await story.play()
            try:
                checks = judge(ending, await to_thread.run_sync(find, story.results))
            except OSError as error:
                raise DemoFailed(f"the run left no results: {error}; see {stage.folder}") from error
        story.show(checks)
    return all(check.holds for check in checks)


class _Story:
    """The chapter's course."""

    def __init__(self, stage: Stage, children: Children) -> None:
        self._stage = stage
        self._children = children
        self._folder = stage.folder.resolve()
        self._flags: Sequence[str] = ()
        self._forest: Forest
        self._cards: Cards

    @property
    def results(self) -> Path:
        """Where the run writes."""
        return self._folder / "results"

    async def prepare(self) -> None:
        """Let animals walk, and lay out what their cameras have seen."""
        visits, quiet = _SIZES[self._stage.scale]
        self._forest = grow_forest(datetime.now(UTC), visits=visits, quiet=quiet)
        self._cards = await to_thread.run_sync(write_cards, self._folder, self._forest)
        model = self._folder / "model.onnx"
        digest = await to_thread.run_sync(write_tiny_detector, model, _MODEL_PIXELS)
        self._flags = (
            *("--clocks-uri", self._cards.clocks.as_uri()),
            *("--known-places-uri", self._cards.places.as_uri()),
            *("--detector", "yolo", "--model-uri", model.as_uri(), "--model-sha256", digest),
            *("--weather", "static", "--weather-file", str(self._cards.weather)),
        )
        names = ", ".join(camera.name for camera in CAMERAS)
        self._stage.board.say(
            f"{self._cards.count} pictures of {names}: {len(self._forest.visits)} visits of "
            f"animals, and {len(self._cards.broken)} files that are no pictures"
        )

    async def play(self) -> Ending:
        """Validate, run, run again, and run with too little money."""
        refused = self._folder / "refused"
        await to_thread.run_sync(self._write_documents, refused)
        validated = await self._towpath("validate", "run")
        ran = await self._towpath("run", "run")
        before = await to_thread.run_sync(digest_of, self.results)
        again = await self._towpath("run", "run", name="again")
        after = await to_thread.run_sync(digest_of, self.results)
        dear = await self._towpath("run", "dear", name="dear")
        return Ending(
            forest=self._forest,
            cards=self._cards,
            validated=validated,
            ran=ran,
            again=again,
            refused=dear,
            unchanged=before == after and bool(before),
            refused_left=sorted(str(path) for path in refused.rglob("*") if path.is_file()),
        )

    def show(self, checks: Sequence[Check]) -> None:
        """Sum up."""
        board = self._stage.board
        board.summary("Checked", [check.row() for check in checks])
        board.summary(
            "To look at",
            [
                Row("report", str(self.results / "report.html")),
                Row("results/", "clusters.parquet, run_report.json, manifests, crops"),
                Row("cards/", "the pictures, a folder for each camera"),
                Row("run.json", "the input document; dear.json is the one with too little money"),
                Row("*.log", "what each command said"),
            ],
        )
        failed = [check.claim for check in checks if not check.holds]
        if failed:
            board.verdict(f"Not true this time: {'; '.join(failed)}.", good=False)
        else:
            board.verdict("Every visit is in the table, at the time it happened.", good=True)

    def _write_documents(self, refused: Path) -> None:
        run = {
            "input_uri": self._cards.pictures.as_uri() + "/",
            "output_uri": self.results.as_uri() + "/",
            "budget_dkk": _BUDGET,
            "weather_days_back": 365,
        }
        dear = {"output_uri": refused.as_uri() + "/", "budget_dkk": _TOO_LITTLE, "use_spot": False}
        for name, document in {"run": run, "dear": run | dear}.items():
            path = self._folder / f"{name}.json"
            path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

    async def _towpath(self, verb: str, document: str, *, name: str = "") -> Ended:
        """Run a command of `towpath wildlife` to its end."""
        words = ["--input", str(self._folder / f"{document}.json")]
        if verb == "run":
            words += ["--mode", "local", *self._flags]
            words += ["--state-directory", str(self._folder / "state")]
        ended = await run_to_end(
            self._children,
            f"{verb} {document}",
            [sys.executable, "-m", "pipelines.wildlife", verb, *words],
            log=self._folder / f"{name or verb}.log",
            seconds=_RUN_SECONDS,
        )
        last = next((line for line in reversed(ended.said) if line.strip(" }")), "nothing")
        self._stage.board.say(f"{verb} {document}.json: exit status {ended.status}; {last.strip()}")
        return ended
