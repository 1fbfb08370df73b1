"""Whether what came instead of audio is a page that says so. Pure.

The first bytes decide, and not the header: servers label MP3 as text and error pages as audio. The
header is asked only where the bytes are plain text of no known form.

| first bytes                                            | verdict                  |
|--------------------------------------------------------|--------------------------|
| `<!`, `<?`, `</`, `<` and a letter, after blanks       | markup: HTML or XML      |
| the same in UTF-16                                     | markup                   |
| `{` or `[`, then text in which JSON may go on          | JSON                     |
| text only, labelled `text/*`, JSON or XML              | an error page            |
| anything else, MP3, MP4, AAC and Ogg among it          | taken as audio           |
"""

import codecs
import re

HEAD_BYTES = 1024
"""How much of the beginning is looked at."""

_MARKUP = re.compile(rb"\s*<[!?/A-Za-z]")
_JSON = re.compile(rb"""\s*(?:\{\s*["}]|\[\s*(?:["{\[\]0-9-]|true|false|null))""")
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_TEXT_TYPES = ("text/", "application/json", "application/xml", "application/problem")


def disguise(head: bytes, content_type: str = "") -> str:
    """Name what the bytes are instead of audio, empty where they may be audio."""
    plain = _as_ascii(head[:HEAD_BYTES])
    if _MARKUP.match(plain) and not _BINARY.search(plain):
        return "an HTML or XML page"
    if _JSON.match(plain) and not _BINARY.search(plain):
        return "a JSON document"
    if content_type.strip().lower().startswith(_TEXT_TYPES) and not _BINARY.search(plain):
        return f"text labelled {content_type.strip()[:60]!r}"
    return ""


def _as_ascii(head: bytes) -> bytes:
    """Drop a byte order mark, and every second byte of UTF-16."""
    head = head.removeprefix(codecs.BOM_UTF8)
    if head.startswith((codecs.BOM_UTF16_LE + b"<\0", codecs.BOM_UTF16_BE + b"\0<")):
        return head[2:].replace(b"\0", b"")
    return head
