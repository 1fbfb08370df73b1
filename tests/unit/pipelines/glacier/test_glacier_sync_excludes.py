"""Which files of a project folder belong to the project, and which never leave the machine."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.glacier.project.aws_keys import AWS_KEYS
from pipelines.glacier.project.ini_text import parse_ini
from pipelines.glacier.region_file import REGION_FILE
from pipelines.glacier.transfer.excludes import (
    DEFAULT_RULES,
    REGION_FOLDER,
    Kind,
    Rules,
    environments_of,
    is_environment,
)
from pipelines.glacier.transfer.rule_flags import EXCLUDE, rules_of
from pipelines.glacier.transfer.secret_guard import secret_content, secret_name
from pipelines.glacier.values import Values
from tests.support.made_up_secrets import begin_private_key, key_id, secret_key
from tests.support.soak import repetitions

_KEY_ID, _KEY = key_id(), secret_key()


@pytest.mark.parametrize("folder", ["", "deep/er/"])
@pytest.mark.parametrize(
    "path",
    [
        ".git/HEAD",
        "__pycache__/a.cpython-312.pyc",
        ".pytest_cache/README.md",
        ".vscode/settings.json",
        ".idea/x.xml",
        ".venv/lib/a.py",
        "venv/lib/a.py",
        "module.pyc",
        "run.log",
        "aws/logs/run.txt",
        "Archive/old.py",
        "test_event.json",
        "result_1.json",
        "fresh_run.json",
        "scene.tif",
        "scene.TIFF",
    ],
)
def test_what_is_no_code_is_left_out_at_any_depth(folder: str, path: str) -> None:
    """The old patterns held at the root alone, and caches of sub-folders went up every time."""
    assert DEFAULT_RULES.judge(f"{folder}{path}").kind is Kind.EXCLUDED


@pytest.mark.parametrize(
    "path",
    [
        "config.ini",
        "aws/config/aws_config.ini",
        "aws/config/aws_config.ini.template",
        "1_download_merge_and_clip/sentinel2/download_merge_clip_sentinel2.py",
        f"{REGION_FOLDER}/mask.tif",
        REGION_FILE.as_posix(),
        "aws/logs.py",
        "logs/notes.txt",
        "archive/kept.py",
        "tests/test_event.py",
        ".env.template",
        "aws/credentials.csv.template",
        "credentials.py",
        ".gitignore",
        "environment.yml",
    ],
)
def test_what_is_code_is_taken(path: str) -> None:
    """A rule that takes too much away breaks the run far from here."""
    assert DEFAULT_RULES.judge(path).kind is Kind.TAKEN


@pytest.mark.parametrize(
    "path",
    [
        "credentials.csv",
        "My_Credentials_2024.CSV",
        "deep/er/usgs_credentials.csv",
        "bob_accessKeys.csv",
        ".env",
        ".env.production",
        "deep/.envrc",
        ".env/secrets.txt",
        "key.pem",
        "aws/KEY.PEM",
        ".aws/credentials",
        "deep/.aws/config",
        ".aws/config.template",
        ".ssh/config",
        "id_rsa",
        ".netrc",
    ],
)
def test_secrets_never_leave_whatever_is_included(path: str) -> None:
    """A secret in the bucket cannot be taken back."""
    rules = Rules(includes=("*", path, path.split("/", maxsplit=1)[0]))

    assert rules.judge(path).kind is Kind.SECRET
    assert rules.judge(path).reason


def test_a_public_key_and_a_template_are_no_secrets() -> None:
    """Templates are what people are given to write their own."""
    assert secret_name("id_rsa.pub") == ""
    assert secret_name("aws.pem.template") == ""


@pytest.mark.parametrize(
    "content",
    [
        begin_private_key("RSA") + b"\n" + b"A" * 64 + b"\n",
        begin_private_key() + b"\r\n" + b"b" * 64,
        b"Access key ID,Secret access key\nAKIA,x\n",
        b"\xef\xbb\xbfUser name,Access key ID,Secret access key\r\nbob,A,b\r\n",
        b"aws_access_key_id = " + _KEY_ID + b"\naws_secret_access_key = " + _KEY + b"\n",
        b"export AWS_ACCESS_KEY_ID=" + _KEY_ID + b"\nexport AWS_SECRET_ACCESS_KEY=" + _KEY + b"\n",
    ],
)
def test_a_secret_is_known_by_what_is_in_it(content: bytes) -> None:
    """People paste keys into config.ini."""
    assert secret_content(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"-----BEGIN CERTIFICATE-----\n" + b"A" * 64,
        b"header = '" + begin_private_key("RSA") + b"'\n",
        b"Access key ID,Secret access key\n",
        b"id AKIAIOSFODNN7EXAMPLE and " + _KEY,
        _KEY_ID + b" alone",
        _KEY_ID + b" and the sum " + b"0123456789abcdef0123456789abcdef01234567",
    ],
)
def test_what_only_talks_of_secrets_is_none(content: bytes) -> None:
    """Documentation and code that name the format must not be kept from the run."""
    assert secret_content(content) == ""


def test_a_virtual_environment_is_known_by_its_content() -> None:
    """People call them anything."""
    paths = ["tools/py312/pyvenv.cfg", "tools/py312/lib/a.py", "tools/b.py", "mini/conda-meta/h"]

    found = environments_of(paths)

    assert found == {"tools/py312", "mini"}
    assert DEFAULT_RULES.judge("tools/py312/lib/a.py", found).kind is Kind.EXCLUDED
    assert DEFAULT_RULES.judge("tools/b.py", found).kind is Kind.TAKEN
    assert is_environment(["bin", "pyvenv.cfg"])
    assert not is_environment(["bin"])


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("notes", "notes", True),
        ("notes", "deep/notes/a.txt", True),
        ("notes", "notes.txt", False),
        ("*.md", "deep/README.md", True),
        ("docs/*.md", "docs/a.md", True),
        ("docs/*.md", "deep/docs/a.md", False),
        ("docs/*.md", "docs/deep/a.md", False),
        ("/docs", "docs/a.md", True),
        ("/docs", "deep/docs/a.md", False),
        ("docs/", "deep/docs/a.md", True),
        ("docs/old", "docs/old/er/a.md", True),
    ],
)
def test_a_name_is_for_any_depth_and_a_path_for_one(
    pattern: str, path: str, *, matches: bool
) -> None:
    """The way of .gitignore, which everybody knows."""
    kind = Rules(excludes=(pattern,)).judge(path).kind

    assert kind is (Kind.EXCLUDED if matches else Kind.TAKEN)


def test_an_include_beats_every_rule_but_the_guard() -> None:
    """Somebody's Archive may hold the one file that the run needs."""
    rules = Rules(excludes=("*.csv",), includes=("Archive/needed.py", "table.csv"))

    assert rules.judge("Archive/needed.py").kind is Kind.TAKEN
    assert rules.judge("Archive/other.py").kind is Kind.EXCLUDED
    assert rules.judge("deep/table.csv").kind is Kind.TAKEN
    assert rules.judge("deep/other.csv").kind is Kind.EXCLUDED
    assert rules.judge(".sync-manifest.json").kind is Kind.EXCLUDED


