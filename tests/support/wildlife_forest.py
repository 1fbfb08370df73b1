"""A folder of pictures with an input document, for whole runs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.wildlife_pictures import Animal, Exif, make_picture, make_sidecar

MOOSE, FOX = Animal("moose", (40, 30, 90, 80)), Animal("fox", (20, 20, 60, 60), 0.7)
_PLACES = {"input_uri": "raw", "output_uri": "out"}


class Forest:
    """Two cameras, three pictures, two animals; more can be taken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.state = folder / "state"
        self.take("cam01", "IMG_0001.JPG", 4, [MOOSE])
        self.take("cam01", "IMG_0002.JPG", 5, [])
        self.take("cam02", "IMG_0001.JPG", 6, [FOX])

    def take(self, camera: str, name: str, hour: int, animals: Sequence[Animal] = ()) -> None:
        """Put a picture, and beside it what a detector would say of it."""
        path = self.folder / "raw" / camera / name
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Exif(original=f"2026:06:01 {hour:02d}:30:00", position=(59.3, 18.0))
        path.write_bytes(make_picture(exif=exif, animals=animals))
        if animals:
            path.with_name(f"{name}.detections.json").write_bytes(make_sidecar(animals))

    def document(self, **said: Any) -> str:
        """Write an input document, and return its path."""
        path = self.folder / "input.json"
        places = {name: (self.folder / each).as_uri() for name, each in _PLACES.items()}
        path.write_text(json.dumps({**places, "budget_dkk": 25, **said}))
        return str(path)

    def events(self) -> Sequence[Mapping[str, Any]]:
        """Return the history of the newest run."""
        path = max(self.state.glob("runs/*/history.jsonl"))
        return [json.loads(line) for line in path.read_text().splitlines()]

    def entered(self) -> Sequence[str]:
        """Return the states that the newest run has entered."""
        found = (event.get("stateEnteredEventDetails") for event in self.events())
        return [details["name"] for details in found if details]

    def attempts(self) -> Sequence[str]:
        """Return how the attempts of the newest run's detection ended."""
        for event in self.events():
            details = event.get("stateExitedEventDetails", {})
            if details.get("name") == "SubmitBatchStage1":
                job = json.loads(details["output"])["stage1_job"]
                return [each["StatusReason"].split(" (")[0] for each in job["attempts"]]
        return []
