"""What a benchmark leaves behind: a JSON file with the machine, beside the printed table."""

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

_BENCH = Path(__file__).resolve().parent


def write_report(name: str, measured: Mapping[str, object], *, load_before: float) -> None:
    """Write `bench/results/NAME-<time>.json`, and print where; `measured` is what is JSON's own."""
    now = datetime.now(UTC)
    results = _BENCH / "results"
    results.mkdir(exist_ok=True)
    path = results / f"{name}-{now:%Y%m%dT%H%M%SZ}.json"
    document = {
        "measured_at": now.isoformat(timespec="seconds"),
        "machine": {
            "processors": os.cpu_count(),
            "load_before": load_before,
            "load_after": os.getloadavg()[0],
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        **measured,
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
    print(f"written to {path.relative_to(_BENCH.parent)}")
