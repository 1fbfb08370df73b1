"""Write the JSON Schemas of the wildlife pipeline, from the models that check what they describe.

Rule: nothing in that folder is written by hand; `make reference` writes it, and a test compares.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from pipelines.wildlife.models.input import InputDocument

_MODELS: Mapping[str, type[BaseModel]] = {"input": InputDocument}


def schemas() -> Mapping[str, str]:
    """Return the content of each file by its name."""
    return {
        f"{name}.schema.json": json.dumps(_schema(model), indent=2) + "\n"
        for name, model in _MODELS.items()
    }


def _schema(model: type[BaseModel]) -> Mapping[str, object]:
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return dialect | model.model_json_schema()


def main(argv: Sequence[str]) -> int:
    """Write all of them into the folder that is named."""
    folder = Path(argv[0])
    for name, text in schemas().items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
