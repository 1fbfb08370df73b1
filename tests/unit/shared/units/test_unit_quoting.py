from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.units.quoting import (
    UnfitPath,
    check_path,
    quote,
    quote_argument,
    quote_program,
    whole_line,
)
from tests.support.systemd_tools import needs_systemd_analyze, verify_unit

HOSTILE = (
    "plain",
    "with blank",
    "percent%n%%",
    'quote"inside',
    "apostrophe's",
    "back\\slash",
    "ends in backslash\\",
    "dollar$HOME${HOME}$$",
    "colon:colon",
    "semicolon ; # hash",
    "grüße-日本",
    "-dash",
    "~tilde",
    "{brace}*?[x]",
    "=equals=",
)
_TEXT = st.text(
    st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp"), blacklist_characters="/"),
    min_size=1,
    max_size=30,
)


def read_words(line: str, separators: str = " \t") -> Sequence[str]:
    """Take a line apart as systemd's extract_first_word does with EXTRACT_UNQUOTE alone."""
    words: list[str] = []
    word: str | None = None
    quoted = ""
    characters = iter(line)
    for char in characters:
        if char == "\\":
            word = (word or "") + next(characters)
        elif quoted:
            quoted, word = ("", word) if char == quoted else (quoted, (word or "") + char)
        elif char in "\"'":
            quoted, word = char, word or ""
        elif char in separators:
            words += [] if word is None else [word]
            word = None
        else:
            word = (word or "") + char
    assert not quoted
    return [*words, *([] if word is None else [word])]


def expand(word: str) -> str:
    """Expand specifiers, of which only `%%` may occur."""
    parts = word.split("%%")
    assert not any("%" in part for part in parts)
    return "%".join(parts)


@given(st.lists(_TEXT, min_size=1, max_size=4))
def test_any_name_comes_out_as_it_went_in(names: list[str]) -> None:
    """A folder that a unit reads as another one is a hole in the confinement, or a dead daemon."""
    line = " ".join(quote(f"/srv/{name}") for name in names)

    assert [expand(word) for word in read_words(line)] == [f"/srv/{name}" for name in names]


@given(_TEXT, _TEXT)
def test_a_colon_in_a_name_does_not_split_a_bind(source: str, target: str) -> None:
    """`BindPaths=` separates source and target by the colon that a name may contain, too."""
    line = f"{quote(f'/srv/{source}')}:{quote(f'/home/{target}')}"

    words = [expand(word) for word in read_words(line, " \t:")]

    assert words == [f"/srv/{source}", f"/home/{target}"]


@given(st.text(min_size=1, max_size=40))
def test_a_path_is_either_refused_or_one_line(text: str) -> None:
    """Whatever a file of settings says, it cannot add a line to a unit."""
    path = PurePosixPath("/srv") / text.replace("\0", "\n")
    try:
        fit = check_path(path)
    except UnfitPath:
        return
    assert len(quote(str(fit)).splitlines()) == 1


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("output/s3", "relative"),
        ("/srv/a\nExecStart=/bin/sh", "control character"),
        ("/srv/tab\there", "control character"),
        ("/srv/\udcff", "not UTF-8"),
        ("/srv/line\u2028end", "control character"),
        ("/srv/../etc", "'..'"),
        ("/srv/" + "x" * 4100, "more than 4095 bytes"),
    ],
)
def test_what_no_unit_can_name_is_refused_with_one_line(path: str, why: str) -> None:
    """The manager would ignore the line, and the daemon would run without what it named."""
    with pytest.raises(UnfitPath, match=why.replace(".", r"\.")) as caught:
        check_path(PurePosixPath(path))

    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["ends in blank ", "ends in backslash\\"])
def test_a_working_folder_that_its_line_cannot_hold_is_refused(name: str) -> None:
    """That directive knows no quotes: systemd would strip the one and join lines at the other."""
    with pytest.raises(UnfitPath, match="blank or a backslash"):
        whole_line(PurePosixPath("/srv") / name)


@pytest.mark.parametrize("name", ['quote"inside', "apostrophe's", "back\\slash"])
def test_a_program_that_systemd_would_not_start_is_refused(name: str) -> None:
    """The unit would be refused as a whole, after everything else was changed."""
    with pytest.raises(UnfitPath, match="quote or a backslash"):
        quote_program(PurePosixPath("/opt", name, "bin/towpath"))


@needs_systemd_analyze
def test_systemd_reads_hostile_names_as_we_mean_them(tmp_path: Path) -> None:
    """The judge is systemd: it looks for each program, and a path in pieces is no path to it."""
    units = []
    for number, name in enumerate(HOSTILE):
        folder = tmp_path / "data" / name
        program = folder if set(name).isdisjoint("\"'\\") else tmp_path / "data" / "plain"
        folder.mkdir(parents=True)
        (folder / "towpath").symlink_to("/bin/true")
        unit = tmp_path / f"towpath-x{number}.service"
        unit.write_text(_unit_naming(str(folder), program / "towpath"))
        units.append(unit)

    done = verify_unit(*units)

    assert (done.returncode, done.stderr) == (0, "")


def _unit_naming(path: str, program: Path) -> str:
    lines = [
        "[Unit]",
        f"RequiresMountsFor={quote(path)}",
        "[Service]",
        f"ExecStart={quote_program(program)} {quote_argument(path)}",
        f"ReadWritePaths={quote(path)} {quote(f'-{path}')}",
        f"BindPaths={quote(path)}:{quote(f'/home{path}')}",
        f"Environment={quote(f'X={path}')}",
    ]
    if not path.endswith("\\"):
        lines.append(f"WorkingDirectory={whole_line(PurePosixPath(path))}")
    return "\n".join(lines) + "\n"


@needs_systemd_analyze
def test_the_judge_notices_what_is_not_quoted(tmp_path: Path) -> None:
    """A judge that accepts everything would prove nothing."""
    folder = tmp_path / "with blank"
    folder.mkdir()
    (folder / "towpath").symlink_to("/bin/true")
    unit = tmp_path / "towpath-x.service"
    unit.write_text(f"[Service]\nExecStart=/bin/true\nReadWritePaths={folder}\n")

    assert "blank" in verify_unit(unit).stderr
