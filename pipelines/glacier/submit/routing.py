"""Which service runs a region, and how its days are cut. Pure.

| asked for     | satellite  | tiles        | service                                         |
|---------------|------------|--------------|-------------------------------------------------|
| auto          | landsat    | any          | lambda                                          |
| auto          | sentinel2  | up to a limit| lambda                                          |
| auto          | sentinel2  | more         | batch                                           |
| lambda        | sentinel2  | more         | refused, or lambda when it is forced            |
| anything else |            |              | what was asked for                              |

`stepfunctions` is routed like `auto`.
"""

from collections.abc import Iterable, Sequence
from typing import cast

from pipelines.glacier.regions import Region
from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.submit.submission import Asked, RoutingRules
from pipelines.glacier.targets.target import ServiceName
from pipelines.glacier.targets.tile_rule import too_large_for_lambda

SENTINEL2_CHUNK_DAYS = 31
"""What one call of a function gets done in its fifteen minutes, with days to spare."""
_NAMED_MAX = 5


class TooManyTiles(ValueError):
    """Lambda was asked for, and regions have more tiles than it can do."""


def services_for(asked: Asked) -> tuple[ServiceName, ...]:
    """Return the services that jobs may go to."""
    if asked in {"auto", "stepfunctions"}:
        return ("lambda", "batch")
    return (cast("ServiceName", asked),)


def default_chunk_days(satellite: SatelliteName) -> int:
    """Return the days of one Lambda job where nothing is said; 0 cuts nothing."""
    return SENTINEL2_CHUNK_DAYS if satellite == "sentinel2" else 0


def route(
    tiles: int, *, asked: Asked, satellite: SatelliteName, rules: RoutingRules
) -> ServiceName:
    """Return the service of a region with so many tiles."""
    if asked not in {"auto", "stepfunctions"}:
        return cast("ServiceName", asked)
    return "batch" if too_large_for_lambda(tiles, satellite, rules.lambda_max_tiles) else "lambda"


def check_tiles(
    regions: Iterable[Region], *, asked: Asked, satellite: SatelliteName, rules: RoutingRules
) -> None:
    """Refuse what Lambda was asked for and cannot do; TooManyTiles."""
    if asked != "lambda" or rules.force_service:
        return
    large = [
        each
        for each in regions
        if too_large_for_lambda(len(each.tiles), satellite, rules.lambda_max_tiles)
    ]
    if large:
        raise TooManyTiles(
            f"--service lambda takes at most {rules.lambda_max_tiles} tiles a region; "
            f"{_told(large)}; use --service auto or batch, or --force-service"
        )


def _told(regions: Sequence[Region]) -> str:
    told = ", ".join(f"{each.name!r} has {len(each.tiles)}" for each in regions[:_NAMED_MAX])
    more = len(regions) - _NAMED_MAX
    return f"{told} and {more} more have too many" if more > 0 else told
