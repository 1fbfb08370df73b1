"""docs/permissions.md, rendered from the permissions and from the requests on record.

python -m tests.support.iam_page        (writes it)
"""

import asyncio
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from infra.permissions import (
    NAMESPACE,
    Scope,
    Service,
    put_metrics,
    read_asset,
    statements_for,
    write_logs,
)
from shared.aws.permission import Permission
from tests.support.iam_calls import callers_by_need
from tests.support.iam_policy import Need, allowed_by
from tests.support.iam_stories import BUCKET, COLONY, record
from tests.support.strict_s3.history import RequestRecord

PAGE = Path(__file__).resolve().parents[2] / "docs" / "permissions.md"
SERVICES: tuple[Service, ...] = ("uploader", "dispatcher", "watcher", "collector", "status")

Recorded = Mapping[Service, Sequence[RequestRecord]]

_HEAD = """\
# Permissions

What each service may do in AWS: exactly what its requests need. `infra/permissions.py` is the one
place where it stands; the stacks make roles of it, and
`policy_document(statements_for("watcher", Scope("BUCKET")))` is the policy for a role or user that
is made by hand. This page is rendered (`python -m tests.support.iam_page`), and
`tests/integration/test_least_privilege.py` keeps it current.

How it is proved: each daemon lives through its whole story against the strict S3 (new, equal and
replaced objects, parts and their abort, lost answers, listings, leases, parking and putting back,
merging and tagging), and each request on record is mapped to what IAM is asked for. Each of these
must be allowed by the policy; no action, resource or condition of the policy may be left over; what
lies outside is denied: another bucket, another prefix, a delete that is not needed. moto, with IAM
enforced, must come to the same verdict.

- A GET or HEAD of a key that is missing is 404 only to who may list the bucket; else it is 403,
  and a daemon could not tell "nobody has a lease" from "not allowed". Such a request names no
  prefix, so the permission to list certain prefixes does not cover it: that is what the statements
  `...Missing` are for, and the look-up of the bucket's region (HeadBucket). The price is that a
  listing without a prefix shows the names of all keys of the bucket, never their content.
- `If-Match` on a write or a delete needs `s3:GetObject`, too. `GetCallerIdentity` needs no
  permission, and the public catalogue is read without a signature.
- Two actions of the uploader are called by nobody: its contract fixes them.
- What moto does not judge: conditions of an identity's policy (a few lines in
  `tests/support/iam_policy.py` do), HeadBucket (a listing without a prefix stands for it), KMS,
  CloudWatch, and who is told 404. AWS itself is not part of the tests.

`BUCKET` is the bucket, `PREFIX` that of the hand-shake. `UploaderAcl`, `CollectorTags` and
`CollectorJobs` are there only where the configuration asks for an ACL, or for tags.
"""

_REST = """\
## What an instance needs besides

And what Session Manager needs; nothing else.
"""

_KMS = """\
## Buckets with a key of one's own

With `Scope(kms_key=...)` each service that writes gets {actions} on that key,
`status` the first of them; both only by way of S3 (`kms:ViaService`).
"""


def page(recorded: Recorded) -> str:
    """Return the whole page."""
    parts = [_HEAD]
    for service in SERVICES:
        scope = scope_of(service, with_options=True)
        permissions = statements_for(service, scope)
        parts += [f"## {service}\n", _table(permissions, recorded[service]), _reasons(permissions)]
    besides = (
        read_asset("${ASSETS}", "${KEY}"),
        put_metrics(NAMESPACE),
        write_logs("${LOG_GROUP_ARN}"),
    )
    key = statements_for("watcher", Scope(BUCKET, kms_key="${KEY_ARN}"))[-1]
    parts += [_REST, _reasons(besides), _KMS.format(actions=" and ".join(map(_code, key.actions)))]
    return "\n".join(parts)


def scope_of(service: Service, *, with_options: bool) -> Scope:
    """Return where a service's story takes place."""
    bucket = COLONY if service == "uploader" else BUCKET
    return Scope(bucket, acl=with_options, tag_collected=with_options)


def _table(permissions: Sequence[Permission], records: Iterable[RequestRecord]) -> str:
    callers = callers_by_need(records)
    rows = ["| action | called by | allowed by |", "|---|---|---|"]
    for permission in permissions:
        for action in permission.actions:
            names = {
                name
                for need, callers_of in callers.items()
                if need.action == action and permission in allowed_by([permission], need)
                for name in callers_of
            }
            shown = ", ".join(sorted(names)) or "nobody: the contract fixes it"
            rows.append(f"| `{action}` | {shown} | {permission.sid} |")
    return "\n".join(rows) + "\n"


def _reasons(permissions: Iterable[Permission]) -> str:
    rows = ["| statement | on | only if | because |", "|---|---|---|---|"]
    for permission in permissions:
        on = ", ".join(_code(_shown(resource)) for resource in permission.resources)
        only = "; ".join(
            f"`{one.key}` {one.operator} {', '.join(_code(_shown(v)) for v in one.values)}"
            for one in permission.conditions
        )
        rows.append(f"| {permission.sid} | {on} | {only} | {permission.reason} |")
    return "\n".join(rows) + "\n"


def _shown(text: str) -> str:
    short = text.removeprefix("arn:aws:s3:::")
    for name in (BUCKET, COLONY):
        short = short.replace(name, "BUCKET")
    return short.replace("vasco/handshake", "PREFIX")


def _code(text: str) -> str:
    return f"`{text}`"


def unused(permissions: Iterable[Permission], needs: Iterable[Need]) -> list[tuple[str, str]]:
    """Return each action, resource and value of a condition that none of the needs uses."""
    known, found = tuple(needs), []
    for permission in permissions:
        for part, narrowed in _parts(permission):
            if not any(allowed_by([narrowed], need) for need in known):
                found.append((permission.sid, part))
    return found


def _parts(permission: Permission) -> Iterable[tuple[str, Permission]]:
    """Yield a statement once for each of its parts, with that part alone."""
    sid, reason = permission.sid, permission.reason
    actions, resources, conditions = (
        permission.actions,
        permission.resources,
        permission.conditions,
    )
    for action in actions:
        yield action, Permission(sid, (action,), resources, reason, conditions)
    for resource in resources:
        yield resource, Permission(sid, actions, (resource,), reason, conditions)
    for condition in conditions:
        for value in condition.values:
            only = tuple(
                type(one)(one.operator, one.key, (value,)) if one is condition else one
                for one in conditions
            )
            yield value, Permission(sid, actions, resources, reason, only)


async def record_all(folder: Path) -> Recorded:
    """Let every service live through its story."""
    return {
        service: await record(service, folder / service, with_options=True) for service in SERVICES
    }


def main() -> None:
    """Write the page."""
    with tempfile.TemporaryDirectory() as folder:
        recorded = asyncio.run(record_all(Path(folder)))
    PAGE.write_text(page(recorded), encoding="utf-8")


if __name__ == "__main__":
    main()
