"""The input document: one table of fields, from which checks and JSON Schema both come."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

BOOK_NAME_MAX = 64
_STRICT_NUMBER = {"strict": True, "allow_inf_nan": False}


class Coordinates(BaseModel):
    """A position in degrees, WGS 84."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lat: Annotated[float, Field(ge=-90, le=90, **_STRICT_NUMBER)]
    lon: Annotated[float, Field(ge=-180, le=180, **_STRICT_NUMBER)]


class InputDocument(BaseModel):
    """What a run is asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="wildlife input document")

    input_uri: Annotated[StrictStr, Field(description="where the pictures lie")]
    output_uri: Annotated[StrictStr, Field(description="where results go, apart from input_uri")]
    budget_dkk: Annotated[
        float,
        Field(ge=0.01, le=10_000, description="what the run may cost, in DKK", **_STRICT_NUMBER),
    ]
    use_spot: Annotated[StrictBool, Field(description="detect on spare capacity")] = True
    max_images: Annotated[int, Field(strict=True, ge=1, le=50_000, description="pictures")] = 5000
    max_job_duration: Annotated[
        int, Field(strict=True, ge=300, le=14_400, description="of one detection attempt, seconds")
    ] = 3600
    weather_days_back: Annotated[
        int, Field(strict=True, ge=1, le=365, description="days for which weather is asked")
    ] = 7
    session_id: Annotated[
        StrictStr | None,
        Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="default: from both URIs"),
    ] = None
    coordinates: Annotated[
        Coordinates | None, Field(description="of pictures without a position")
    ] = None
    write_details: Annotated[
        StrictBool, Field(description="write events.parquet and detections.parquet, too")
    ] = False
    price_book: Annotated[
        StrictStr,
        Field(min_length=1, max_length=BOOK_NAME_MAX, description="name of the prices to use"),
    ] = "reference"
