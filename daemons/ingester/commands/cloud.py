"""Invoke a function of each site, and wait for what it answers.

Whoever has a profile for the site's account, named in its `.env.aws-sso`, acts as that person: the
automation role is granted the functions of the index alone.
"""

import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

import structlog
from structlog.typing import FilteringBoundLogger

from daemons.ingester.account.functions import FUNCTION_SECONDS, Functions
from daemons.ingester.account.roles import function_name
from daemons.ingester.account.sessions import Central
from daemons.ingester.commands.call import Call
from daemons.ingester.commands.each_site import Answer, at_each_site
from daemons.ingester.project.files import read_variables
from daemons.ingester.project.loading import Project, ProjectSite
from shared.aws.clients import ClientSettings, open_clients
from shared.checks import shown
from shared.errors import ExitStatus

log: FilteringBoundLogger = structlog.get_logger()

_VARIABLES_NAME = ".env.aws-sso"
_PAYLOAD = b"{}"
_FAILED = "error"


async def invoke_at_sites(call: Call, function: str, project: Project) -> ExitStatus:
    """Invoke each site's function of this kind, and print what it gives back."""
    async with call.accounts(project) as central:
        invoke = partial(_invoke, central, project, function)
        answers = await at_each_site(project, invoke, at_once=max(1, len(project.sites)))
    done = [_told(call, function, answer) for answer in answers]
    return ExitStatus.DONE if all(done) else ExitStatus.UNEXPECTED


async def _invoke(
    central: Central, project: Project, function: str, target: ProjectSite
) -> Mapping[str, object]:
    name = function_name(function, target.site.id)
    async with _functions(central, project, function, target) as functions:
        log.info("function_awaited", site=target.site.id, function=name)
        return await functions.invoke(name, _PAYLOAD)


@asynccontextmanager
async def _functions(
    central: Central, project: Project, function: str, target: ProjectSite
) -> AsyncIterator[Functions]:
    """Act as the person whose profile the site names, else in the automation role."""
    profile = read_variables(target.site.folder / _VARIABLES_NAME).get("AWS_PROFILE", "")
    if target.mapping is None or project.keys is None:
        raise RuntimeError("a site was chosen without its mapping, or a project without keys")
    if profile:
        person = ClientSettings(
            project.keys.aws_region, profile=profile, connections=1, read_seconds=FUNCTION_SECONDS
        )
        async with open_clients(person) as clients:
            yield Functions(clients)
        return
    site = central.site(target.site.id, target.mapping, step=function, functions=(function,))
    async with site as account:
        yield account.functions


def _told(call: Call, function: str, answer: Answer[Mapping[str, object]]) -> bool:
    """Print a site's answer; returns whether it is one of success."""
    name, found = function_name(function, answer.site_id), answer.found
    if found is not None and call.arguments.format == "json":
        document = {"siteId": answer.site_id, "function": name, "answer": found}
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    elif found is not None:
        text = json.dumps(found, ensure_ascii=False)
        sys.stdout.write(f"{answer.site_id}\t{name}\t{shown(text)}\n")
    reasons = [answer.error] if answer.error else []
    if found is not None and found.get("status") == _FAILED:
        reasons.append(f"function {name!r} reports an error: {found.get('message', 'no reason')}")
    call.complain(answer.site_id, reasons)
    return not reasons
