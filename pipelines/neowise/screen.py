"""A sieve before the KD-tree: most detections lie near no position, and this says so cheaply. Pure.

The sky is cut into rings of declination and these into cells, no narrower than a circle is wide; a
table says which cells a circle touches. Cells share the table's places by their number, so that it
stays small: a detection may pass for nothing, none near a position is ever held back.
"""

import numpy as np

from pipelines.neowise.sphere import ARCSEC_A_DEGREE, Flags, Floats, Integers, ra_reach_deg

_MARGIN = 1.01
_RING_ARCSEC_MIN = 10.0
_PLACES_A_POSITION = 256
_PLACES_MIN, _PLACES_MAX = 1 << 12, 1 << 22


class Screen:
    """The circles around some positions; may be shared by threads."""

    def __init__(self, ra_deg: Floats, dec_deg: Floats, radius_arcsec: float) -> None:
        reach = radius_arcsec * _MARGIN / ARCSEC_A_DEGREE
        self._height = max(2.0 * reach, _RING_ARCSEC_MIN / ARCSEC_A_DEGREE)
        self._last_ring = int(180.0 / self._height)
        edges = np.arange(self._last_ring + 2) * self._height - 90.0
        narrow = np.minimum(np.abs(np.cos(np.radians(edges[:-1]))), np.cos(np.radians(edges[1:])))
        self._cells = np.maximum(1, (360.0 / self._height * narrow).astype(np.int64))
        self._first = np.concatenate(([0], np.cumsum(self._cells)[:-1]))
        wanted = min(max(len(ra_deg) * _PLACES_A_POSITION, _PLACES_MIN), _PLACES_MAX)
        self._mask = (1 << (wanted - 1).bit_length()) - 1
        self._touched = np.zeros(self._mask + 1, np.bool_)
        across = ra_reach_deg(dec_deg, radius_arcsec * _MARGIN)
        for side in (-reach, reach):
            self._mark(self._ring(dec_deg + side), ra_deg, across)

    def passes(self, ra_deg: Floats, dec_deg: Floats) -> Flags:
        """Say of each point, all finite, whether it may lie in a circle."""
        ring = self._ring(dec_deg)
        cells = self._cells[ring]
        cell = np.floor(ra_deg / 360.0 * cells).astype(np.int64)
        if len(ra_deg) and not (ra_deg.min() >= 0.0 and ra_deg.max() < 360.0):  # noqa: PLR2004 - a full turn
            cell %= cells
        found: Flags = self._touched[(self._first[ring] + cell) & self._mask]
        return found

    def _ring(self, dec_deg: Floats) -> Integers:
        numbers = ((dec_deg + 90.0) / self._height).astype(np.int64)
        return np.clip(numbers, 0, self._last_ring)

    def _mark(self, ring: Integers, ra_deg: Floats, across: Floats) -> None:
        """Mark the cells of a ring that lie within the reach of each position."""
        cells = self._cells[ring]
        low = np.floor((ra_deg - across) / 360.0 * cells).astype(np.int64)
        high = np.floor((ra_deg + across) / 360.0 * cells).astype(np.int64)
        steps = np.minimum(high - low + 1, cells)
        for step in range(int(steps.max(initial=0))):
            some = step < steps
            number = (low[some] + step) % cells[some]
            self._touched[(self._first[ring[some]] + number) & self._mask] = True
