"""The project folder as it is now: every file that belongs to it, hashed. Blocks.

A symbolic link stands for what it leads to, as long as that lies in the project and belongs to it.
Rule: a folder or file that cannot be read, or has a name that no key can have, is told and never
passed over, since a project with a hole in it fails far away, much later.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import md5, sha256
from pathlib import Path

from pipelines.glacier.transfer.excludes import Kind, Rules, is_environment
from pipelines.glacier.transfer.manifest import (
    CONFIG,
    FILES_MAX,
    PROJECT_BYTES_MAX,
    PROJECT_PREFIX,
    Entry,
)
from pipelines.glacier.transfer.names import name_fault
from pipelines.glacier.transfer.secret_guard import CONTENT_BYTES_MAX, secret_content
from shared.errors import UsageError
from shared.fswatch.stability import FileIdentity

_DEPTH_MAX = 64
_PROBLEMS_MAX = 20
_PIECE_BYTES = 1 << 20
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class BadProject(UsageError):
    """The folder cannot be synced as it is; each line is one thing that is wrong."""


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A file of the project, with what was read of it."""

    source: Path
    """Where its bytes are: behind all links."""
    identity: FileIdentity
    changed_ns: int
    """Change time in nanoseconds."""
    sha256: str
    md5: str

    @property
    def entry(self) -> Entry:
        """What a manifest says of it."""
        return Entry(self.identity.size, self.sha256)


