"""The page of a run: one file that asks nobody for anything.

Figures, words and pictures are in it; a policy in its head forbids every request, whatever a name
from outside may have smuggled in. It says everything without its script as well.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipelines.wildlife.models.report import RunReport, RunStatus
from pipelines.wildlife.report_page.activity import draw_clocks, draw_hours
from pipelines.wildlife.report_page.cost_part import draw_cost, draw_run
from pipelines.wildlife.report_page.figures import Figures
from pipelines.wildlife.report_page.gallery import draw_crops
from pipelines.wildlife.report_page.markup import Markup, element
from pipelines.wildlife.report_page.outlines import read_outlines
from pipelines.wildlife.report_page.place_map import PLACES_MAX, draw_cameras, draw_map
from pipelines.wildlife.report_page.sky import draw_sky
from pipelines.wildlife.report_page.species import Palette
from pipelines.wildlife.report_page.species_table import draw_species
from pipelines.wildlife.report_page.sun import Light
from pipelines.wildlife.report_page.timeline import draw_timeline
from pipelines.wildlife.report_page.weather_part import draw_weather
from pipelines.wildlife.report_page.words import amount, count, days, minute, percent

_WARNINGS_MAX = 50


def render_page(
    report: RunReport,
    figures: Figures,
    places: Mapping[str, Any],
    crops: Mapping[str, bytes],
) -> str:
    """Return the page; the same arguments give the same text. It computes: call it in a thread.

    Args:
        report: What `run_report.json` says.
        figures: Counted by `counting.FigureCounter` while the rows went by.
        places: What `stage2/clusters.geojson` holds, `{}` where it is not there.
        crops: Bytes of those of `figures.samples` that could be read, by their `crop_uri`; what is
            larger than `figures.CROP_BYTES_MAX`, or no picture, is left out.
    """
    palette = Palette(each.species for each in figures.species)
    style, script = _own("page.css"), _own("page.js")
    page = element(
        "html",
        _head(report, style, script),
        element(
            "body",
            _opening(report, figures),
            element("main", *_sections(report, figures, places, crops, palette)),
            _closing(report, figures),
            element("script", script),
        ),
        lang="en",
    )
    return f"<!doctype html>\n{page}\n"


@cache
def _own(name: str) -> Markup:
    """Return what lies beside this module; it is ours, so it is written as it is."""
    return Markup((Path(__file__).parent / name).read_text(encoding="utf-8"))


def _head(report: RunReport, style: Markup, script: Markup) -> Markup:
    # Only what has these digests is run or applied: not even a smuggled attribute could style.
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_digest(style)}; script-src {_digest(script)}"
    )
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name_="referrer", content="no-referrer"),
        element("title", f"Wildlife report {report.run_id}"),
        element("style", style),
    )


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _opening(report: RunReport, figures: Figures) -> Markup:
    first, last = figures.first_at, figures.last_at
    title = days(first, last, figures.zone) if first and last else "No sightings"
    return element(
        "header",
        element("p", "Camera-trap report", class_="kicker"),
        element("h1", title),
        element("p", *_lead(report, figures), class_="lead"),
        draw_sky(figures),
        element("div", *_tiles(report, figures), class_="tiles"),
        class_="head",
    )


def _lead(report: RunReport, figures: Figures) -> Iterator[str]:
    yield element("strong", count(figures.sightings, "sighting"))
    yield f" of {count(len(figures.species), 'species', 'species')} by "
    yield f"{count(len(figures.cameras), 'camera')} in {count(report.images.used, 'picture')}. "
    yield f"Run {report.run_id}."


def _tiles(report: RunReport, figures: Figures) -> Iterator[Markup]:
    costs = report.execution_summary
    share = costs.estimated_total_dkk / costs.budget_dkk if costs.budget_dkk else 1.0
    for figure, words in (
        (count(report.images.used), "pictures"),
        (count(figures.sightings), "sightings"),
        (count(figures.animals), "animals counted"),
        (count(len(figures.species)), "species"),
        (count(len(figures.places)), "places"),
        (count(figures.needs_review), "sightings to review"),
        (amount(costs.estimated_total_dkk), f"DKK, {percent(share)} of the budget"),
    ):
        yield element("div", element("b", figure), element("span", words), class_="tile")


def _sections(
    report: RunReport,
    figures: Figures,
    places: Mapping[str, Any],
    crops: Mapping[str, bytes],
    palette: Palette,
) -> Iterator[Markup]:
    yield from _warnings(report)
    if figures.sightings:
        yield element("div", class_="chips", hidden=True, role="group", aria_label="Species")
        yield _section("Species", "", draw_species(figures, palette))
        yield _section("Hours", _HOURS, *_activity(figures, palette))
        shown = frozenset(place.cluster_id for place in figures.places[:PLACES_MAX])
        drawn = draw_map(figures, read_outlines(places, shown), palette)
        nowhere = element("p", "No sighting has a position.", class_="empty")
        yield _section("Places", _PLACES, drawn or nowhere, draw_cameras(figures, palette))
        yield _section(
            "Weather", _WEATHER, draw_weather(figures.weather, report.weather_statistics)
        )
        gallery = draw_crops(figures, crops, palette)
        if gallery is not None:
            yield _section("Samples", "The most certain of each species.", gallery)
    else:
        yield _section("Species", "", element("p", _NOTHING, class_="empty"))
    yield element(
        "section",
        element("h2", "Cost and run"),
        element(
            "div",
            element("div", draw_cost(report)),
            element("div", draw_run(report)),
            class_="pair",
        ),
    )


_NOTHING = "Nothing was found in these pictures that is sure enough to count."
_HOURS = (
    "The darker a field, the larger the hour's share of that species. Clocks have noon on top; "
    "their ring is the light in the middle of the run."
)
_PLACES = "A circle's area is the number of sightings, its slices are species."
_WEATHER = "At the hour of each sighting, as the nearest station had it."


def _section(title: str, intro: str, *content: Markup | None) -> Markup:
    said = element("p", intro, class_="intro") if intro else None
    return element("section", element("h2", title), said, *content)


def _warnings(report: RunReport) -> Iterator[Markup]:
    warnings = [warning.replace("_", " ") for warning in report.warnings]
    if report.status != RunStatus.SUCCESS:
        warnings.insert(0, "The weather failed as a whole; everything else is complete.")
    if warnings:
        items = [element("li", warning) for warning in warnings[:_WARNINGS_MAX]]
        yield element(
            "section", element("h2", "Warnings"), element("ul", *items), class_="warnings"
        )


def _activity(figures: Figures, palette: Palette) -> Iterator[Markup | None]:
    yield draw_hours(figures, palette)
    if figures.position is not None:
        keys = [element("li", light, class_=light) for light in Light]
        yield element("ul", *keys, class_="legend")
    yield draw_clocks(figures, palette)
    yield draw_timeline(figures, palette)


def _closing(report: RunReport, figures: Figures) -> Markup:
    more = report.additional_metrics
    method = (
        f"Times and dates are those of {figures.zone}. A sighting is one species at one camera "
        "until its pictures are too far apart; its animals are the most in any of them, and the "
        "same animal counts again in each sighting. Day ends when the "
        "sun's edge is at the horizon, twilight when it is six degrees below."
    )
    made = (
        f"Written {minute(report.generated_at, figures.zone)} by Towpath {more.pipeline_version}."
    )
    untimed = None
    if figures.untimed:
        said = count(figures.untimed, "sighting has a time", "sightings have times")
        untimed = element("p", f"{said} that cannot be right and no place in hours and days.")
    return element("footer", untimed, element("p", method), element("p", made))
