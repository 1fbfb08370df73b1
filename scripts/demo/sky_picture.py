"""The picture at the end: where each chunk lies, what became of it, how far its matches lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import pi, radians
from pathlib import Path

_COLOURS: Mapping[str, str] = {
    "collected": "#2a7f4f",
    "answered": "#3b6fb6",
    "parked": "#c0392b",
}
_OTHER = "#8a8a8a"
_BINS = 40


@dataclass(frozen=True, slots=True)
class ChunkOnSky:
    """A chunk as the picture shows it."""

    cid: str
    state: str
    ra_deg: Sequence[float]
    dec_deg: Sequence[float]


def draw_sky(
    path: Path, chunks: Sequence[ChunkOnSky], separations_arcsec: Sequence[float], radius: float
) -> None:
    """Write a PNG: the whole sky in Mollweide's projection, and the histogram of separations."""
    # Imported here: no other part of the demonstration needs it, and it takes a second.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(10, 9), layout="constrained")
    FigureCanvasAgg(figure)  # becomes the canvas of the figure, which draws without a display
    sky = figure.add_subplot(2, 1, 1, projection="mollweide")
    for state in dict.fromkeys(chunk.state for chunk in chunks):
        ours = [chunk for chunk in chunks if chunk.state == state]
        # East is to the left, as seen from below the sky.
        sky.scatter(
            [-_turned(ra) for chunk in ours for ra in chunk.ra_deg],
            [radians(dec) for chunk in ours for dec in chunk.dec_deg],
            s=8,
            color=_COLOURS.get(state, _OTHER),
            label=f"{state} ({len(ours)})",
        )
    for chunk in chunks:
        place = (-_turned(chunk.ra_deg[0]), radians(chunk.dec_deg[0]))
        sky.annotate(chunk.cid, place, xytext=(4, 4), textcoords="offset points", fontsize=7)
    sky.grid(visible=True, alpha=0.3)
    sky.set_xticklabels([])
    sky.set_title("Chunks by state, equatorial coordinates, RA 0 in the middle", pad=18)
    sky.legend(loc="lower right", fontsize=8)
    histogram = figure.add_subplot(2, 1, 2)
    histogram.hist(separations_arcsec, bins=_BINS, range=(0.0, radius), color=_COLOURS["collected"])
    histogram.set_xlabel("separation of the closest detection (arcsec)")
    histogram.set_ylabel("positions")
    histogram.set_title(f"{len(separations_arcsec)} matches within {radius:g} arcsec")
    figure.savefig(path, format="png")


def _turned(ra_deg: float) -> float:
    """Return a right ascension in radians between -pi and pi."""
    angle = radians(ra_deg)
    return angle - 2 * pi if angle > pi else angle
