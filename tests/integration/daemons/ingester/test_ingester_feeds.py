import json
from datetime import timedelta

import pytest
from aiohttp.web import BaseRequest, StreamResponse

from daemons.ingester.archive.folders import MANIFEST_PATH, Folder
from daemons.ingester.phases.feeds import FeedRules
from daemons.ingester.phases.outcome import PhaseStatus
from daemons.ingester.syncing.place import LocalFilesMissing, save_counts
from tests.support.feeding import FeedsGround, conditional, item, music, reasons, rss, warnings
from tests.support.podcast_web import Page, answer
from tests.support.syncing import episode, manifest_bytes


@pytest.mark.asyncio
async def test_new_episodes_are_archived_entered_and_downloaded(ground: FeedsGround) -> None:
    """The feed's exact bytes, an entry each in order of time, and the audio as it came."""
    body = rss(*ground.items(2, 1))
    ground.podcast("hard-fork", answer(body))

    report = await ground.run()

    assert report.outcome.status is PhaseStatus.OK
    assert (report.new_episodes, report.audio_downloads, report.renumbered) == (2, 2, 0)
    assert ground.files()["rss/hard-fork.xml"] == body
    assert [(entry["sequentialId"], entry["title"]) for entry in ground.entries()] == [
        (1, "Episode 1"),
        (2, "Episode 2"),
    ]
    assert ground.audio_here() == {
        "hard-fork/2024-07-02_Episode_1": music(1),
        "hard-fork/2024-07-03_Episode_2": music(2),
    }
    assert report.made == set(ground.files())
    assert ground.left_over() == []
    assert ground.steps.index("manifest_saved") < ground.steps.index("audio_arriving")


@pytest.mark.asyncio
@pytest.mark.parametrize("knows_etags", [True, False])
async def test_second_run_writes_nothing(ground: FeedsGround, knows_etags: bool) -> None:  # noqa: FBT001 - a row
    """Nothing is fetched that is here, and no file is touched, the state's included."""
    body = rss(*ground.items(1, 2))
    ground.podcast("hard-fork", conditional(body, '"1"') if knows_etags else answer(body))
    await ground.run()
    before = ground.everything()
    ground.now += timedelta(days=1)

    report = await ground.run()

    assert report.outcome.status is PhaseStatus.OK
    assert (report.new_episodes, report.audio_downloads, report.made) == (0, 0, set())
    assert ground.everything() == before
    assert [each.path for each in ground.web.seen] == ["/hard-fork.xml"]
    assert ("If-None-Match" in ground.web.seen[0].headers) is knows_etags


@pytest.mark.asyncio
async def test_inactive_podcast_is_left_alone(ground: FeedsGround) -> None:
    """Its archive stays; its server is not asked any more, for its audio neither."""
    ground.file(MANIFEST_PATH, manifest_bytes([episode(1, podcastId="old")]))
    ground.podcast("old", answer(rss()), active=False)
    before = ground.inodes()

    report = await ground.run()

    assert report.outcome.status is PhaseStatus.OK
    assert ground.web.seen == []
    assert ground.inodes() == before


@pytest.mark.asyncio
async def test_first_of_two_feeds_has_a_republished_episode(ground: FeedsGround) -> None:
    """One show in two feeds, under other URLs and GUIDs: the configuration's order decides."""
    ground.podcast("first", answer(rss(*ground.items(1, 2))))
    ground.podcast("second", answer(rss(item(1, ground.audio(11), guid="x"), *ground.items(3))))

    report = await ground.run()

    assert report.new_episodes == 3
    assert [entry["podcastId"] for entry in ground.entries()] == ["first", "first", "second"]
    assert ground.web.asked("/11.mp3") == []


@pytest.mark.asyncio
async def test_older_episode_moves_the_numbers_and_is_told(ground: FeedsGround) -> None:
    """Public links hold the number: somebody must know that they lead elsewhere now."""
    ground.podcast("hard-fork", answer(rss(*ground.items(2, 3))))
    await ground.run()
    keys = [entry["fileKey"] for entry in ground.entries()]
    ground.now += timedelta(days=1)
    ground.podcast("hard-fork", answer(rss(*ground.items(1, 2, 3))))
    ground.podcast("late", answer(rss(*ground.items(4))))

    report = await ground.run()

    assert report.renumbered == 2
    assert "2 episodes have another number" in warnings(report)
    assert [entry["fileKey"] for entry in ground.entries()][1:3] == keys
    assert [entry["sequentialId"] for entry in ground.entries()] == [1, 2, 3, 4]


