"""The S3 stub as a child process, and its control requests. It never outlives this process."""

import json
import select
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path

_START_SECONDS = 10
_REQUEST_SECONDS = 30
_SEED_SECONDS = 900
_SEEDED_TOGETHER = 1000
_OK = 200


class StubError(Exception):
    """The stub did not start, or answered something unexpected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StubStats:
    """The stub's own account: counts since the last reset, CPU since its start."""

    requests: int
    callers: Mapping[str, Mapping[str, int]]
    """Requests by access key and kind."""
    received_bytes: int
    objects: int
    object_bytes: int
    open_uploads: int
    cpu_seconds: float
    procs: int


@dataclass(frozen=True, slots=True)
class Stub:
    """A running stub on loopback."""

    host: str
    port: int

    @property
    def endpoint(self) -> str:
        """The endpoint to give to a client."""
        return f"http://{self.host}:{self.port}"

    def stats(self) -> StubStats:
        """Read the counts."""
        return self._control("stats")

    def reset(self) -> StubStats:
        """Empty the buckets and the counts."""
        return self._control("reset")

    def save(self) -> None:
        """Remember the objects of now."""
        self._control("save")

    def restore(self) -> StubStats:
        """Reset, and put the remembered objects back."""
        return self._control("restore")

    def forget(self) -> StubStats:
        """Let the counts begin anew; the objects stay."""
        return self._control("forget")

    def seed(self, bucket: str, lines: Iterator[str]) -> StubStats:
        """Let the bucket list objects that have no bytes, as the stub's `seed` has their lines."""
        pieces = iter(lambda: "".join(islice(lines, _SEEDED_TOGETHER)).encode(), b"")
        return self._control(f"seed={bucket}", pieces)

    def put_folder(self, bucket: str, folder: Path) -> None:
        """Put every file below `folder` under its relative path."""
        connection = HTTPConnection(self.host, self.port, timeout=_REQUEST_SECONDS)
        try:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                key = path.relative_to(folder).as_posix()
                connection.request("PUT", f"/{bucket}/{key}", body=path.read_bytes())
                answer = connection.getresponse()
                answer.read()
                if answer.status != _OK:
                    raise StubError(f"PUT of {key!r} answered {answer.status}")
        finally:
            connection.close()

    def _control(self, verb: str, body: Iterator[bytes] | None = None) -> StubStats:
        seconds = _REQUEST_SECONDS if body is None else _SEED_SECONDS
        connection = HTTPConnection(self.host, self.port, timeout=seconds)
        try:
            connection.request("POST", f"/?{verb}", body=body, encode_chunked=body is not None)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status != _OK:
            raise StubError(f"/?{verb} answered {answer.status}: {text[:200]!r}")
        stats = json.loads(text)
        return StubStats(
            requests=sum(stats["requests"].values()),
            callers=stats["callers"],
            received_bytes=stats["received_bytes"],
            objects=stats["objects"],
            object_bytes=stats["object_bytes"],
            open_uploads=stats["open_uploads"],
            cpu_seconds=stats["cpu_seconds"],
            procs=stats["procs"],
        )


@contextmanager
def running_stub(program: Path, *, bucket: str, delay: str, procs: int) -> Iterator[Stub]:
    """Run the stub on a free port with one empty bucket, and end it on leaving."""
    argv = [str(program), "-until-eof", "-bucket", bucket, "-delay", delay, "-procs", str(procs)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield _announced(child)
        finally:
            child.kill()


def _announced(child: "subprocess.Popen[str]") -> Stub:
    if child.stdout is None:
        raise StubError("the stub has no standard output")
    ready, _, _ = select.select([child.stdout], [], [], _START_SECONDS)
    line = child.stdout.readline() if ready else ""
    host, colon, port = line.removeprefix("listening on ").strip().rpartition(":")
    if not colon:
        raise StubError(f"the stub did not start within {_START_SECONDS} s; it said {line!r}")
    return Stub(host, int(port))
