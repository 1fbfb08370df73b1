"""The decision table, and that deciding by it brings any two trees to the same content."""

from dataclasses import dataclass
from random import Random

import pytest

from daemons.ingester.archive.folders import MANIFEST_PATH
from daemons.ingester.syncing.compare import (
    TOLERANCE_NS,
    Action,
    ConflictRule,
    Content,
    Direction,
    State,
    compare,
    decide,
    is_md5,
    needs_content,
    winner,
)
from daemons.ingester.syncing.entries import LocalEntry, Pair, RemoteEntry, name_fault
from shared.fswatch.stability import FileIdentity

PATH = "audio/p/one.mp3"
SECOND = 1_000_000_000


def pair(local: tuple[int, int] | None, remote: tuple[int, int] | None, path: str = PATH) -> Pair:
    """Make a pair of (size, seconds) each."""
    here = local and LocalEntry(path, path, FileIdentity(1, 1, local[0], local[1] * SECOND), 0)
    there = remote and RemoteEntry(path, path, remote[0], "etag", remote[1] * SECOND)
    return Pair(path, here or None, there or None)


@pytest.mark.parametrize(
    ("local", "remote", "content", "state"),
    [
        ((0, 0), None, Content.UNKNOWN, State.NOWHERE),
        ((0, 0), (0, 0), Content.UNKNOWN, State.NOWHERE),
        (None, (1, 0), Content.UNKNOWN, State.ONLY_S3),
        ((0, 9), (1, 0), Content.UNKNOWN, State.ONLY_S3),
        ((1, 0), None, Content.UNKNOWN, State.ONLY_LOCAL),
        ((1, 0), (0, 9), Content.UNKNOWN, State.ONLY_LOCAL),
        ((1, 0), (1, 9), Content.EQUAL, State.SAME),
        ((1, 9), (1, 0), Content.UNKNOWN, State.SAME),
        ((1, 3), (1, 0), Content.DIFFERENT, State.LOCAL_NEWER),
        ((1, 2), (1, 0), Content.DIFFERENT, State.S3_NEWER),
        ((1, 0), (1, 9), Content.DIFFERENT, State.S3_NEWER),
        ((2, 3), (1, 0), Content.UNKNOWN, State.LOCAL_NEWER),
        ((2, 2), (1, 0), Content.UNKNOWN, State.S3_NEWER),
        ((2, 0), (1, 9), Content.EQUAL, State.S3_NEWER),
    ],
)
def test_a_path_stands_as_the_table_says(
    local: tuple[int, int] | None,
    remote: tuple[int, int] | None,
    content: Content,
    state: State,
) -> None:
    """The table of the contract, row by row."""
    assert compare(pair(local, remote), content) is state


@pytest.mark.parametrize("content", [Content.DIFFERENT, Content.UNKNOWN])
@pytest.mark.parametrize("local", [(1, 0), (1, 9), (2, 9)])
def test_a_manifest_has_no_newer_side(content: Content, local: tuple[int, int]) -> None:
    """It is merged: a newer file may lack what the older one has."""
    assert compare(pair(local, (1, 0), MANIFEST_PATH), content) is State.TO_MERGE


def test_equal_manifests_are_the_same() -> None:
    """Else every night would read it from S3."""
    assert compare(pair((1, 0), (1, 9), MANIFEST_PATH), Content.EQUAL) is State.SAME


def test_content_matters_for_equal_sizes_alone() -> None:
    """Reading a file whose size says it all is an hour of reading for a large archive."""
    assert needs_content(pair((1, 0), (1, 0)))
    assert not needs_content(pair((1, 0), (2, 0)))
    assert not needs_content(pair((0, 0), (0, 0)))
    assert not needs_content(pair(None, (1, 0)))


@pytest.mark.parametrize(
    ("etag", "verdict"),
    [
        ("d41d8cd98f00b204e9800998ecf8427e", True),
        ("d41d8cd98f00b204e9800998ecf8427e-3", False),
        ("D41D8CD98F00B204E9800998ECF8427E", False),
        ("", False),
    ],
)
def test_an_etag_of_parts_is_no_md5(etag: str, verdict: bool) -> None:  # noqa: FBT001 - a row
    """A multipart ETag compared with an MD5 would never be equal."""
    assert is_md5(etag) is verdict


