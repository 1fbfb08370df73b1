"""What the server was asked and what it changed, in the order in which it happened."""

import threading
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

MARKS = ("if-match", "if-none-match", "x-amz-acl", "x-amz-tagging")
"""Headers for which IAM may want a further action."""


class MutationKind(Enum):
    """How an object changed."""

    PUT = "put"
    COPY = "copy"
    COMPLETE = "complete"
    DELETE = "delete"
    SEED = "seed"
    """Laid down by the test itself, not by a request."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change of one object; `sequence` counts requests and mutations together."""

    sequence: int
    kind: MutationKind
    bucket: str
    key: str
    size: int = 0
    sha256: str = ""
    """Hexadecimal; empty for a delete, not the content's where a part's bytes were not kept."""
    crc64nvme: str = ""
    """Base64, as S3 writes it; always that of the whole content."""
    etag: str = ""
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request; `status` 0 means that the client got no (whole) answer."""

    sequence: int
    method: str
    operation: str
    bucket: str
    key: str
    status: int
    code: str = ""
    access_key: str = ""
    prefix: str | None = None
    """Of a listing, where it names one."""
    marks: frozenset[str] = frozenset()
    """Which of `MARKS` it carries."""


class History:
    """An append-only record, safe to read from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sequence = 0
        self._requests: dict[int, RequestRecord] = {}
        self._mutations: list[Mutation] = []

    def tick(self) -> int:
        """Return the next sequence number."""
        with self._lock:
            self._sequence += 1
            return self._sequence

    def add_request(self, record: RequestRecord) -> None:
        """Remember a request whose answer is about to leave, or did not get through after all."""
        with self._lock:
            self._requests[record.sequence] = record

    def add_mutation(self, mutation: Mutation) -> None:
        """Remember a change."""
        with self._lock:
            self._mutations.append(mutation)

    def requests(self) -> list[RequestRecord]:
        """Return the requests that are over, in the order of their arrival."""
        with self._lock:
            return [record for _, record in sorted(self._requests.items())]

    def mutations(self, bucket: str | None = None, key: str | None = None) -> list[Mutation]:
        """Return the changes in order, of one bucket or key when named."""
        with self._lock:
            return [
                mutation
                for mutation in self._mutations
                if bucket in (None, mutation.bucket) and key in (None, mutation.key)
            ]

    def count(
        self,
        operation: str | None = None,
        *,
        bucket: str | None = None,
        key: str | None = None,
        status: int | None = None,
    ) -> int:
        """Count finished requests; `operation` may be a glob, `key` is exact."""
        with self._lock:
            return sum(
                1
                for record in self._requests.values()
                if (operation is None or fnmatchcase(record.operation, operation))
                and bucket in (None, record.bucket)
                and key in (None, record.key)
                and status in (None, record.status)
            )

    def clear(self) -> None:
        """Forget everything; sequence numbers go on."""
        with self._lock:
            self._requests.clear()
            self._mutations.clear()
