from collections.abc import Mapping
from pathlib import PurePath, PurePosixPath

import pytest

from shared.units.needs import UnitNeeds
from shared.units.places import Sight, plan_sight
from shared.units.quoting import UnfitPath

PROGRAM = PurePosixPath("/opt/towpath")


def see(
    writes: str | list[str],
    reads: list[str] | None = None,
    *,
    base: str | None = None,
    links: Mapping[str, str] | None = None,
) -> Sight:
    """Plan what a unit sees that needs these."""
    needs = UnitNeeds(
        service="x",
        summary="",
        stop_seconds=1,
        writes=tuple(map(PurePosixPath, [writes] if isinstance(writes, str) else writes)),
        reads=tuple(map(PurePosixPath, reads or [])),
    )
    leads: Mapping[PurePath, PurePath] = {
        PurePosixPath(name): PurePosixPath(target) for name, target in (links or {}).items()
    }
    return plan_sight(
        needs, base=PurePosixPath(base) if base else None, links=leads, program=PROGRAM
    )


def test_a_folder_of_data_is_writable_and_nothing_else_is() -> None:
    """The usual case, on EC2."""
    sight = see("/data/colony/output/s3")

    assert sight == Sight(
        protect_home="yes",
        read_write=("/data/colony/output/s3",),
        mounts=("/data/colony/output/s3",),
    )


@pytest.mark.parametrize("home", ["/home/ada", "/root", "/run/user/1000"])
def test_of_a_home_only_the_folder_itself_is_seen(home: str) -> None:
    """PROD works in a home, which also holds keys."""
    sight = see(f"{home}/vasco")

    assert sight.protect_home == "tmpfs"
    assert sight.bind == (f"{home}/vasco",)
    assert sight.read_write == ()


@pytest.mark.parametrize("folder", ["/var/lib/towpath", "/var/cache/towpath"])
def test_what_all_daemons_keep_is_no_folder_of_data(folder: str) -> None:
    """One of them would write in the state of the others."""
    with pytest.raises(UnfitPath, match="the state of all daemons"):
        see(folder)
    assert see(f"{folder}-data").read_write == (f"{folder}-data",)


def test_a_folder_below_tmp_is_brought_into_the_private_one() -> None:
    """With PrivateTmp= the path would lead to another, empty folder."""
    sight = see("/tmp/try/output/s3")

    assert (sight.protect_home, sight.bind) == ("yes", ("/tmp/try/output/s3",))


def test_what_is_only_read_in_a_writable_folder_is_protected() -> None:
    """The dispatcher's ledger lies in the same root as the archive's answers."""
    sight = see("/srv/vasco", ["/srv/vasco", "/srv/vasco/new"])

    assert sight.read_write == ("/srv/vasco",)
    assert sight.read_only == ("-/srv/vasco/new",)


def test_what_is_only_read_is_shown_where_it_would_be_hidden() -> None:
    """A catalogue in a home is no reason to make it writable."""
    sight = see("/srv/vasco", ["/home/ada/wise", "/home/ada/wise/2010", "/archive/wise"])

    assert sight.bind_read_only == ("-/home/ada/wise",)
    assert sight.protect_home == "tmpfs"


def test_a_root_that_links_into_a_home_is_bound_where_it_leads() -> None:
    """The link is seen; what it leads to would be hidden."""
    sight = see("/data/project", links={"/data/project": "/home/ada/project"})

    assert sight.protect_home == "tmpfs"
    assert sight.bind == ("/home/ada/project",)


def test_a_link_in_a_home_is_there_for_the_daemon_too() -> None:
    """The configuration names the link, which is hidden itself."""
    sight = see(
        "/home/ada/p",
        ["/home/ada/p/new"],
        links={"/home/ada/p": "/data/project", "/home/ada/p/new": "/data/project/new"},
    )

    assert sight.read_write == ("/data/project",)
    assert sight.bind == ("/data/project:/home/ada/p",)
    assert sight.read_only == ("-/data/project/new", "-/home/ada/p/new")


def test_a_relative_path_starts_from_the_working_folder_that_was_named() -> None:
    """Only who installs can know where it starts."""
    assert see("output/s3", base="/srv/colony").read_write == ("/srv/colony/output/s3",)
    with pytest.raises(UnfitPath, match="'output/s3' is relative"):
        see("output/s3")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/", "belongs to the system"),
        ("/var", "belongs to the system"),
        ("/home", "belongs to the system"),
        ("/etc/towpath", "belongs to the system"),
        ("/proc/self", "belongs to the system"),
        ("/usr/local/data", "belongs to the system"),
        ("/home/ada", "whole home folder"),
        ("/run/user/1000", "whole home folder"),
        ("/opt/towpath", "holds the program itself"),
        ("/opt", "belongs to the system"),
    ],
)
def test_a_folder_that_would_lay_the_machine_open_is_refused(path: str, why: str) -> None:
    """A slip in a configuration must not undo the confinement."""
    with pytest.raises(UnfitPath, match=why):
        see(path)
    with pytest.raises(UnfitPath, match=why):
        see("/srv/link", links={"/srv/link": path})


def test_a_name_that_systemd_would_split_is_quoted() -> None:
    """Two words would be two folders, one of which is not ours."""
    assert see("/srv/my project: 100%").read_write == ('"/srv/my project: 100%%"',)
