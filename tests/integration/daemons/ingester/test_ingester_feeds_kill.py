import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from anyio import to_thread

from tests.support.feeding import conditional, item, music, rss
from tests.support.podcast_web import PodcastWeb, ranged

ROOT = Path(__file__).resolve().parents[4]
STEPS = {
    "file_written",
    "feed_archived",
    "manifest_saved",
    "feed_remembered",
    "audio_arriving",
    "audio_placed",
}
_TIMES = re.compile(rb'--[0-9]{13}|"(downloadedAt|lastUpdated)": "[^"]*"')


def _tree(base: Path) -> dict[str, bytes]:
    """Return all that a folder holds, apart from times."""
    found: dict[str, bytes] = {}
    for path in base.rglob("*"):
        name = path.relative_to(base).as_posix()
        if path.is_file() and name != "died-at":
            found[_TIMES.sub(b"", name.encode()).decode()] = _TIMES.sub(b"", path.read_bytes())
    return found


@pytest.mark.asyncio
async def test_killed_at_any_step_the_next_run_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    """The same files, nothing half, nothing left over; and a key that was saved stays."""
    with PodcastWeb() as web:
        items = [
            item(number, web.put(f"/{number}.mp3", ranged(music(number), f'"{number}"')))
            for number in (1, 2)
        ]
        urls = [
            web.put("/a.xml", conditional(rss(items[1]), '"a"')),
            web.put("/b.xml", conditional(rss(*items), '"b"')),
        ]
        argv = [sys.executable, "-m", "tests.support.feeds_kill", str(tmp_path), *urls]
        done = await to_thread.run_sync(
            lambda: subprocess.run(argv, cwd=ROOT, capture_output=True, check=True, timeout=120)
        )

    *rows, undisturbed = [json.loads(line) for line in done.stdout.splitlines()]
    whole = _tree(tmp_path / undisturbed["folder"])
    assert undisturbed["died_at"] == ""
    assert len([name for name in whole if name.endswith(".mp3")]) == 2
    assert len(whole) == len(["manifest", "a.xml", "b.xml", "feeds.json"]) + 2
    assert {row["died_at"] for row in rows} == STEPS
    for row in rows:
        assert row["keys_kept"], row
        assert _tree(tmp_path / row["folder"]) == whole, row
