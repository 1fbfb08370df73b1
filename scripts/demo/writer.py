"""The writer: a process of its own that plays the screenplay below a root folder.

`python -m scripts.demo.writer ROOT SCALE`; stdout gets a line for each content that is complete.
It knows nothing of the daemon, and paces itself by the clock.
"""

import hashlib
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from scripts.demo.records import STABILITY_SECONDS, Produced
from scripts.demo.screenplay import (
    SCALES,
    Act,
    Append,
    Link,
    Prepare,
    Publish,
    Step,
    Write,
    plan_writing,
)

OUTSIDE = "outside.png"
"""What the link leads to, beside the root."""
_ALMOST_SETTLED_SECONDS = 0.8 * STABILITY_SECONDS


class Writer:
    """Carries out steps and says what became complete."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._grown: dict[str, tuple[bytes, int, float]] = {}
        """Content, mtime and monotonic moment of the last piece of each file that still grows."""
        self._held: dict[str, BinaryIO] = {}

    def play(self, steps: Sequence[Step], began: float) -> None:
        """Carry out every step at its moment after `began`, or as soon after it as can be."""
        for step in steps:
            time.sleep(max(0.0, began + step.at_seconds - time.monotonic()))
            self.act(step.act)

    def act(self, act: Act) -> None:
        """Carry out one act."""
        match act:
            case Write(path, content):
                data = content.render()
                self._say(path, data, self._write(path, data))
            case Prepare(path, content):
                self._write(path, content.render())
            case Publish(temporary, path):
                self._publish(self._root / temporary, path)
            case Link(path):
                place = self._place(path)
                place.symlink_to(os.path.relpath(self._root.parent / OUTSIDE, place.parent))
            case Append():
                self._append(act)

    def _publish(self, temporary: Path, path: str) -> None:
        # All of it is looked up before the rename: a file that is old enough may be in S3 and off
        # the disk a moment after it.
        data, mtime_ns = temporary.read_bytes(), temporary.stat().st_mtime_ns
        named_ns = time.time_ns()
        temporary.rename(self._root / path)
        self._say(path, data, mtime_ns, named_ns=named_ns)

    def _append(self, act: Append) -> None:
        before, mtime_ns, since = self._grown.pop(act.path, (b"", 0, time.monotonic()))
        if time.monotonic() - since > _ALMOST_SETTLED_SECONDS:
            self._say(act.path, before, mtime_ns, grew=True, final=False)
        stream = self._held.pop(act.path, None) or self._place(act.path).open("ab")
        if os.fstat(stream.fileno()).st_size < len(before):
            # After such a pause the file may have been delivered; this one is new.
            before = b""
        piece = act.content.render()
        stream.write(piece)
        stream.flush()
        mtime_ns = _mtime_ns(stream.fileno())
        if act.hold_open and not act.last:
            self._held[act.path] = stream
        else:
            stream.close()
        data = before + piece
        if act.last:
            self._say(act.path, data, mtime_ns, grew=True)
        else:
            self._grown[act.path] = (data, mtime_ns, time.monotonic())

    def _write(self, path: str, data: bytes) -> int:
        with self._place(path).open("wb") as stream:
            stream.write(data)
            stream.flush()
            return _mtime_ns(stream.fileno())

    def _place(self, path: str) -> Path:
        place = self._root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def _say(
        self,
        path: str,
        data: bytes,
        mtime_ns: int,
        *,
        named_ns: int = 0,
        grew: bool = False,
        final: bool = True,
    ) -> None:
        digest = hashlib.sha256(data).hexdigest()
        produced = Produced(path, len(data), digest, mtime_ns, named_ns, grew, final)
        # One call a line: two threads write here.
        os.write(sys.stdout.fileno(), f"{produced.line()}\n".encode())


def _mtime_ns(descriptor: int) -> int:
    return os.fstat(descriptor).st_mtime_ns


def main() -> int:
    """Play the screenplay."""
    root, scale = Path(sys.argv[1]), sys.argv[2]
    steps = next(plan_writing(found) for name, found in SCALES.items() if name == scale)
    growing = [step for step in steps if isinstance(step.act, Append)]
    others = [step for step in steps if not isinstance(step.act, Append)]
    began = time.monotonic()
    # A burst takes its time, and a file that should grow meanwhile would count as complete.
    with ThreadPoolExecutor(1) as grower:
        grown = grower.submit(Writer(root).play, growing, began)
        Writer(root).play(others, began)
        grown.result()
    return 0


if __name__ == "__main__":
    sys.exit(main())
