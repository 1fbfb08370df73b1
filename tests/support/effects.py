"""The effect check: after any trouble, is every file where it may be, and nothing where it may not?

For every key the writer knows the contents it produced, newest last. Then:

1. the newest content is in S3 under its key, or still on disk at its path (or in an entry beside it
   that the daemon is known to hide there);
2. nothing is in S3, or ever was, that the writer did not produce under that key;
3. each content was written to its key at most as often as it was produced.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.strict_s3.history import Mutation, MutationKind
from tests.support.strict_s3.server import StrictS3

_SHOWN_AT_MOST = 20
_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A content by size and SHA-256, for tests whose contents are too many to keep."""

    size: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.size} bytes {self.sha256[:12]}"


Contents = Sequence[bytes | Digest]


@dataclass(frozen=True, slots=True)
class Written:
    """A write as the store saw it."""

    key: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class Remote:
    """What a store holds, and every write it took."""

    objects: Mapping[str, bytes | Digest]
    writes: Sequence[Written] = ()


def nothing_hidden(path: Path) -> bool:
    """Say that the daemon hides nothing."""
    return False


def relative_key(root: Path, path: Path) -> str:
    """Return the key of a path where the root is the bucket itself."""
    return path.relative_to(root).as_posix()


def check_effects(
    produced: Mapping[str, Contents],
    remote: Remote,
    root: Path,
    *,
    key_of: Callable[[Path, Path], str] = relative_key,
    is_hidden: Callable[[Path], bool] = nothing_hidden,
) -> None:
    """Check the three rules.

    Args:
        produced: the contents of every key in the order in which they were written, newest last.
        remote: what the store holds and took, such as `remote_of(strict_s3, bucket)`.
        root: the folder on disk that mirrors the bucket; it need not exist any more.
        key_of: `(root, path)` to the key that the path stands for.
        is_hidden: says which entries the daemon renamed out of the way; their content counts for
            every key of the same folder.

    Raises:
        AssertionError: a rule is broken; the message names keys and contents.
    """
    contents = {key: [digest_of(one) for one in series] for key, series in produced.items()}
    objects = {key: digest_of(content) for key, content in remote.objects.items()}
    disk = _Disk.read(root, key_of, is_hidden)
    faults = [
        *_lost(contents, objects, disk),
        *_strange(contents, objects, remote.writes),
        *_repeated(contents, remote.writes),
    ]
    if faults:
        shown = faults[:_SHOWN_AT_MOST]
        rest = len(faults) - len(shown)
        more = [f"... and {rest} more"] if rest else []
        raise AssertionError("\n".join([f"{len(faults)} broken effects:", *shown, *more]))


def digest_of(content: bytes | Digest) -> Digest:
    """Reduce a content to its digest."""
    if isinstance(content, Digest):
        return content
    return Digest(len(content), hashlib.sha256(content).hexdigest())


def remote_of(s3: StrictS3, bucket: str) -> Remote:
    """Describe a bucket of the strict S3, without needing the bodies."""
    mutations = s3.mutations(bucket)
    held = {
        m.key: None if m.kind is MutationKind.DELETE else Digest(m.size, m.sha256)
        for m in mutations
    }
    return Remote(
        {key: digest for key, digest in held.items() if digest is not None},
        list(writes_in(mutations)),
    )


def writes_in(mutations: Iterable[Mutation]) -> Iterator[Written]:
    """Pick out the writes that came by requests."""
    for mutation in mutations:
        if mutation.kind not in (MutationKind.DELETE, MutationKind.SEED):
            yield Written(mutation.key, Digest(mutation.size, mutation.sha256))


@dataclass(frozen=True, slots=True)
class _Disk:
    """What is on disk: visible contents by key, hidden ones by the key of their folder."""

    visible: Mapping[str, Digest]
    hidden: Mapping[str, frozenset[Digest]]

    @classmethod
    def read(
        cls, root: Path, key_of: Callable[[Path, Path], str], is_hidden: Callable[[Path], bool]
    ) -> "_Disk":
        visible: dict[str, Digest] = {}
        hidden: dict[str, set[Digest]] = {}
        for path in sorted(_files_below(root)):
            if path.is_symlink() or not path.is_file():
                continue
            key = key_of(root, path)
            if is_hidden(path):
                hidden.setdefault(_folder(key), set()).add(_file_digest(path))
            else:
                visible[key] = _file_digest(path)
        return cls(visible, {folder: frozenset(found) for folder, found in hidden.items()})

    def holds(self, key: str, digest: Digest) -> bool:
        return self.visible.get(key) == digest or digest in self.hidden.get(
            _folder(key), frozenset()
        )


def _files_below(root: Path) -> Iterator[Path]:
    """Yield what is no folder; a folder that its owner removes meanwhile holds nothing any more."""
    for folder, _, names in os.walk(root):
        for name in names:
            yield Path(folder, name)


def _lost(
    contents: Mapping[str, Sequence[Digest]], objects: Mapping[str, Digest], disk: _Disk
) -> Iterator[str]:
    for key, series in contents.items():
        if not series:
            continue
        newest = series[-1]
        if objects.get(key) != newest and not disk.holds(key, newest):
            yield (
                f"lost: {key!r}: newest {newest}; in S3: {objects.get(key, 'nothing')}; "
                f"on disk: {disk.visible.get(key, 'nothing')}"
            )


def _strange(
    contents: Mapping[str, Sequence[Digest]],
    objects: Mapping[str, Digest],
    writes: Sequence[Written],
) -> Iterator[str]:
    seen = {Written(key, digest) for key, digest in objects.items()} | set(writes)
    for one in sorted(seen, key=lambda written: (written.key, written.digest)):
        if one.digest not in contents.get(one.key, ()):
            yield f"never produced: {one.key!r}: {one.digest} reached S3"


def _repeated(contents: Mapping[str, Sequence[Digest]], writes: Sequence[Written]) -> Iterator[str]:
    for one, count in Counter(writes).items():
        produced = list(contents.get(one.key, ())).count(one.digest)
        if count > max(1, produced):
            yield (
                f"repeated: {one.key!r}: {one.digest} was written {count} times, "
                f"produced {produced} times"
            )


def _folder(key: str) -> str:
    return key.rpartition("/")[0]


def _file_digest(path: Path) -> Digest:
    sha256, size = hashlib.sha256(), 0
    with path.open("rb") as source:
        while piece := source.read(_PIECE_BYTES):
            sha256.update(piece)
            size += len(piece)
    return Digest(size, sha256.hexdigest())
