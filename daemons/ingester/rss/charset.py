"""In which charset a feed is written, when HTTP, the document and the bytes may disagree. Pure.

| asked in this order                                       | taken when                         |
|-----------------------------------------------------------|------------------------------------|
| a byte order mark                                         | it is there                        |
| `encoding="UTF-8"` in the XML declaration                 | all bytes are valid UTF-8          |
| `charset` of the HTTP header                              | all bytes are valid in it          |
| `encoding` of the XML declaration                         | all bytes are valid in it          |
| UTF-8                                                     | else; bytes that are not: U+FFFD   |

The second row is before the third, against RFC 7303, because servers label every file as Latin-1
and nothing written in Latin-1 happens to be valid UTF-8. A charset is a name from outside: only
those of documents are looked up, for Python also calls zip, base64 and rot13 encodings.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

_PIECE_BYTES = 64 * 1024
_DECLARATION = re.compile(
    rb"""\s*<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']"""
)
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,40}")
_OF_DOCUMENTS = re.compile(
    r"ascii|utf-(8|16|32)(-[bl]e)?|iso8859-\d+|cp\d+|koi8-[a-z]|mac-[a-z]+|tis-620|hz"
    r"|gb2312|gbk|gb18030|big5(hkscs)?|(euc|iso2022)_(jp|kr)(_\w+)?|shift_jis(_?\w+)?|johab"
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins like the mark of UTF-16, so it is asked first
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNMARKED = ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))


@dataclass(frozen=True, slots=True)
class Charset:
    """What a document is decoded with."""

    name: str
    skip: int = 0
    """Bytes of a byte order mark."""
    errors: str = "strict"
    """`replace` where no charset fits."""


def pick_charset(body: bytes, http_charset: str = "") -> Charset:
    """Return the charset of a document; never fails, see the table above."""
    for mark, name in _MARKS:
        if body.startswith(mark):
            marked = Charset(name, len(mark))
            return marked if _fits(body, marked) else Charset(name, len(mark), "replace")
    for name in _candidates(body, http_charset):
        if _fits(body, Charset(name)):
            return Charset(name)
    return Charset("utf-8", errors="replace")


def decoded(body: bytes, charset: Charset) -> Iterator[str]:
    """Yield the document in pieces, so that it is never held as text in one."""
    decoder = codecs.getincrementaldecoder(charset.name)(charset.errors)
    view = memoryview(body)
    for start in range(charset.skip, len(body), _PIECE_BYTES):
        yield decoder.decode(view[start : start + _PIECE_BYTES])
    yield decoder.decode(b"", final=True)


def _candidates(body: bytes, http_charset: str) -> Iterator[str]:
    """Yield charsets in the order in which they are tried."""
    for beginning, name in _UNMARKED:
        if body.startswith(beginning):
            yield name
    found = _DECLARATION.match(body[:1024])
    declared = _known(found[1].decode("ascii")) if found else ""
    spoken = _known(http_charset)
    # A declaration that can be read byte by byte is not in an encoding of two bytes a character.
    declared = "" if declared.startswith(("utf-16", "utf-32")) else declared
    yield from (name for name in (declared,) if name == "utf-8")
    yield from (name for name in (spoken, declared, "utf-8") if name)


def _known(name: str) -> str:
    """Return Python's name of a charset of documents, empty for anything else."""
    bare = name.strip().strip("\"'")
    if not _NAME.fullmatch(bare):
        return ""
    try:
        found = codecs.lookup(bare).name
    except LookupError:
        return ""
    return found if _OF_DOCUMENTS.fullmatch(found) else ""


def _fits(body: bytes, charset: Charset) -> bool:
    try:
        for _ in decoded(body, charset):
            pass
    except UnicodeError:
        return False
    return True
