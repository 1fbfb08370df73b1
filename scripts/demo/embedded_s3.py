"""The S3 of a demonstration: the tests' strict S3, noting when each object became visible.

It also falls silent in the middle of some requests, so that the SIGKILL of the story is sure to hit
uploads whose fate the daemon cannot know: not committed, committed without an answer, half sent.
"""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from enum import Enum
from functools import partial
from typing import Self

from scripts.demo.records import Landed
from scripts.demo.screenplay import BUCKETS, LARGE_KEY, SURGE_PREFIX, Scale
from tests.support.gate import Signal
from tests.support.strict_s3.faults import Do, Fault, NoAnswer, Stage
from tests.support.strict_s3.history import MutationKind
from tests.support.strict_s3.protocol import Call
from tests.support.strict_s3.server import StrictS3

_WRITES = (MutationKind.PUT, MutationKind.COMPLETE)


class Hung(Enum):
    """How far a request had come when the server fell silent."""

    UNCOMMITTED = "uncommitted"
    COMMITTED = "committed"
    PART = "part"
    """A part of a large file, as good as uncommitted."""


class EmbeddedS3:
    """The server in a thread of this process, and what the story needs to know of it."""

    def __init__(self, scale: Scale) -> None:
        self.server = StrictS3(sorted(BUCKETS.values()))
        self.hanging: Counter[Hung] = Counter()
        """Requests that were left without an answer."""
        self.midflight = Signal()
        """Set once as many requests hang as the scale says."""
        self._scale = scale
        self._lock = threading.Lock()
        self._moments: list[int] = []
        self._landed: list[Landed] = []
        for operation in ("PutObject", "CompleteMultipartUpload"):
            self.server.faults.add(Fault(Do(self._note), operation))
        self._traps = self._set_traps(scale.unanswered)

    def __enter__(self) -> Self:
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    def answer_all(self) -> None:
        """Fall silent no more."""
        for trap in self._traps:
            self.server.faults.remove(trap)

    def landed(self) -> Sequence[Landed]:
        """Return what has landed so far, in order."""
        with self._lock:
            writes = [one for one in self.server.mutations() if one.kind in _WRITES]
            # The server notes the moment just after the mutation, in the same thread.
            for write, at_ns in zip(
                writes[len(self._landed) :], self._moments[len(self._landed) :], strict=False
            ):
                in_parts = write.kind is MutationKind.COMPLETE
                self._landed.append(
                    Landed(write.bucket, write.key, write.size, write.sha256, at_ns, in_parts)
                )
            return list(self._landed)

    def _note(self, _: Call) -> None:
        self._moments.append(time.time_ns())

    def _set_traps(self, count: int) -> Sequence[Fault]:
        """Let the first `count` pictures of the surge through, and leave the next ones hanging."""
        surge = SURGE_PREFIX + "*"
        traps = (
            (Hung.UNCOMMITTED, "PutObject", surge, range(count + 1, 2 * count + 1)),
            (Hung.COMMITTED, "PutObject", surge, range(2 * count + 1, 3 * count + 1)),
            (Hung.PART, "UploadPart", LARGE_KEY, range(2, 3)),
        )
        faults = []
        for hung, operation, key, nth in traps:
            stage = Stage.AFTER_COMMIT if hung is Hung.COMMITTED else Stage.BEFORE_COMMIT
            effect = (Do(partial(self._hang, hung), stage), NoAnswer(stage))
            faults.append(self.server.faults.add(Fault(effect, operation, key=key, nth=nth)))
        return faults

    def _hang(self, hung: Hung, _: Call) -> None:
        self.hanging[hung] += 1
        count = self._scale.unanswered
        wanted = Counter({Hung.UNCOMMITTED: count, Hung.COMMITTED: count, Hung.PART: 1})
        if self.hanging >= wanted:
            self.midflight.set()
