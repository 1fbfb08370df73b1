from dataclasses import replace

import pytest

from daemons.ingester.phases.feeds import FeedRules, retrieve_feeds
from daemons.ingester.phases.outcome import PhaseStatus
from tests.support.feeding import FeedsGround, conditional, item, music, reasons, rss, warnings
from tests.support.podcast_web import (
    LIMITS,
    Page,
    answer,
    broken_off,
    endless,
    gzip_bomb,
    opened,
    redirect,
)

SMALL = replace(LIMITS, feed_bytes=100_000, audio_bytes=100_000)
GOOD = {"good/2024-07-10_Episode_9": music(9)}
BOMB = b"""<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<rss><channel><title>&c;</title></channel></rss>"""
SECRETS = b"""<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<rss><channel><item><title>&a;</title></item></channel></rss>"""


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (answer(b"gone", 404), "answered 404"),
        (answer(b"", 503), "answered 503"),
        (answer(b"<html><body>Please log in</body></html>"), "the document is 'html'"),
        (answer(b'{"error": "quota"}', Content_Type="application/rss+xml"), "sent no feed"),
        (answer(b""), "sent no feed"),
        (answer(b"<rss version='2.0'></rss>"), "has no rss/channel"),
        (answer(b"<rss><channel><title>A</ti"), "breaks off at line 1"),
        (answer(BOMB), "declares entities of its own"),
        (answer(SECRETS), "declares entities of its own"),
        (answer(b"<rss><channel>" + b"<a>" * 200), "nested deeper"),
        (broken_off(b"<rss><channel>", 2 * 1024**3), "larger than 100000 bytes"),
        (endless(b"<rss><channel>" + b" " * 4096), "larger than 100000 bytes"),
        (gzip_bomb(8 * 1024 * 1024), "larger than 100000 bytes"),
        (broken_off(b"<rss><channel></channel></rss>", 1000), "broke off"),
        (redirect("http://169.254.169.254/latest/meta-data/"), "it is a link-local address"),
        (redirect("file:///etc/passwd"), "no URL of the web"),
        (redirect("/bad.xml"), "redirects too often"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_feed_that_is_none_costs_itself(ground: FeedsGround, page: Page, reason: str) -> None:
    """The other feeds of the site are done, the reason is told, and what was archived stays."""
    ground.podcast("bad", page)
    ground.podcast("good", answer(rss(*ground.items(9))))
    archived = rss(item(1, "http://127.0.0.1:1/1.mp3"))
    ground.file("rss/bad.xml", archived)

    report = await ground.run(limits=SMALL)

    assert reason in reasons(report)
    assert report.outcome.status is PhaseStatus.PARTIAL
    assert report.outcome.problems.count == 1
    assert report.outcome.problems.named[0].path == "bad"
    assert (report.new_episodes, report.audio_downloads) == (1, 1)
    assert ground.audio_here() == GOOD
    assert ground.files()["rss/bad.xml"] == archived
    assert ground.left_over() == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (answer(b"<html>Sorry</html>"), "an HTML or XML page instead of audio"),
        (answer(b'{"error": "expired"}'), "a JSON document instead of audio"),
        (answer(b"", 404), "answered 404"),
        (answer(b"", 500), "answered 500"),
        (answer(b""), "has no bytes"),
        (broken_off(music(1), 5000), "broke off"),
        (broken_off(music(1), 5 * 1024**3), "larger than 100000 bytes"),
        (endless(music(1)), "larger than 100000 bytes"),
        (redirect("http://169.254.169.254/"), "it is a link-local address"),
        (redirect("/1.mp3"), "redirects too often"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_audio_that_is_none_costs_itself_and_is_tried_again(
    ground: FeedsGround, page: Page, reason: str
) -> None:
    """Its entry is there, nothing has its name, and the next run brings exactly what is missing."""
    feed = rss(item(1, ground.audio(1, page)), *ground.items(2))
    ground.podcast("bad", conditional(feed, '"1"'))
    ground.podcast("good", answer(rss(*ground.items(9))))

    report = await ground.run(limits=SMALL)

    assert reason in reasons(report)
    assert report.outcome.status is PhaseStatus.PARTIAL
    assert (report.outcome.problems.count, report.new_episodes) == (1, 3)
    assert ground.audio_here() == {"bad/2024-07-03_Episode_2": music(2), **GOOD}
    assert ground.titles() == ["Episode 1", "Episode 2", "Episode 9"]

    keys = [entry["fileKey"] for entry in ground.entries()]
    ground.audio(1)
    again = await ground.run(limits=SMALL)
    assert (again.outcome.status, again.audio_downloads) == (PhaseStatus.OK, 1)
    assert ground.audio_here()["bad/2024-07-02_Episode_1"] == music(1)
    assert [entry["fileKey"] for entry in ground.entries()] == keys
    assert ground.left_over() == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("odd", "title", "seconds"),
    [
        ("<title>1984</title>", "1984", None),
        ("<title>007</title>", "007", None),
        ("<title>true</title>", "true", None),
        ("<title/>", "Untitled Episode", None),
        ("<title>A</title><itunes:duration>3600.5</itunes:duration>", "A", 3600),
        ("<title>A</title><itunes:duration>62:03</itunes:duration>", "A", 3723),
        ("<title>A</title><itunes:duration>long</itunes:duration>", "A", None),
    ],
)
async def test_what_lost_a_whole_feed_once_does_not(
    ground: FeedsGround, odd: str, title: str, seconds: int | None
) -> None:
    """A single item, a title that is a number, half a second: each skipped the feed, in silence."""
    one = item(1, ground.audio(1)).replace("<title>Episode 1</title>", odd)
    ground.podcast("hard-fork", answer(rss(one)))

    report = await ground.run()

    (entry,) = ground.entries()
    assert (entry["title"], entry.get("durationInSeconds")) == (title, seconds)
    assert (report.outcome.status, report.audio_downloads) == (PhaseStatus.OK, 1)


@pytest.mark.asyncio
async def test_bad_items_are_counted_by_reason_and_cost_themselves(ground: FeedsGround) -> None:
    """Nobody reads a log for three hundred items; the summary says how many and why."""
    good = item(1, ground.audio(1))
    items = [
        good.replace("<enclosure", "<nothing"),
        good.replace('type="audio/mpeg"', 'type="video/mp4"'),
        good.replace("<enclosure", "<nothing"),
        item(1, "ftp://a.example/1.mp3"),
        "<item/>",
        good.replace("Tue, 02 Jul 2024", "Someday"),
        good,
    ]
    ground.podcast("hard-fork", answer(rss(*items)))

    report = await ground.run()

    assert report.skipped == {
        "no enclosure with a URL": 3,
        "enclosure is not audio": 1,
        "enclosure URL is not http": 1,
        "pubDate cannot be read": 1,
    }
    assert "hard-fork: 3 skipped: no enclosure with a URL; first: item 1" in warnings(report)
    assert report.outcome.status is PhaseStatus.OK
    assert ground.titles() == ["Episode 1"]


@pytest.mark.asyncio
async def test_feed_that_breaks_off_keeps_what_comes_before(ground: FeedsGround) -> None:
    """Its rest may hold more episodes: that is an error, and the next run asks for all of it."""
    whole = rss(*ground.items(1, 2))
    half = whole[: whole.index(b"Episode 2")]
    ground.podcast("hard-fork", conditional(half, '"1"'))

    first = await ground.run()
    ground.podcast("hard-fork", conditional(whole, '"1"'))
    second = await ground.run()

    assert "breaks off" in reasons(first)
    assert "what comes before is used" in reasons(first)
    assert (first.new_episodes, second.new_episodes) == (1, 1)
    assert second.outcome.status is PhaseStatus.OK


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("second", "new"),
    [
        (("/1.mp3", "Episode 1", "other"), 0),
        (("/7.mp3", "Renamed", "g1"), 0),
        (("/7.mp3", "Episode 1", "other"), 1),
        (("/7.mp3", "Renamed", "other"), 1),
    ],
)
async def test_changed_items_are_the_same_episode_while_anything_says_so(
    ground: FeedsGround, second: tuple[str, str, str], new: int
) -> None:
    """Publishers move hosts and change GUIDs; what is transcribed must not come again."""
    path, title, guid = second
    ground.podcast("hard-fork", answer(rss(*ground.items(1))))
    await ground.run()
    ground.audio(7)
    changed = item(1, ground.web.url(path), title=title, guid=guid)
    ground.podcast("hard-fork", answer(rss(changed)))

    report = await ground.run()

    assert (report.new_episodes, report.audio_downloads) == (new, new)


