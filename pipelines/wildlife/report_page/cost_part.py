"""What the run costs against its budget, and what it did with its time. Pure."""

from collections.abc import Iterator, Mapping

from pipelines.wildlife.models.report import ExecutionSummary, RunReport
from pipelines.wildlife.report_page.markup import Markup, element, join
from pipelines.wildlife.report_page.weather_part import share_bar
from pipelines.wildlife.report_page.words import UNKNOWN, count, duration, money, percent

_PARTS: Mapping[str, str] = {
    "compute_dkk": "Detection",
    "overhead_dkk": "A fifth on top of it",
    "lambda_dkk": "Functions",
    "step_functions_dkk": "State machine",
    "storage_dkk": "Storage, one month",
}


def draw_cost(report: RunReport) -> Markup:
    """Return the estimate against the budget, and its parts."""
    costs = report.execution_summary
    share = costs.estimated_total_dkk / costs.budget_dkk if costs.budget_dkk else 1.0
    used = report.images.used
    each = f", {money(costs.estimated_total_dkk / used)} a picture" if used else ""
    return join(
        element(
            "div",
            element(
                "p",
                element("b", money(costs.estimated_total_dkk), class_="figure"),
                f" of {money(costs.budget_dkk)}",
            ),
            share_bar(share),
            element("p", f"{percent(share)} of the budget{each}.", class_="soft"),
            class_="gauge",
        ),
        _parts(costs),
        element("p", _small(report), class_="soft"),
    )


def _parts(costs: ExecutionSummary) -> Markup:
    highest = max(costs.cost_breakdown.values(), default=0) or 1.0
    known = [name for name in _PARTS if name in costs.cost_breakdown]
    names = [*known, *(name for name in costs.cost_breakdown if name not in _PARTS)]
    rows = [
        element(
            "tr",
            element("th", _PARTS.get(name, name), scope="row"),
            element("td", share_bar(costs.cost_breakdown[name] / highest)),
            element("td", money(costs.cost_breakdown[name]), class_="number"),
        )
        for name in names
    ]
    return element(
        "table",
        element("caption", "What it is made of"),
        element("tbody", *rows),
        class_="shares",
    )


def _small(report: RunReport) -> str:
    costs, more = report.execution_summary, report.additional_metrics
    return (
        f"The guard's estimate by the prices {costs.price_book!r}, {costs.usd_to_dkk:g} DKK a "
        f"dollar; at the very most {money(more.worst_case_dkk)}. The total is storage and the "
        "larger of two: detection with a fifth on top, or the sum of the parts."
    )


def draw_run(report: RunReport) -> Markup:
    """Return what became of pictures, what states took, and who looked for animals."""
    return join(_facts(report), _stages(report))


def _facts(report: RunReport) -> Markup:
    images, more = report.images, report.additional_metrics
    pairs: tuple[tuple[str, str], ...] = (
        ("Pictures found", count(images.found)),
        ("Pictures used", count(images.used)),
        ("Left out by max_images", count(images.skipped)),
        ("Could not be read", count(images.errors)),
        ("Could not be decoded", count(more.images_failed)),
        ("Clocks put right", count(more.time_corrections, "picture")),
        ("People left out", count(report.humans_excluded)),
        ("Runtime", duration(report.execution_summary.actual_runtime_seconds)),
        ("Detector", more.detector),
        ("Model", more.stage1_model),
        ("Detections not kept", _dropped(more.detections_dropped)),
        ("Pictures from", more.input_uri),
        ("Results in", more.output_uri),
    )
    said = [part for name, value in pairs for part in (element("dt", name), element("dd", value))]
    return element("dl", *said, class_="facts")


def _dropped(dropped: Mapping[str, int]) -> str:
    said = ", ".join(f"{many} {reason.replace('_', ' ')}" for reason, many in dropped.items())
    return said or "none"


def _stages(report: RunReport) -> Markup:
    rows = [
        element(
            "tr",
            element("th", name, scope="row"),
            element(
                "td",
                UNKNOWN if stage.seconds is None else duration(stage.seconds),
                class_="number",
            ),
            element("td", "; ".join(_counts(stage.counts))),
        )
        for name, stage in report.stages.items()
    ]
    heads = ("State", "Time", "Counts")
    return element(
        "div",
        element(
            "table",
            element("thead", element("tr", *(element("th", head, scope="col") for head in heads))),
            element("tbody", *rows),
            class_="stages",
        ),
        class_="wide",
        tabindex=0,
        role="region",
        aria_label="States",
    )


def _counts(counts: Mapping[str, int]) -> Iterator[str]:
    for name, many in counts.items():
        yield f"{name.replace('_', ' ')} {count(many)}"
