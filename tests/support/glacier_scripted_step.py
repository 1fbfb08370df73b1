"""A processing step that follows the plan beside it; started by the runs of tests, never imported.

The plan is a list of `["found", REGION, [SCENE...]]`, `["write", REGION, SCENE, CONTENT]`,
`["skip", REGION, SCENE, REASON]`, `["file", PATH, CONTENT]`, `["hang"]`, `["say", TEXT]`,
`["tell", EVENT]`, `["silent"]` and `["exit", STATUS]`.
"""

import json
import os
import signal
import sys
from pathlib import Path


def main() -> int:
    """Do what the plan says, and leave out what is finished."""
    step = Step(sys.argv[1:])
    plan = json.loads((Path(__file__).resolve().parent / "plan.json").read_text())
    for action, *values in plan:
        if action == "exit":
            return int(values[0])
        if action == "tell":
            step.tell(**values[0])
        else:
            getattr(step, action)(*values)
    step.tell(event="summary", status="success" if step.scenes else "no_data")
    return 0


class Step:
    """The step's folder and words."""

    def __init__(self, argv: list[str]) -> None:
        given = dict(zip(argv[::2], argv[1::2], strict=True))
        self.base = Path(given["--base_dir"])
        self.landsat = self.base.name == "landsat"
        self.log = self.base / given["--log_name"]
        self.speaks = True
        self.scenes = 0
        lines = Path(os.environ["GLACIER_FINISHED"]).read_text().splitlines()
        self.finished = [json.loads(line) for line in lines]

    def tell(self, **said: object) -> None:
        """Append an event."""
        if self.speaks:
            with Path(os.environ["GLACIER_EVENTS"]).open("a") as stream:
                stream.write(json.dumps(said) + "\n")

    def silent(self) -> None:
        """Say no events from now on."""
        self.speaks = False

    def found(self, region: str, scenes: list[str]) -> None:
        """Say what is to be done."""
        self.scenes += len(scenes)
        self.tell(event="found", region=region, scenes=scenes)

    def write(self, region: str, scene: str, content: str) -> None:
        """Write a scene with its lineage, unless it is finished."""
        if self._is_finished(region, scene):
            return
        name = f"{region}/{scene}.tif" if self.landsat else f"{region}/clipped/{scene}.tif"
        self.file(name, content)
        files = [name]
        if not self.landsat:
            lineage = f"{region}/metadata/individual_csv/{scene}.csv"
            self.file(lineage, f"{scene},{scene}_T22VFP_B08.tif")
            files = [lineage, name]
        self.tell(event="scene", region=region, id=scene, status="written", files=files)

    def skip(self, region: str, scene: str, reason: str) -> None:
        """Leave a scene out."""
        if not self._is_finished(region, scene):
            self.tell(event="scene", region=region, id=scene, status="skipped", reason=reason)

    def file(self, path: str, content: str) -> None:
        """Write any file."""
        target = self.base / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)

    def say(self, text: str) -> None:
        """Write to the error output."""
        sys.stderr.write(f"{text}\n")

    def hang(self) -> None:
        """Work on a scene that never gets done."""
        signal.pause()

    def _is_finished(self, region: str, scene: str) -> bool:
        for event in self.finished:
            if (event["region"], event["id"]) == (region, scene):
                self.tell(**event)
                return True
        return False


if __name__ == "__main__":
    sys.exit(main())
