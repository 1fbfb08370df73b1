import configparser
import plistlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path, PurePosixPath

import pytest

from scripts.reference_units import reference_files, reference_needs
from shared.errors import UsageError
from shared.units.context import UnitContext
from shared.units.hardening import HARDENING
from shared.units.launchd import agents
from shared.units.needs import UnitNeeds
from shared.units.render import SHARED_DROP_IN, UnitFile, shared_files, unit_set
from tests.support.systemd_tools import exposure, needs_systemd_analyze, verify_unit

ROOT = Path(__file__).resolve().parents[4]
NEEDS = {needs.service: needs for needs in reference_needs()}
INGESTER = UnitNeeds(
    service="ingester",
    summary="sites",
    stop_seconds=60,
    writes=(PurePosixPath("/srv/sites"),),
    runs_steps=True,
    schedule="*-*-* 02:30:00",
)
EVERYWHERE = UnitNeeds(
    service="everywhere",
    summary="a root in a home, a catalogue in another, and odd names",
    stop_seconds=1.2,
    writes=tuple(map(PurePosixPath, ("/home/ada/my project", "/srv/a:b%c", "/tmp/x"))),
    reads=tuple(map(PurePosixPath, ("/home/ada/my project/new", "/root/wise"))),
    runs_steps=True,
    umask="0022",
)
MOST_EXPOSURE = 1.5


def write(folder: Path, *files: UnitFile) -> None:
    """Put unit files into a folder."""
    for file in files:
        path = folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)


def context_at(folder: Path) -> UnitContext:
    """Return a place whose program exists, which systemd looks for."""
    program = folder / "opt" / "bin" / "towpath"
    program.parent.mkdir(parents=True)
    program.symlink_to("/bin/true")
    return UnitContext(
        prefix=program.parent.parent, groups=("colony",), credentials=True, systemd=252
    )


def read(text: str) -> configparser.ConfigParser:
    """Read a unit whose keys stand once."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys have capitals
    parser.read_string(text)
    return parser


def test_the_units_in_the_repository_are_current() -> None:
    """They are what people read before they install; `make reference` writes them."""
    files = reference_files()

    found = {
        PurePosixPath(path.relative_to(ROOT / "systemd")): path.read_text()
        for path in (ROOT / "systemd").rglob("*")
        if path.is_file()
    }
    assert found == files


@pytest.mark.parametrize(
    "daemon", sorted(path.parent.name for path in (ROOT / "daemons").glob("*/unit.py"))
)
def test_every_daemon_has_its_unit_in_the_repository(daemon: str) -> None:
    """One word names a service everywhere."""
    assert PurePosixPath(f"towpath-{daemon}.service") in reference_files()


@needs_systemd_analyze
def test_systemd_finds_nothing_wrong_with_any_unit(tmp_path: Path) -> None:
    """A misspelt key is ignored by systemd when the unit runs, and so is what it was to do."""
    context = context_at(tmp_path)
    several = replace(context, instances=3)
    sets = [unit_set(needs, context) for needs in (*NEEDS.values(), INGESTER, EVERYWHERE)] + [
        unit_set(NEEDS["watcher"], several)
    ]
    folder = tmp_path / "units"
    write(folder, *shared_files(context), *(file for each in sets for file in each.files))
    units = [folder / "towpath.target", *folder.glob("*.service"), *folder.glob("*.timer")]

    done = verify_unit(*units)

    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd_analyze
@pytest.mark.parametrize("needs", [*NEEDS.values(), INGESTER, EVERYWHERE], ids=lambda n: n.service)
def test_every_unit_is_well_confined(needs: UnitNeeds, tmp_path: Path) -> None:
    """The host name's service of systemd has 1.5, and a unit that says nothing 9.6."""
    context = context_at(tmp_path)
    write(tmp_path, *shared_files(context), *unit_set(needs, context).files)

    assert exposure(tmp_path / f"towpath-{needs.service}.service") <= MOST_EXPOSURE


@needs_systemd_analyze
def test_an_instance_is_as_confined_as_a_single_one(tmp_path: Path) -> None:
    """The drop-ins of a prefix apply to the instances of a template, too."""
    context = replace(context_at(tmp_path), instances=2)
    write(tmp_path, *shared_files(context), *unit_set(NEEDS["watcher"], context).files)
    # What is judged without a manager has to have an instance's name.
    for name in ("towpath-watcher@{}.service", "towpath-watcher@{}.service.d"):
        (tmp_path / name.format("1")).symlink_to(tmp_path / name.format(""))

    assert exposure(tmp_path / "towpath-watcher@1.service") <= MOST_EXPOSURE


@needs_systemd_analyze
def test_the_score_is_that_of_the_drop_in(tmp_path: Path) -> None:
    """If systemd did not take it for these units, nothing would be confined."""
    context = context_at(tmp_path)
    write(tmp_path, *unit_set(NEEDS["uploader"], context).files)

    assert exposure(tmp_path / "towpath-uploader.service") > 5


def test_what_is_relaxed_says_why() -> None:
    """A line that takes protection away without a reason would be copied for ever."""
    given = {directive.key: directive.value for directive in HARDENING}
    for needs in (*NEEDS.values(), EVERYWHERE):
        drop_in = unit_set(needs, UnitContext()).files[1].text.splitlines()
        for before, line in pairwise(drop_in):
            key, _, value = line.partition("=")
            if key in given and given[key] != value:
                assert before.startswith("# "), line


def test_systemd_waits_longer_than_the_daemon_needs_to_end() -> None:
    """Grace and clean-up belong to the daemon; killing comes after both."""
    text = unit_set(EVERYWHERE, UnitContext()).files[0].text

    assert int(read(text)["Service"]["TimeoutStopSec"]) == 17


