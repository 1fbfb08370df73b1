"""The catalogue and its tiles on loopback, in a process of its own: whose memory and CPU are apart.

    python -m bench.glacier_served FOLDER

prints its URL and those of the tiles; for each line that it is sent it prints how many bytes of
tiles it has handed out since the last one, and how many requests that were.
"""

import json
import sys
from pathlib import Path

from bench.glacier_tiles import scenes, tile_path
from tests.support.glacier_stac import StacServer


def main(folder: Path) -> None:
    """Serve until nobody asks any more."""
    with StacServer() as stac:
        for scene in scenes():
            stac.assets[scene.asset_path] = tile_path(folder, scene)
            stac.items.append(scene.item(stac.href(scene.asset_path)))
        _say({"url": stac.url, "tiles": [stac.href(path) for path in stac.assets]})
        for _ in sys.stdin:
            _say({"sent_bytes": stac.sent_bytes, "requests": len(stac.asked)})
            stac.sent_bytes = 0
            stac.asked.clear()


def _say(what: object) -> None:
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
