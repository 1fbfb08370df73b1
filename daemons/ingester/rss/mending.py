"""Makes XML of what was meant to be, where somebody forgot to escape. Pure.

| found outside CDATA                             | becomes                             |
|-------------------------------------------------|-------------------------------------|
| `&` that begins no entity (`Q & A`, `?a=1&b=2`) | `&amp;`                             |
| an entity of HTML (`&nbsp;`, `&eacute;`)        | its character                       |
| a character that XML cannot hold, or its number | nothing (inside CDATA too)          |
| `<` that begins no tag (`1 < 2`)                | `&lt;`                              |

Only what is not well-formed is ever mended: the text of a feed that is stays exactly as it is. One
walk over the text, without looking back, and a bound on the places, so that nothing can be written
that takes long or fills the memory.
"""

import re
from html.entities import html5
from io import StringIO
from xml.sax.saxutils import escape

MENDED_MAX = 16 * 1024 * 1024
"""Characters; a larger document stays broken, since mending holds it twice."""

PLACES_MAX = 500_000
"""Places that are put right; the document breaks off at the next one."""

_CDATA, _CDATA_END = "<![CDATA[", "]]>"
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_SUSPECT = re.compile(
    r"&(?!(?:amp|lt|gt|quot|apos);)(?:(?P<name>[A-Za-z][A-Za-z0-9]{0,31});"
    r"|#(?P<decimal>[0-9]{1,7});|#x(?P<hex>[0-9A-Fa-f]{1,6});)?"
    r"|<(?![A-Za-z_:/!?])"
)
_LAST = 0x10FFFF


def mended(text: str) -> str:
    """Return the document with its small mistakes put right."""
    whole = StringIO()
    at, left = 0, PLACES_MAX
    while (start := text.find(_CDATA, at)) >= 0:
        end = text.find(_CDATA_END, start)
        if end < 0:
            break
        after = end + len(_CDATA_END)
        left -= _mend(text[at:start], whole, left)
        whole.write(_FORBIDDEN.sub("", text[start:after]))
        at = after
    _mend(text[at:], whole, left)
    return whole.getvalue()


def _mend(text: str, whole: StringIO, most: int) -> int:
    """Write a stretch without CDATA, at most so many places put right; return how many were."""
    plain = _FORBIDDEN.sub("", text)
    # To re, a count of 0 is no bound.
    found, count = _SUSPECT.subn(_replaced, plain, count=most) if most else (plain, 0)
    whole.write(found)
    return count


def _replaced(found: re.Match[str]) -> str:
    """Return what a suspect place becomes."""
    if found["decimal"] or found["hex"]:
        number = int(found["decimal"]) if found["decimal"] else int(found["hex"], 16)
        return found[0] if _can_be_held(number) else ""
    name = found["name"]
    if name and f"{name};" in html5:
        return escape(html5[f"{name};"])
    return escape(found[0])


def _can_be_held(number: int) -> bool:
    """Say whether XML knows a character of this number."""
    is_half = 0xD800 <= number <= 0xDFFF  # noqa: PLR2004 - the surrogates of Unicode
    return number <= _LAST and not is_half and not _FORBIDDEN.match(chr(number))
