from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from infra.permissions import Service, statements_for
from infra.policies import policy_document
from shared.aws.permission import Permission
from shared.handshake.layout import JobFolder, Runout, closest_name
from tests.support.iam_calls import callers_by_need
from tests.support.iam_moto import REQUESTS, EnforcingMoto, enforcing
from tests.support.iam_page import PAGE, SERVICES, page, scope_of, unused
from tests.support.iam_policy import ON_BUCKET, Need, allowed_by
from tests.support.iam_stories import BUCKET, COLONY, DAY, LAYOUT, STAMP, record
from tests.support.moto_server import MotoServer
from tests.support.strict_s3.history import RequestRecord

CONTRACT = {
    "s3:PutObject",
    "s3:GetObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
}
UNCALLED = {"UploaderPartsOfObjects", "UploaderOpenUploads"}
"""What the uploader's contract fixes although no request needs it."""
OPTIONAL = {"UploaderAcl", "CollectorTags", "CollectorJobs"}

PUT, GET, DELETE, ABORT = (
    "s3:PutObject",
    "s3:GetObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
)
TAGGING = {"s3:GetObjectTagging", "s3:PutObjectTagging"}
JOB, RUNOUT = JobFolder(DAY, "00001"), Runout(STAMP, "00001")
KEYS = {
    "seed": LAYOUT.seed(JOB).key,
    "marker": LAYOUT.marker(JOB).key,
    "table": LAYOUT.result(RUNOUT, closest_name("00001")).key,
    "manifest": LAYOUT.manifest(RUNOUT).key,
    "lease": LAYOUT.lease("00001").key,
    "probe": f"{LAYOUT.leases.key}probe-1",
    "failure": LAYOUT.failure("00001").key,
    "dispatcher": LAYOUT.summary("dispatcher").key,
    "collector": LAYOUT.summary("collector").key,
    "elsewhere": "vasco/other/from-prod/aws-seeds-2026-03-01-CID-00001/cid.txt",
    "top": "cid.txt",
}
PREFIXES = {
    "all": "",
    "jobs": LAYOUT.jobs.key,
    "one job": f"{LAYOUT.jobs.key}{JOB}/",
    "results": LAYOUT.runouts.key,
    "leases": LAYOUT.leases.key,
    "failures": LAYOUT.failures.key,
    "summaries": LAYOUT.summaries.key,
    "elsewhere": "vasco/other/",
}
MAY: Mapping[Service, Mapping[str, set[str]]] = {
    "uploader": {},
    "dispatcher": {
        "seed": {PUT, GET, ABORT},
        "marker": {PUT, GET, ABORT},
        "dispatcher": {PUT, GET},
    },
    "watcher": {
        "seed": {GET},
        "marker": {GET},
        "table": {PUT, GET, ABORT},
        "manifest": {PUT, GET, ABORT},
        "lease": {PUT, GET},
        "probe": {PUT, GET, DELETE},
        "failure": {PUT, GET, DELETE},
    },
    "collector": {
        "seed": TAGGING,
        "marker": TAGGING,
        "table": {GET} | TAGGING,
        "manifest": {GET} | TAGGING,
        "lease": {GET},
        "collector": {PUT, GET},
    },
    "status": {
        "lease": {GET},
        "probe": {GET},
        "failure": {GET},
        "dispatcher": {GET},
        "collector": {GET},
    },
}
"""Everything that a service of the hand-shake may do with objects, told a second time by hand."""
MAY_LIST: Mapping[Service, set[str]] = {
    "uploader": set(),
    "dispatcher": {"jobs"},
    "watcher": {"jobs", "results", "failures"},
    "collector": {"results", "one job"},
    "status": {"jobs", "results", "leases", "failures", "summaries"},
}

_STORIES: dict[Service, list[RequestRecord]] = {}
"""A story is told once a run: several tests read it."""


async def story(service: Service, folder: Path) -> list[RequestRecord]:
    """Return every request that a service makes."""
    if service not in _STORIES:
        _STORIES[service] = await record(service, folder / service, with_options=True)
    return _STORIES[service]


def granted(service: Service, *, with_options: bool = True) -> tuple[Permission, ...]:
    """Return what a service may do where its story takes place."""
    return statements_for(service, scope_of(service, with_options=with_options))


def one_of_each(service: Service, needs: Iterable[Need]) -> set[Need]:
    """Leave one of those that the policy does not tell apart: a folder has many files."""
    chosen: dict[object, Need] = {}
    for need in needs:
        sids = tuple(one.sid for one in allowed_by(granted(service), need))
        chosen.setdefault((need.action, need.prefix, sids), need)
    return set(chosen.values())


def worth_a_request(need: Need) -> bool:
    """Say whether moto is asked, too: for what would hurt, and once for each action elsewhere."""
    hurts = need.action in {PUT, DELETE} or need.action in ON_BUCKET
    return hurts or need.bucket.endswith("-2") or need.key == KEYS["elsewhere"]


