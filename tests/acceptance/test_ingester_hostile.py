"""Feeds and servers that are broken or mean: each costs at most its item or its feed."""

from collections.abc import Mapping
from dataclasses import replace

from tests.support.ingest_archive import of
from tests.support.ingest_checks import check_in_step, manifest_of
from tests.support.ingest_feed import Published, feed_xml
from tests.support.ingest_project import ACCOUNT_A, ACCOUNT_B, SiteSetup
from tests.support.ingest_world import IngestWorld, Run
from tests.support.podcast_web import Page, answer, broken_off, endless, redirect
from tests.support.speaking import NEEDS_FFMPEG

pytestmark = NEEDS_FFMPEG

GOOD = SiteSetup("good", ACCOUNT_A, ("good-pod",))
METADATA = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
BOMB = b"""<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa"><!ENTITY b
"&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>
<rss><channel><title>&c;</title></channel></rss>"""
PAGE = b"<!doctype html><html><body>Moved!</body></html>"
FEEDS: dict[str, tuple[Page, str]] = {
    "absent": (answer(b"no such feed", 404), "answered 404"),
    "bomb": (answer(BOMB, Content_Type="application/rss+xml"), "declares entities of its own"),
    "endless": (endless(b"<!-- " + bytes(1024 * 1024) + b" -->"), "larger than"),
    "huge": (broken_off(b"<rss>", promised=2 * 1024**3), "larger than"),
    "inward": (redirect(METADATA), "link-local address"),
    "page": (answer(PAGE, Content_Type="text/html"), "the document is 'html'"),
}
"""Each of these is no feed, and the summary says why."""
BODIES: dict[str, tuple[Page, str]] = {
    "No longer there": (answer(b"", 404), "answered 404"),
    "A page instead": (answer(PAGE, Content_Type="audio/mpeg"), "page instead of audio"),
    "Sent inward": (redirect(METADATA), "link-local address"),
    "Half of it": (broken_off(b"ID3" + bytes(99), 4000), "broke off"),
}
"""The same of audio."""
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
        Published(ODD, "true", 2),
        Published(ODD, "Same GUID, one", 3, guid="same"),
        Published(ODD, "Same GUID, two", 4, guid="same"),
        Published("single", "Alone", 5),
        Published(AUDIO, "Sound", 6),
    )
    for day, (title, (page, _)) in enumerate(BODIES.items(), 7):
        world.publish(HOSTILE.id, Published(AUDIO, title, day), audio=page)
    put_odd_feed(world, episodes(world, ODD))
    for podcast, (page, _) in FEEDS.items():
        world.web.put(f"/feeds/{podcast}.xml", page)


def put_odd_feed(world: IngestWorld, published: list[Published]) -> None:
    """Publish the feed in which all is odd, between two items that are none."""
    items = [
        each.item(world.web.url(each.path)).replace(
            "<itunes:duration>3<", "<itunes:duration>3600.5<"
        )
        for each in published
    ]
    world.web.put(f"/feeds/{ODD}.xml", answer(feed_xml("Odd", [NO_DATE, *items, NO_AUDIO])))


def episodes(world: IngestWorld, podcast: str) -> list[Published]:
    """Return what a podcast of the hostile site has published."""
    return [each for each in world.published[HOSTILE.id] if each.podcast == podcast]


def test_what_is_bad_costs_at_most_its_feed_or_its_item(world: IngestWorld) -> None:
    """All the rest is done, the summary says what was not and why, and the next run tries again."""
    lay_out(world)

    run = world.run()

    assert run.status == 1, run.why
    check_in_step(world, GOOD.id)
    assert set(run.statuses(GOOD.id).values()) == {"ok", "skipped"}
    check_reasons(run, {**FEEDS, **BODIES})
    assert sum(run.site(HOSTILE.id)["skippedItems"].values()) == 2
    check_what_is_odd(world)
    check_next_run(world)


def check_reasons(run: Run, bad: Mapping[str, tuple[Page, str]]) -> None:
    """Each has one error, in the phase of feeds, that says what was wrong; nothing else has any."""
    assert run.statuses(HOSTILE.id)["rss-retrieval"] == "partial"
    errors = run.site(HOSTILE.id)["errors"]
    assert {each["phase"] for each in errors} == {"rss-retrieval"}
    assert len(errors) == len(bad), run.why
    shown = run.daemon.output.partition("errors:")[2].splitlines()
    for name, (_, reason) in bad.items():
        item = name.replace(" ", "_")
        assert [line for line in shown if item in line and reason in line], (name, run.text)


def check_what_is_odd(world: IngestWorld) -> None:
    """A title that looks like a number is a text, and an odd duration costs nobody the feed."""
    held = world.local(HOSTILE.id)
    entries = manifest_of(held)
    titles = [entry["title"] for entry in entries]
    assert titles == [each.title for each in world.published[HOSTILE.id]]
    assert len({entry["fileKey"] for entry in entries}) == len(titles)
    durations = {entry["durationInSeconds"] for entry in entries if entry["podcastId"] == ODD}
    assert durations == {3600}
    whole = len(titles) - len(BODIES)
    assert len(of(held, "audio/")) == len(of(held, "transcripts/")) == whole
    assert not of(held, *(f"rss/{each}." for each in FEEDS))
    assert of(held, "audio/", "transcripts/", "episode-manifest/").items() <= (
        world.remote(HOSTILE.id).items()
    )


def check_next_run(world: IngestWorld) -> None:
    """GUIDs that have changed make no episode new, and audio that is whole by now is fetched."""
    entries = manifest_of(world.local(HOSTILE.id))
    put_odd_feed(world, [replace(each, guid=f"anew/{each.title}") for each in episodes(world, ODD)])
    [half] = [each for each in world.published[HOSTILE.id] if each.title == "Half of it"]
    world.web.put(half.path, answer(half.body))
    world.forget()

    run = world.run()

    check_reasons(
        run, {name: bad for name, bad in {**FEEDS, **BODIES}.items() if name != half.title}
    )
    assert manifest_of(world.local(HOSTILE.id)) == entries
    assert run.summary["totalEpisodesTranscribed"] == 1
    written = [each.key for each in world.writes()]
    assert len(written) == 4
    assert all("Half_of_it" in key for key in written if key != f"rss/{ODD}.xml"), written