def test_a_wrong_configuration_or_a_held_lock_is_not_tried_again_and_again() -> None:
    """Both need a person; missing credentials or a bucket that is away may mend themselves."""
    service = read(unit_set(NEEDS["uploader"], UnitContext()).files[0].text)["Service"]

    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"] == "2 5"
    assert "RestartSteps" not in service


def test_a_newer_systemd_lets_the_pause_between_restarts_grow() -> None:
    """An older one knows no such key, and the units must be clean for it."""
    context = UnitContext(systemd=254)

    service = read(unit_set(NEEDS["uploader"], context).files[0].text)["Service"]

    assert service["RestartSteps"] == "5"


def test_each_of_several_has_a_state_folder_of_its_own_and_a_share_of_the_memory() -> None:
    """Two that write the same status would each hide the other."""
    made = unit_set(NEEDS["watcher"], replace(UnitContext(), instances=3))

    drop_in = read(made.files[1].text)["Service"]
    assert made.units == tuple(f"towpath-watcher@{number}.service" for number in (1, 2, 3))
    assert drop_in["StateDirectory"] == "towpath/watcher/%i"
    assert drop_in["MemoryMax"] == "30%"


def test_what_runs_on_a_schedule_has_a_timer_in_place_of_being_enabled() -> None:
    """Enabled, it would run at every boot as well."""
    made = unit_set(INGESTER, UnitContext())

    service, timer = read(made.files[0].text), read(made.files[2].text)
    assert made.units == ("towpath-ingester.timer",)
    assert "Install" not in service
    assert service["Service"]["ExecStart"].endswith(" --once")
    assert service["Service"]["RestartPreventExitStatus"] == "2 4 5"
    assert timer["Timer"]["OnCalendar"] == "*-*-* 02:30:00"
    assert timer["Install"]["WantedBy"] == "towpath.target"


def test_secrets_are_passed_on_by_systemd_where_there_are_any() -> None:
    """A file that is named and missing would keep the unit from starting."""
    text = unit_set(NEEDS["uploader"], replace(UnitContext(), credentials=True)).files[1].text

    assert "LoadCredential=aws:/etc/towpath/credentials/aws\n" in text
    assert "Environment=AWS_SHARED_CREDENTIALS_FILE=%d/aws\n" in text
    assert "LoadCredential" not in unit_set(NEEDS["uploader"], UnitContext()).files[1].text


def test_the_empty_homes_are_read_only() -> None:
    """What a daemon wrote there by mistake would be lost with it, without an error."""
    text = unit_set(EVERYWHERE, UnitContext()).files[1].text

    assert "\nProtectHome=tmpfs\n" in text
    for home in ("/home", "/root", "/run/user"):
        assert f"{home}:ro," in text
    assert "TemporaryFileSystem" not in unit_set(NEEDS["uploader"], UnitContext()).files[1].text


def test_units_of_ones_own_say_nothing_that_needs_privileges() -> None:
    """A user's manager fails a unit whose mount namespace or capabilities it may not set."""
    context = replace(UnitContext(), user="", group="")
    files = [*shared_files(context), *unit_set(EVERYWHERE, context).files]

    text = "".join(file.text for file in files)
    for key in (
        "User=",
        "Protect",
        "Private",
        "Capability",
        "Paths=",
        "LoadCredential",
        "Device",
        "Temp",
    ):
        assert f"\n{key}" not in text
    assert "\nSystemCallFilter=" in text
    assert "WantedBy=default.target" in text


def test_a_value_that_would_be_two_lines_is_no_value() -> None:
    """The last net: whatever gets this far, it cannot add a directive."""
    needs = replace(INGESTER, summary="x\nUser=root")

    with pytest.raises(ValueError, match="more than a line"):
        unit_set(needs, UnitContext())


def test_the_drop_in_of_all_is_read_before_that_of_one_and_that_of_a_person() -> None:
    """Drop-ins are read by the order of their names; the last one counts."""
    own = unit_set(NEEDS["watcher"], UnitContext()).files[1].name.name

    assert sorted(["override.conf", own, SHARED_DROP_IN.name]) == [
        SHARED_DROP_IN.name,
        own,
        "override.conf",
    ]


def test_launchd_is_told_the_same_in_its_own_words() -> None:
    """A property list that cannot be read keeps nothing running."""
    context = replace(
        UnitContext(),
        user="",
        configuration=PurePosixPath("/Users/me/.config/t"),
        base=PurePosixPath("/Users/me/colony"),
    )

    (file,) = agents(NEEDS["uploader"], context, PurePosixPath("/Users/me/Library/Logs/towpath"))

    read_back = plistlib.loads(file.text.encode())
    assert file.name == PurePosixPath("towpath.uploader.plist")
    assert read_back["ProgramArguments"] == [
        "/opt/towpath/bin/towpath",
        "uploader",
        "--config",
        "/Users/me/.config/t/uploader.toml",
    ]
    assert read_back["WorkingDirectory"] == "/Users/me/colony"
    assert read_back["KeepAlive"] == {"SuccessfulExit": False}
    assert read_back["ExitTimeOut"] == NEEDS["uploader"].stop_seconds


def test_launchd_knows_a_time_of_day_and_no_other_schedule() -> None:
    """A schedule that is silently another one is found out weeks later."""
    context = replace(UnitContext(), user="")
    logs = PurePosixPath("/logs")

    (file,) = agents(INGESTER, context, logs)

    assert plistlib.loads(file.text.encode())["StartCalendarInterval"] == {"Hour": 2, "Minute": 30}
    with pytest.raises(UsageError, match="cannot be said to launchd"):
        agents(replace(INGESTER, schedule="Mon *-*-* 02:30"), context, logs)
