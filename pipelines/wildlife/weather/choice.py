"""Who is asked for weather, in which order, and whether we may ask at all. Pure.

| chain     | what is configured                        | who is asked            |
|-----------|-------------------------------------------|-------------------------|
| auto      | a file                                    | static                  |
| auto      | a contact, and a client id or a secret    | frost, smhi             |
| auto      | a contact                                 | smhi                    |
| auto      | a client id, no contact                   | nobody: a mistake       |
| auto      | none of these                             | nobody                  |
| none      | anything                                  | nobody                  |
| names     | what each of them needs                   | these, in this order    |
| names     | less than that                            | nobody: a mistake       |

Providers want to know whom to turn to when a program misbehaves, and block who does not say; so a
contact that is a placeholder is a mistake wherever it stands.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

_AUTO, _NONE = "auto", "none"
_PLACEHOLDER = re.compile(
    r"(^|[^a-z0-9])example\.(com|org|net|edu)|\.(example|invalid|test)(/|$)"
    r"|your-?_?(org|domain|company|name|mail|email|address|site)|change-?_?me|<|>",
    re.IGNORECASE,
)
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+"
_EMAIL = re.compile(rf"[A-Za-z0-9._%+-]{{1,64}}@{_HOST}")
_PAGE = re.compile(rf"(?:https?://)?{_HOST}(?::[0-9]{{1,5}})?(?:/[!-~]*)?")
_LONGEST = 200


class Name(StrEnum):
    """Those who can be asked."""

    FROST = "frost"
    SMHI = "smhi"
    LOCATIONFORECAST = "locationforecast"
    STATIC = "static"


ON_THE_NET = frozenset({Name.FROST, Name.SMHI, Name.LOCATIONFORECAST})
"""Those who want to know whom they talk to."""

ATTRIBUTIONS: Mapping[Name, str] = MappingProxyType(
    {
        Name.FROST: "Weather observations: MET Norway (frost.met.no), CC BY 4.0",
        Name.SMHI: "Weather observations: SMHI (opendata.smhi.se), CC BY 4.0",
        Name.LOCATIONFORECAST: "Weather forecast: MET Norway (api.met.no), CC BY 4.0",
        Name.STATIC: "Weather: file of the operator",
    }
)
"""Whom the report has to name where their data is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """What of the settings decides who is asked."""

    chain: Sequence[str] = (_AUTO,)
    contact: str = ""
    client_id: bool = False
    """Whether a client id of frost is given."""
    secret: bool = False
    """Whether there is a secret that may have one."""
    file: bool = False


def plan_chain(configured: Configured) -> Sequence[Name]:
    """Return who is asked, first to last; for what has no mistakes. See the table above."""
    chain = [each.strip() for each in configured.chain if each.strip()]
    if chain == [_NONE]:
        return ()
    if chain and chain != [_AUTO]:
        return [Name(each) for each in chain]
    if configured.file:
        return (Name.STATIC,)
    if not configured.contact:
        return ()
    if configured.client_id or configured.secret:
        return (Name.FROST, Name.SMHI)
    return (Name.SMHI,)


def find_mistakes(configured: Configured) -> Sequence[str]:
    """Return what is wrong with the configuration, a line each."""
    chain = [each.strip() for each in configured.chain if each.strip()]
    found = [*_unknown(chain), *_out_of_place(chain)]
    if found:
        return found
    if reason := _wrong_contact(configured, plan_chain(configured)):
        found.append(reason)
    if Name.STATIC in chain and not configured.file:
        found.append("weather 'static' needs a file; give weather_file")
    if Name.FROST in chain and not (configured.client_id or configured.secret):
        found.append("weather 'frost' needs a client id; give frost_client_id or api_keys_secret")
    return found


def _unknown(chain: Sequence[str]) -> Sequence[str]:
    known = [_AUTO, _NONE, *Name]
    names = ", ".join(known)
    return [f"weather {each!r} is not known; use {names}" for each in chain if each not in known]


def _out_of_place(chain: Sequence[str]) -> Sequence[str]:
    alone = [each for each in (_AUTO, _NONE) if each in chain and len(chain) > 1]
    found = [f"weather {each!r} stands alone; leave out the others" for each in alone]
    twice = sorted({each for each in chain if chain.count(each) > 1} - set(alone))
    return [*found, *(f"weather {each!r} is named twice; name it once" for each in twice)]


def _wrong_contact(configured: Configured, chain: Sequence[Name]) -> str:
    contact = configured.contact
    if contact and (_PLACEHOLDER.search(contact) or not _can_be_contact(contact)):
        return (
            f"weather_contact {contact[:_LONGEST]!r} reaches nobody; "
            "give your e-mail address or the address of a page"
        )
    unable = [each for each in chain if each in ON_THE_NET]
    if not unable and configured.client_id and _asks_by_itself(configured):
        unable = [Name.FROST]
    if contact or not unable:
        return ""
    return (
        f"weather {unable[0].value!r} needs a contact; "
        "give your e-mail address or page as weather_contact"
    )


def _asks_by_itself(configured: Configured) -> bool:
    chain = [each.strip() for each in configured.chain if each.strip()]
    return chain in ([], [_AUTO]) and not configured.file


def _can_be_contact(contact: str) -> bool:
    if len(contact) > _LONGEST:
        return False
    return bool(_EMAIL.fullmatch(contact) or _PAGE.fullmatch(contact))