@pytest.mark.asyncio
async def test_only_the_first_items_are_looked_at_and_the_rest_another_time(
    ground: FeedsGround,
) -> None:
    """A server that says `304` then says nothing of the items that were left out."""
    ground.podcast("hard-fork", conditional(rss(*ground.items(3, 2, 1)), '"1"'))
    first = await ground.run(FeedRules(max_episodes=1))
    assert ground.titles() == ["Episode 3"]

    second = await ground.run()

    assert (first.new_episodes, second.new_episodes) == (1, 2)
    assert ground.web.asked("/hard-fork.xml")[0]["If-None-Match"] == '"1"'
    assert ground.titles() == ["Episode 1", "Episode 2", "Episode 3"]


@pytest.mark.asyncio
async def test_validators_belong_to_the_bytes_that_are_archived(ground: FeedsGround) -> None:
    """Another machine's older feed came from S3 meanwhile: `304` would keep it for ever."""
    body = rss(*ground.items(1))
    ground.podcast("hard-fork", conditional(body, '"1"'))
    await ground.run()
    ground.file("rss/hard-fork.xml", b"<rss><channel/></rss>")

    report = await ground.run()

    assert "If-None-Match" not in ground.web.seen[0].headers
    assert ground.files()["rss/hard-fork.xml"] == body
    assert report.made == {"rss/hard-fork.xml"}


@pytest.mark.asyncio
async def test_charset_of_the_header_is_remembered(ground: FeedsGround) -> None:
    """Read from the archive, the bytes alone do not say what they are."""
    items = [item(number, ground.audio(number), title=f"Café {number}") for number in (1, 2)]
    body = rss(*items).decode().encode("iso-8859-1")

    page = conditional(body.replace(b'<?xml version="1.0"?>\n', b""), '"1"')
    ground.podcast("hard-fork", _labelled(page, "application/rss+xml; charset=iso-8859-1"))
    await ground.run(FeedRules(max_episodes=1))
    await ground.run()

    assert ground.titles() == ["Café 1", "Café 2"]


@pytest.mark.asyncio
async def test_dry_run_says_what_it_would_do_and_does_nothing(ground: FeedsGround) -> None:
    """Feeds are asked for, since without them nobody could say."""
    ground.podcast("hard-fork", answer(rss(*ground.items(1))))
    before = ground.everything()

    report = await ground.run(FeedRules(dry_run=True))

    assert ground.everything() == before
    assert not ground.root.exists()
    assert [each.path for each in ground.web.seen] == ["/hard-fork.xml"]
    assert report.planned == [
        "archive rss/hard-fork.xml",
        "add hard-fork/2024-07-02_Episode_1--1772366400000 'Episode 1'",
        "download audio/hard-fork/2024-07-02_Episode_1--1772366400000.mp3",
        f"write {MANIFEST_PATH}",
    ]
    assert (report.new_episodes, report.audio_downloads) == (1, 0)
    assert report.made == {line.split(" ")[1] for line in report.planned if "add " not in line}


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b"{", b"\0" * 100, b'{"episodes": {}}', b"[1]"])
async def test_unreadable_manifest_blocks_the_site(ground: FeedsGround, body: bytes) -> None:
    """It is never replaced by an empty one, and no server is asked in vain."""
    ground.file(MANIFEST_PATH, body)
    ground.podcast("hard-fork", answer(rss(*ground.items(1))))
    before = ground.inodes()

    report = await ground.run()

    assert report.outcome.status is PhaseStatus.BLOCKED
    assert "cannot be used" in report.outcome.blocked
    assert ground.inodes() == before
    assert ground.web.seen == []


@pytest.mark.asyncio
async def test_without_any_manifest_an_archive_is_not_begun_anew(ground: FeedsGround) -> None:
    """S3 could not be asked: all that it has would be downloaded and transcribed again."""
    ground.podcast("hard-fork", answer(rss(*ground.items(1))))

    report = await ground.run(FeedRules(avoid_folders=[Folder.MANIFEST]))

    assert "no manifest here" in report.outcome.blocked
    assert ground.web.seen == []
    assert ground.files() == {}


