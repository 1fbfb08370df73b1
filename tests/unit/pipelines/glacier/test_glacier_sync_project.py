"""The project folder as a sync sees it: links, names, secrets, what cannot be read."""

import os
from hashlib import md5, sha256
from pathlib import Path

import pytest

from pipelines.glacier.transfer import local_project as module
from pipelines.glacier.transfer.digests import local_digests
from pipelines.glacier.transfer.excludes import DEFAULT_RULES, Rules
from pipelines.glacier.transfer.local_project import BadProject, Left, read_project
from pipelines.glacier.transfer.manifest import Entry, project_digest
from tests.support.made_up_secrets import begin_private_key


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with config.ini and a module."""
    root = tmp_path / "project"
    (root / "lib").mkdir(parents=True)
    (root / "config.ini").write_text("[DATES]\n")
    (root / "lib/step.py").write_text("pass\n")
    return root


def _paths(root: Path, rules: Rules = DEFAULT_RULES) -> list[str]:
    return list(read_project(root, rules).files)


def test_every_file_is_hashed_in_order(root: Path) -> None:
    """The manifest, the comparison with S3 and the digests all rest on this."""
    project = read_project(root, DEFAULT_RULES)

    config = project.files["config.ini"]
    assert list(project.files) == ["config.ini", "lib/step.py"]
    assert config.entry == Entry(8, sha256(b"[DATES]\n").hexdigest())
    assert config.md5 == md5(b"[DATES]\n", usedforsecurity=False).hexdigest()
    assert config.identity.inode == (root / "config.ini").stat().st_ino


def test_the_digests_are_those_of_the_manifest(root: Path) -> None:
    """A submission and a sync of one folder must agree, or every job is stale."""
    digests = local_digests(root)

    assert digests.project == project_digest(read_project(root, DEFAULT_RULES).entries)
    assert digests.config == sha256(b"[DATES]\n").hexdigest()
    assert local_digests(root, Rules(excludes=("lib",))).project != digests.project


def test_what_stays_here_is_told_by_name(root: Path) -> None:
    """Somebody may have expected it in S3; a secret must be noticed."""
    for path in (".git/HEAD", "a.log", "lib/key.pem", "env312/pyvenv.cfg", "env312/bin/x.py"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x")
    (root / "notes.ini").write_bytes(begin_private_key() + b"\n" + b"A" * 64)

    project = read_project(root, DEFAULT_RULES)

    assert list(project.files) == ["config.ini", "lib/step.py"]
    assert project.excluded == (
        Left(".git/", ".git/"),
        Left("a.log", "*.log"),
        Left("env312/", "virtual environment"),
    )
    assert project.secrets == (
        Left("lib/key.pem", "looks like a secret: *.pem"),
        Left("notes.ini", "holds a private key"),
    )


def test_an_include_reaches_into_what_is_left_out(root: Path) -> None:
    """Then folders are walked that else are not, and their own rules still hold."""
    for path in ("Archive/kept.py", "Archive/other.py", "e/pyvenv.cfg", "e/a.py"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x")

    assert _paths(root, Rules(includes=("kept.py",))) == [
        "Archive/kept.py",
        "config.ini",
        "lib/step.py",
    ]


def test_a_link_inside_the_project_stands_for_what_it_leads_to(root: Path) -> None:
    """The original's copy followed links, and code relies on it."""
    (root / "alias.py").symlink_to("lib/step.py")
    (root / "more").symlink_to("lib")

    project = read_project(root, DEFAULT_RULES)

    assert list(project.files) == ["alias.py", "config.ini", "lib/step.py", "more/step.py"]
    assert project.files["alias.py"].source == (root / "lib/step.py").resolve()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("../outside.txt", "leads out of the project"),
        ("/etc/hostname", "leads out of the project"),
        ("missing", "leads nowhere"),
        ("link", "leads nowhere"),
        (".", "back to the project itself"),
        ("..", "leads out of the project"),
    ],
)
def test_a_link_that_leads_elsewhere_is_refused(root: Path, target: str, said: str) -> None:
    """Whatever lies behind it is no part of the project, and may be anything."""
    (root.parent / "outside.txt").write_text("private")
    (root / "link").symlink_to(target)

    with pytest.raises(BadProject, match=f"'link' .*{said}"):
        read_project(root, DEFAULT_RULES)

    assert _paths(root, Rules(excludes=("link",))) == ["config.ini", "lib/step.py"]


