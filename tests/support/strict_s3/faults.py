"""The fault script: which request meets which trouble. Deterministic; nothing here rolls dice.

A rule counts the requests that match it; `nth` picks among them. All rules that apply to a request
take effect, in the order of the script. The stages of a request:

    arrival -> (body read and verified) -> before_commit -> (commit) -> after_commit -> (answer)
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase

from tests.support.gate import Gate
from tests.support.strict_s3.protocol import Call

KeyMatch = str | Callable[[str], bool]


class Stage(Enum):
    """When in the life of a request an effect strikes."""

    ARRIVAL = "arrival"
    """The head is there, the body is not read yet."""
    BEFORE_COMMIT = "before_commit"
    AFTER_COMMIT = "after_commit"


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer with an error. After the commit: the change is made and the client is told otherwise.

    `status=200` with a code puts the error into the body of a success, as S3 does at times with
    CompleteMultipartUpload and CopyObject.
    """

    code: str = "SlowDown"
    status: int = 0
    """0: the status that belongs to the code."""
    message: str = "injected"
    retry_after: int | None = None
    """Seconds for the Retry-After header."""
    stage: Stage = Stage.ARRIVAL


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection (RST) instead of answering."""

    stage: Stage = Stage.ARRIVAL


@dataclass(frozen=True, slots=True)
class Wait:
    """Go on once the gate is open, or after so many seconds (for demonstrations)."""

    until: Gate | float
    stage: Stage = Stage.ARRIVAL


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Fall silent until the client gives up and closes the connection."""

    stage: Stage = Stage.AFTER_COMMIT


@dataclass(frozen=True, slots=True)
class Do:
    """Call a function of the test, in the server's thread; it must not block."""

    action: Callable[[Call], None]
    stage: Stage = Stage.AFTER_COMMIT


@dataclass(frozen=True, slots=True)
class HalfAnswer:
    """Send the headers and half of the body, then close; without a body, half of the headers."""


@dataclass(frozen=True, slots=True)
class WrongChecksum:
    """Answer with a checksum that is not that of the object; the object itself is right."""

    etag: bool = False
    """The ETag is wrong as well."""


Timed = Fail | Reset | Wait | NoAnswer | Do
Effect = Timed | HalfAnswer | WrongChecksum


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule; a field left out matches everything."""

    effect: Effect | Sequence[Effect]
    operation: str = "*"
    """A glob over the operation's name, such as `Put*` or `*Multipart*`."""
    method: str = "*"
    bucket: str = "*"
    key: KeyMatch = "*"
    """A glob or a predicate."""
    nth: int | range | None = None
    """Which of the matching requests, from 1; None: every one."""

    @property
    def effects(self) -> tuple[Effect, ...]:
        """The effects in order, one or several."""
        return tuple(self.effect) if isinstance(self.effect, Sequence) else (self.effect,)

    def matches(self, call: Call) -> bool:
        """Say whether the rule counts this request."""
        return (
            fnmatchcase(call.operation.value, self.operation)
            and fnmatchcase(call.method, self.method)
            and fnmatchcase(call.bucket, self.bucket)
            and (self.key(call.key) if callable(self.key) else fnmatchcase(call.key, self.key))
        )

    def strikes(self, count: int) -> bool:
        """Say whether the `count`-th match is one that it means."""
        if isinstance(self.nth, range):
            return count in self.nth
        return self.nth is None or count == self.nth


@dataclass(frozen=True, slots=True)
class Trouble:
    """What one request meets."""

    effects: tuple[Effect, ...] = ()

    def at(self, stage: Stage) -> list[Timed]:
        """Return what strikes at this stage, in order."""
        return [e for e in self.effects if isinstance(e, Timed) and e.stage is stage]

    @property
    def halves(self) -> bool:
        """Whether the answer breaks off."""
        return any(isinstance(effect, HalfAnswer) for effect in self.effects)

    @property
    def wrong_checksum(self) -> WrongChecksum | None:
        """Whether and how the checksum in the answer is falsified."""
        return next((e for e in self.effects if isinstance(e, WrongChecksum)), None)


NO_TROUBLE = Trouble()


@dataclass(slots=True)
class _Counted:
    fault: Fault
    count: int = 0
    struck: int = 0


@dataclass(slots=True)
class FaultScript:
    """Rules that may be added and taken away while the server runs."""

    faults: Sequence[Fault] = ()
    _rules: list[_Counted] = field(init=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._rules = [_Counted(fault) for fault in self.faults]

    def add(self, fault: Fault) -> Fault:
        """Append a rule; it counts from now on. Returns it, for `struck` and `remove`."""
        with self._lock:
            self._rules.append(_Counted(fault))
        return fault

    def remove(self, fault: Fault) -> None:
        """Take a rule away."""
        with self._lock:
            self._rules = [rule for rule in self._rules if rule.fault is not fault]

    def clear(self) -> None:
        """Take every rule away: the trouble is over."""
        with self._lock:
            self._rules = []

    def struck(self, fault: Fault) -> int:
        """Say how often a rule has taken effect: a test whose fault never struck proves nothing."""
        with self._lock:
            return sum(rule.struck for rule in self._rules if rule.fault is fault)

    def meet(self, call: Call) -> Trouble:
        """Count the request against every rule and say what it meets."""
        with self._lock:
            effects: list[Effect] = []
            for rule in self._rules:
                if rule.fault.matches(call):
                    rule.count += 1
                    if rule.fault.strikes(rule.count):
                        rule.struck += 1
                        effects.extend(rule.fault.effects)
            return Trouble(tuple(effects)) if effects else NO_TROUBLE