@pytest.mark.asyncio
async def test_one_guid_for_all_items_is_no_identity(ground: FeedsGround) -> None:
    """A template with one GUID for all would otherwise be one episode."""
    items = [item(number, ground.audio(number), guid="same") for number in (1, 2, 3)]
    ground.podcast("hard-fork", answer(rss(*items, items[0])))

    report = await ground.run()

    assert (report.new_episodes, report.audio_downloads) == (3, 3)
    assert len(ground.audio_here()) == 3


@pytest.mark.asyncio
async def test_audio_is_brought_although_its_feed_is_gone(ground: FeedsGround) -> None:
    """The manifest knows where it is; publishers end feeds before they delete files."""
    ground.podcast("hard-fork", answer(rss(item(1, ground.audio(1, answer(b"", 404))))))
    await ground.run()
    ground.podcast("hard-fork", answer(b"", 410))
    ground.audio(1)

    report = await ground.run(FeedRules())

    assert "answered 410" in reasons(report)
    assert report.audio_downloads == 1


@pytest.mark.asyncio
async def test_feed_cannot_fill_the_summary(ground: FeedsGround) -> None:
    """A thousand zones that nobody knows are ten lines and a number."""
    items = [item(1, f"http://127.0.0.1:1/{n}.mp3").replace("+0000", "XYZ") for n in range(1000)]
    ground.podcast("hard-fork", answer(rss(*items)))

    report = await ground.run(FeedRules(dry_run=True))

    assert len(warnings(report).splitlines()) == 11
    assert "990 more warnings of this feed" in warnings(report)


@pytest.mark.asyncio
async def test_storm_at_one_site_takes_no_retries_from_another(ground: FeedsGround) -> None:
    """The budget of a run would be dry after a hundred files of a dead host."""
    ground.podcast("hard-fork", answer(b"", 503))

    async with opened() as web:
        await retrieve_feeds(ground.site, ground.place, web, FeedRules(), validators=ground.memory)

    assert len(ground.web.asked("/hard-fork.xml")) == 3
    assert web.budget.retries == 0
