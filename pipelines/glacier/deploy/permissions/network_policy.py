"""Whether the policy of a VPC's endpoint lets a request through, as far as that can be told. Pure.

It is no whole evaluation: conditions are taken as met in what allows, and as met in what denies. A
policy that is not understood is told as such, never as good.
"""

import json
import re
from collections.abc import Mapping, Sequence


def lets_through(document: str, action: str, resource: str) -> bool | None:
    """Tell whether a policy allows an action on a resource; None: it cannot be read."""
    try:
        statements = _listed(json.loads(document)["Statement"])
        fitting = [
            str(each["Effect"])
            for each in statements
            if isinstance(each, Mapping) and _fits(each, action, resource)
        ]
    except (KeyError, TypeError, ValueError):
        return None
    return "Allow" in fitting and "Deny" not in fitting


def _fits(statement: Mapping[str, object], action: str, resource: str) -> bool:
    return _one(statement, "Action", action, ignore_case=True) and _one(
        statement, "Resource", resource, ignore_case=False
    )


def _one(statement: Mapping[str, object], name: str, value: str, *, ignore_case: bool) -> bool:
    if name not in statement:
        # `NotAction`, `NotResource`: everything but some.
        others = _listed(statement[f"Not{name}"])
        return not any(_matches(str(each), value, ignore_case=ignore_case) for each in others)
    patterns = _listed(statement[name])
    return any(_matches(str(each), value, ignore_case=ignore_case) for each in patterns)


def _matches(pattern: str, value: str, *, ignore_case: bool) -> bool:
    parts = (re.escape(part) for part in re.split(r"([*?])", pattern))
    text = "".join({r"\*": ".*", r"\?": "."}.get(part, part) for part in parts)
    return re.fullmatch(text, value, re.IGNORECASE if ignore_case else 0) is not None


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else [value]
