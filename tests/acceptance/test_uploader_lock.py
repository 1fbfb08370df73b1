import dataclasses

from tests.acceptance.ground import BUCKET, Ground


def test_a_second_daemon_on_a_root_is_refused_and_names_the_first(ground: Ground) -> None:
    """Whatever its state folder: the lock lies on what it guards."""
    first = ground.ready()
    ground.put("a.png", b"a")

    second = ground.command("--state-directory", str(ground.folder / "elsewhere"))

    assert second.status == 5
    assert f"process {first.pid}" in second.stderr
    assert len(second.stderr.splitlines()) == 1
    first.wait_for("file_uploaded", key="a.png")


def test_a_second_daemon_with_the_same_state_folder_is_refused(ground: Ground) -> None:
    """Two journals of open uploads in one folder would abort each other's uploads."""
    first = ground.ready()
    other = ground.folder / "other"
    other.mkdir()

    second = ground.command("-d", str(other))

    assert second.status == 5
    assert f"process {first.pid}" in second.stderr


def test_one_pass_beside_a_daemon_is_refused_too(ground: Ground) -> None:
    """`--once` uploads and deletes like the daemon does."""
    ground.ready()

    assert ground.command("--once").status == 5
    assert ground.command("--check").status == 0


def test_daemons_on_two_roots_run_side_by_side(ground: Ground) -> None:
    """One machine may have several simulations."""
    there = dataclasses.replace(ground, folder=ground.folder / "second")
    (there.root / BUCKET).mkdir(parents=True)

    first, second = ground.ready(), there.ready()
    ground.put("first.png", b"first")
    there.put("second.png", b"second")

    first.wait_for("file_uploaded", key="first.png")
    second.wait_for("file_uploaded", key="second.png")
    assert (first.stop(), second.stop()) == (0, 0)


def test_a_killed_daemon_leaves_no_lock_behind(ground: Ground) -> None:
    """Nobody has to unlock anything."""
    ground.ready().kill()
    ground.put("a.png", b"a")

    ground.ready().wait_for("file_uploaded", key="a.png")
