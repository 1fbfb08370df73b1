"""What the container's job is told: the names of the contract first, else those of every run."""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.wildlife.settings import RunSettings
from shared.options import Option


class DetectSettings(RunSettings):
    """Find animals in the pictures of a Stage-0 manifest, and label them."""

    input_uri: Annotated[str, Option(env="INPUT_URI", metavar="URI", group="job")] = Field(
        min_length=1, description="Folder of Stage-0's manifest.jsonl"
    )
    output_uri: Annotated[str, Option(env="OUTPUT_URI", metavar="URI", group="job")] = Field(
        min_length=1, description="Folder of the results of this stage"
    )
    max_images_per_job: Annotated[
        int, Option(env="MAX_IMAGES_PER_JOB", metavar="N", group="job")
    ] = Field(
        default=1000,
        ge=1,
        le=50_000,
        description="Pictures whose lines are held in memory at once; all of them are done",
    )
    detector: Annotated[
        Literal["sidecar", "yolo", "megadetector", "http"],
        Option(env="DETECTOR", group="detection"),
    ] = Field(
        default="sidecar",
        description="What looks for animals; sidecar reads what lies beside each picture",
    )
    model_uri: Annotated[str, Option(env="MODEL_URI", metavar="URI", group="detection")] = Field(
        default="", description="ONNX model of yolo and megadetector, or the address of http"
    )
    species_uri: Annotated[str, Option(env="SPECIES_CFG", metavar="URI", group="detection")] = (
        Field(default="", description="JSON of limits by species instead of the built-in ones")
    )
    conf_threshold: Annotated[
        float, Option(env="CONF_THRESHOLD", metavar="SHARE", group="detection")
    ] = Field(default=0.3, ge=0, le=1, description="Least score of a detection that is kept")
    image_size: Annotated[int, Option(env="IMAGE_SIZE", metavar="PIXELS", group="detection")] = (
        Field(
            default=640,
            ge=32,
            le=4096,
            description="Side of the square that pictures are shrunk into, if the model allows",
        )
    )
    batch_size: Annotated[int, Option(env="BATCH_SIZE", metavar="N", group="detection")] = Field(
        default=16, ge=1, le=256, description="Pictures in the detector's hands at once"
    )