def test_every_state_has_one_action_a_direction() -> None:
    """The table of the contract, written out once more."""
    pull = {state: decide(state, Direction.PULL) for state in State}
    push = {state: decide(state, Direction.PUSH) for state in State}

    assert pull == {
        State.NOWHERE: Action.NOTHING,
        State.SAME: Action.NOTHING,
        State.UNREADABLE: Action.NOTHING,
        State.ONLY_S3: Action.DOWNLOAD,
        State.ONLY_LOCAL: Action.NOTHING,
        State.S3_NEWER: Action.DOWNLOAD,
        State.LOCAL_NEWER: Action.REPORT,
        State.TO_MERGE: Action.MERGE,
    }
    assert push == {
        State.NOWHERE: Action.NOTHING,
        State.SAME: Action.NOTHING,
        State.UNREADABLE: Action.NOTHING,
        State.ONLY_S3: Action.NOTHING,
        State.ONLY_LOCAL: Action.UPLOAD,
        State.S3_NEWER: Action.REPORT,
        State.LOCAL_NEWER: Action.UPLOAD,
        State.TO_MERGE: Action.MERGE,
    }


@pytest.mark.parametrize("rule", [ConflictRule.S3, ConflictRule.LOCAL, ConflictRule.NONE])
@pytest.mark.parametrize("state", [State.S3_NEWER, State.LOCAL_NEWER])
def test_a_rule_of_the_command_beats_the_times(rule: ConflictRule, state: State) -> None:
    """Who asks for one side means it."""
    assert winner(state, rule) is rule
    assert (decide(state, Direction.PULL, rule) is Action.DOWNLOAD) == (rule is ConflictRule.S3)
    assert (decide(state, Direction.PUSH, rule) is Action.UPLOAD) == (rule is ConflictRule.LOCAL)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("audio/p/Café.mp3", ""),
        ("audio/p/a\nb.mp3", "control character"),
        ("audio/p/a\u2028b.mp3", "control character"),
        ("audio/p/a\\b.mp3", "backslash"),
        ("audio/p/" + "é" * 126 + ".mp3", "255 bytes"),
        ("audio/p/" + "é" * 125 + ".mp3", ""),
        ("audio/" + "p/" * 600 + "a.mp3", "1024 bytes"),
        ("audio/p/\udcff.mp3", "not valid UTF-8"),
    ],
)
def test_names_that_cannot_be_are_refused_with_a_reason(name: str, fault: str) -> None:
    """A hostile key costs itself alone."""
    assert fault in name_fault(name)
    assert bool(name_fault(name)) == bool(fault)


@dataclass(frozen=True)
class Held:
    """A content and its time, on either side."""

    content: int
    size: int
    seconds: int


Side = dict[str, Held]


def tree(dice: Random) -> Side:
    """Make a side of up to four names."""
    return {
        name: Held(dice.randrange(3), dice.randrange(3), dice.randrange(7))
        for name in "abcd"
        if dice.random() < 0.7
    }


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "known"])
def test_any_two_trees_converge_and_then_rest(known: bool) -> None:  # noqa: FBT001 - a fact
    """After one pull and one push both sides are the same, and a second run finds nothing to do."""
    for seed in range(2000):
        dice = Random(seed)  # noqa: S311 - the same trees every time
        check_converges(tree(dice), tree(dice), known=known)


def check_converges(local: Side, remote: Side, *, known: bool) -> None:
    """Check one pair of trees."""
    before = {**local}, {**remote}
    _run(local, remote, known=known, now=10)
    after = {**local}, {**remote}

    assert _run(local, remote, known=known, now=20) == 0
    assert (local, remote) == after
    for name in before[0].keys() | before[1].keys():
        had_bytes = any(name in side and side[name].size for side in before)
        sizes = [side[name].size for side in after if name in side and side[name].size]
        # Nothing that had bytes is gone, and both sides have as many.
        assert len(sizes) == (2 if had_bytes else 0)
        assert len(set(sizes)) == bool(had_bytes)
        if known and had_bytes:
            assert after[0][name].content == after[1][name].content


def _run(local: Side, remote: Side, *, known: bool, now: int) -> int:
    """Pull and push by the table; returns how many files were moved."""
    moved = 0
    for direction in Direction:
        for name in sorted(local.keys() | remote.keys()):
            action = decide(_state(local.get(name), remote.get(name), known=known), direction)
            if action is Action.DOWNLOAD:
                local[name] = remote[name]
            elif action is Action.UPLOAD:
                remote[name] = Held(local[name].content, local[name].size, now)
            moved += action in (Action.DOWNLOAD, Action.UPLOAD)
    return moved


def _state(here: Held | None, there: Held | None, *, known: bool) -> State:
    content = Content.UNKNOWN
    if known and here and there:
        content = Content.EQUAL if here.content == there.content else Content.DIFFERENT
    sides = [None if side is None else (side.size, side.seconds) for side in (here, there)]
    return compare(pair(sides[0], sides[1]), content)


def test_the_tolerance_is_two_seconds() -> None:
    """The contract's number."""
    assert TOLERANCE_NS == 2 * SECOND
