"""What a clean-up takes, and what it leaves: other regions, shared tiles, records, the bucket."""

import json
import os
from pathlib import Path

import pytest

from pipelines.glacier.deploy.cleanup.cleaning import clean, look
from pipelines.glacier.deploy.cleanup.cleanup_plan import Present, describe
from pipelines.glacier.deploy.docker.client import logged_in
from pipelines.glacier.deploy.permissions.scope import Scope
from shared.aws.calls import AwsCalls
from shared.s3.memory import MemoryStore
from shared.s3.memory_buckets import MemoryBuckets
from shared.s3.uri import S3Uri
from tests.support.scripted_aws import ScriptedAws, never_waits, refusal

_SCOPE = Scope("us-west-2", "123456789012", "results", "base", "glacier", "glacier-lambda")
_OURS = (
    "base/sentinel2/140_CentralLindenow/clipped/a.tif",
    "base/sentinel2/140_CentralLindenow/download/2024/b_B08.tif",
    "base/sentinel2/clipped/140_CentralLindenow/a.tif",
    "base/sentinel2/metadata/combined_csv/140_CentralLindenow.csv",
    "base/sentinel2/metadata/individual_csv/140_CentralLindenow/a.csv",
    "base/sentinel2/template/140_CentralLindenow.tif",
    "base/landsat/140_CentralLindenow/c.tif",
    "base/landsat/_reference/140_CentralLindenow.tif",
    "base/landsat/_reference/140_CentralLindenow_stac_query_results.csv",
)
_OTHERS = (
    "base/sentinel2/140_CentralLindenowNorth/clipped/a.tif",
    "base/sentinel2/134_Arsuk/clipped/a.tif",
    "base/sentinel2/template/140_CentralLindenow.tif.aux",
    "base/sentinel2/download/2024/b_B08.tif",
    "base/sentinel2/_runs/aws-sentinel2-20240801-140_CentralLindenow.json",
    "scripts/greenland-glacier-flow/config.ini",
)


async def _bucket() -> MemoryStore:
    store = MemoryStore(MemoryBuckets("results"))
    for key in (*_OURS, *_OTHERS):
        await store.put(S3Uri("results", key), b"x")
    return store


async def _left(store: MemoryStore) -> set[str]:
    return {each.uri.key async for page in store.pages(S3Uri("results")) for each in page.objects}


def _aws() -> ScriptedAws:
    return ScriptedAws(
        {
            "get_function": [{"Configuration": {}}],
            "list_images": [{"imageIds": [{}, {}], "nextToken": "t"}, {"imageIds": [{}]}],
            "delete_function": [{}],
            "delete_repository": [{}],
        }
    )


@pytest.fixture(autouse=True)
def no_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever cleans up may be on a machine that never built anything."""
    monkeypatch.setenv("PATH", "")


@pytest.mark.asyncio
async def test_a_named_region_goes_and_its_neighbours_stay() -> None:
    """A prefix finds what begins like it, too."""
    store, aws = await _bucket(), _aws()
    calls = AwsCalls(aws, sleep=never_waits)

    found = await look(calls, store, _SCOPE, ["140_CentralLindenow"])
    await clean(calls, store, _SCOPE, found)

    assert found.present == Present(
        function=True,
        repository=True,
        images=3,
        local_images=0,
        results=(("140_CentralLindenow", len(_OURS)),),
    )
    assert await _left(store) == set(_OTHERS)
    assert aws.operations()[-2:] == ["delete_function", "delete_repository"]


@pytest.mark.asyncio
async def test_without_a_name_no_result_goes() -> None:
    """A clean-up before a rebuild is about code."""
    store, calls = await _bucket(), AwsCalls(_aws(), sleep=never_waits)

    await clean(calls, store, _SCOPE, await look(calls, store, _SCOPE, []))

    assert await _left(store) == {*_OURS, *_OTHERS}


@pytest.mark.asyncio
async def test_looking_removes_nothing() -> None:
    """The plan is printed first, and most of the time that is all."""
    store, aws = await _bucket(), _aws()

    await look(AwsCalls(aws), store, _SCOPE, ["140_CentralLindenow"])

    assert await _left(store) == {*_OURS, *_OTHERS}
    assert not [each for each in aws.operations() if each.startswith("delete")]


@pytest.mark.asyncio
async def test_what_is_not_there_is_not_removed() -> None:
    """A second clean-up ends as the first did."""
    aws = ScriptedAws(
        {
            "get_function": [refusal("ResourceNotFoundException", 404)],
            "list_images": [refusal("RepositoryNotFoundException")],
        }
    )
    store = MemoryStore(MemoryBuckets("results"))

    found = await look(AwsCalls(aws), store, _SCOPE, ["140_CentralLindenow"])
    await clean(AwsCalls(aws), store, _SCOPE, found)

    assert describe(found.present, "glacier", "glacier-lambda", "results") == []


def test_a_plan_says_how_much_would_go() -> None:
    """`yes` is said to numbers."""
    present = Present(True, True, 1, 2, (("134_Arsuk", 8), ("001_alison", 0)))  # noqa: FBT003 - a row

    assert describe(present, "glacier", "glacier-lambda", "results") == [
        "remove function glacier with its versions and alias",
        "remove repository glacier-lambda with 1 image",
        "remove 2 images of glacier-lambda from this machine",
        "remove 8 objects of region 134_Arsuk from s3://results",
    ]


@pytest.mark.asyncio
async def test_a_password_is_in_one_file_for_as_long_as_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a person's settings what leads to docker is kept; a helper would hide our password."""
    own = tmp_path / "own"
    (own / "contexts").mkdir(parents=True)
    (own / "config.json").write_text(
        json.dumps({"currentContext": "colima", "credsStore": "desktop", "auths": {"old": {}}})
    )
    monkeypatch.setenv("DOCKER_CONFIG", str(own))

    async with logged_in("registry", "QVdTOnNlY3JldA==") as folder:
        said = json.loads((folder / "config.json").read_text())
        mode = (folder / "config.json").stat().st_mode & 0o777
        assert (folder / "contexts").resolve() == own / "contexts"

    assert said == {
        "currentContext": "colima",
        "auths": {"registry": {"auth": "QVdTOnNlY3JldA=="}},
    }
    assert mode == 0o600
    assert not folder.exists()
    assert os.listdir(own / "contexts") == []  # noqa: PTH208 - the folder itself must still be there
