"""What is in an image, how docker is asked for it, and what its tag stands for."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from pipelines.glacier.deploy import flags
from pipelines.glacier.deploy.docker import lines as docker_lines
from pipelines.glacier.deploy.docker.build_context import (
    SOURCE,
    Ingredients,
    check_source,
    describe_content,
    write_context,
)
from pipelines.glacier.deploy.docker.image_content import ImageContent
from pipelines.glacier.deploy.docker.imaging import describe_size
from pipelines.glacier.deploy.docker.lines import BaseImage
from shared.errors import UsageError
from tests.support.glacier_regions import REGION_FILE, write_project

_CONTENT = ImageContent(
    {PurePosixPath("app/a.py"): "1" * 64},
    "python:3.11-slim-bookworm",
    "linux/amd64",
    PurePosixPath("regions.gpkg"),
    version="0.1.0",
)


def test_the_same_content_has_the_same_tag() -> None:
    """What is in the registry is then not built again."""
    assert _CONTENT.tag == replace(_CONTENT).tag
    assert len(_CONTENT.tag) == 32


@pytest.mark.parametrize(
    "other",
    [
        {"files": {PurePosixPath("app/a.py"): "2" * 64}},
        {"files": {PurePosixPath("app/b.py"): "1" * 64}},
        {"base_image": "python:3.12-slim-bookworm"},
        {"platform": "linux/arm64"},
        {"region_file": PurePosixPath("other.gpkg")},
        {"project_digest": "3" * 64},
        {"config_sha256": "4" * 64},
        {"version": "0.2.0"},
    ],
)
def test_other_content_has_another_tag(other: dict[str, object]) -> None:
    """Old code under a new name is what a moving tag and a cache of layers made."""
    assert replace(_CONTENT, **other).tag != _CONTENT.tag  # type: ignore[arg-type]  # a table


@pytest.fixture
def ingredients(tmp_path: Path) -> Ingredients:
    """Return what a real image is made from, with a project of the test's own."""
    project = tmp_path / "project"
    project.mkdir()
    write_project(project)
    (project / "keys_credentials.csv").write_text("secret")
    return Ingredients(
        SOURCE,
        project / REGION_FILE,
        PurePosixPath(REGION_FILE.as_posix()),
        "python:3.11-slim-bookworm",
        "linux/amd64",
    )


def test_the_context_has_what_runs_and_nothing_else(
    ingredients: Ingredients, tmp_path: Path
) -> None:
    """No settings, no credentials, no documents, no history, and not this command either."""
    context = tmp_path / "context"
    context.mkdir()

    content = describe_content(ingredients)
    write_context(ingredients, content, context)

    files = {path.relative_to(context).as_posix() for path in context.rglob("*") if path.is_file()}
    assert files == {str(path) for path in content.files}
    assert {
        "Dockerfile",
        ".dockerignore",
        "requirements/glacier.txt",
        "requirements/image.txt",
        "app/lambda_handler.py",
        "app/pipelines/glacier/run/runner.py",
        "app/pipelines/glacier/image/self_check.py",
        "app/pipelines/glacier/image/entry.sh",
        f"project/{REGION_FILE.as_posix()}",
    } <= files
    suffixes = {Path(name).suffix for name in files if name.startswith(("app/", "project/"))}
    assert suffixes == {".py", ".sh", ".gpkg"}
    assert not any("/deploy/" in name or "credentials.csv" in name for name in files)


def test_what_changes_under_ones_hands_is_not_built(
    ingredients: Ingredients, tmp_path: Path
) -> None:
    """The tag stands for what was read first."""
    content = describe_content(ingredients)
    ingredients.region_file.write_bytes(b"other")
    context = tmp_path / "context"
    context.mkdir()

    with pytest.raises(UsageError, match="changed meanwhile"):
        write_context(ingredients, content, context)


def test_all_packages_of_the_image_are_pinned_and_hashed() -> None:
    """What is not covered by a hash is whatever an index gives that day."""
    for name in ("requirements/glacier.txt", "pipelines/glacier/image/requirements.txt"):
        lines = (SOURCE / name).read_text().splitlines()
        packages = [line for line in lines if line and not line.startswith((" ", "#"))]
        assert packages
        assert all("==" in line and line.endswith("\\") for line in packages)


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    """What was installed from a wheel has no requirements beside it."""
    with pytest.raises(UsageError, match="--source"):
        check_source(tmp_path, flags.SOURCE)


def test_an_image_is_built_on_a_digest() -> None:
    """A name leads to another image tomorrow."""
    base = BaseImage("python:3.11-slim-bookworm", "python@sha256:abc")

    line = docker_lines.build(
        "docker", _CONTENT, base, name="r:t", folder=PurePosixPath("/c"), no_cache=True
    )

    assert line == (
        "docker",
        "build",
        "--platform",
        "linux/amd64",
        "--tag",
        "r:t",
        "--no-cache",
        "--build-arg",
        "BASE_IMAGE=python@sha256:abc",
        "--build-arg",
        "BASE_DIGEST=sha256:abc",
        "--build-arg",
        "CONFIG_SHA256=",
        "--build-arg",
        f"CONTENT_DIGEST={_CONTENT.digest}",
        "--build-arg",
        "PROJECT_DIGEST=",
        "--build-arg",
        "REGION_FILE=regions.gpkg",
        "--build-arg",
        f"VERSION=0.1.0+{_CONTENT.tag[:12]}",
        "/c",
    )


def test_a_tested_container_is_shut_in() -> None:
    """Lambda lets it write below /tmp alone, and so does the test."""
    line = docker_lines.run(
        "docker",
        "r:t",
        name="n",
        platform="linux/amd64",
        environment={"A": "b"},
        host_network=True,
    )

    assert " ".join(line) == (
        "docker run --rm --name n --platform linux/amd64 --network host --read-only "
        "--tmpfs /tmp --cap-drop ALL --env A=b r:t"
    )


@pytest.mark.parametrize(
    ("reference", "answer", "pinned"),
    [
        ("python:3.11", "\npython@sha256:1\n", "python@sha256:1"),
        ("python@sha256:2", "", "python@sha256:2"),
        ("mine:latest", "\n", None),
    ],
)
def test_a_base_image_is_known_by_its_digest(
    reference: str, answer: str, pinned: str | None
) -> None:
    """One that was only built here has none, and cannot be told again."""
    found = docker_lines.pinned(reference, answer)

    assert (found and found.pinned) == pinned


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("700000000\n", "has 700 MB"),
        ("1400000000", "has 1400 MB, more than the 700"),
        ("?", "not known"),
    ],
)
def test_an_image_that_has_grown_is_told(answer: str, said: str) -> None:
    """The first one had twice what it needed, and every start took its time."""
    assert said in describe_size(answer)


def test_the_dockerfile_keeps_its_promises() -> None:
    """Without docker these lines are all that can be looked at here."""
    text = (SOURCE / "pipelines/glacier/image/Dockerfile").read_text()

    assert "--require-hashes" in text
    assert text.rindex("USER 10001") < text.index("pipelines.glacier.image.self_check")
    assert 'CMD ["lambda_handler.handler"]' in text
    declared = {
        line.split()[1].partition("=")[0] for line in text.splitlines() if line[:4] == "ARG "
    }
    given = docker_lines.build(
        "docker",
        _CONTENT,
        BaseImage("p", "p@sha256:0"),
        name="n",
        folder=PurePosixPath("/c"),
        no_cache=False,
    )
    assert declared == {word.partition("=")[0] for word in given if "=" in word}
