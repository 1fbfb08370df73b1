"""The Range header. Pure."""

import re

from tests.support.strict_s3.replies import Refused

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def parse_range(text: str | None, size: int) -> tuple[int, int] | None:
    """Return start and stop (exclusive), or None for the whole object.

    | Range            | of 10 bytes    |
    |------------------|----------------|
    | bytes=2-5        | 2, 6           |
    | bytes=2-         | 2, 10          |
    | bytes=-3         | 7, 10          |
    | bytes=2-99       | 2, 10          |
    | bytes=10-        | 416            |
    | bytes=-0         | 416            |
    | anything else    | whole object   |
    """
    found = _RANGE.fullmatch(text.strip()) if text else None
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":
        start, stop = max(0, size - int(found[2])), size
    else:
        start = int(found[1])
        stop = min(size, int(found[2]) + 1) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None
    if start >= size:
        raise Refused(
            "InvalidRange",
            "The requested range is not satisfiable",
            headers={"Content-Range": f"bytes */{size}"},
            details={"RangeRequested": text or "", "ActualObjectSize": str(size)},
        )
    return start, stop
