"""Feeds and servers that are broken or mean: each costs at most its item or its feed."""

from tests.support.ingest_archive import of
from tests.support.ingest_checks import check_in_step, manifest_of
from tests.support.ingest_feed import Published, feed_xml
from tests.support.ingest_project import ACCOUNT_A, ACCOUNT_B, SiteSetup
from tests.support.ingest_world import IngestWorld
from tests.support.podcast_web import Page, answer, broken_off, endless, redirect
from tests.support.speaking import NEEDS_FFMPEG

pytestmark = NEEDS_FFMPEG

GOOD = SiteSetup("good", ACCOUNT_A, ("good-pod",))
METADATA = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
BOMB = b"""<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa"><!ENTITY b
"&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>
<rss><channel><title>&c;</title></channel></rss>"""
FEEDS: dict[str, Page] = {
    "absent": answer(b"no such feed", 404),
    "bomb": answer(BOMB, Content_Type="application/rss+xml"),
    "endless": endless(b"<!-- " + bytes(1024 * 1024) + b" -->"),
    "huge": broken_off(b"<rss>", promised=2 * 1024**3),
    "inward": redirect(METADATA),
    "page": answer(b"<!doctype html><html><body>Moved!</body></html>", Content_Type="text/html"),
}
"""Each of these is no feed."""
ODD, AUDIO = "odd", "audio"
HOSTILE = SiteSetup("hostile", ACCOUNT_B, (*FEEDS, ODD, "single", AUDIO))
NO_DATE = (
    "<item><title>Undated</title><enclosure url='http://127.0.0.1/x' type='audio/mpeg'/></item>"
)
NO_AUDIO = "<item><title>Silent</title><pubDate>Fri, 01 Mar 2024 09:30:00 GMT</pubDate></item>"


def lay_out(world: IngestWorld) -> None:
    """A site with all that is bad, beside one with nothing bad."""
    world.add_site(GOOD)
    world.publish(GOOD.id, Published("good-pod", "Fine", 0))
    world.add_site(HOSTILE)
    world.publish(
        HOSTILE.id,
        Published(ODD, "1984", 0),
        Published(ODD, "007", 1),
        Published(ODD, "true", 2, extra="<itunes:duration>3600.5</itunes:duration>"),
        Published(ODD, "Same GUID, one", 3, guid="same"),
        Published(ODD, "Same GUID, two", 4, guid="same"),
        Published("single", "Alone", 5),
        Published(AUDIO, "Sound", 6),
    )
    world.publish(HOSTILE.id, Published(AUDIO, "No longer there", 7), audio=answer(b"", 404))
    world.publish(
        HOSTILE.id,
        Published(AUDIO, "A page instead", 8),
        audio=answer(b"<html>Log in</html>", Content_Type="audio/mpeg"),
    )
    world.publish(
        HOSTILE.id, Published(AUDIO, "Half of it", 9), audio=broken_off(b"ID3" + bytes(99), 4000)
    )
    items = [*(each.item(world.web.url(each.path)) for each in episodes(world, ODD))]
    world.web.put(f"/feeds/{ODD}.xml", answer(feed_xml("Odd", [NO_DATE, *items, NO_AUDIO])))
    for podcast, page in FEEDS.items():
        world.web.put(f"/feeds/{podcast}.xml", page)


def episodes(world: IngestWorld, podcast: str) -> list[Published]:
    """Return what a podcast of the hostile site has published."""
    return [each for each in world.published[HOSTILE.id] if each.podcast == podcast]


def test_what_is_bad_costs_at_most_its_feed_or_its_item(world: IngestWorld) -> None:
    """All the rest is fetched, transcribed and uploaded, and the summary says what was not."""
    lay_out(world)

    run = world.run()

    assert run.status == 1, run.why
    check_in_step(world, GOOD.id)
    assert set(run.statuses(GOOD.id).values()) == {"ok", "skipped"}
    told = {item: phase for phase, item in run.errors(HOSTILE.id)}
    assert set(FEEDS) <= told.keys(), run.why
    assert len(told) == len(FEEDS) + 3, run.why
    assert set(told.values()) == {"rss-retrieval"}
    assert run.statuses(HOSTILE.id)["rss-retrieval"] == "partial"
    assert sum(run.site(HOSTILE.id)["skippedItems"].values()) == 2
    for podcast in FEEDS:
        assert podcast in run.text
    check_what_is_odd(world)


def check_what_is_odd(world: IngestWorld) -> None:
    """A title that looks like a number is a text, and an odd duration costs nobody the feed."""
    held = world.local(HOSTILE.id)
    titles = [entry["title"] for entry in manifest_of(held)]
    assert titles == [each.title for each in world.published[HOSTILE.id]]
    assert len({entry["fileKey"] for entry in manifest_of(held)}) == len(titles)
    assert len(of(held, "audio/")) == len(of(held, "transcripts/")) == len(titles) - 3
    assert not of(held, *(f"rss/{each}." for each in FEEDS))
    assert of(held, "audio/", "transcripts/", "episode-manifest/").items() <= (
        world.remote(HOSTILE.id).items()
    )
