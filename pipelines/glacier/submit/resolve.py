"""What is asked for, out of the line and both files: precedence, aliases, selection. Pure.

The order is command line, `config.ini`, `aws_config.ini`, default. Regions are one value: names or
an index on the line replace both keys of the file.

| regions on the line      | in `config.ini` | taken                                        |
|--------------------------|-----------------|----------------------------------------------|
| names, index or `--all`  | anything        | those of the line                            |
| more than one of them    |                 | refused                                      |
| none                     | names and index | the index, with a warning                    |
| none                     | one of them     | it                                           |
| none                     | none            | all; to be sent only with `--all`            |
"""

from collections.abc import Iterator
from datetime import date
from typing import cast

from pipelines.glacier.dates import BadWindow, Window
from pipelines.glacier.layout import Layout
from pipelines.glacier.lines.flag import Flag
from pipelines.glacier.lines.sources import Findings, Sources
from pipelines.glacier.lines.storage import resolve_storage
from pipelines.glacier.project import aws_keys, config_keys
from pipelines.glacier.project.ini_text import Key
from pipelines.glacier.regions import Selection
from pipelines.glacier.satellite import SatelliteName
from pipelines.glacier.submit import flags
from pipelines.glacier.submit.resolve_targets import resolve_state_machine, resolve_targets
from pipelines.glacier.submit.routing import default_chunk_days, services_for
from pipelines.glacier.submit.submission import (
    Asked,
    Processing,
    RoutingRules,
    Submission,
)
from pipelines.glacier.targets.spot_strategy import batch_strategy
from pipelines.glacier.targets.tile_rule import LAMBDA_MAX_TILES
from shared.errors import UsageError


def resolve(sources: Sources, submission_id: str) -> Submission:
    """Return what is asked for; UsageError has a line for each thing that is wrong or missing."""
    findings = Findings([*sources.config.problems, *sources.aws.problems])
    findings.warnings += [*sources.config.warnings, *sources.aws.warnings]
    satellite = cast("SatelliteName | None", _satellite(sources, findings))
    service = cast("Asked", sources.line.get(flags.SERVICE) or "lambda")
    window = _window(sources, findings)
    dry_run = sources.from_config(flags.DRY_RUN, config_keys.DRY_RUN, default=False)
    selection = _selection(sources, findings, dry_run=dry_run)
    targets = resolve_targets(sources, services_for(service), satellite or "sentinel2", findings)
    machine = resolve_state_machine(sources, findings) if service == "stepfunctions" else ""
    findings.warnings += _without_effect(sources, service)
    if findings.problems or satellite is None or window is None:
        # A key in a wrong section is told as one that is not known, and missed as another.
        told = [f"warning: {each}" for each in (*sources.config.warnings, *sources.aws.warnings)]
        raise UsageError("\n".join(dict.fromkeys((*findings.problems, *told))))
    return Submission(
        submission_id=submission_id,
        satellite=satellite,
        service=service,
        window=window,
        selection=selection,
        storage=resolve_storage(sources),
        targets=targets,
        processing=_processing(sources),
        routing=_routing(sources, satellite),
        allow_stale=bool(sources.line.get(flags.ALLOW_STALE)),
        email=sources.from_config(flags.EMAIL, config_keys.EMAIL, ""),
        state_machine_arn=machine,
        budget_usd=_budget(sources),
        dry_run=dry_run,
        warnings=tuple(findings.warnings),
    )


def _satellite(sources: Sources, findings: Findings) -> str | None:
    given = sources.from_config(flags.SATELLITE, config_keys.SATELLITE, None)
    # A bad one in the file is told already.
    if given is None and _lacks(sources, config_keys.SATELLITE):
        findings.problems.append(_missing(sources, flags.SATELLITE, config_keys.SATELLITE))
    return given


def _lacks(sources: Sources, *keys: Key[object]) -> bool:
    """Tell whether `config.ini` says nothing of some keys, as far as it can be read."""
    return not (sources.config.is_unread or any(map(sources.config.text_of, keys)))


def _missing(sources: Sources, flag: Flag[object], key: Key[object]) -> str:
    """Say that a value is required."""
    place = sources.config.place(key)
    return f"{key.name} is required; give {flag.name} or write {place}"


def _window(sources: Sources, findings: Findings) -> Window | None:
    first = _date(
        sources,
        findings,
        (flags.DATE1, flags.START_DATE),
        (config_keys.DATE1, config_keys.START_DATE),
    )
    last = _date(
        sources, findings, (flags.DATE2, flags.END_DATE), (config_keys.DATE2, config_keys.END_DATE)
    )
    if first is None or last is None:
        return None
    try:
        return Window(first, last)
    except BadWindow as error:
        findings.problems.append(f"{error}; give the first day as date1 and the last as date2")
        return None