def test_links_in_a_circle_are_refused(root: Path) -> None:
    """Else the walk would go on for ever."""
    (root / "lib/up").symlink_to("../lib")
    (root / "other").mkdir()
    (root / "lib/a").symlink_to("../other")
    (root / "other/b").symlink_to("../lib")

    with pytest.raises(BadProject, match="'lib/up' is a link back to a folder above it"):
        read_project(root, DEFAULT_RULES)


def test_a_link_does_not_carry_a_secret_out(root: Path) -> None:
    """Its own name says nothing about what it leads to."""
    (root / ".aws").mkdir()
    (root / ".aws/credentials").write_text("x")
    (root / ".env").write_text("x")
    (root / "plain.txt").symlink_to(".env")
    (root / "settings").symlink_to(".aws")

    project = read_project(root, DEFAULT_RULES)

    assert list(project.files) == ["config.ini", "lib/step.py"]
    assert [left.path for left in project.secrets] == [
        ".aws/",
        ".env",
        "plain.txt",
        "settings/",
    ]


def test_names_that_no_key_can_have_are_told_together(root: Path) -> None:
    """A person mends all of them at once."""
    (root / "a\nb.py").write_text("x")
    (root / "c\\d.py").write_text("x")
    (root / os.fsdecode(b"e\xff.py")).write_text("x")

    with pytest.raises(BadProject) as caught:
        read_project(root, DEFAULT_RULES)

    assert len(str(caught.value).splitlines()) == 3
    assert _paths(root, Rules(excludes=("*.py",))) == ["config.ini"]


def test_what_cannot_be_read_is_told_and_not_passed_over(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project with a hole in it fails on another machine, much later."""
    real = os.open

    def fails(path: Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if str(path).endswith("step.py"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", fails)

    with pytest.raises(BadProject, match=r"'lib/step\.py' cannot be read: permission denied"):
        read_project(root, DEFAULT_RULES)


def test_pipes_are_left_alone(root: Path) -> None:
    """Opening one would wait for a writer for ever."""
    os.mkfifo(root / "pipe")

    project = read_project(root, DEFAULT_RULES)

    assert project.excluded == (Left("pipe", "no regular file"),)


def test_a_folder_without_config_is_no_project(root: Path) -> None:
    """Somebody is in the wrong folder."""
    (root / "config.ini").unlink()

    with pytest.raises(BadProject, match=r"config\.ini' is not there"):
        read_project(root, DEFAULT_RULES)


@pytest.mark.parametrize(("limit", "said"), [("FILES_MAX", "files"), ("PROJECT_BYTES_MAX", "byte")])
def test_a_home_folder_is_not_taken_for_a_project(
    root: Path, monkeypatch: pytest.MonkeyPatch, limit: str, said: str
) -> None:
    """Bounded before anything large is read."""
    monkeypatch.setattr(module, limit, 1)

    with pytest.raises(BadProject, match=f"{said}.*--exclude what is no part of it"):
        read_project(root, DEFAULT_RULES)


def test_a_file_that_is_written_meanwhile_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its hash would be that of no content it ever had."""
    real = os.fstat
    grown: list[Path] = []

    def grow(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        if not grown:
            grown.append(root / "config.ini")
            with grown[0].open("a") as stream:
                stream.write("more")
        return status

    monkeypatch.setattr(os, "fstat", grow)

    with pytest.raises(BadProject, match="written to meanwhile"):
        read_project(root, DEFAULT_RULES)


def test_a_configuration_that_is_excluded_is_told_as_that(root: Path) -> None:
    """It is there, and whoever is told that it is not looks in the wrong place."""
    with pytest.raises(BadProject, match=r"'config\.ini' is excluded, .*; --include it"):
        read_project(root, Rules(excludes=("*.ini",)))


def test_a_secret_in_the_configuration_is_refused(root: Path) -> None:
    """Without the file the project is none, and with it the secret leaves the machine."""
    (root / "config.ini").write_bytes(begin_private_key() + b"\n" + b"A" * 64)

    with pytest.raises(BadProject, match=r"'config\.ini' holds a private key; take that out"):
        read_project(root, DEFAULT_RULES)