@dataclass(frozen=True, slots=True)
class Left:
    """A file, or with a `/` at its end a folder, that stays here."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Project:
    """What lies in the folder."""

    root: Path
    files: Mapping[str, ProjectFile]
    """By the path with `/`, in order."""
    excluded: tuple[Left, ...] = ()
    secrets: tuple[Left, ...] = ()

    @property
    def entries(self) -> Mapping[str, Entry]:
        """What a manifest says of the files."""
        return {path: each.entry for path, each in self.files.items()}


def read_project(root: Path, rules: Rules) -> Project:
    """Read all that belongs to the project; BadProject."""
    walk = _Walk(root, rules)
    walk.run()
    if any(left.path == CONFIG for left in walk.excluded):
        walk.problems.append(f"{CONFIG!r} is excluded, and no project is without it; --include it")
    elif CONFIG not in walk.found:
        walk.problems.append(f"{str(root / CONFIG)!r} is not there; name the project's root")
    _refuse(walk.problems)
    _check_size(walk)
    files: dict[str, ProjectFile] = {}
    for path, source in sorted(walk.found.items()):
        try:
            read = _read(source)
        except _Secret as error:
            walk.secrets.append(Left(path, str(error)))
            if path == CONFIG:
                walk.problems.append(f"{CONFIG!r} {error}; take that out, no project is without it")
        except OSError as error:
            walk.problems.append(_unreadable(path, error))
        else:
            files[path] = read
    _refuse(walk.problems)
    return Project(root, files, _ordered(walk.excluded), _ordered(walk.secrets))


@dataclass(slots=True)
class _Folder:
    """A folder that is still to be walked."""

    path: str
    source: Path
    chain: tuple[Path, ...]
    """The real folders that it lies in, links resolved: no link may lead back into one."""


@dataclass
class _Walk:
    root: Path
    rules: Rules
    found: dict[str, Path] = field(default_factory=dict)
    excluded: list[Left] = field(default_factory=list)
    secrets: list[Left] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _environments: set[str] = field(default_factory=set)
    _real_root: Path = field(init=False)

    def run(self) -> None:
        self._real_root = self.root.resolve()
        waiting = [_Folder("", self._real_root, (self._real_root,))]
        while waiting and len(self.found) <= FILES_MAX and len(self.problems) <= _PROBLEMS_MAX:
            folder = waiting.pop()
            try:
                names = sorted(each.name for each in folder.source.iterdir())
            except OSError as error:
                self.problems.append(_unreadable(f"{folder.path}/", error))
                continue
            if folder.path and is_environment(names):
                self._environments.add(folder.path)
                if not self.rules.includes:
                    self.excluded.append(Left(f"{folder.path}/", "virtual environment"))
                    continue
            for name in names:
                path = f"{folder.path}/{name}" if folder.path else name
                waiting += self._look(path, folder.source / name, folder)

    def _look(self, path: str, source: Path, folder: _Folder) -> Iterator[_Folder]:
        """Note what lies at a path, and yield it where it is a folder to be walked."""
        try:
            real = self._reach(path, source)
            mode = 0 if real is None else real.lstat().st_mode
        except _Unusable as error:
            self.problems.append(f"{path!r} {error}")
            return
        except OSError as error:
            self.problems.append(_unreadable(path, error))
            return
        if real is None:
            return
        if stat.S_ISDIR(mode):
            yield from self._enter(path, real, folder)
        elif stat.S_ISREG(mode):
            self.found[path] = real
        else:
            self.excluded.append(Left(path, "no regular file"))

    def _reach(self, path: str, source: Path) -> Path | None:
        """Return where the bytes of a path are, None where it does not belong to the project."""
        mode = source.lstat().st_mode
        if self._leave(path, path, mode):
            return None
        if fault := name_fault(path, PROJECT_PREFIX):
            raise _Unusable(f"{fault}; rename it, or --exclude it")
        if not stat.S_ISLNK(mode):
            return source
        target = self._follow(path, source)
        inside = target.relative_to(self._real_root).as_posix()
        return None if self._leave(path, inside, target.stat().st_mode) else target

    def _leave(self, path: str, judged: str, mode: int) -> bool:
        """Note what stays here, and tell whether it does; `judged` is where a link leads."""
        if stat.S_ISDIR(mode):
            verdict, left = self.rules.judge_folder(judged), f"{path}/"
        else:
            verdict, left = self.rules.judge(judged, self._environments), path
        if verdict.kind is Kind.SECRET:
            self.secrets.append(Left(left, verdict.reason))
        elif verdict.kind is Kind.EXCLUDED:
            self.excluded.append(Left(left, verdict.reason))
        return verdict.kind is not Kind.TAKEN

    def _follow(self, path: str, source: Path) -> Path:
        try:
            target = source.resolve(strict=True)
        except (FileNotFoundError, RuntimeError):
            raise _Unusable("is a link that leads nowhere; remove it, or --exclude it") from None
        if not target.is_relative_to(self._real_root):
            raise _Unusable(
                f"is a link that leads out of the project, to {str(target)!r}; put the file itself "
                "there, or --exclude it"
            )
        if target == self._real_root:
            raise _Unusable("is a link back to the project itself; remove it, or --exclude it")
        if fault := name_fault(target.relative_to(self._real_root).as_posix()):
            raise _Unusable(f"is a link to a name that {fault}; rename that, or --exclude {path!r}")
        return target

    def _enter(self, path: str, source: Path, folder: _Folder) -> Iterator[_Folder]:
        if source in folder.chain:
            self.problems.append(f"{path!r} is a link back to a folder above it; --exclude it")
        elif len(folder.chain) >= _DEPTH_MAX:
            self.problems.append(f"{path!r} lies too deep; --exclude it")
        else:
            yield _Folder(path, source, (*folder.chain, source))


class _Unusable(Exception):
    """A name or link that cannot be synced; the text says why."""


class _Secret(Exception):
    """A file that looks like a secret by its content."""


def _check_size(walk: _Walk) -> None:
    if len(walk.found) > FILES_MAX:
        raise BadProject(
            f"{str(walk.root)!r} has more than {FILES_MAX} files that belong to the project; is it "
            "the project's root? --exclude what is no part of it"
        )
    total = sum(source.stat().st_size for source in walk.found.values())
    if total > PROJECT_BYTES_MAX:
        raise BadProject(
            f"{str(walk.root)!r} has {total} bytes that belong to the project; allowed are "
            f"{PROJECT_BYTES_MAX}; --exclude what is no part of it"
        )


def _read(source: Path) -> ProjectFile:
    """Hash a file, all of it as it is at one moment; OSError, _Secret."""
    descriptor = os.open(source, _FLAGS)
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        before = os.fstat(descriptor)
        whole, short = sha256(), md5(usedforsecurity=False)
        while piece := stream.read(_PIECE_BYTES):
            whole.update(piece)
            short.update(piece)
            small = before.st_size <= CONTENT_BYTES_MAX
            if small and (reason := secret_content(piece)):
                raise _Secret(reason)
        after = os.fstat(descriptor)
    if _facts(before) != _facts(after):
        raise OSError(0, "it was written to meanwhile; run it again", str(source))
    return ProjectFile(
        source,
        FileIdentity(after.st_dev, after.st_ino, after.st_size, after.st_mtime_ns),
        after.st_ctime_ns,
        whole.hexdigest(),
        short.hexdigest(),
    )


def _facts(status: os.stat_result) -> tuple[int, ...]:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _unreadable(path: str, error: OSError) -> str:
    return f"{path!r} cannot be read: {(error.strerror or str(error)).lower()}"


def _refuse(problems: list[str]) -> None:
    if problems:
        shown = problems[:_PROBLEMS_MAX]
        more = len(problems) - len(shown)
        raise BadProject("\n".join([*shown, *([f"and {more} more"] if more else [])]))


def _ordered(left: list[Left]) -> tuple[Left, ...]:
    return tuple(sorted(left, key=lambda each: each.path))
