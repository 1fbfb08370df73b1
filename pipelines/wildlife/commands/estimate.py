"""`towpath wildlife estimate`: what a run would cost; it lists pictures and spends nothing."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pipelines.wildlife.commands.call import add_account, add_form, add_input, read_document
from pipelines.wildlife.costs.estimate import Estimate, check_budget
from pipelines.wildlife.costs.prices import BOOKS, PriceBook
from pipelines.wildlife.document.checks import Request, check_document
from pipelines.wildlife.errors import BudgetExceeded, WildlifeStatus
from pipelines.wildlife.guard import Found, estimate_run, find_prices
from pipelines.wildlife.listing import find_pictures
from pipelines.wildlife.pictures import BadRate, guess_count, parse_rates
from pipelines.wildlife.storage.opening import StorageAccount, open_storage
from shared.errors import ExitStatus
from shared.flags import OneLineParser
from shared.lifecycle import run
from shared.log import configure_logging

SUMMARY = "say what a run would cost, and spend nothing"

_DESCRIPTION = """
    List the pictures of an input document and say what the run would cost, part by part. Nothing is
    spent and nothing is written. The status is 3 if that is more than the budget.
"""
_COUNT_MAX = 100_000_000
_PARTS = {
    "compute_dkk": "detection",
    "overhead_dkk": "a fifth on top of it",
    "lambda_dkk": "functions",
    "step_functions_dkk": "state machine",
    "storage_dkk": "storage, one month",
}


def main(argv: Sequence[str]) -> int:
    """Estimate one document."""
    options = _parser().parse_args(list(argv))
    request = check_document(read_document(options.input), local=True, books=BOOKS)
    prices = find_prices(request, BOOKS)
    found = _find(request, options)
    costs = estimate_run(request, found, prices, parse_rates(options.seconds_per_image))
    for warning in (*request.warnings, *costs.warnings):
        sys.stderr.write(f"towpath wildlife estimate: warning: {warning}\n")
    render = _json if options.output == "json" else _text
    sys.stdout.write(render(request, found, costs, prices))
    try:
        check_budget(costs.estimated_total_dkk, request.document.budget_dkk)
    except BudgetExceeded as error:
        sys.stderr.write(f"towpath wildlife estimate: {error}\n")
        return WildlifeStatus.BUDGET_EXCEEDED
    return WildlifeStatus.DONE


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser("towpath wildlife estimate", _DESCRIPTION)
    add_input(parser)
    add_form(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--count", type=_count, metavar="N", help="take this many pictures, and list nothing"
    )
    where.add_argument(
        "--offline", action="store_true", help="guess the number by the name, and list nothing"
    )
    parser.add_argument(
        "--seconds-per-image",
        type=_rate,
        action="append",
        default=[],
        metavar="CAMERA=SECONDS",
        help="what a picture takes, as in the settings of run; * is any other camera; repeat it",
    )
    add_account(parser)
    return parser


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _COUNT_MAX:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not valid; allowed: a whole number from 1 to {_COUNT_MAX}"
        )
    return int(text)


def _rate(text: str) -> str:
    try:
        parse_rates([text])
    except BadRate as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _find(request: Request, options: argparse.Namespace) -> Found:
    limit = request.document.max_images
    if options.count is not None or options.offline:
        name = request.source.last_segment
        count = options.count or guess_count(name)
        return Found(count, Counter({name: min(count, limit)}))
    configure_logging("wildlife")
    found: list[Found] = []

    async def look() -> ExitStatus:
        asked = StorageAccount(
            aws_region=options.aws_region,
            profile=options.profile,
            endpoint_url=options.endpoint_url,
            in_flight=1,
        )
        async with open_storage([str(request.source)], asked) as storage:
            found.append(await find_pictures(storage, request.source, limit))
        return ExitStatus.DONE

    run(look)
    return found[0]


def _json(request: Request, found: Found, costs: Estimate, prices: PriceBook) -> str:
    budget = request.document.budget_dkk
    said: Mapping[str, object] = {
        "session_id": request.session_id,
        "images_found": found.pictures,
        "estimated_images": found.used,
        "estimated_cost_dkk": costs.estimated_cost_dkk,
        "estimated_total_dkk": costs.estimated_total_dkk,
        "cost_breakdown": dict(costs.breakdown),
        "worst_case_dkk": costs.worst_case_dkk,
        "budget_dkk": budget,
        "budget_remaining_dkk": budget - costs.estimated_total_dkk,
        "price_book": prices.name,
        "usd_to_dkk": prices.usd_to_dkk,
        "warnings": [*request.warnings, *costs.warnings],
    }
    return json.dumps(said, indent=2) + "\n"


def _text(request: Request, found: Found, costs: Estimate, prices: PriceBook) -> str:
    return "".join(f"{line}\n" for line in _lines(request, found, costs, prices))


def _lines(request: Request, found: Found, costs: Estimate, prices: PriceBook) -> Iterator[str]:
    spot = "spot" if request.document.use_spot else "on demand"
    yield (
        f"{found.used} of {found.pictures} pictures below {request.source}, {spot}, "
        f"prices {prices.name!r}"
    )
    for name, words in _PARTS.items():
        yield f"  {words:<22}{costs.breakdown[name]:12.6f} DKK"
    budget, total = request.document.budget_dkk, costs.estimated_total_dkk
    yield f"  {'estimated total':<22}{total:12.6f} DKK of {budget:.4f} DKK"
    yield f"  {'at the very most':<22}{costs.worst_case_dkk:12.6f} DKK"
