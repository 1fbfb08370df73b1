"""The rows of the Parquet tables. Column order and types of the files come from here.

A breaking change (rename, retype, remove, newly required) is a new contract version; a new optional
column is not.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from pipelines.wildlife.models.moments import Latitude, Longitude, Moment, Share
from pipelines.wildlife.models.weather import WeatherStatus

OBSERVATIONS_CONTRACT = "observations_v1"
EVENTS_CONTRACT = "events_v1"
DETECTIONS_CONTRACT = "detections_v1"

Int32 = Annotated[int, Field(ge=0, lt=2**31), "int32"]
"""A count that the file holds in 32 bits; other integers have 64."""
Positive = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationRow:
    """A row of `clusters.parquet`."""

    observation_id: str
    session_id: str
    camera_id: str
    species: str
    start_time: Moment
    end_time: Moment
    duration_seconds: float
    max_confidence: float
    avg_confidence: float
    frame_count: Int32
    individual_count: Int32
    needs_review: bool
    latitude: float | None
    longitude: float | None
    cluster_id: str | None
    cluster_name: str | None
    source_video: str | None
    weather_temp_c: float | None
    weather_humidity_pc: float | None
    weather_precip_mm: float | None
    weather_wind_ms: float | None
    weather_wind_dir_deg: float | None
    weather_wind_dir_card: str | None
    weather_gust_ms: float | None
    weather_pressure_hpa: float | None
    weather_visibility_m: float | None
    weather_cloud_pc: float | None
    weather_uv_index: float | None
    weather_dew_point_c: float | None
    weather_condition_code: str | None
    weather_time: Moment | None
    weather_source: str | None
    weather_station_id: str | None
    weather_station_km: float | None
    weather_status: WeatherStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """A row of `events.parquet`: a picture."""

    event_id: str
    session_id: str
    camera_id: str
    timestamp_utc: Moment
    timestamp_original: Moment
    timestamp_corrected: Moment
    gps_latitude: Latitude | None
    gps_longitude: Longitude | None
    gps_accuracy: float | None
    location_zone: str | None
    image_path: str
    image_width: int
    image_height: int
    image_format: str
    file_size_bytes: int
    detection_count: Annotated[int, Field(ge=0)]
    observation_any: bool
    temperature_celsius: float | None
    humidity_percent: Percent | None
    precipitation_mm: Positive | None
    wind_speed_ms: Positive | None
    processing_version: str
    contract_version: Literal["events_v1"]
    rule_id: str | None
    map_version: str | None
    quality_score: Share | None
    blur_detected: bool
    motion_detected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundingBox:
    """Pixels from the upper left corner, inside the picture."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionRow:
    """A row of `detections.parquet`: a detection that was kept."""

    detection_id: str
    event_id: str
    session_id: str
    camera_id: str
    timestamp_utc: Moment
    timestamp_original: Moment
    label: str
    confidence: Share
    bounding_box: BoundingBox
    image_path: str
    image_width: int
    image_height: int
    gps_latitude: Latitude | None
    gps_longitude: Longitude | None
    location_zone: str | None
    species: str | None
    species_confidence: Share | None
    age_class: Literal["adult", "subadult", "juvenile", "unknown"] | None
    sex: Literal["male", "female", "unknown"] | None
    detection_method: Literal["yolo", "manual", "automated", "hybrid"]
    model_version: str
    processing_version: str
    contract_version: Literal["detections_v1"]
    quality_score: Share | None
    blur_detected: bool
    occlusion_level: str | None
    rule_id: str | None
    map_version: str | None
