"""The wildlife pipeline at LocalStack: `python -m scripts.wildlife.localstack VERB`.

Exit statuses: 0 done · 1 something is not as it should be (doctor) · 2 usage · 6 nobody answers.
"""

import argparse
import json
import os
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from pipelines.wildlife.commands.remote import LOCALSTACK_URL
from scripts.wildlife.local_account import LocalAccount
from shared.aws.calls import AwsCalls
from shared.engine import EngineOptions, open_engine
from shared.errors import ExitStatus, SuiteError
from shared.lifecycle import run as run_loop
from shared.log import configure_logging

_VERBS = ("deploy", "status", "doctor", "destroy")
_NEEDED = ("s3", "lambda", "stepfunctions", "iam", "sts")
_BETTER = ("batch", "ecr", "ecs")
_HEALTH_SECONDS = 10.0
_REGION = "eu-north-1"


def main(argv: Sequence[str] | None = None) -> int:
    """Do what a verb says."""
    parser = argparse.ArgumentParser(prog="python -m scripts.wildlife.localstack")
    parser.add_argument("verb", choices=_VERBS)
    parser.add_argument("--packages", type=Path, metavar="DIR", help="the functions' zips (deploy)")
    parser.add_argument("--image", default="towpath-wildlife-detector:local", metavar="IMAGE")
    parser.add_argument("--endpoint-url", default=LOCALSTACK_URL, metavar="URL")
    parser.add_argument("--region", default=_REGION, metavar="REGION")
    arguments = parser.parse_args(argv)
    if arguments.verb == "deploy" and arguments.packages is None:
        parser.error("--packages is required; `make deploy-local` builds them")
    if arguments.verb == "doctor":
        return _examine(arguments.endpoint_url)
    configure_logging("wildlife", "warning")
    # LocalStack takes any key, and without one no client can be made.
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "test")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "test")
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    try:
        run_loop(lambda: _do(arguments))
    except SuiteError as error:
        sys.stderr.write(f"{error}\n")
        return error.status
    return ExitStatus.DONE


async def _do(arguments: argparse.Namespace) -> ExitStatus:
    options = EngineOptions(arguments.region, None, arguments.endpoint_url, in_flight=2)
    async with open_engine(options, journal=None) as engine:
        account = LocalAccount(AwsCalls(engine.clients), arguments.region, arguments.image)
        if arguments.verb == "deploy":
            _print(await account.deploy(arguments.packages))
        elif arguments.verb == "destroy":
            await account.destroy()
        else:
            _print(await account.list_all())
    return ExitStatus.DONE


def _examine(url: str) -> int:
    """Say of each service whether it answers, and what follows where it does not."""
    try:
        with urllib.request.urlopen(  # noqa: S310 - what the operator named
            f"{url}/_localstack/health", timeout=_HEALTH_SECONDS
        ) as answer:
            services = json.loads(answer.read(1 << 20))["services"]
    except (OSError, ValueError, KeyError) as error:
        sys.stderr.write(f"nobody answers at {url!r}: {error}; try `make up-localstack`\n")
        return ExitStatus.UNREACHABLE
    there = {name for name, state in services.items() if state in {"available", "running"}}
    for name in _NEEDED:
        sys.stdout.write(f"{name}: {'there' if name in there else 'MISSING'}\n")
    for name in _BETTER:
        lacking = "not in this plan; animals are looked for on this machine"
        sys.stdout.write(f"{name}: {'there' if name in there else lacking}\n")
    return ExitStatus.DONE if there.issuperset(_NEEDED) else ExitStatus.UNEXPECTED


def _print(found: object) -> None:
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