def test_a_folder_is_left_unread_only_if_nothing_in_it_can_belong() -> None:
    """Walking .git costs more than all the rest; an include may need a walk."""
    assert DEFAULT_RULES.judge_folder(".git").kind is Kind.EXCLUDED
    assert DEFAULT_RULES.judge_folder("deep/.aws").kind is Kind.SECRET
    assert DEFAULT_RULES.judge_folder("aws/logs").kind is Kind.EXCLUDED
    assert DEFAULT_RULES.judge_folder("aws").kind is Kind.TAKEN
    assert Rules(excludes=("docs",)).judge_folder("docs").kind is Kind.EXCLUDED
    assert Rules(excludes=("docs/*.md",)).judge_folder("docs").kind is Kind.TAKEN
    assert Rules(includes=("x",)).judge_folder("Archive").kind is Kind.TAKEN
    assert Rules(includes=("x",)).judge_folder(".aws").kind is Kind.SECRET


def test_file_and_line_add_up() -> None:
    """What the file says is known to a submission too, so that its digest is that of a sync."""
    text = "[SYNC]\nexclude = notebooks, docs/*.pdf  # large\ninclude = Archive/a.py\n"
    aws = parse_ini(text, AWS_KEYS, "aws_config.ini")
    line = Values({EXCLUDE: ("*.bak",)})

    assert (aws.problems, aws.warnings) == ((), ())
    assert rules_of(aws) == Rules(("notebooks", "docs/*.pdf"), ("Archive/a.py",))
    assert rules_of(aws, line).excludes == ("notebooks", "docs/*.pdf", "*.bak")


def test_rasters_belong_where_the_region_file_is() -> None:
    """Two modules must not disagree on that folder."""
    assert REGION_FILE.parent.as_posix() == REGION_FOLDER


@settings(max_examples=repetitions(30, 2000))
@given(st.lists(st.sampled_from(["a", ".git", "b.py", ".aws", "venv", "x.tif"]), min_size=1))
def test_what_lies_in_a_folder_left_out_is_left_out(parts: list[str]) -> None:
    """Whether a walk stops at the folder or a key is looked at alone, the answer is the same."""
    path = "/".join(parts)
    folders = ["/".join(parts[:count]) for count in range(1, len(parts))]
    left = any(DEFAULT_RULES.judge_folder(each).kind is not Kind.TAKEN for each in folders)

    if left:
        assert DEFAULT_RULES.judge(path).kind is not Kind.TAKEN
