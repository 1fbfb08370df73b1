"""What EC2 hands to an instance: user data, read back out of a synthesised template. Pure.

`python -m infra.rendered TEMPLATE ACCOUNT` prints it, to look at or to run by hand. Only what a
launch template's user data consists of is resolved; anything else is said, never guessed.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_REFERENCE = re.compile(r"\$\{([^!}][^}]*)\}")


def user_data_of(template: Mapping[str, object], references: Mapping[str, str]) -> str:
    """Return the user data of the template's one launch template.

    `references` says what `AWS::AccountId` and the like stand for.

    Raises:
        ValueError: there is no such launch template, or something in it cannot be resolved.
    """
    resources = template.get("Resources")
    found = [
        _member(_member(resource, "Properties"), "LaunchTemplateData")
        for resource in (resources.values() if isinstance(resources, Mapping) else ())
        if _member(resource, "Type") == "AWS::EC2::LaunchTemplate"
    ]
    if len(found) != 1:
        raise ValueError(f"the template has {len(found)} launch templates; expected one")
    encoded = _member(found[0], "UserData")
    return resolve(_member(encoded, "Fn::Base64"), references)


def resolve(value: object, references: Mapping[str, str]) -> str:
    """Return the text that CloudFormation makes of a value; ValueError where that is not known."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and len(value) == 1:
        [(function, argument)] = value.items()
        if function == "Ref" and isinstance(argument, str) and argument in references:
            return references[argument]
        if function == "Fn::Join" and isinstance(argument, Sequence):
            separator, parts = argument
            return str(separator).join(resolve(part, references) for part in parts)
        if function == "Fn::Sub" and isinstance(argument, str):
            return _REFERENCE.sub(lambda match: resolve({"Ref": match[1]}, references), argument)
    raise ValueError(f"{value!r} cannot be resolved here; name what it stands for")


def _member(value: object, name: str) -> object:
    if not isinstance(value, Mapping) or name not in value:
        raise ValueError(f"{name!r} is not in {str(value)[:80]!r}")
    return value[name]


def main(argv: Sequence[str]) -> int:
    """Print the user data of a template file for an account."""
    path, account = argv
    template = json.loads(Path(path).read_text(encoding="utf-8"))
    sys.stdout.write(user_data_of(template, {"AWS::AccountId": account}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
