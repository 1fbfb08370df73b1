"""The memory cards of the cameras: pictures of warm bodies in a night forest, with real EXIF.

The cameras see heat, and show a moose red, a roe deer green, a fox blue and a person white; the
little detector of the tests looks for just these colours.
"""

import io
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from PIL import Image, ImageDraw

from scripts.demo.wildlife_forest import CAMERAS, PERSON, Forest, Shot
from tests.support.wildlife_pictures import Exif

_SIZE = (640, 480)
_COLOURS = {"moose": (255, 0, 0), "roe_deer": (0, 255, 0), "fox": (0, 0, 255)}
_WHITE = (255, 255, 255)
_LENGTHS = {"moose": 210, "roe_deer": 130, "fox": 110, PERSON: 70}
"""Of a body, in pixels."""
_BROKEN = ("kilsbergen/IMG_9001.JPG", "tiveden/IMG_9002.JPG", "bergslagen/IMG_9003.JPG")


@dataclass(frozen=True, slots=True)
class Cards:
    """What lies on the disk."""

    pictures: Path
    clocks: Path
    weather: Path
    places: Path
    count: int
    broken: Sequence[str]
    """Names of files that are no pictures, though they are called so."""


def write_cards(folder: Path, forest: Forest) -> Cards:
    """Write pictures, the cameras' clocks, and the weather of those days."""
    pictures = folder / "cards"
    numbers = dict.fromkeys((camera.name for camera in CAMERAS), 0)
    last = b""
    for shot in forest.shots:
        name = shot.camera.name
        numbers[name] += 1
        last = draw_shot(shot, numbers[name])
        target = pictures / name / f"IMG_{numbers[name]:04d}.JPG"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(last)
    for name, body in zip(_BROKEN, (last[:700], b"", b"these are my notes\n"), strict=True):
        (pictures / name).write_bytes(body)
    clocks, weather, places = (folder / name for name in ("clocks", "weather.json", "places.json"))
    _write_clocks(clocks, forest)
    weather.write_text(json.dumps(_weather(forest)), encoding="utf-8")
    places.write_text(json.dumps(_places()), encoding="utf-8")
    return Cards(pictures, clocks, weather, places, len(forest.shots), _BROKEN)


def temperature(hour: datetime) -> float:
    """Return what the thermometer showed on the hour."""
    return round(14.0 - abs(hour.hour - 13) * 0.8 + (hour.day % 3), 1)


def draw_shot(shot: Shot, number: int) -> bytes:
    """Return the picture's file."""
    chance = random.Random(f"{shot.camera.name}{number}")  # noqa: S311 - the same each time
    image = _forest_at_night(random.Random(shot.camera.name), chance)  # noqa: S311 - the same
    if shot.kind:
        _draw_body(ImageDraw.Draw(image), shot.kind, chance)
    camera = shot.camera
    exif = Exif(
        original=shot.clock.strftime("%Y:%m:%d %H:%M:%S"),
        offset=shot.offset,
        make=camera.make,
        model=f"{camera.make} T4",
        position=(camera.latitude, camera.longitude) if camera.has_gps else None,
    )
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88, subsampling=0, exif=exif.to_bytes())
    return file.getvalue()


