import json
import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from daemons.collector.central import compare_tables, place, sweep
from shared.handshake.layout import Runout
from tests.support.collecting import COLUMNS, STAMP, Prod, contents, ours

READER = """
import json, os, sys
folder, wanted = sys.argv[1], int(sys.argv[2])
print("ready", flush=True)
sizes, looks = {}, 0
while len([n for n in sizes if n.endswith(".csv")]) < wanted:
    looks += 1
    for name in os.listdir(folder):
        if not name.startswith("."):
            with open(os.path.join(folder, name), "rb") as stream:
                sizes.setdefault(name, set()).add(len(stream.read()))
print(json.dumps([looks, {name: sorted(found) for name, found in sizes.items()}]))
"""


def test_a_reader_never_sees_a_partial_file(tmp_path: Path) -> None:
    """Whoever works with the central folder need not know that a collector runs."""
    prod = Prod(tmp_path / "prod", largest_bytes=1 << 24)
    expected = {}
    for number in range(30):
        cid = f"{number:05d}"
        files = contents(cid, 2000)
        prod.lay(ours(Runout(STAMP, cid), files))
        expected.update({name: [len(body)] for name, body in files.items()})
    prod.central.mkdir()
    command = [sys.executable, "-c", READER, str(prod.central), "30"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        try:
            anyio.run(prod.one_pass, backend_options={"use_uvloop": True})
            looks, seen = json.loads(reader.communicate(timeout=60)[0])
        finally:
            reader.kill()

    assert looks > 1
    assert seen.items() <= expected.items()


def test_a_name_that_is_taken_in_the_last_moment_stays_as_it_is(tmp_path: Path) -> None:
    """Between the look and the placing somebody else may be faster."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"ours")

    def be_faster(_step: str) -> None:
        target.write_bytes(b"theirs")

    placed = place(source, target, be_faster)

    assert not placed
    assert target.read_bytes() == b"theirs"
    assert names_in(tmp_path) == ["source", "target"]


def test_only_temporary_files_are_swept(tmp_path: Path) -> None:
    """Nothing else in the central folder is ever removed."""
    keep = [".hidden", "a.csv", "b.towpath-tmp", ".x.towpath-tmp", ".a.ABCDEF01.towpath-tmp"]
    for name in [*keep, ".a.csv.0123abcd.towpath-tmp"]:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".folder.0123abcd.towpath-tmp").mkdir()
    (tmp_path / ".link.0123abcd.towpath-tmp").symlink_to("a.csv")

    assert sweep(tmp_path) == 1

    left = sorted([*keep, ".folder.0123abcd.towpath-tmp", ".link.0123abcd.towpath-tmp"])
    assert names_in(tmp_path) == left


def names_in(folder: Path) -> list[str]:
    """Return what is in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


COMPARE = """
import pathlib, resource, sys
from daemons.collector.central import compare_tables
one, other = map(pathlib.Path, sys.argv[1:])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(repr(compare_tables(one, other, b"k" * 32, lambda: None)))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_large_tables_are_compared_in_little_memory(tmp_path: Path) -> None:
    """Two tables that were written in another order; neither is held."""
    rows = [f"{number}," + ",".join(["1.5"] * 13) + "\n" for number in range(20_000)]
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text(COLUMNS + "\n" + "".join(rows))
    other.write_text(COLUMNS + "\n" + "".join(rows[::-1]))

    done = subprocess.run(
        [sys.executable, "-c", COMPARE, str(one), str(other)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    verdict, grown = done.stdout.split()
    assert verdict == "''"
    assert int(grown) < 4096, "kibibytes"


def test_what_is_no_plain_file_is_never_waited_for(tmp_path: Path) -> None:
    """A pipe under a table's name would hold the daemon for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "table").write_text(COLUMNS)

    with pytest.raises(OSError, match="no plain file"):
        compare_tables(tmp_path / "table", tmp_path / "pipe", b"k", lambda: None)