def outside(service: Service) -> set[Need]:
    """Return what must be denied: everything that the two tables above do not name."""
    bucket = COLONY if service == "uploader" else BUCKET
    verbs = [action for action in REQUESTS if action not in ON_BUCKET]
    found = {Need(action, f"{bucket}-2", KEYS["seed"]) for action in verbs}
    found |= {Need(action, f"{bucket}-2", prefix=None) for action in ON_BUCKET}
    if service == "uploader":
        unused_verbs = set(verbs) - CONTRACT - {"s3:PutObjectAcl"}
        return found | {Need(action, bucket, "a.png") for action in unused_verbs}
    found |= {
        Need(action, bucket, key)
        for name, key in KEYS.items()
        for action in verbs
        if action not in MAY[service].get(name, set())
    }
    found |= {
        Need("s3:ListBucket", bucket, prefix=prefix)
        for name, prefix in PREFIXES.items()
        if name not in MAY_LIST[service]
    }
    return found | {Need("s3:ListBucketMultipartUploads", bucket)}


@pytest.fixture
def moto(moto_server: MotoServer) -> Iterator[EnforcingMoto]:
    """Somebody else's reading of policies."""
    yield enforcing(moto_server, [BUCKET, COLONY, f"{BUCKET}-2", f"{COLONY}-2"])
    moto_server.reset()


@pytest.mark.asyncio
@pytest.mark.parametrize("service", SERVICES)
async def test_each_request_is_allowed(service: Service, tmp_path: Path) -> None:
    """A right that is missing shows on AWS only, at night, after an instance was replaced."""
    needs = callers_by_need(await story(service, tmp_path))

    assert [need for need in needs if not allowed_by(granted(service), need)] == []


@pytest.mark.asyncio
@pytest.mark.parametrize("service", SERVICES)
async def test_nothing_is_granted_that_no_request_needs(service: Service, tmp_path: Path) -> None:
    """What nobody uses is there for whoever breaks in: no action, resource or condition of it."""
    needs = callers_by_need(await story(service, tmp_path))

    left_over = {sid for sid, _ in unused(granted(service), needs)}

    assert left_over == (UNCALLED if service == "uploader" else set())


@pytest.mark.parametrize("service", SERVICES)
def test_what_lies_outside_is_denied(service: Service) -> None:
    """Another bucket, another prefix, a delete: told a second time by hand, object by object."""
    permissions = granted(service)

    assert [need for need in outside(service) if allowed_by(permissions, need)] == []
    for name, actions in MAY[service].items():
        for action in actions:
            assert allowed_by(permissions, Need(action, BUCKET, KEYS[name])), (name, action)


@pytest.mark.asyncio
@pytest.mark.parametrize("service", SERVICES)
async def test_moto_comes_to_the_same_verdict(
    service: Service, tmp_path: Path, moto: EnforcingMoto
) -> None:
    """Our own few lines of evaluation must not be the only ones that believe in the policy."""
    needs = one_of_each(service, callers_by_need(await story(service, tmp_path)))
    beyond = {need for need in outside(service) if worth_a_request(need)}

    denied = moto.denied(granted(service), needs | beyond)

    assert denied == beyond


def test_uploader_gets_exactly_what_its_contract_says() -> None:
    """The list is fixed; the ACL only where one is configured."""
    plain, full = (granted("uploader", with_options=on) for on in (False, True))

    assert {action for one in plain for action in one.actions} == CONTRACT
    assert {action for one in full for action in one.actions} == CONTRACT | {"s3:PutObjectAcl"}
    for permission in plain:
        on_bucket = set(permission.actions) <= ON_BUCKET
        assert permission.resources == (f"arn:aws:s3:::{COLONY}{'' if on_bucket else '/*'}",)
        assert permission.conditions == ()


@pytest.mark.parametrize("service", SERVICES)
def test_options_add_statements_and_change_none(service: Service) -> None:
    """Off by default: nobody may tag, or set an ACL, who was not told to."""
    plain, full = (granted(service, with_options=on) for on in (False, True))

    assert set(plain) <= set(full)
    assert {one.sid for one in set(full) - set(plain)} <= OPTIONAL
    assert not {one.sid for one in plain} & OPTIONAL


@pytest.mark.parametrize("service", SERVICES)
def test_only_status_and_nobody_else_reads_alone(service: Service) -> None:
    """Whoever looks must not be able to change anything, whatever his laptop catches."""
    actions = {action for one in granted(service) for action in one.actions}

    assert (actions <= {"s3:ListBucket", "s3:GetObject"}) is (service == "status")


def test_policies_of_all_services_fit_into_one_role() -> None:
    """A small installation runs all of it on one machine."""
    scope = replace(scope_of("watcher", with_options=True), kms_key="arn:aws:kms:::key/1")

    document = policy_document([one for name in SERVICES for one in statements_for(name, scope)])

    assert document["Version"] == "2012-10-17"


@pytest.mark.asyncio
async def test_page_is_current(tmp_path: Path) -> None:
    """Who writes a role by hand reads the page, and not the code."""
    recorded = {service: await story(service, tmp_path) for service in SERVICES}

    assert PAGE.read_text() == page(recorded)
