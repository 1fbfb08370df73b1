"""Ground for tests of the detection: pictures with their lines, and a job on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TypeVar

from pydantic import TypeAdapter

from pipelines.wildlife.detect.chunks import PICTURE_FORM
from pipelines.wildlife.detect.settings import DetectSettings
from pipelines.wildlife.document.places import Place
from pipelines.wildlife.layout import Kind
from pipelines.wildlife.models.pictures import ImageFormat, PictureLine
from pipelines.wildlife.storage.protocol import Storage
from tests.support.wildlife_pictures import Animal, make_picture, make_sidecar

Record = TypeVar("Record")

START = datetime(2026, 6, 1, 4, 30, tzinfo=UTC)
SIZE = (160, 120)


def picture_line(
    uri: str,
    body: bytes = b"",
    *,
    number: int = 0,
    camera: str = "cam01",
    size: tuple[int, int] = SIZE,
    form: ImageFormat = "JPEG",
) -> PictureLine:
    """Return what Stage-0 would have written of a picture."""
    taken = START + timedelta(minutes=number)
    return PictureLine(
        event_id=f"evt-{sha256(uri.encode()).hexdigest()[:16]}",
        session_id="run-test",
        camera_id=camera,
        image_uri=uri,
        etag="etag",
        file_size_bytes=len(body),
        image_width=size[0],
        image_height=size[1],
        image_format=form,
        timestamp_original=taken,
        timestamp_corrected=taken,
        timestamp_utc=taken,
        timestamp_source="exif_original",
        timezone="Europe/Stockholm",
        offset_seconds_applied=0.0,
        gps_latitude=59.5,
        gps_longitude=17.25,
        gps_source="exif",
    )


@dataclass(slots=True)
class Forest:
    """Pictures below `in/` of a place, whose results go to `out/stage1/`."""

    storage: Storage
    root: Place
    lines: list[PictureLine] = field(default_factory=list)

    @property
    def input_uri(self) -> str:
        """Where the manifest is."""
        return self.root.join("out/stage0/")

    @property
    def output_uri(self) -> str:
        """Where results go."""
        return self.root.join("out/stage1/")

    async def add(
        self, name: str, animals: Sequence[Animal] = (), *, sidecar: bool = True
    ) -> PictureLine:
        """Put a picture, and what lies beside it."""
        body = make_picture(animals=animals, size=SIZE)
        return await self.add_bytes(name, body, make_sidecar(animals) if sidecar else None)

    async def add_bytes(self, name: str, body: bytes, sidecar: bytes | None = None) -> PictureLine:
        """Put what may be a picture."""
        uri = self.root.join(f"in/{name}")
        await self.storage.write(uri, body, kind=Kind.FRAME)
        if sidecar is not None:
            await self.storage.write(f"{uri}.detections.json", sidecar, kind=Kind.FRAME)
        camera = name.partition("/")[0]
        line = picture_line(uri, body, number=len(self.lines), camera=camera)
        self.lines.append(line)
        return line

    async def finish(self) -> None:
        """Write the manifest."""
        body = b"".join(PICTURE_FORM.dump_json(line) + b"\n" for line in self.lines)
        uri = self.root.join("out/stage0/manifest.jsonl")
        await self.storage.write(uri, body, kind=Kind.MANIFEST)

    def settings(self, **changed: object) -> DetectSettings:
        """Return the settings of a job on it."""
        said: Mapping[str, object] = {
            "input_uri": self.input_uri,
            "output_uri": self.output_uri,
            "chunk_pictures": 2,
            **changed,
        }
        return DetectSettings.model_validate(said)

    async def read(self, name: str) -> bytes:
        """Return a result."""
        return await self.storage.read(self.root.join(f"out/stage1/{name}"))

    async def names(self) -> list[str]:
        """Return the names of all results."""
        place = Place(self.root.scheme, self.root.bucket, f"{self.root.prefix}out/stage1/")
        return [entry.relative async for entry in self.storage.walk(place)]

    async def records(self, name: str, form: "TypeAdapter[Record]") -> "list[Record]":
        """Return the lines of a result."""
        return [form.validate_json(line) for line in (await self.read(name)).splitlines()]
