"""`towpath ingester access`: whether the automation user may do at each site what a run does."""

import argparse
import json
import secrets
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import anyio

from daemons.ingester.account.roles import INDEXING, function_name, role_arn
from daemons.ingester.commands.call import Call, Verb, add_format, read_call, run_command
from daemons.ingester.commands.each_site import Answer, at_each_site
from daemons.ingester.project.loading import Project, ProjectSite
from shared.checks import shown
from shared.errors import ExitStatus, SuiteError
from shared.s3.store import ABSENT, ObjectStore, PutOptions
from shared.s3.uri import S3Uri

if TYPE_CHECKING:
    from daemons.ingester.account.sessions import Central

SUMMARY = "check whether the automation user may do at each site what a run does"

_VERB = Verb(
    "access",
    """Check whether the automation user may do at each site what a run does.

    Asks who we are, and for each site: assumes the role, lists the bucket, puts an object of its
    own under automation-tests/ and deletes it, and has an invocation of the index function tried
    dry. Nothing else is touched. Exits with 1 where something is refused.
    """,
    ("sites_at_once",),
)
TEST_PREFIX = "automation-tests/"
_BODY = b"written by `towpath ingester access`, which deletes it at once; it may be deleted\n"
_OPTIONS = PutOptions(content_type="text/plain")
_DELETE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Tried:
    """One thing that was tried at a site."""

    name: str
    what: str
    fault: str = ""
    """Why it did not work; empty: it did."""


def main(argv: Sequence[str]) -> int:
    """Run `towpath ingester access` with these arguments."""
    call = read_call(_VERB, argv, _add_flags)
    project = call.project()
    return run_command(partial(_access, call, project))


def _add_flags(parser: argparse.ArgumentParser) -> None:
    add_format(parser)


async def _access(call: Call, project: Project) -> ExitStatus:
    async with call.accounts(project) as central:
        identity = await central.check()

        async def try_site(target: ProjectSite) -> Sequence[Tried]:
            return await _try_site(central, target)

        answers = await at_each_site(project, try_site, at_once=call.settings.sites_at_once)
    if call.arguments.format == "text":
        sys.stdout.write(f"credentials\tok\t{shown(identity)}\n")
    status = ExitStatus.DONE
    for answer in answers:
        tried = answer.found or ()
        sys.stdout.write(_rendered(call, identity, answer))
        call.complain(answer.site_id, [answer.error] if answer.error else [])
        if answer.error or any(each.fault for each in tried):
            status = ExitStatus.UNEXPECTED
    return status


async def _try_site(central: "Central", target: ProjectSite) -> Sequence[Tried]:
    """Try everything at a site, each whatever became of the others; nothing without the role."""
    mapping = target.mapping
    if mapping is None:
        raise RuntimeError("a site was chosen without its mapping")
    done: list[Tried] = []
    async with AsyncExitStack() as stack:
        site = central.site(target.site.id, mapping, step="access")
        async with _noted(done, "assume role", role_arn(mapping.account_id)):
            account = await stack.enter_async_context(site)
        if done[-1].fault:
            return done
        async with _noted(done, "list", f"s3://{mapping.bucket_name}"):
            async for _ in account.store.pages(S3Uri(mapping.bucket_name), delimiter="/"):
                break
        await _try_object(account.store, mapping.bucket_name, done)
        function = function_name(INDEXING, target.site.id)
        async with _noted(done, "invoke (dry run)", function):
            await account.functions.dry_run(function)
    return done


async def _try_object(store: ObjectStore, bucket: str, done: list[Tried]) -> None:
    """Put an object of our own, read it and delete it, also when we are told to stop meanwhile."""
    uri = S3Uri(bucket, f"{TEST_PREFIX}towpath-access-{secrets.token_hex(8)}.txt")
    try:
        async with _noted(done, "put", str(uri)):
            await store.put(uri, _BODY, when=ABSENT, options=_OPTIONS, emulate=True)
        if not done[-1].fault:
            async with _noted(done, "get", str(uri)), store.get(uri) as download:
                async for _ in download:
                    pass
    finally:
        # Also what was refused: without the object the permission to delete is tried as well.
        with anyio.CancelScope(shield=True):
            async with _noted(done, "delete", str(uri)):
                await store.delete(uri, deadline=_DELETE_SECONDS)


@asynccontextmanager
async def _noted(done: list[Tried], name: str, what: str) -> AsyncIterator[None]:
    """Note how the block went; what goes wrong in it ends the block and nothing else."""
    try:
        yield
    except (SuiteError, OSError) as error:
        done.append(Tried(name, what, str(error)))
    else:
        done.append(Tried(name, what))


def _rendered(call: Call, identity: str, answer: Answer[Sequence[Tried]]) -> str:
    site_id, tried = answer.site_id, answer.found or ()
    if call.arguments.format == "json":
        checks = [
            {"name": each.name, "what": each.what, "ok": not each.fault, "message": each.fault}
            for each in tried
        ]
        document = {
            "siteId": site_id,
            "identity": identity,
            "checks": checks,
            "error": answer.error,
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return "".join(
        f"{site_id}\t{each.name}\t{shown(each.fault) or 'ok'}\t{shown(each.what)}\n"
        for each in tried
    )