def _date(
    sources: Sources,
    findings: Findings,
    names: tuple[Flag[date], Flag[date]],
    keys: tuple[Key[date], Key[date]],
) -> date | None:
    """Return a date by its new name or its old one, from the line or else from the file."""
    in_line = tuple(sources.line.get(flag) for flag in names)
    in_file = tuple(sources.config.values.get(key) for key in keys)
    labels = [[flag.name for flag in names], [sources.config.place(key) for key in keys]]
    for (new, old), (name, old_name) in zip((in_line, in_file), labels, strict=True):
        if old is not None:
            findings.warnings.append(f"{old_name} is an old name; write {name}")
        if old is not None and new not in (None, old):
            findings.problems.append(
                f"{name} {new} and {old_name} {old} contradict each other; give {name} alone"
            )
        if new is not None or old is not None:
            return new or old
    if _lacks(sources, *keys):
        findings.problems.append(_missing(sources, names[0], keys[0]))
    return None


def _selection(sources: Sources, findings: Findings, *, dry_run: bool) -> Selection:
    line = sources.line
    names, one = line.get(flags.REGIONS), line.get(flags.REGION)
    positions, everything = line.get(flags.POSITIONS), line.get(flags.ALL)
    if names is not None and not names:
        findings.problems.append("--regions names no region; give names, or --all for every region")
    if names is not None and one is not None and tuple(names) != (one,):
        findings.problems.append(f"--region {one!r} and --regions contradict each other; give one")
    listed = tuple(names or ()) or ((one,) if one else ())
    given = {
        "--regions": names is not None or one is not None,
        "--start-end-index": positions is not None,
        "--all": bool(everything),
    }
    together = [name for name, there in given.items() if there]
    if len(together) > 1:
        findings.problems.append(f"{' and '.join(together)} exclude each other; give one of them")
    if together:
        return Selection(listed, positions)
    return _selection_of_file(sources, findings, dry_run=dry_run)


def _selection_of_file(sources: Sources, findings: Findings, *, dry_run: bool) -> Selection:
    names = tuple(sources.config.values.get(config_keys.REGIONS) or ())
    positions = sources.config.values.get(config_keys.START_END_INDEX)
    if names and positions is not None:
        place = sources.config.place(config_keys.START_END_INDEX)
        findings.warnings.append(f"{place} is stronger than regions, which are not used")
        return Selection(positions=positions)
    # One that is wrong is told already.
    if not names and _lacks(sources, config_keys.START_END_INDEX) and not dry_run:
        findings.problems.append(
            "no region is named; give --regions, --start-end-index, or --all for every region"
        )
    return Selection(names, positions)


def _processing(sources: Sources) -> Processing:
    line, default = sources.line, Processing()
    return Processing(
        layout=cast("Layout", line.get(flags.LAYOUT) or default.layout),
        cores=sources.from_config(flags.CORES, config_keys.CORES, default.cores),
        download_flag=sources.from_config(
            flags.DOWNLOAD_FLAG, config_keys.DOWNLOAD_FLAG, default.download_flag
        ),
        post_processing_flag=sources.from_config(
            flags.POST_PROCESSING_FLAG,
            config_keys.POST_PROCESSING_FLAG,
            default.post_processing_flag,
        ),
        clear_downloads=sources.from_config(
            flags.CLEAR_DOWNLOADS, config_keys.CLEAR_DOWNLOADS, default.clear_downloads
        ),
        force_reprocess=bool(line.get(flags.FORCE_REPROCESS)),
    )


def _routing(sources: Sources, satellite: SatelliteName) -> RoutingRules:
    chunk_days = sources.line.get(flags.CHUNK_DAYS)
    return RoutingRules(
        lambda_max_tiles=sources.aws_key(LAMBDA_MAX_TILES, aws_keys.LAMBDA_MAX_TILES),
        chunk_days=default_chunk_days(satellite) if chunk_days is None else chunk_days,
        force_service=bool(sources.line.get(flags.FORCE_SERVICE)),
    )


def _budget(sources: Sources) -> int | None:
    """Return what a plan may cost; None where there is no limit."""
    if sources.line.get(flags.OVER_BUDGET):
        return None
    return sources.aws.values.get(aws_keys.BUDGET_LIMIT)


def _without_effect(sources: Sources, service: Asked) -> Iterator[str]:
    """Yield a warning for each flag that changes no request of the service."""
    line = sources.line
    if line.get(flags.INSTANCE_TYPE) is not None:
        yield f"--instance-type changes no request of {service}; it is for the templates"
    yield from _of_spot(sources, service)
    if line.get(flags.CHUNK_DAYS) is not None and "lambda" not in services_for(service):
        yield f"--chunk-days has no effect with {service}; windows are cut for Lambda alone"
    if not line.get(flags.WAIT):
        for flag in (flags.POLL_SECONDS, flags.WAIT_MINUTES):
            if line.get(flag) is not None:
                yield f"{flag.name} has no effect without {flags.WAIT.name}"


def _of_spot(sources: Sources, service: Asked) -> Iterator[str]:
    """Yield what is odd about the wish for spare capacity."""
    if sources.line.get(flags.SPOT) and service == "lambda":
        yield "--spot-instances has no effect with lambda"
    if sources.line.get(flags.SPOT) and service in {"batch", "ecs", "auto", "stepfunctions"}:
        yield f"--spot-instances changes no request of {service}; queue and cluster decide"
    written = sources.aws.values.get(aws_keys.SPOT_STRATEGY)
    if written is not None and "batch" in services_for(service):
        yield from filter(None, [batch_strategy(written).warning])
