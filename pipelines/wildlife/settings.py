"""How runs are made here, whatever they are asked for. Functions find it in their environment."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from pipelines.wildlife.pictures import parse_rates
from shared.daemon_settings import AccountSettings
from shared.options import Option

SERVICE = "wildlife"


class RunSettings(AccountSettings):
    """Turn the pictures of trail cameras into a table of sightings, within a budget."""

    aws_region: Annotated[
        str,
        Option(
            flag="--region",
            env=("AWS_REGION", "AWS_DEFAULT_REGION"),
            metavar="REGION",
            group="AWS",
        ),
    ] = Field(
        default="eu-north-1",
        pattern=r"^[a-z0-9-]{1,32}$",
        description="Region of functions, queues and state machine",
    )
    requests_in_flight: Annotated[int, Option(metavar="N", group="limits")] = Field(
        default=16, ge=1, le=256, description="Pictures that are read at once"
    )

    seconds_per_image: Annotated[
        tuple[str, ...], Option(metavar="CAMERA=SECONDS", group="pictures")
    ] = Field(
        default=(),
        description=(
            "What the detection takes for a picture, by which runs are estimated; * is any other "
            "camera; what is not said is cam01=0.8, cam02=0.6, *=0.7"
        ),
    )
    clocks_uri: Annotated[str, Option(metavar="URI", group="pictures")] = Field(
        default="",
        description=(
            "Folder of current/corrections.json, time_corrections.csv and time_offsets.yaml, each "
            "of which may be missing; empty: no clock is corrected"
        ),
    )

    detector: Annotated[
        Literal["sidecar", "yolo", "megadetector", "http"], Option(group="detection")
    ] = Field(
        default="sidecar",
        description="What looks for animals; sidecar reads what lies beside each picture",
    )
    model_uri: Annotated[str, Option(metavar="URI", group="detection")] = Field(
        default="", description="ONNX model of yolo and megadetector, or the address of http"
    )
    model_sha256: Annotated[str, Option(metavar="HEX", group="detection")] = Field(
        default="", pattern=r"^([0-9a-f]{64})?$", description="What the model's bytes must hash to"
    )
    model_labels_uri: Annotated[str, Option(metavar="URI", group="detection")] = Field(
        default="", description="JSON list of the model's classes, in the order of its outputs"
    )
    detector_key: SecretStr | None = Field(
        default=None, description="Bearer key that the detector http is asked with"
    )
    species_uri: Annotated[str, Option(metavar="URI", group="detection")] = Field(
        default="", description="JSON of limits by species in the place of the built-in ones"
    )
    conf_threshold: Annotated[float, Option(metavar="SHARE", group="detection")] = Field(
        default=0.3, ge=0, le=1, description="Least score of a detection that is kept"
    )
    image_size: Annotated[int, Option(metavar="PIXELS", group="detection")] = Field(
        default=640,
        ge=32,
        le=4096,
        description="Side of the square that pictures are shrunk into, if the model leaves it open",
    )
    batch_size: Annotated[int, Option(metavar="N", group="detection")] = Field(
        default=16, ge=1, le=256, description="Pictures in the detector's hands at once"
    )
    chunk_pictures: Annotated[int, Option(metavar="N", group="detection")] = Field(
        default=50,
        ge=1,
        le=1000,
        description="Pictures whose results are stored together: what an ended job loses at most",
    )
    edge_policy: Annotated[Literal["review", "drop"], Option(group="detection")] = Field(
        default="review", description="What becomes of a box at the picture's border"
    )
    label_map: Annotated[Literal["", "swedish-coco"], Option(group="detection")] = Field(
        default="", description="Corrections of a detector's labels; what they change needs review"
    )

    compression: Annotated[Literal["window", "gap"], Option(group="sightings")] = Field(
        default="window",
        description="Whether a sighting ends so long after its start, or after its last picture",
    )
    window_minutes: Annotated[float, Option(metavar="MINUTES", group="sightings")] = Field(
        default=10.0, ge=0.1, le=1440, description="How long that is"
    )
    min_confidence: Annotated[float, Option(metavar="SHARE", group="sightings")] = Field(
        default=0.5, ge=0, le=1, description="Least confidence that counts as a sighting"
    )
    min_duration_seconds: Annotated[float, Option(metavar="SECONDS", group="sightings")] = Field(
        default=5.0, ge=0, le=3600, description="Shortest sighting in a video; stills always count"
    )
    radius_meters: Annotated[float, Option(metavar="METRES", group="sightings")] = Field(
        default=5.0, gt=0, le=10_000, description="How far from its centre a place reaches"
    )
    min_points: Annotated[int, Option(metavar="N", group="sightings")] = Field(
        default=1, ge=1, le=1000, description="Sightings that make a place"
    )
    known_places_uri: Annotated[str, Option(metavar="URI", group="sightings")] = Field(
        default="", description="known_clusters.json: places that have names already"
    )
    include_humans: Annotated[bool, Option(group="sightings")] = Field(
        default=False, description="Store crops and rows of people as well"
    )

    weather: Annotated[tuple[str, ...], Option(metavar="NAME", group="weather")] = Field(
        default=("auto",),
        description=(
            "Providers in the order in which they are asked: frost, smhi, locationforecast, "
            "static, none; auto: static where a file is given, else frost with a client id, then "
            "smhi with a contact, else none"
        ),
    )
    weather_contact: Annotated[str, Option(metavar="ADDRESS", group="weather")] = Field(
        default="", description="Your e-mail address or page, which every provider wants to know"
    )
    frost_client_id: SecretStr | None = Field(default=None, description="Client id at frost.met.no")
    api_keys_secret: Annotated[str, Option(metavar="NAME", group="weather")] = Field(
        default="", description="Secret of Secrets Manager with frost_client_id and detector_key"
    )
    weather_file: Annotated[Path | None, Option(metavar="FILE", group="weather")] = Field(
        default=None, description="JSON of the provider static"
    )
    frost_url: Annotated[str, Option(metavar="URL", group="weather")] = Field(
        default="https://frost.met.no", pattern=r"^https?://\S+$", description="Where frost is"
    )
    smhi_url: Annotated[str, Option(metavar="URL", group="weather")] = Field(
        default="https://opendata-download-metobs.smhi.se/api/version/1.0",
        pattern=r"^https?://\S+$",
        description="Where smhi is",
    )
    locationforecast_url: Annotated[str, Option(metavar="URL", group="weather")] = Field(
        default="https://api.met.no/weatherapi/locationforecast/2.0",
        pattern=r"^https?://\S+$",
        description="Where locationforecast is",
    )
    max_station_km: Annotated[float, Option(metavar="KM", group="weather")] = Field(
        default=50.0, gt=0, le=500, description="How far a station may be"
    )

    job_queue_spot: Annotated[str, Option(metavar="NAME", group="AWS")] = Field(
        default="local", description="Queue of spare capacity"
    )
    job_queue_either: Annotated[str, Option(metavar="NAME", group="AWS")] = Field(
        default="", description="Queue of spare capacity with on-demand behind it"
    )
    job_queue_on_demand: Annotated[str, Option(metavar="NAME", group="AWS")] = Field(
        default="local", description="Queue of on-demand capacity"
    )
    environment_name: Annotated[
        Literal["dev", "prod"], Option(flag="--environment", group="AWS")
    ] = Field(default="dev", description="First part of the names of resources")

    @field_validator("seconds_per_image")
    @classmethod
    def _are_rates(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        parse_rates(texts)
        return texts


def installed_version() -> str:
    """Return our version as it is installed; a source tree that only lies there has none."""
    try:
        return version("towpath")
    except PackageNotFoundError:
        return "unknown"
