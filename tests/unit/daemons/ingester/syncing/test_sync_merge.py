"""Two listings become one sequence of pairs, whatever the pieces in which they come."""

import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemons.ingester.syncing import merge
from daemons.ingester.syncing.entries import LocalEntry, Pair, Problem, RemoteEntry
from daemons.ingester.syncing.merge import BrokenListing, Pairing, Side
from shared.fswatch.stability import FileIdentity

NAMES = st.text(alphabet="ab-/~é\u0301eÅ\u212b가\u1112\u1161한K\u212a", min_size=1, max_size=5)


def local(name: str) -> LocalEntry:
    """Make a file."""
    return LocalEntry(unicodedata.normalize("NFC", name), name, FileIdentity(1, 1, 1, 1), 1)


def remote(key: str) -> RemoteEntry:
    """Make an object."""
    return RemoteEntry(unicodedata.normalize("NFC", key), key, 1, "etag", 1)


def paired(
    files: Sequence[str], keys: Sequence[str], pieces: tuple[int, int] = (1000, 1000)
) -> tuple[list[Pair], list[Problem], int]:
    """Merge two listings in pieces of these sizes; returns also the most that was held."""
    here, there = [local(name) for name in files], [remote(key) for key in keys]
    pairing, pairs, problems, most = Pairing(), list[Pair](), list[Problem](), 0
    while (side := pairing.wants) is not Side.NEITHER:
        if not (here if side is Side.LOCAL else there):
            pairing.end(side)
        elif side is Side.LOCAL:
            pairing.feed_local(here[: pieces[0]])
            del here[: pieces[0]]
        else:
            pairing.feed_remote(there[: pieces[1]])
            del there[: pieces[1]]
        most = max(most, pairing.held)
        found, left_out = pairing.take()
        pairs += found
        problems += left_out
    assert pairing.held == 0
    return pairs, problems, most


def nfc_sorted(names: Sequence[str]) -> list[str]:
    """Return one name a form, in the order of the local listing."""
    forms = {unicodedata.normalize("NFC", name) for name in names}
    return sorted(forms)


@settings(max_examples=150, deadline=None)
@given(
    files=st.lists(NAMES, max_size=8),
    keys=st.lists(NAMES, max_size=8, unique=True),
    pieces=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_every_name_is_handed_out_once(
    files: list[str], keys: list[str], pieces: tuple[int, int]
) -> None:
    """What is paired twice is moved twice; what is left out is never in step."""
    files = nfc_sorted(files)

    pairs, problems, _ = paired(files, sorted(keys), pieces)

    in_order = [pair.path for pair in pairs if not pair.is_late]
    assert in_order == sorted(set(in_order))
    assert [pair.local.path for pair in pairs if pair.local] == files
    given_out = [pair.remote.key for pair in pairs if pair.remote]
    assert sorted(given_out + [problem.path for problem in problems]) == sorted(keys)


@settings(max_examples=100, deadline=None)
@given(
    files=st.sets(st.text("ab-/.", min_size=1, max_size=4)),
    keys=st.sets(st.text("ab-/.", min_size=1, max_size=4)),
    pieces=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_plain_names_are_joined_like_sets(
    files: set[str], keys: set[str], pieces: tuple[int, int]
) -> None:
    """The merge of sorted streams is a full outer join."""
    pairs, problems, _ = paired(sorted(files), sorted(keys), pieces)

    assert [pair.path for pair in pairs] == sorted(files | keys)
    assert {pair.path for pair in pairs if pair.local} == files
    assert {pair.path for pair in pairs if pair.remote} == keys
    assert problems == []


def test_held_is_a_piece_of_each_side_however_many_there_are() -> None:
    """Memory must not grow with the number of objects, even where one side has none of them."""
    names = [f"audio/p/{number:06}.mp3" for number in range(20_000)]

    for files, keys in ((names, names), (names[:3], names), (names, names[-3:])):
        _, _, most = paired(files, keys)
        assert most <= 2000


def test_a_decomposed_key_meets_the_composed_file() -> None:
    """A Mac decomposed what it sent; the episode is the same one."""
    composed, decomposed = "p/Café.mp3", "p/Cafe\u0301.mp3"

    pairs, problems, _ = paired([composed], [decomposed, "p/Cafz.mp3"])

    assert [(pair.path, bool(pair.local), bool(pair.remote)) for pair in pairs] == [
        ("p/Cafz.mp3", False, True),
        (composed, True, True),
    ]
    assert problems == []


@pytest.mark.parametrize("files", [[], ["p/Café.mp3"]])
def test_of_two_keys_that_are_the_same_name_the_exact_one_takes_part(files: list[str]) -> None:
    """Else it would be chance which of them the file here is."""
    pairs, problems, _ = paired(files, ["p/Cafe\u0301.mp3", "p/Café.mp3"])

    assert [pair.remote.key for pair in pairs if pair.remote] == ["p/Café.mp3"]
    assert len(pairs) == 1
    assert [problem.path for problem in problems] == ["p/Cafe\u0301.mp3"]
    assert "the same name" in problems[0].reason


def test_a_key_that_waits_comes_before_what_both_sides_have_behind_it() -> None:
    """Pairs come in the order of their paths, also where both listings go on alike."""
    both = ["p/x.mp3", "p/ü.mp3"]

    pairs, _, _ = paired(both, ["p/e\u0301.mp3", *both])

    assert [pair.path for pair in pairs] == ["p/x.mp3", "p/é.mp3", "p/ü.mp3"]


def test_a_key_whose_place_has_passed_is_handed_out_late() -> None:
    """The Kelvin sign is a K in NFC, which sorts before nearly everything."""
    pairs, _, _ = paired(["p/K.mp3", "p/x.mp3"], ["p/x.mp3", "p/\u212a.mp3"], (1, 1))

    late = [pair for pair in pairs if pair.is_late]
    assert [(pair.path, pair.local) for pair in late] == [("p/K.mp3", None)]


@pytest.mark.parametrize("second", ["a", "b"])
def test_a_listing_out_of_order_is_refused(second: str) -> None:
    """Merged anyway, every file would look missing on the other side."""
    pairing = Pairing()
    pairing.feed_remote([remote("b")])

    with pytest.raises(BrokenListing, match="not in order"):
        pairing.feed_remote([remote(second)])


def test_keys_that_wait_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket of decomposed keys must not fill the memory."""
    monkeypatch.setattr(merge, "WAITING_MAX", 2)
    pairing = Pairing()

    with pytest.raises(BrokenListing, match="more than 2 keys"):
        pairing.feed_remote([remote(f"e\u0301{number}") for number in range(3)])
