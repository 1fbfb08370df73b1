"""Opening a detector as the settings say; whatever is wrong with them is a UsageError."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio import to_thread

from pipelines.wildlife.detect.answers import CATEGORIES
from pipelines.wildlife.detect.detector import Detector
from pipelines.wildlife.detect.judging import Rules
from pipelines.wildlife.detect.model_labels import LABELS_BYTES_MAX, BadLabels, parse_labels
from pipelines.wildlife.detect.settings import DetectSettings
from pipelines.wildlife.detect.species import BUILT_IN, BadLimits, Limits, parse_limits
from pipelines.wildlife.detect.stage import Stage, model_id
from pipelines.wildlife.detect.weights import load_weights
from pipelines.wildlife.document.places import locate
from pipelines.wildlife.storage.protocol import Missing, Storage
from shared.errors import UsageError

OVERLAP = 0.5
_LIMITS_BYTES_MAX = 1024 * 1024
MEGADETECTOR = "megadetector"


@dataclass(frozen=True, slots=True)
class Opened:
    """A detector, and the configuration that its answers are judged by."""

    detector: Detector
    stage: Stage


def uri_of(text: str) -> str:
    """Return what somebody wrote as a URI of storage; a path is one of this machine."""
    uri = text if "://" in text else Path(text).absolute().as_uri()
    try:
        locate(uri)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return uri


def named_uris(settings: DetectSettings) -> Sequence[str]:
    """Return what else is read of storage, so that it can be opened."""
    model = "" if settings.detector == "http" else settings.model_uri
    named = (model, settings.model_labels_uri, settings.species_uri)
    return [uri_of(each) for each in named if each]


@asynccontextmanager
async def open_detector(
    settings: DetectSettings, storage: Storage, decoders: anyio.CapacityLimiter
) -> AsyncIterator[Opened]:
    """Open what looks for animals."""
    rules = await _rules(settings, storage)
    match settings.detector:
        case "sidecar":
            from pipelines.wildlife.detect.sidecar import SidecarDetector  # noqa: PLC0415 - see below

            stage = _stage(settings, rules, model_id(settings.detector, ""))
            yield Opened(SidecarDetector(storage), stage)
        case "http":
            # Each detector brings a library that the others do without.
            from pipelines.wildlife.detect.http_detector import open_http  # noqa: PLC0415 - as above

            key = await _find_key(settings)
            stage = _stage(settings, rules, model_id(settings.detector, ""))
            async with open_http(
                settings.model_uri, key, connections=settings.batch_size
            ) as detector:
                yield Opened(detector, stage)
        case _:
            yield await _open_onnx(settings, storage, rules, decoders)


async def _find_key(settings: DetectSettings) -> str:
    """Return the key of a service, empty where it wants none."""
    if settings.detector_key is not None:
        return settings.detector_key.get_secret_value()
    if not settings.api_keys_secret:
        return ""
    from shared.aws.secrets import read_secret  # noqa: PLC0415 - as above

    fields = await read_secret(
        settings.api_keys_secret,
        aws_region=settings.aws_region,
        profile=settings.profile,
        endpoint_url=settings.endpoint_url,
    )
    return fields.get("detector_key", "")


async def _open_onnx(
    settings: DetectSettings, storage: Storage, rules: Rules, decoders: anyio.CapacityLimiter
) -> Opened:
    from pipelines.wildlife.detect.onnx_detector import OnnxDetector  # noqa: PLC0415 - as above
    from pipelines.wildlife.detect.onnx_model import open_model  # noqa: PLC0415 - as above

    if not settings.model_uri:
        raise UsageError(f"detector {settings.detector!r} needs a model; set model_uri")
    weights = await load_weights(storage, uri_of(settings.model_uri), settings.model_sha256)
    own_form = settings.detector == MEGADETECTOR
    labels = await _labels(settings, storage)
    model = await to_thread.run_sync(
        lambda: open_model(
            weights,
            labels=labels,
            image_size=settings.image_size,
            corner_and_size=own_form,
        )
    )
    detector = OnnxDetector(
        model=model, threshold=rules.least_threshold, overlap=OVERLAP, decoders=decoders
    )
    stage = _stage(settings, rules, model_id(weights.name, weights.sha256), model.labels)
    return Opened(detector, stage)


def _stage(settings: DetectSettings, rules: Rules, model: str, labels: Sequence[str] = ()) -> Stage:
    return Stage(
        detector=settings.detector,
        model=model,
        source=settings.model_uri if settings.detector == "http" else "",
        rules=rules,
        labels=labels,
        image_size=settings.image_size if labels else None,
        overlap=OVERLAP if labels else None,
        label_map=settings.label_map,
        include_humans=settings.include_humans,
    )


async def _rules(settings: DetectSettings, storage: Storage) -> Rules:
    general = Limits(conf_threshold=settings.conf_threshold)
    by_kind: Mapping[str, Limits] = BUILT_IN
    if settings.species_uri:
        uri = uri_of(settings.species_uri)
        body = await _read(storage, uri, "species_uri", _LIMITS_BYTES_MAX)
        try:
            by_kind = parse_limits(body, general)
        except BadLimits as error:
            lines = str(error).splitlines()
            raise UsageError("\n".join(f"species_uri {uri!r}: {line}" for line in lines)) from error
    return Rules(general=general, by_kind=by_kind, edge_policy=settings.edge_policy)


async def _labels(settings: DetectSettings, storage: Storage) -> Sequence[str]:
    if not settings.model_labels_uri:
        return tuple(CATEGORIES.values()) if settings.detector == MEGADETECTOR else ()
    uri = uri_of(settings.model_labels_uri)
    try:
        return parse_labels(await _read(storage, uri, "model_labels_uri", LABELS_BYTES_MAX))
    except BadLabels as error:
        raise UsageError(f"model_labels_uri {uri!r}: {error}") from error


async def _read(storage: Storage, uri: str, option: str, most: int) -> bytes:
    try:
        body = await storage.read(uri, length=most + 1)
    except Missing as error:
        raise UsageError(
            f"{option} {uri!r} is not there; put it there or mend the option"
        ) from error
    if len(body) > most:
        raise UsageError(f"{option} {uri!r} has more than {most} bytes")
    return body
