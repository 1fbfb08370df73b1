"""`towpath wildlife validate` and `estimate` as people type them."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pipelines.wildlife.command import main
from shared.cli import run_command
from tests.support.strict_s3.server import StrictS3

Wildlife: TypeAlias = Callable[..., tuple[int, str, str]]

_BUCKET = "cards"


@pytest.fixture
def wildlife(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Wildlife:
    """Run the command with a document on its standard input."""

    def call(document: object, *argv: str) -> tuple[int, str, str]:
        text = document if isinstance(document, str) else json.dumps(document)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        status = run_command("wildlife", main, [*argv, "--input", "-"])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[StrictS3]:
    """A bucket with the card of a camera, and what else lies on cards."""
    with StrictS3([_BUCKET]) as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        server.seed(
            _BUCKET,
            {
                "raw/cam01/IMG_0001.JPG": b"x",
                "raw/cam01/100MEDIA/IMG_0002.jpg": b"x",
                "raw/cam01/notes.txt": b"x",
                "raw/cam01/film.MP4": b"x",
                "raw/cam010/IMG_0003.jpg": b"x",
            },
        )
        server.forget()
        yield server


def _document(**changed: object) -> dict[str, Any]:
    return {
        "input_uri": f"s3://{_BUCKET}/raw/cam01",
        "output_uri": f"s3://{_BUCKET}/out",
        "budget_dkk": 25,
        **changed,
    }


def test_an_estimate_lists_pictures_and_writes_nothing(s3: StrictS3, wildlife: Wildlife) -> None:
    """Suffixes in any case, all folders below, and no neighbour whose name begins alike."""
    status, out, _ = wildlife(_document(), "estimate", "--output", "json")

    said = json.loads(out)
    assert status == 0
    assert said["images_found"] == said["estimated_images"] == 2
    assert s3.mutations() == []


def test_an_estimate_above_the_budget_is_told_with_its_own_status(wildlife: Wildlife) -> None:
    """A script can tell it from a mistake in the document."""
    status, out, err = wildlife(_document(budget_dkk=0.01), "estimate", "--count", "1200")

    assert status == 3
    assert "estimated total" in out
    assert "Estimated cost exceeds budget: estimated 0.1429 DKK > budget 0.0100 DKK" in err


def test_fewer_pictures_cost_less(wildlife: Wildlife) -> None:
    """What the refusal advises has to help."""
    status, out, _ = wildlife(
        _document(max_images=100), "estimate", "--count", "1200", "--output", "json"
    )

    said = json.loads(out)
    assert (status, said["images_found"], said["estimated_images"]) == (0, 1200, 100)


def test_a_folder_is_estimated_without_aws(tmp_path: Path, wildlife: Wildlife) -> None:
    """Local mode needs neither credentials nor a network."""
    camera = tmp_path / "in" / "yard"
    camera.mkdir(parents=True)
    for name in ("a.jpg", "b.PNG", "c.txt"):
        (camera / name).touch()

    status, out, _ = wildlife(
        _document(input_uri=f"file://{tmp_path}/in", output_uri=f"file://{tmp_path}/out"),
        "estimate",
    )

    assert status == 0
    assert out.startswith(f"2 of 2 pictures below file://{tmp_path}/in/")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("document", "argv", "status", "said"),
    [
        (_document(budget_dkk="x"), ("validate",), 2, "budget_dkk = 'x' is not valid"),
        ("{", ("validate",), 2, "is not valid JSON"),
        (_document(price_book="x"), ("validate",), 2, "known: 'eu-north-1', 'reference'"),
        (_document(), ("estimate", "--count", "0"), 2, "a whole number from 1"),
        (_document(input_uri="file:///nowhere/x"), ("estimate",), 2, "is not a folder"),
        (_document(input_uri=f"s3://{_BUCKET}/raw/none"), ("estimate",), 2, "holds no picture"),
        (_document(input_uri="s3://other-cards/raw"), ("estimate",), 2, "cannot be listed"),
    ],
)
def test_what_is_wrong_ends_with_2_and_a_line(
    document: object,
    argv: tuple[str, ...],
    status: int,
    said: str,
    s3: StrictS3,
    wildlife: Wildlife,
) -> None:
    """Nothing is printed where a program would read it."""
    ended, out, err = wildlife(document, *argv)

    assert (ended, out) == (status, "")
    assert said in err
    assert "Traceback" not in err