@pytest.mark.asyncio
async def test_drive_that_is_not_mounted_stops_the_phase(ground: FeedsGround) -> None:
    """A run without phase 0 must not begin the archive anew either."""
    ground.podcast("hard-fork", answer(rss(*ground.items(1))))
    ground.place.state.mkdir(parents=True)
    save_counts(ground.place, {Folder.AUDIO: 20})

    with pytest.raises(LocalFilesMissing, match="mount the drive"):
        await ground.run()

    assert ground.web.seen == []


@pytest.mark.asyncio
async def test_entries_with_one_audio_url_give_way_and_their_files_stay(
    ground: FeedsGround,
) -> None:
    """The newest stays. What was transcribed once may be somebody's link."""
    url = ground.audio(1)
    new = episode(1, originalAudioURL=url, downloadedAt="2026-01-01T00:00:00.000Z")
    old = episode(2, originalAudioURL=url)
    ground.file(MANIFEST_PATH, manifest_bytes([new, old]))
    for entry in (new, old):
        ground.file(f"audio/hard-fork/{entry['fileKey']}.mp3", music(1))
    ground.podcast("hard-fork", answer(rss()))

    report = await ground.run()

    assert [entry["fileKey"] for entry in ground.entries()] == [new["fileKey"]]
    assert f"audio/hard-fork/{old['fileKey']}.mp3" in ground.files()
    assert f"gives way to {new['fileKey']!r}" in warnings(report)
    assert [each.file_key for each in report.dropped] == [old["fileKey"]]
    assert report.outcome.status is PhaseStatus.OK
    assert MANIFEST_PATH in report.made


@pytest.mark.asyncio
async def test_what_gave_way_is_not_what_an_item_is_known_by(ground: FeedsGround) -> None:
    """The next run does not know it any more: both must come to the same."""
    url = ground.audio(1)
    stays = episode(1, originalAudioURL=url, downloadedAt="2026-01-01T00:00:00.000Z")
    gives_way = episode(2, originalAudioURL=url, guid="g7", title="Episode 7")
    ground.file(MANIFEST_PATH, manifest_bytes([stays, gives_way]))
    ground.podcast("hard-fork", answer(rss(*ground.items(7))))

    first, second = await ground.run(), await ground.run()

    assert (first.new_episodes, second.new_episodes, second.made) == (1, 0, set())
    assert ground.titles() == ["Episode 7", "Episode 1"]


@pytest.mark.asyncio
async def test_manifest_that_is_out_of_order_is_put_in_order_once(ground: FeedsGround) -> None:
    """Unknown fields and the header stay; the second run has nothing to do."""
    ground.file(MANIFEST_PATH, manifest_bytes([episode(2, note=[1]), episode(1)]))
    ground.podcast("other", answer(rss()))

    first, second = await ground.run(), await ground.run()

    assert [entry["title"] for entry in ground.entries()] == ["Episode 1", "Episode 2"]
    assert ground.entries()[1]["note"] == [1]
    assert (first.made, second.made) == ({MANIFEST_PATH, "rss/other.xml"}, set())


@pytest.mark.asyncio
async def test_state_that_cannot_be_used_costs_nothing(ground: FeedsGround) -> None:
    """It only saves work: broken, or in a folder that is none, the feed is sent in full."""
    ground.podcast("hard-fork", conditional(rss(*ground.items(1)), '"1"'))
    ground.memory.parent.mkdir(parents=True)
    ground.memory.write_bytes(json.dumps({"schema": 1, "feeds": [1]}).encode())
    await ground.run()
    ground.memory.unlink()
    ground.memory.mkdir()

    report = await ground.run()

    assert "If-None-Match" not in ground.web.seen[0].headers
    assert report.outcome.status is PhaseStatus.OK
    assert "hard-fork: " in warnings(report)
    assert reasons(report) == ""


def _labelled(page: Page, label: str) -> Page:
    async def labelled(request: BaseRequest) -> StreamResponse:
        response = await page(request)
        response.headers["Content-Type"] = label
        return response

    return labelled
