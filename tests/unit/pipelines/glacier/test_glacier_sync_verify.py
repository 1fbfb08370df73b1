"""The five checks of a synced project: each fails by its own cause, and only by it."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from pipelines.glacier.region_file import REGION_FILE
from pipelines.glacier.transfer.excludes import DEFAULT_RULES, Rules
from pipelines.glacier.transfer.manifest import (
    CONFIG,
    MANIFEST_NAME,
    PROJECT_PREFIX,
    Entry,
    Manifest,
    parse_manifest,
)
from pipelines.glacier.transfer.verification import Check, Held, check_step_files
from pipelines.glacier.transfer.verifying import NothingThere, Wanted, verify
from shared.errors import SuiteError
from shared.s3.errors import Unreachable
from shared.s3.memory_buckets import Verb
from shared.s3.uri import S3Uri
from tests.support.glacier_regions import Row, write_regions
from tests.support.glacier_transfer import BUCKET, STEP, WRITES, TransferGround

_REGIONS = REGION_FILE.as_posix()
_Change = Callable[[TransferGround], object]


@pytest.fixture
def ground(tmp_path: Path) -> TransferGround:
    """A project and an empty bucket."""
    return TransferGround(tmp_path)


async def _verify(
    ground: TransferGround, *, regions: int = 192, rules: Rules = DEFAULT_RULES
) -> dict[str, Check]:
    wanted = Wanted(ground.read(rules), rules, regions)
    return {check.name: check for check in await verify(ground.store, BUCKET, wanted)}


def _failed(checks: dict[str, Check]) -> dict[str, list[str]]:
    return {name: list(check.faults) for name, check in checks.items() if not check.passed}


@pytest.mark.asyncio
async def test_a_synced_project_passes_and_nothing_is_written(ground: TransferGround) -> None:
    """The check of the original was a look at ten names."""
    await ground.sync()
    ground.requests.seen.clear()

    checks = await _verify(ground)

    assert list(checks) == ["config", "step_files", "region_file", "excluded_keys", "manifest"]
    assert _failed(checks) == {}
    assert ground.requests.keys(*WRITES) == []


def _remove(path: str) -> _Change:
    return lambda ground: ground.buckets.delete(S3Uri(BUCKET, f"{PROJECT_PREFIX}{path}"), None)


def _put(path: str, content: bytes) -> _Change:
    return lambda ground: ground.object(path, content)


def _edit_config(ground: TransferGround) -> object:
    return ground.file(CONFIG, b"[SETTINGS]\nsatellite = landsat\n")


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        (_edit_config, {"config": ["config.ini there is another one than here"]}),
        (
            _remove(CONFIG),
            {"config": ["config.ini is not there"], "manifest": ["config.ini is not there"]},
        ),
        (
            _remove(STEP),
            {"step_files": [f"{STEP} is not there"], "manifest": [f"{STEP} is not there"]},
        ),
        (
            lambda ground: ground.file("1_download_merge_and_clip/new.py"),
            {"step_files": ["1_download_merge_and_clip/new.py is not there"]},
        ),
        (
            _put(".git/HEAD", b"x"),
            {"excluded_keys": [".git/HEAD (.git/)"]},
        ),
        (
            _put("deep/.env", b"x"),
            {"excluded_keys": ["deep/.env (looks like a secret: .env*)"]},
        ),
        (
            _put("../outside.py", b"x"),
            {
                "excluded_keys": [
                    "'../outside.py' is absolute, or has a part that is empty, '.' or '..'"
                ]
            },
        ),
        (
            _put("env312/pyvenv.cfg", b"x"),
            {"excluded_keys": ["env312/pyvenv.cfg (virtual environment)"]},
        ),
        (
            _put(STEP, b"print('clap')\n"),
            {"manifest": [f"{STEP} has another content than the manifest says"]},
        ),
        (
            _put(STEP, b"shorter\n"),
            {"manifest": [f"{STEP} has 8 bytes; the manifest says 14"]},
        ),
        (
            _remove(MANIFEST_NAME),
            {"manifest": [".sync-manifest.json is not there; run `towpath glacier sync`"]},
        ),
        (_put("old.py", b"x"), {}),
    ],
)
@pytest.mark.asyncio
async def test_each_cause_fails_its_own_check(
    ground: TransferGround, change: _Change, failed: dict[str, list[str]]
) -> None:
    """A person must see at once what is wrong."""
    await ground.sync()
    change(ground)

    assert _failed(await _verify(ground)) == failed


@pytest.mark.asyncio
async def test_a_region_file_that_is_none_fails(ground: TransferGround) -> None:
    """It may be whole by its hash and still be an error page that somebody saved."""
    ground.file(_REGIONS, b"<html>not found</html>")
    await ground.sync()

    assert "cannot be read" in _failed(await _verify(ground))["region_file"][0]


@pytest.mark.asyncio
async def test_the_regions_are_counted(ground: TransferGround, tmp_path: Path) -> None:
    """A list cut short would leave glaciers out without a word."""
    await ground.sync()
    small = write_regions(tmp_path / REGION_FILE.name, [Row("001_one"), Row("002_two")])
    (ground.root / REGION_FILE).write_bytes(small.read_bytes())
    await ground.sync()

    assert _failed(await _verify(ground)) == {"region_file": [f"{_REGIONS} has 2 regions"]}
    assert _failed(await _verify(ground, regions=2)) == {}


@pytest.mark.asyncio
async def test_a_region_file_that_is_missing_fails(ground: TransferGround) -> None:
    """There is no other place where the step looks for it."""
    (ground.root / REGION_FILE).unlink()
    await ground.sync()

    failed = _failed(await _verify(ground))

    assert failed == {"region_file": [f"{_REGIONS} is not there"]}


@pytest.mark.asyncio
async def test_a_manifest_that_lies_fails(ground: TransferGround) -> None:
    """Its digests are recomputed, and every file is read."""
    await ground.sync()
    manifest = parse_manifest(ground.held(MANIFEST_NAME) or b"")
    wrong = sha256(b"other").hexdigest()
    files = {**manifest.files, "ghost.py": Entry(1, wrong), "run.sh": Entry(10, wrong)}
    ground.object(MANIFEST_NAME, Manifest(files).to_bytes())

    assert _failed(await _verify(ground)) == {
        "manifest": [
            "ghost.py is not there",
            "run.sh has another content than the manifest says",
        ]
    }


@pytest.mark.asyncio
async def test_an_include_is_no_excluded_key(ground: TransferGround) -> None:
    """What a sync was told to take, its check must be told as well."""
    ground.file("Archive/kept.py")
    rules = Rules(includes=("kept.py",))
    await ground.sync(rules=rules)

    assert _failed(await _verify(ground, rules=rules)) == {}
    assert _failed(await _verify(ground)) == {"excluded_keys": ["Archive/kept.py (Archive/)"]}


def test_a_folder_without_a_step_is_no_pass() -> None:
    """There must be something to look for."""
    held = Held(frozenset({CONFIG}), {}, None)

    check = check_step_files([CONFIG], held)

    assert check.faults == ("there is no file under 1_download_merge_and_clip/ here",)


@pytest.mark.asyncio
async def test_an_empty_prefix_is_no_pass(ground: TransferGround) -> None:
    """Nothing could be checked."""
    with pytest.raises(NothingThere, match="is empty; run `towpath glacier sync`"):
        await _verify(ground)


@pytest.mark.asyncio
async def test_an_answer_that_breaks_off_is_asked_for_again(ground: TransferGround) -> None:
    """A verdict on half of a file would be no verdict."""
    await ground.sync()
    failed: list[str] = []

    def once(verb: Verb, key: str) -> SuiteError | None:
        if verb is Verb.GET and key not in failed:
            failed.append(key)
            return Unreachable(S3Uri(BUCKET, key))
        return None

    ground.requests.fault = once

    assert _failed(await _verify(ground)) == {}
    assert failed
