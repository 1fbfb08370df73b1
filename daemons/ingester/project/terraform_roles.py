"""Which site's Terraform creates the role that all sites of an account share. Pure.

A role has one name in an account, so of the sites that one AWS profile deploys exactly one may
create it; the others would fail, and with none there is nobody to act as.

| sites of a profile whose `create_automation_role` is true | verdict                        |
|------------------------------------------------------------|--------------------------------|
| one                                                        | in order                       |
| none                                                       | a problem: no role             |
| more                                                       | a problem: the second one fails|

A site that does not say its profile, or whether it creates, is a problem of its own. Where the
account mappings are known, a profile of two accounts, and an account with two creators, are told as
well: as warnings, since a mapping may be older than the deployment.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

TFVARS_PATH = ("terraform", "prod.tfvars")
"""Where the variables lie, below a site's folder."""
PROFILE = "aws_profile"
CREATES = "create_automation_role"

Value = str | bool | None
"""Of a variable; None for one that is neither a text nor true or false."""

_TOKEN = re.compile(
    r"""
      (?P<space>   [\s\ufeff]+ )
    | (?P<comment> \#[^\n]* | //[^\n]* | /\*.*?\*/ )
    | (?P<text>    "(?:[^"\\\n]|\\.)*" )
    | (?P<here>    <<-?(?P<end>\w+)[ \t]*\r?\n (?:.*?\n)?? [ \t]*(?P=end)[ \t]*(?=\r?\n|\Z) )
    | (?P<word>    [\w.-]+ )
    | (?P<open>    [\[{(] )
    | (?P<close>   [\]})] )
    | (?P<equals>  = )
    | (?P<mark>    [,:] )
    """,
    re.VERBOSE | re.DOTALL,
)
_NAME = re.compile(r"[A-Za-z_][\w-]*")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


@dataclass(frozen=True, slots=True)
class SiteRole:
    """What a site's variables say of the role."""

    site_id: str
    profile: str = ""
    """Empty where it is not said."""
    creates: bool | None = None
    """None where it is not said."""
    problems: tuple[str, ...] = ()
    """Why something is not known."""


@dataclass(frozen=True, slots=True)
class RolesReport:
    """Who creates which role, and what is wrong with that."""

    creators: Mapping[str, Sequence[str]]
    """The sites that create the role, by profile; of each profile that a site names."""
    members: Mapping[str, Sequence[str]]
    """All sites of each profile."""
    problems: Sequence[str]
    warnings: Sequence[str] = field(default_factory=tuple)

    def to_json(self) -> Mapping[str, object]:
        """Return it for programs."""
        return {
            "profiles": [
                {
                    "awsProfile": profile,
                    "sites": list(self.members[profile]),
                    "creators": list(creators),
                }
                for profile, creators in self.creators.items()
            ],
            "problems": list(self.problems),
            "warnings": list(self.warnings),
        }

    def to_text(self) -> str:
        """Return a line for each profile, problem and warning."""
        lines = [
            f"profile\t{profile}\tcreated by {', '.join(creators) or 'nobody'}\t"
            f"for {', '.join(self.members[profile])}"
            for profile, creators in self.creators.items()
        ]
        lines += [f"problem\t{each}" for each in self.problems]
        lines += [f"warning\t{each}" for each in self.warnings]
        return "\n".join(lines)


def read_role(site_id: str, text: str | None) -> SiteRole:
    """Read a site's `prod.tfvars`; None is a file that is not there."""
    where = "/".join(TFVARS_PATH)
    if text is None:
        return SiteRole(site_id, problems=(f"site {site_id!r}: {where} is missing",))
    try:
        variables = parse_tfvars(text)
    except ValueError as error:
        return SiteRole(site_id, problems=(f"site {site_id!r}: {where} {error}",))
    profile, creates = variables.get(PROFILE), variables.get(CREATES)
    problems = []
    if not isinstance(profile, str) or not profile:
        profile = ""
        problems.append(f"site {site_id!r}: {where} must have {PROFILE}, a text")
    # Terraform takes the words as texts, too.
    creates = {"true": True, "false": False}.get(creates) if isinstance(creates, str) else creates
    if creates is None:
        problems.append(f"site {site_id!r}: {where} must have {CREATES}, true or false")
    return SiteRole(site_id, profile, creates, tuple(problems))


