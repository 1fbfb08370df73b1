"""`KEY=VALUE` files, as `.env.automation` and `.env.local` are written. Pure.

| line                              | is                                                       |
|-----------------------------------|----------------------------------------------------------|
| empty, or `#` first               | nothing                                                  |
| `KEY=VALUE`, `export KEY=VALUE`   | split at the first `=`; blanks around both are dropped   |
| `KEY="VALUE"`, `KEY='VALUE'`      | one pair of matching quotes is dropped                   |
| anything else                     | an error that names the line, never what stands in it    |

Line ends of any system are taken. A key that is there twice counts the last time.
"""

import re
from collections.abc import Mapping

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUOTES = ("'", '"')


def parse_dotenv(text: str) -> Mapping[str, str]:
    """Read the variables; ValueError names every line that is none."""
    found: dict[str, str] = {}
    bad: list[str] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        key, equals, value = bare.partition("=")
        name = key.strip().removeprefix("export ").strip()
        if equals and _KEY.fullmatch(name):
            found[name] = _unquoted(value.strip())
        else:
            bad.append(str(number))
    if bad:
        raise ValueError(f"line {', '.join(bad)} is not KEY=VALUE")
    return found


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in _QUOTES:
        return value[1:-1]
    return value
