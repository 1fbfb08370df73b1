"""`python -m bench.wildlife_stage2_ways ours|naive FOLDER`: one way of grouping a season.

The naive way is the straightforward script: all lines as dictionaries, one more dictionary to join
them by, each observation compared with each place. It finds the same observations.
"""

import asyncio
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import asin, cos, radians, sin, sqrt
from pathlib import Path
from typing import Any, TypeAlias

Line: TypeAlias = dict[str, Any]
Middle: TypeAlias = list[float]
"""Sums of latitudes and longitudes, and how many they are of."""
_WINDOW = timedelta(minutes=10)
_RADIUS_METERS = 5.0
_SURE, _LIKELY = 0.8, 0.5


def ours(folder: Path) -> None:
    """Run the state as local mode does."""
    # What the naive way does not need is not imported for it.
    from pipelines.wildlife.costs.prices import BOOKS  # noqa: PLC0415 - as above
    from pipelines.wildlife.document.checks import check_document  # noqa: PLC0415 - as above
    from pipelines.wildlife.guard import Found, Queues, guard_budget  # noqa: PLC0415 - as above
    from pipelines.wildlife.settings import RunSettings  # noqa: PLC0415 - as above
    from pipelines.wildlife.states.stage2_post import run  # noqa: PLC0415 - as above
    from pipelines.wildlife.states.world import World  # noqa: PLC0415 - as above
    from pipelines.wildlife.storage.folder import FolderStorage  # noqa: PLC0415 - as above

    uris = {"input_uri": f"file://{folder}/in/", "output_uri": f"file://{folder}/out/"}
    request = check_document({**uris, "budget_dkk": 1000}, local=True)
    found = Found(1, Counter({"cam00": 1}))
    event = guard_budget(request, found, BOOKS, Queues("q", "q", "q"), datetime.now(UTC))
    world = World(storage=FolderStorage(), settings=RunSettings(), local=True)
    asyncio.run(run(event, world))


def naive(folder: Path) -> None:
    """Group with dictionaries and lists."""
    stage = folder / "out" / "stage1"
    detections = _load(stage / "manifest.jsonl")
    labels = {line["detection_id"]: line for line in _load(stage / "predictions.jsonl")}
    groups: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in detections:
        label = labels[line["detection_id"]]
        if label["confidence"] >= _LIKELY and label["label"] != "human":
            line["confidence"] = label["confidence"]
            line["moment"] = datetime.fromisoformat(line["timestamp"])
            groups[line["camera_id"], label["label"]].append(line)
    observations = [
        _observation(camera_id, species, members)
        for (camera_id, species), lines in groups.items()
        for members in _windows(sorted(lines, key=lambda line: line["moment"]))
    ]
    observations.sort(key=lambda each: (each["start_time"], each["observation_id"]))
    middles: list[Middle] = []
    for each in observations:
        each["cluster_id"] = _place(middles, each["latitude"], each["longitude"])
    with (folder / "naive.jsonl").open("w") as target:
        for each in observations:
            target.write(json.dumps(each) + "\n")


def _load(path: Path) -> list[Line]:
    with path.open() as lines:
        return [json.loads(line) for line in lines]


def _windows(lines: Sequence[Line]) -> Iterator[list[Line]]:
    members: list[Line] = []
    for line in lines:
        if members and line["moment"] - members[0]["moment"] > _WINDOW:
            yield members
            members = []
        members.append(line)
    yield members


def _observation(camera_id: str, species: str, members: Sequence[Line]) -> Line:
    start, end = members[0]["moment"], members[-1]["moment"]
    name = f"{camera_id}|{species}|{start:%Y-%m-%dT%H:%M:%SZ}"
    scores = [line["confidence"] for line in members]
    boxes = Counter(line["event_id"] for line in members)
    return {
        "observation_id": f"obs-{sha256(name.encode()).hexdigest()[:16]}",
        "camera_id": camera_id,
        "species": species,
        "start_time": start.isoformat(),
        "end_time": end.isoformat(),
        "duration_seconds": (end - start).total_seconds(),
        "max_confidence": max(scores),
        "avg_confidence": sum(scores) / len(scores),
        "frame_count": len(boxes),
        "individual_count": max(boxes.values()),
        "needs_review": max(scores) < _SURE,
        "latitude": sum(line["latitude"] for line in members) / len(members),
        "longitude": sum(line["longitude"] for line in members) / len(members),
        "detection_timeline": [
            {name: line[name] for name in ("timestamp", "confidence", "crop_path")}
            for line in members
        ],
    }


def _place(middles: list[Middle], latitude: float, longitude: float) -> int:
    """Return the number of the nearest place, a new one where none is near enough."""
    found, least = len(middles), _RADIUS_METERS
    for number, (north, east, count) in enumerate(middles):
        away = _distance_meters(latitude, longitude, north / count, east / count)
        if away <= least:
            found, least = number, away
    if found == len(middles):
        middles.append([0.0, 0.0, 0])
    for axis, value in enumerate((latitude, longitude, 1)):
        middles[found][axis] += value
    return found


def _distance_meters(latitude: float, longitude: float, north: float, east: float) -> float:
    upright = sin(radians(north - latitude) / 2) ** 2
    across = sin(radians(east - longitude) / 2) ** 2
    share = upright + cos(radians(latitude)) * cos(radians(north)) * across
    return 2 * 6_371_000.0 * asin(sqrt(share))


if __name__ == "__main__":
    {"ours": ours, "naive": naive}[sys.argv[1]](Path(sys.argv[2]))
