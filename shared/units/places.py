"""What of the file system a confined unit sees, from what the daemon needs. Pure.

| the folder lies               | it is named in                         | otherwise it is |
|-------------------------------|----------------------------------------|-----------------|
| below /home, /root, /run/user | `BindPaths=`, with `ProtectHome=tmpfs` | hidden          |
| below /tmp, /var/tmp          | `BindPaths=`                           | another one     |
| elsewhere                     | `ReadWritePaths=`                      | read-only       |
| read only, in one of those    | `ReadOnlyPaths=`                       | writable        |
| read only, hidden             | `BindReadOnlyPaths=`                   | hidden          |
| read only, elsewhere          | nothing                                | read-only       |

Rule: a folder that would lay the system, a whole home or the program itself open is refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath, PurePosixPath

from shared.units.needs import UnitNeeds, outermost
from shared.units.quoting import UnfitPath, check_path, quote

HOMES = tuple(map(PurePosixPath, ("/home", "/root", "/run/user")))
_FOLDERS_OF_HOMES = frozenset({HOMES[0], HOMES[2]})
TEMPORARY = tuple(map(PurePosixPath, ("/tmp", "/var/tmp")))  # noqa: S108 - names, not files
_SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "sbin", "sys", "usr")
_NEVER_BELOW = tuple(PurePosixPath("/", name) for name in _SYSTEM)
_ROOTS = ("home", "media", "mnt", "opt", "root", "run", "run/user", "tmp", "var")
_NEVER_ITSELF = frozenset(
    PurePosixPath("/", name) for name in ("", *_ROOTS, "var/cache", "var/lib", "var/tmp")
)
_OF_ALL_DAEMONS = frozenset(map(PurePosixPath, ("/var/cache/towpath", "/var/lib/towpath")))


@dataclass(frozen=True, slots=True)
class Sight:
    """What a unit sees and may write, as directives; each value is quoted already."""

    protect_home: str
    read_write: tuple[str, ...] = ()
    bind: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    bind_read_only: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    """What has to be mounted first."""


@dataclass(slots=True)
class _Lists:
    read_write: list[str] = field(default_factory=list)
    bind: list[str] = field(default_factory=list)
    read_only: list[str] = field(default_factory=list)
    bind_read_only: list[str] = field(default_factory=list)


def is_below(path: PurePath, folders: Iterable[PurePath]) -> bool:
    """Tell whether a path is one of the folders or lies in one."""
    return any(folder == path or folder in path.parents for folder in folders)


def is_hidden(path: PurePath) -> bool:
    """Tell whether a confined unit sees nothing, or something else, where this path leads."""
    return is_below(path, (*HOMES, *TEMPORARY))


def based(paths: Iterable[PurePath], base: PurePath | None) -> tuple[PurePath, ...]:
    """Return the paths as absolute ones; UnfitPath says which cannot be."""
    joined = (path if base is None else base / path for path in paths)
    # pathlib drops single dots and double slashes on the way.
    return tuple(check_path(path) for path in joined)


def check_writable(path: PurePath, *, program: PurePath) -> None:
    """Refuse a folder that no unit of ours may write in."""
    text = str(path)
    if path in _NEVER_ITSELF or is_below(path, _NEVER_BELOW):
        raise UnfitPath(f"{text!r} belongs to the system; name a folder for the data alone")
    if path in _OF_ALL_DAEMONS:
        raise UnfitPath(
            f"{text!r} holds the state of all daemons; name a folder for the data alone"
        )
    if path.parent in _FOLDERS_OF_HOMES:
        raise UnfitPath(f"{text!r} is a whole home folder; name a folder in it")
    if is_below(program, [path]):
        raise UnfitPath(f"{text!r} holds the program itself; name a folder for the data alone")


def plan_sight(
    needs: UnitNeeds,
    *,
    base: PurePath | None,
    links: Mapping[PurePath, PurePath],
    program: PurePath,
) -> Sight:
    """Return what the unit of these needs sees; UnfitPath where that cannot be.

    `links` says where those paths lead that lead elsewhere; systemd has to be told both.
    """
    writes = outermost(based(needs.writes, base))
    reads = dict.fromkeys(based(needs.reads, base))
    for path in writes:
        check_writable(path, program=program)
        check_writable(links.get(path, path), program=program)
    lists = _Lists()
    for path in writes:
        _show(path, links.get(path, path), lists.bind, lists.read_write)
    within = {links.get(path, path) for path in writes}
    for path in reads:
        real = links.get(path, path)
        if is_below(real, within):
            if real not in within:
                # A link into a hidden folder is bound, too: protected under both names.
                names = {real, path} if is_hidden(path) else {real}
                lists.read_only += [quote(f"-{name}") for name in sorted(names)]
        elif path in outermost(reads):
            _show(path, real, lists.bind_read_only, [], prefix="-")
    everything = [*writes, *reads, *within]
    return Sight(
        "tmpfs" if any(is_below(path, HOMES) for path in everything) else "yes",
        tuple(lists.read_write),
        tuple(lists.bind),
        tuple(lists.read_only),
        tuple(lists.bind_read_only),
        tuple(quote(str(path)) for path in outermost(_mounts(writes, links))),
    )


def _show(
    path: PurePath, real: PurePath, bound: list[str], named: list[str], *, prefix: str = ""
) -> None:
    """Put a folder into the list that makes it visible, and the link that leads to it, too."""
    if is_hidden(real):
        bound.append(quote(f"{prefix}{real}"))
    else:
        named.append(quote(f"{prefix}{real}"))
    if path != real and is_hidden(path):
        bound.append(f"{quote(f'{prefix}{real}')}:{quote(str(path))}")


def _mounts(writes: Iterable[PurePath], links: Mapping[PurePath, PurePath]) -> Iterator[PurePath]:
    for path in writes:
        yield links.get(path, path)
