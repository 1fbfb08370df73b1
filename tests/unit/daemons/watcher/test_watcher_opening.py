import os
from pathlib import Path

import pytest

from daemons.watcher.opening import open_daemon, step_rules
from daemons.watcher.settings import SIDECAR_COMMAND, Settings
from shared.errors import UsageError
from shared.lifecycle import Control
from shared.systemd import Notifier


@pytest.mark.asyncio
@pytest.mark.parametrize("ledger", [False, True])
async def test_a_root_of_somebody_else_is_named_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, ledger: bool
) -> None:
    """Hours of computing would end with a CID that cannot be recorded."""
    settings = Settings(bucket="sky-hand-shake", root=tmp_path)
    place = settings.ledger_file if ledger else tmp_path
    if ledger:
        place.touch()
    monkeypatch.setattr(os, "access", lambda path, _mode: path != place)

    with pytest.raises(UsageError) as found:
        async with open_daemon(settings, tmp_path / "state", Control(Notifier({}))):
            pass

    assert f"{str(place)!r} is not for it" in str(found.value)
    assert not (tmp_path / "work").exists()


def test_only_our_own_steps_are_built_in(tmp_path: Path) -> None:
    """With other flags it is still our step; what merely looks like it is somebody's own."""
    flags = (*SIDECAR_COMMAND, "--catalogue", "/sky")
    same = step_rules(Settings(bucket="sky-hand-shake", root=tmp_path, sidecar_command=flags))
    other = step_rules(
        Settings(
            bucket="sky-hand-shake",
            root=tmp_path,
            sidecar_command=("python3", "neowise_s3_sidecar.py", "sidecar"),
        )
    )

    assert [rule.built_in for rule in same.steps.values()] == [True, True]
    assert [rule.built_in for rule in other.steps.values()] == [False, True]
