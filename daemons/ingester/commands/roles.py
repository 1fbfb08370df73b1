"""`towpath ingester roles`: whether each account has exactly one site that creates its role."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from daemons.ingester.commands.call import Verb, add_format, read_call
from daemons.ingester.project.files import read_text
from daemons.ingester.project.mappings import load_mappings
from daemons.ingester.project.sites import Sites, choose_sites, load_sites
from daemons.ingester.project.terraform_roles import TFVARS_PATH, SiteRole, check_roles, read_role
from shared.checks import shown
from shared.errors import ExitStatus, UsageError

SUMMARY = "check which site's Terraform creates the automation role of each account"

_VERB = Verb(
    "roles",
    """Check which site's Terraform creates the automation role of each account.

    Reads terraform/prod.tfvars of every site: of the sites that one aws_profile deploys exactly one
    must have create_automation_role = true. Needs no credentials. Exits with 1 where something is
    wrong.
    """,
)


def main(argv: Sequence[str]) -> int:
    """Run `towpath ingester roles` with these arguments."""
    call = read_call(_VERB, argv, _add_flags)
    settings = call.settings
    found = load_sites(settings.root)
    chosen = choose_sites(found, settings.sites).known_ids
    roles = [_read(site_id, folder) for site_id, folder in _folders(found).items()]
    report = check_roles(roles, accounts=_accounts(settings.root, found), chosen=chosen)
    if call.arguments.format == "json":
        sys.stdout.write(json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("".join(f"{_line(each)}\n" for each in report.to_text().splitlines()))
    return ExitStatus.UNEXPECTED if report.problems else ExitStatus.DONE


def _add_flags(parser: argparse.ArgumentParser) -> None:
    add_format(parser)


def _folders(found: Sites) -> Mapping[str, Path]:
    """Return the folder of every site: whether its configuration is whole makes no difference."""
    broken = {problem.site_id: problem.file.parent for problem in found.problems}
    return broken | {site.id: site.folder for site in found.sites}


def _read(site_id: str, folder: Path) -> SiteRole:
    try:
        return read_role(site_id, read_text(folder.joinpath(*TFVARS_PATH)))
    except UsageError as error:
        return SiteRole(site_id, problems=(f"site {site_id!r}: {error}",))


def _accounts(root: Path, found: Sites) -> Mapping[str, str]:
    """Return the accounts of sites as far as the mappings tell them: the check goes without."""
    try:
        mappings = load_mappings(root, found.known_ids)
    except UsageError:
        return {}
    return {site_id: mapping.account_id for site_id, mapping in mappings.by_site.items()}


def _line(text: str) -> str:
    return "\t".join(shown(part) for part in text.split("\t"))
