"""The command `towpath glacier test-container`: an image asked as Lambda asks it, without AWS.

Exit statuses: 0 every answer is as it must be · 1 one is not, or nothing answers · 2 bad input.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipelines.glacier.deploy import flags
from pipelines.glacier.deploy.preparing import Prepared, prepare
from pipelines.glacier.lines import where
from pipelines.glacier.lines.flag import Flag
from pipelines.glacier.lines.syntax import Syntax
from pipelines.glacier.region_file import load_regions
from pipelines.glacier.values import NAME
from shared.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from pipelines.glacier.deploy.probes.empty_services import EmptyServices
    from pipelines.glacier.deploy.probes.probes import Probe
    from pipelines.glacier.deploy.probes.probing import ProbeResult

# The rest is imported where it is used: --help does not wait for the server's library.
# ruff: noqa: PLC0415

SUMMARY = "start the image as Lambda does and check its answers; needs no AWS"

_REGION = Flag("--region", NAME, "region of the events (default: the file's first)", "NAME")
_SYNTAX = Syntax(
    "towpath glacier test-container",
    """
    Start the image, wait until its handler is loaded, hand it a dry run, a bad event and a whole
    run, check the answers, end it. The run has an empty bucket and an empty search, both served
    here, or those of --endpoint-url and --stac-url. --local does the same with the handler of this
    environment, without docker. Nobody's credentials are handed over, and AWS is not asked.
    """,
    {
        "what": (flags.IMAGE, flags.LOCAL, flags.REGION_FILE, _REGION),
        "a whole run": (where.ENDPOINT_URL, flags.STAC_URL, where.S3_BUCKET),
        "image": (flags.BASE_IMAGE, flags.BIND_PROJECT, flags.SOURCE),
        "project": flags.PROJECT_GROUP,
    },
)


def main(argv: Sequence[str]) -> int:
    """Ask everything, and say how it went."""
    prepared = prepare(_SYNTAX, argv)
    line = prepared.loaded.sources.line
    endpoint, stac = line.get(where.ENDPOINT_URL), line.get(flags.STAC_URL)
    if (endpoint is None) != (stac is None):
        raise UsageError("--endpoint-url and --stac-url go together; give both or neither")
    if line.get(flags.LOCAL) and line.get(flags.IMAGE):
        raise UsageError("--local and --image exclude each other; give one of them")
    prepared.warn()
    results = _ask(prepared, _probes(prepared))
    for result in results:
        verdict = "failed" if result.faults else "ok"
        sys.stdout.write(f"{verdict:<8}{result.name} ({result.seconds:.1f} s)\n")
        sys.stdout.write("".join(f"        {fault}\n" for fault in result.faults))
    failed = any(result.faults for result in results)
    return ExitStatus.UNEXPECTED if failed else ExitStatus.DONE


def _probes(prepared: Prepared) -> "list[Probe]":
    from pipelines.glacier.deploy.image_request import region_file
    from pipelines.glacier.deploy.probes.probes import bad_event, dry_run, real_run

    line = prepared.loaded.sources.line
    named = line.get(_REGION)
    region = named or load_regions(region_file(prepared))[0].name
    storage = prepared.deployment.storage
    place = (region, storage.s3_bucket, storage.s3_base_path)
    elsewhere = line.get(flags.STAC_URL) is not None
    return [dry_run(*place), bad_event(), real_run(*place, scenes=elsewhere)]


def _ask(prepared: Prepared, probes: "list[Probe]") -> "list[ProbeResult]":
    from pipelines.glacier.deploy.docker.imaging import build_image
    from pipelines.glacier.deploy.image_request import image_request, region_file
    from pipelines.glacier.deploy.probes.empty_services import open_services
    from pipelines.glacier.deploy.probes.probing import (
        Container,
        host_of_container,
        probe_container,
        probe_here,
    )
    from shared.lifecycle import run
    from shared.log import configure_logging

    configure_logging("glacier")
    line, found = prepared.loaded.sources.line, list["ProbeResult"]()

    async def main() -> ExitStatus:
        async with open_services() as services:
            if line.get(flags.LOCAL):
                here = {"GLACIER_REGION_FILE": str(region_file(prepared).absolute())}
                elsewhere = _elsewhere(prepared, services, "127.0.0.1")
                found.extend(await probe_here({**here, **elsewhere}, probes))
                return ExitStatus.DONE
            image = line.get(flags.IMAGE)
            if image is None:
                building = image_request(prepared)
                image = f"{prepared.deployment.repository}:{building.content.tag}"
                await build_image(building, image, _tell)
            elsewhere = _elsewhere(prepared, services, host_of_container())
            container = Container(image, prepared.deployment.platform, elsewhere)
            found.extend(await probe_container(container, probes))
        return ExitStatus.DONE

    run(main)
    return found


def _elsewhere(prepared: Prepared, services: "EmptyServices", host: str) -> Mapping[str, str]:
    """Return the variables that lead a handler to somebody else than AWS."""
    line, aws_region = prepared.loaded.sources.line, prepared.deployment.storage.aws_region
    endpoint, stac = line.get(where.ENDPOINT_URL), line.get(flags.STAC_URL)
    return {
        "AWS_REGION": aws_region,
        "AWS_DEFAULT_REGION": aws_region,
        # Keys that are nobody's: a test must not act as the person who runs it.
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": (endpoint or services.s3_url(host)).rstrip("/"),
        "GLACIER_STAC_URL": stac or services.stac_url(host),
    }


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
