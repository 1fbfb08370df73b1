"""What a clean-up removes, and what it never touches. Pure.

| removed                               | never, unless named                     | never         |
|---------------------------------------|-----------------------------------------|---------------|
| the function, its versions and alias  | the results of a region (`--results`)   | the bucket    |
| images and their repository           |                                         | project code  |
| images on this machine                |                                         | roles, logs   |
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.glacier.layout import LandsatLayout, Sentinel2Layout


@dataclass(frozen=True, slots=True)
class Present:
    """What there is of what may go."""

    function: bool
    repository: bool
    images: int
    local_images: int
    results: Sequence[tuple[str, int]] = ()
    """By region: how many objects."""


@dataclass(frozen=True, slots=True)
class ResultPlace:
    """Keys that belong to one region."""

    prefix: str
    """What they begin with."""
    pattern: re.Pattern[str]
    """What of them belong to it: a name may begin like another."""


def result_places(base_path: str, region: str) -> tuple[ResultPlace, ...]:
    """Return where the results of a region lie, in both layouts and for both satellites.

    Raw tiles of layout `new` are not among them: all regions share those. Nor are records and logs
    of runs, which tell what was done.
    """
    sentinel, landsat = f"{base_path}/sentinel2/", f"{base_path}/landsat/"
    new, scenes = Sentinel2Layout(region, "new"), LandsatLayout(region)
    folders = (
        f"{sentinel}{region}/",
        f"{sentinel}{new.clipped}/",
        f"{sentinel}{new.individual_csv}/",
        f"{landsat}{scenes.scenes}/",
    )
    files = (
        f"{sentinel}{new.template}",
        f"{sentinel}{new.combined_csv}",
        f"{landsat}{scenes.template}",
        f"{landsat}{scenes.query_results}",
    )
    return (
        *(
            ResultPlace(folder, re.compile(re.escape(folder) + r".+", re.DOTALL))
            for folder in folders
        ),
        *(ResultPlace(key, re.compile(re.escape(key))) for key in files),
    )


def describe(present: Present, function: str, repository: str, bucket: str) -> list[str]:
    """Say what would be removed, in order; nothing: there is nothing."""
    found = []
    if present.function:
        found.append(f"remove function {function} with its versions and alias")
    if present.repository:
        found.append(f"remove repository {repository} with {_count(present.images, 'image')}")
    if present.local_images:
        images = _count(present.local_images, "image")
        found.append(f"remove {images} of {repository} from this machine")
    found += [
        f"remove {_count(count, 'object')} of region {region} from s3://{bucket}"
        for region, count in present.results
        if count
    ]
    return found


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
