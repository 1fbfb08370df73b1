"""A permission in AWS with its reason, as whoever renders policies takes it. Pure.

It holds what IAM takes in a statement: single actions, named things, conditions. What else must
hold of a policy is the business of whoever renders it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

VERSION = "2012-10-17"
"""Of the language of policies."""

_ACTION = re.compile(r"[a-z0-9-]+:[A-Z][A-Za-z]+")
_SID = re.compile(r"[A-Za-z0-9]{1,64}")


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of a permission: `operator` on the key, met by any one of the values."""

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Permission:
    """One statement that allows something, and the reason for it."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    reason: str
    conditions: tuple[Condition, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the statement as IAM takes it; the reason stays here."""
        return {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": list(self.actions),
            "Resource": list(self.resources),
            **render_conditions(self.conditions),
        }


def render_conditions(conditions: Iterable[Condition]) -> Mapping[str, object]:
    """Return the part of a statement that bounds it; nothing where there is no condition."""
    rendered: dict[str, dict[str, list[str]]] = {}
    for condition in conditions:
        rendered.setdefault(condition.operator, {})[condition.key] = list(condition.values)
    return {"Condition": rendered} if rendered else {}


def check_form(permission: Permission) -> None:
    """Refuse what is no statement, or allows more than single actions; ValueError."""
    what = f"statement {permission.sid!r}"
    if not _SID.fullmatch(permission.sid):
        raise ValueError(f"{what} may have only letters and digits in its name, 64 at most")
    if not permission.actions or not permission.resources or not permission.reason:
        raise ValueError(f"{what} must have actions, resources and a reason")
    for action in permission.actions:
        if not _ACTION.fullmatch(action):
            raise ValueError(f"{what}: {action!r} is no single action; write s3:GetObject")


def refuse_doubled(permissions: Iterable[Permission]) -> None:
    """Refuse statements of one name, as IAM does; ValueError."""
    names = [permission.sid for permission in permissions]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"statements {doubled!r} stand there twice; merge their scopes")


def count_characters(document: Mapping[str, object]) -> int:
    """Return the length of a policy as IAM counts it, white space left out."""
    return sum(not character.isspace() for character in repr(document))