def check_roles(
    sites: Sequence[SiteRole], *, accounts: Mapping[str, str], chosen: Iterable[str] | None = None
) -> RolesReport:
    """Judge all sites of a project together.

    Args:
        sites: every one of the project: whether a profile has a creator is told by all of them.
        accounts: the account of each site, as far as it is known.
        chosen: the sites to speak of; their profiles are spoken of as a whole. None: all.
    """
    wanted = {site.site_id for site in sites} if chosen is None else set(chosen)
    members: defaultdict[str, list[SiteRole]] = defaultdict(list)
    for site in sorted(sites, key=lambda each: each.site_id):
        if site.profile:
            members[site.profile].append(site)
    shown = {
        profile: group
        for profile, group in sorted(members.items())
        if wanted & {site.site_id for site in group}
    }
    problems = [each for site in sites if site.site_id in wanted for each in site.problems]
    problems += [each for profile, group in shown.items() for each in _judge(profile, group)]
    return RolesReport(
        {profile: _creators(group) for profile, group in shown.items()},
        {profile: [site.site_id for site in group] for profile, group in shown.items()},
        problems,
        tuple(_compare(shown, accounts)),
    )


def _judge(profile: str, group: Sequence[SiteRole]) -> Iterator[str]:
    creators = _creators(group)
    if not creators:
        # Whoever has not said it may be the one.
        silent = [site.site_id for site in group if site.creates is None]
        hint = f"{silent[0]!r} does not say" if silent else f"{CREATES} is false everywhere"
        yield (
            f"profile {profile!r} has no site that creates the role: {hint}; set it to true for "
            "exactly one of its sites"
        )
    if len(creators) > 1:
        yield (
            f"profile {profile!r} has {len(creators)} sites that create the role: "
            f"{', '.join(map(repr, creators))}; set {CREATES} to false for all but one"
        )


def _compare(
    groups: Mapping[str, Sequence[SiteRole]], accounts: Mapping[str, str]
) -> Iterator[str]:
    by_account: defaultdict[str, list[str]] = defaultdict(list)
    for profile, group in groups.items():
        found = sorted({accounts[site.site_id] for site in group if site.site_id in accounts})
        if len(found) > 1:
            yield (
                f"profile {profile!r} deploys sites that are mapped to accounts "
                f"{', '.join(found)}; each account needs a creator of its own"
            )
        for creator in _creators(group):
            if creator in accounts:
                by_account[accounts[creator]].append(creator)
    for account, creators in sorted(by_account.items()):
        if len(creators) > 1:
            yield (
                f"account {account} is mapped to {len(creators)} sites that create the role: "
                f"{', '.join(map(repr, creators))}; it has one only"
            )


def _creators(group: Sequence[SiteRole]) -> list[str]:
    return [site.site_id for site in group if site.creates]


def parse_tfvars(text: str) -> Mapping[str, Value]:
    """Return the variables of a `.tfvars` file; ValueError names the line that is none.

    Read is what such files consist of: `name = value`, with comments. Lists, maps and numbers are
    passed over whole, as None.
    """
    found: dict[str, Value] = {}
    tokens = _Tokens(text)
    while (name := tokens.next()) is not None:
        kind, written = name
        if kind != "word" or not _NAME.fullmatch(written):
            raise tokens.error(f"has {written[:40]!r} where a variable's name must be")
        if tokens.next() != ("equals", "="):
            raise tokens.error(f"has no '=' behind {written[:40]!r}")
        if written in found:
            raise tokens.error(f"has {written[:40]!r} twice")
        found[written] = _value(tokens)
    return found


def _value(tokens: "_Tokens") -> Value:
    match tokens.next():
        case ("text", written):
            return re.sub(r"\\(.)", lambda one: _ESCAPES.get(one[1], one[0]), written[1:-1])
        case ("word", written):
            return {"true": True, "false": False}.get(written)
        case ("here", _):
            return None
        case ("open", _):
            tokens.skip_brackets()
            return None
    raise tokens.error("has a name without a value")


class _Tokens:
    """Takes a file apart, without what means nothing."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._last = 0

    def next(self) -> tuple[str, str] | None:
        """Return kind and text of the next token, None at the end."""
        while self._at < len(self._text):
            found = _TOKEN.match(self._text, self._at)
            self._last = self._at
            if found is None:
                raise self.error(
                    f"has {self._text[self._at]!r}, which ends nowhere or means nothing"
                )
            self._at = found.end()
            kind = found.lastgroup or ""
            # The last group of a heredoc is the word that ends it.
            kind = "here" if found["here"] is not None else kind
            if kind not in ("space", "comment"):
                return kind, found[0]
        return None

    def skip_brackets(self) -> None:
        """Go on behind the bracket that closes the one that was just opened."""
        depth = 1
        while depth:
            token = self.next()
            if token is None:
                raise self.error("has a bracket that is never closed")
            depth += {"open": 1, "close": -1}.get(token[0], 0)

    def error(self, what: str) -> ValueError:
        """Return the error that names the line of the last token."""
        return ValueError(f"line {self._text.count(chr(10), 0, self._last) + 1} {what}")
