from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from shared.errors import UsageError
from shared.units.context import UnitContext
from shared.units.directives import MARK
from shared.units.needs import UnitNeeds
from shared.units.plan import (
    LINK,
    Action,
    CreateFolder,
    CreateUser,
    Found,
    Manage,
    RemoveFile,
    Verb,
    WriteFile,
    describe,
    is_ours,
    plan_install,
    plan_remove,
    service_of,
)
from shared.units.render import UnitSet, shared_files, unit_set

CONTEXT = UnitContext()
SHARED = shared_files(CONTEXT)
NEEDS = UnitNeeds("watcher", "jobs", 1, writes=(PurePosixPath("/srv/x"),), several=True)
TIMED = UnitNeeds("ingester", "sites", 1, schedule="daily")


def made(needs: UnitNeeds = NEEDS, instances: int = 1) -> UnitSet:
    """Return the files of a daemon."""
    return unit_set(needs, replace(CONTEXT, instances=instances))


def standing(*sets: UnitSet, running: bool = True) -> Found:
    """Return a machine on which these are installed, as an earlier call left it."""
    files = {file.name: file.text for each in sets for file in each.files}
    units = {"towpath.target", *(unit for each in sets for unit in each.units)}
    return Found(
        files | {file.name: file.text for file in SHARED},
        enabled=units,
        running=units if running else (),
    )


def install(*sets: UnitSet, found: Found, start: bool = True) -> Sequence[Action]:
    """Plan to install these."""
    return plan_install(sets, SHARED, found, start=start)


def managed(actions: Sequence[Action]) -> Mapping[Verb, tuple[str, ...]]:
    """Return what the manager is asked for."""
    return {action.verb: action.units for action in actions if isinstance(action, Manage)}


def test_on_an_empty_machine_everything_is_made_in_order() -> None:
    """A unit that starts before its user or folder exists fails."""
    folder = CreateFolder(PurePosixPath("/srv/x"), "towpath")
    found = Found(missing_user="towpath", missing_folders=(folder,))

    actions = install(made(), found=found)

    assert actions[:2] == [CreateUser("towpath"), folder]
    assert [type(action) for action in actions[2:6]] == [WriteFile] * 4
    assert actions[6:] == [
        Manage(Verb.RELOAD),
        Manage(Verb.ENABLE, ("towpath.target", "towpath-watcher.service")),
        Manage(Verb.START, ("towpath.target", "towpath-watcher.service")),
    ]


def test_a_second_time_nothing_is_done() -> None:
    """An upgrade script calls it whatever stands there."""
    actions = install(made(), found=standing(made()))

    assert all(isinstance(action, WriteFile) and action.same for action in actions)


def test_a_changed_unit_is_read_and_started_again_and_no_other() -> None:
    """A watcher computes for hours; a change of the uploader's folder is none of its business."""
    changed = made(replace(NEEDS, tasks_max=7))
    other = made(UnitNeeds("uploader", "files", 1))

    asked = managed(install(changed, other, found=standing(made(), other)))

    assert asked == {Verb.RELOAD: (), Verb.RESTART: ("towpath-watcher.service",)}


def test_without_start_nothing_that_runs_is_touched() -> None:
    """Who installs on a busy machine chooses the moment."""
    changed = made(replace(NEEDS, tasks_max=7))

    asked = managed(install(changed, found=standing(made()), start=False))

    assert asked == {Verb.RELOAD: ()}


def test_fewer_instances_end_those_that_are_too_many() -> None:
    """An instance that nobody names would compute on, unnoticed, at every boot."""
    asked = managed(install(made(instances=2), found=standing(made(instances=4))))

    gone = ("towpath-watcher@3.service", "towpath-watcher@4.service")
    assert asked[Verb.STOP] == asked[Verb.DISABLE] == gone


def test_several_take_the_place_of_one() -> None:
    """Both would run, with twice the memory."""
    actions = install(made(instances=2), found=standing(made()))

    assert managed(actions)[Verb.STOP] == ("towpath-watcher.service",)
    assert RemoveFile(PurePosixPath("towpath-watcher.service")) in actions
    assert RemoveFile(PurePosixPath("towpath-watcher.service.d/needs.conf")) in actions


def test_a_pass_that_a_timer_began_is_not_stopped_by_installing() -> None:
    """Its service is not what is enabled, and yet it is what runs."""
    found = standing(made(TIMED))
    busy = replace(found, running={*found.running, "towpath-ingester.service"})

    assert not managed(install(made(TIMED), found=busy))


@pytest.mark.parametrize("text", [LINK, "[Service]\nExecStart=/bin/own\n"])
def test_what_somebody_else_put_there_is_left_alone(text: str) -> None:
    """A masked unit is somebody's decision."""
    name = PurePosixPath("towpath-watcher.service")

    with pytest.raises(UsageError, match=r"'towpath-watcher\.service'"):
        install(made(), found=Found({name: text}))


def test_an_own_unit_beside_a_template_is_not_ended_by_it() -> None:
    """Several take the place of ours, not of somebody's."""
    own = {PurePosixPath("towpath-watcher.service"): "[Service]\nExecStart=/bin/own\n"}

    with pytest.raises(UsageError, match=r"'towpath-watcher\.service' was not written by"):
        install(made(instances=2), found=Found(own, enabled=["towpath-watcher.service"]))