def _forest_at_night(place: random.Random, chance: random.Random) -> Image.Image:
    width, height = _SIZE
    sky = Image.linear_gradient("L").resize(_SIZE).point(lambda level: 44 - level // 8)
    image = Image.merge("RGB", (sky.point(lambda v: v // 2), sky, sky.point(lambda v: v * 3 // 4)))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, height * 3 // 4, width, height), fill=(9, 16, 12))
    for _ in range(26):
        x, thick = place.randrange(width), place.randrange(5, 26)
        shade = place.randrange(6, 20)
        foot = height * 3 // 4 + place.randrange(50)
        draw.rectangle((x, 0, x + thick, foot), fill=(shade // 2, shade, shade * 2 // 3))
    grain = chance.randbytes(width * height // 16)
    noise = Image.frombytes("L", (width // 4, height // 4), grain).resize(_SIZE)
    return Image.blend(image, Image.merge("RGB", (noise,) * 3), 0.06)


def _draw_body(draw: ImageDraw.ImageDraw, kind: str, chance: random.Random) -> None:
    """Draw a silhouette, all of it well within the picture."""
    colour, long = _COLOURS.get(kind, _WHITE), _LENGTHS[kind]
    x = chance.randrange(60, _SIZE[0] - 60 - int(long * 1.5))
    ground = chance.randrange(380, 430)
    if kind == PERSON:
        draw.ellipse((x + 20, ground - 200, x + 50, ground - 165), fill=colour)
        draw.rectangle((x + 12, ground - 165, x + 58, ground - 75), fill=colour)
        for leg in (x + 14, x + 38):
            draw.rectangle((leg, ground - 80, leg + 18, ground), fill=colour)
        return
    high = long // 3
    legs = high if kind != "fox" else high // 2
    top = ground - legs - high
    draw.ellipse((x, top, x + long, top + high), fill=colour)
    for share in (0.12, 0.24, 0.72, 0.84):
        left = x + int(long * share)
        draw.rectangle((left, top + high // 2, left + long // 16, ground), fill=colour)
    neck = (x + int(long * 0.85), top + high // 3)
    head = (x + int(long * 1.12), top - high // 3)
    draw.line((*neck, *head), fill=colour, width=high // 2)
    draw.ellipse(
        (head[0] - high // 4, head[1] - high // 4, head[0] + high // 2, head[1] + high // 5),
        fill=colour,
    )
    if kind == "fox":
        draw.line((x + 8, top + high // 2, x - 36, top + high), fill=colour, width=high // 3)
        return
    for lean in (-1, 1) if kind == "moose" else (1,):
        tip = (head[0] + lean * high // 2, head[1] - high // 2)
        draw.line((*head, *tip), fill=colour, width=max(4, high // 8))


def _write_clocks(folder: Path, forest: Forest) -> None:
    folder.mkdir(parents=True)
    (folder / "time_corrections.csv").write_text(
        "camera_id,location,timezone,offset_seconds,clock_drift_ppm,notes\n"
        "kilsbergen,the ridge,Europe/Stockholm,120,0,two minutes fast, seen in spring\n",
        encoding="utf-8",
    )
    tiveden = CAMERAS[1]
    (folder / "time_offsets.yaml").write_text(
        "camera_systems:\n"
        "  on_winter_time: {default_offset: 0, timezone: Europe/Stockholm, dst_handling: manual}\n"
        "camera_types: {tiveden: on_winter_time}\n"
        "camera_positions:\n"
        f"  tiveden: {{latitude: {tiveden.latitude}, longitude: {tiveden.longitude}}}\n",
        encoding="utf-8",
    )
    year = forest.shots[0].at.year
    current = folder / "current"
    current.mkdir()
    corrections = [
        {
            "correction_id": "battery-changed",
            "camera_id": "bergslagen",
            "delta_seconds": 5400,
            "effective_from": f"{year}-06-13T22:30:00Z",
            "effective_to": f"{year}-06-16T22:30:00Z",
            "rule_id": "slow-after-battery",
            "created_at": f"{year}-06-20T08:00:00Z",
        }
    ]
    body = json.dumps(corrections).encode()
    (current / "corrections.json").write_bytes(body)
    manifest = {"sha256": sha256(body).hexdigest()}
    (current / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def _places() -> object:
    return [
        {
            "cluster_id": f"stand-{camera.name}",
            "name": camera.stand,
            "center_latitude": camera.latitude,
            "center_longitude": camera.longitude,
            "radius_meters": 30,
        }
        for camera in CAMERAS
        if camera.stand
    ]


def _weather(forest: Forest) -> object:
    first = min(shot.at for shot in forest.shots).replace(minute=0, second=0)
    last = max(shot.at for shot in forest.shots)
    hours = [first + timedelta(hours=step) for step in range(int((last - first).days * 24 + 26))]
    reports = [
        {
            "time": hour.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "weather_temp_c": temperature(hour),
            "weather_wind_ms": 1.0 + hour.hour % 5,
            "weather_wind_dir_deg": hour.hour * 15.0,
            "weather_cloud_pc": hour.day * 4.0 % 100,
            "weather_precip_mm": 0.4 if hour.day % 4 == 0 else 0.0,
        }
        for hour in hours
    ]
    return {
        "attribution": "Weather: the demonstration's own",
        "stations": [{"id": "yard", "reports": reports}],
    }
