"""Write the JSON Schemas of the wildlife pipeline, from the models that check what they describe.

Rule: nothing in that folder is written by hand; `make reference` writes it, and a test compares.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from pipelines.wildlife.models.detections import (
    DetectionLine,
    DetectionSummary,
    DropLine,
    PredictionLine,
)
from pipelines.wildlife.models.input import InputDocument
from pipelines.wildlife.models.observations import ObservationLine
from pipelines.wildlife.models.payload import Output, Payload
from pipelines.wildlife.models.pictures import PictureErrorLine, PictureLine
from pipelines.wildlife.models.report import RunReport
from pipelines.wildlife.models.tables import DetectionRow, EventRow, ObservationRow
from pipelines.wildlife.models.weather import WeatherLine

_GIVEN: Mapping[str, type] = {"input": InputDocument, "payload": Payload}
"""What others write, and is checked here: fields with a default may be missing."""
_WRITTEN: Mapping[str, type] = {
    "output": Output,
    "picture": PictureLine,
    "picture_error": PictureErrorLine,
    "detection": DetectionLine,
    "prediction": PredictionLine,
    "drop": DropLine,
    "detection_summary": DetectionSummary,
    "observation": ObservationLine,
    "weather": WeatherLine,
    "observations_v1": ObservationRow,
    "events_v1": EventRow,
    "detections_v1": DetectionRow,
    "run_report": RunReport,
}
"""What is written here."""


def schemas() -> Mapping[str, str]:
    """Return the content of each file by its name."""
    given = {name: _schema(model, "validation") for name, model in _GIVEN.items()}
    written = {name: _schema(model, "serialization") for name, model in _WRITTEN.items()}
    return {
        f"{name}.schema.json": json.dumps(schema, indent=2) + "\n"
        for name, schema in (given | written).items()
    }


def _schema(model: type, mode: Literal["validation", "serialization"]) -> Mapping[str, object]:
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return dialect | TypeAdapter(model).json_schema(mode=mode)


def main(argv: Sequence[str]) -> int:
    """Write all of them into the folder that is named."""
    folder = Path(argv[0])
    for name, text in schemas().items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
