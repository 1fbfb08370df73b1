"""Every alarm has a section that says what to do, and silence rings."""

import re
from pathlib import Path
from typing import Literal

import pytest

from infra.alarms import PAGE, alarms_of, glacier_alarms, wildlife_alarms
from infra.permissions import NAMESPACE
from shared import metrics

ROOT = Path(__file__).resolve().parents[3]
Service = Literal["uploader", "watcher"]


@pytest.mark.parametrize("service", ["uploader", "watcher"])
def test_every_alarm_has_a_section_in_the_runbook(service: Service) -> None:
    """An alarm that nobody knows what to do about is noise."""
    sections = re.findall(r"(?m)^## (.+)$", (ROOT / PAGE).read_text())

    for alarm in alarms_of(service, success_minutes=30, machines=2):
        assert alarm.name in sections


def test_every_alarm_of_the_glacier_runs_has_a_section_in_the_runbook() -> None:
    """The same, for what no daemon sends."""
    sections = re.findall(r"(?m)^## (.+)$", (ROOT / PAGE).read_text())
    alarms = glacier_alarms("glacier", timeout_seconds=900, state_machine="arn")

    assert {alarm.name for alarm in alarms} <= set(sections)
    assert not any(alarm.silence_rings for alarm in alarms), "most days nothing runs"


def test_every_alarm_of_wildlife_runs_has_a_section_in_the_runbook() -> None:
    """The same; and of a card that is emptied now and then, silence is no news."""
    sections = re.findall(r"(?m)^## (.+)$", (ROOT / PAGE).read_text())
    alarms = wildlife_alarms(machine="arn", exif="dev-wildlife-stage0-exif", rule="run-ends")

    assert {alarm.name for alarm in alarms} <= set(sections)
    assert not any(alarm.silence_rings for alarm in alarms)


@pytest.mark.parametrize("service", ["uploader", "watcher"])
def test_silence_rings(service: Service) -> None:
    """A machine that is gone sends nothing, and that is what must be heard."""
    alarms = {one.name: one for one in alarms_of(service, success_minutes=30, machines=1)}

    assert alarms["silent"].silence_rings
    assert alarms["no-success"].silence_rings
    assert alarms["no-success"].metric == "last_success_age_seconds"
    assert alarms["no-success"].limit == 1800


def test_nobody_is_woken_when_no_machine_is_wanted() -> None:
    """Watchers that were scaled to none are silent on purpose."""
    alarms = alarms_of("watcher", success_minutes=30, machines=0)

    assert not any(alarm.silence_rings for alarm in alarms)
    assert "too-few-machines" not in {alarm.name for alarm in alarms}


@pytest.mark.parametrize("daemons", [2, 3, 6, 40])
def test_one_daemon_of_several_that_dies_rings(daemons: int) -> None:
    """Its silence is drowned by the others in every alarm that looks at ages."""
    alarms = alarms_of("watcher", success_minutes=30, machines=1, daemons_each=daemons)
    [alarm] = [one for one in alarms if one.name == "too-few-daemons"]

    assert 5 * (daemons - 1) < alarm.limit, "five a daemon in five minutes"
    assert alarm.limit <= 5 * daemons - 4, "a number lost now and then is no dead daemon"


def test_the_time_that_sending_takes_rings_nothing() -> None:
    """A daemon sends a little less than once a minute, and a hundred of them lose a few."""
    alarms = alarms_of("watcher", success_minutes=30, machines=100, daemons_each=16)
    [alarm] = [one for one in alarms if one.name == "too-few-daemons"]

    assert alarm.limit <= 5 * 1600 * 60 / 61


def test_work_that_comes_now_and_then_needs_no_regular_success() -> None:
    """An alarm that always rings is switched off with the next one."""
    names = {alarm.name for alarm in alarms_of("uploader", success_minutes=0, machines=1)}

    assert "no-success" not in names
    assert "silent" in names


def test_the_right_to_send_metrics_is_for_the_namespace_that_is_sent_to() -> None:
    """Else every metric is denied, and every alarm rings."""
    assert NAMESPACE == metrics.NAMESPACE


@pytest.mark.parametrize("service", ["uploader", "watcher"])
def test_the_alarms_read_what_the_daemons_send(service: Service) -> None:
    """A metric of another name is missing for ever, and some alarms take that for good."""
    sent = (ROOT / "daemons" / service / "status.py").read_text()
    script = (ROOT / "infra" / "user_data.sh").read_text()

    for alarm in alarms_of(service, success_minutes=30, machines=1):
        if alarm.namespace != NAMESPACE or alarm.metric in {
            metrics.SINCE_REPORT,
            metrics.SINCE_SUCCESS,
        }:
            continue
        assert f'"{alarm.metric}"' in sent or f"--metric-name {alarm.metric} " in script