@pytest.mark.parametrize("services", [["watcher"], None])
@pytest.mark.parametrize("text", [LINK, "[Service]\nExecStart=/bin/own\n"])
def test_what_somebody_else_put_there_keeps_its_confinement(
    text: str, services: Sequence[str] | None
) -> None:
    """Without our drop-ins it would run as root, with nothing forbidden."""
    found = standing(made())
    files = {**found.files, PurePosixPath("towpath-watcher.service"): text}

    with pytest.raises(UsageError, match=r"'towpath-watcher\.service'"):
        plan_remove(services, replace(found, files=files))


def test_what_waits_for_its_next_attempt_has_not_started() -> None:
    """The manager calls it activating, for ever; asked at once, it says why it does not start."""
    found = standing(made())

    crashing = replace(found, crashing={"towpath-watcher.service"})
    starting = replace(found, starting={"towpath-watcher.service"})

    assert managed(install(made(), found=crashing)) == {Verb.RESTART: ("towpath-watcher.service",)}
    assert managed(install(made(), found=starting)) == {Verb.START: ("towpath-watcher.service",)}
    assert not managed(install(made(), found=crashing, start=False))


def test_the_failure_of_an_instance_too_many_is_forgotten() -> None:
    """`systemctl --failed` would name a unit that no longer exists, and monitors look there."""
    found = standing(made(instances=4))
    failed = {"towpath-watcher@2.service", "towpath-watcher@4.service"}
    up = set(found.running) - failed

    asked = managed(install(made(instances=3), found=replace(found, running=up, failed=failed)))

    assert asked[Verb.FORGET] == ("towpath-watcher@4.service",)
    assert Verb.STOP not in asked


def test_where_no_manager_runs_units_are_enabled_for_the_boot() -> None:
    """An image is built in a container."""
    asked = managed(install(made(), found=Found(booted=False)))

    assert set(asked) == {Verb.ENABLE}


def test_removing_one_service_leaves_the_others_and_what_they_share() -> None:
    """The hardening of those that stay must not go."""
    other = made(UnitNeeds("uploader", "files", 1))

    actions = plan_remove(["watcher"], standing(made(), other))

    assert managed(actions) == {
        Verb.STOP: ("towpath-watcher.service",),
        Verb.DISABLE: ("towpath-watcher.service",),
        Verb.RELOAD: (),
    }
    removed = [str(action.name) for action in actions if isinstance(action, RemoveFile)]
    assert removed == ["towpath-watcher.service", "towpath-watcher.service.d/needs.conf"]


def test_the_last_one_takes_the_shared_files_along() -> None:
    """Afterwards the machine is as it was."""
    found = standing(made(TIMED))
    stranger = PurePosixPath("towpath-watcher.service.d/override.conf")

    actions = plan_remove(None, replace(found, files={**found.files, stranger: "[Service]\n"}))

    removed = {action.name for action in actions if isinstance(action, RemoveFile)}
    assert removed == set(found.files)
    assert "towpath.target" in managed(actions)[Verb.DISABLE]


def test_a_failure_is_forgotten_with_its_unit() -> None:
    """`systemctl --failed` would name a unit that no longer exists."""
    found = replace(standing(made(), running=False), failed={"towpath-watcher.service"})

    assert managed(plan_remove(None, found))[Verb.FORGET] == ("towpath-watcher.service",)


def test_what_was_never_installed_cannot_be_removed() -> None:
    """A misspelt name would look like success."""
    with pytest.raises(UsageError, match=r"no units of 'uploader'.*installed: watcher"):
        plan_remove(["uploader"], standing(made()))
    assert not plan_remove(None, Found())


@pytest.mark.parametrize(
    ("unit", "service"),
    [
        ("towpath-watcher@3.service", "watcher"),
        ("towpath-watcher@.service.d/needs.conf", "watcher"),
        ("towpath-ingester.timer", "ingester"),
        ("towpath-.service.d/hardening.conf", ""),
        ("towpath.target", ""),
        ("towpath-own-script.service", ""),
    ],
)
def test_a_unit_is_known_by_its_name(unit: str, service: str) -> None:
    """Only those of a service in question are ever stopped."""
    assert service_of(unit) == service


def test_every_file_says_that_it_is_ours() -> None:
    """By this, and nothing else, it may be replaced and removed."""
    for file in (*SHARED, *made().files, *made(TIMED).files):
        assert is_ours(file.text)
    assert not is_ours(f"[Unit]\nDescription=x\n{MARK}\n")


@pytest.mark.parametrize("done", [True, False])
def test_each_thing_done_is_a_line(*, done: bool) -> None:
    """People compare a dry run with what was done."""
    folder = PurePosixPath("/etc/systemd/system")
    missing = (CreateFolder(PurePosixPath("/srv/x"), "towpath"),)
    found = Found(missing_user="towpath", missing_folders=missing)
    there = standing(made(instances=2), running=False).files
    actions = install(made(), found=replace(found, files=there))

    lines = [line for action in actions for line in describe(action, folder, done=done)]

    assert {line.startswith("would ") for line in lines if "unchanged" not in line} == {not done}
    assert lines[0].endswith("user 'towpath'")
    assert any(line.endswith(f"{folder}/towpath.target") for line in lines)
