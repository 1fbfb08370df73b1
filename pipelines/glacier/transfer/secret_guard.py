"""What looks like a secret and therefore never leaves the machine. Pure.

Rule: nothing switches this off. Too much is a nuisance, and it is told by name; too little is a
leak into a bucket that many read.
"""

import re
from fnmatch import fnmatchcase

CONTENT_BYTES_MAX = 1 << 20
"""Larger files are judged by their names alone: keys come in small ones."""

_FILES = (
    "*credentials*.csv",
    "*accesskey*.csv",
    "rootkey*.csv",
    "credentials",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.ppk",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    ".netrc",
    ".pgpass",
    ".pypirc",
    ".boto",
    ".s3cfg",
    ".git-credentials",
)
_ANYWHERE = (".env*",)
"""Files, and folders with all that is in them."""
_FOLDERS = (".aws", ".ssh", ".gnupg")
_PASSES = (".template", ".pub")

_PRIVATE_KEY = re.compile(
    rb"-----BEGIN (?:[A-Z]{2,9} ){0,2}PRIVATE KEY-----\s+(?:[A-Za-z0-9+/=]{40}|Proc-Type:)"
)
_KEY_ID = re.compile(rb"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])")
# What stands before it may be `=`: that is how a shell and most files write it.
_KEY = re.compile(rb"(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
_CSV_HEADER = re.compile(
    rb"\A(?:\xef\xbb\xbf)?[^\r\n]{0,200}secret access key[^\r\n]{0,200}\r?\n[^\r\n]", re.IGNORECASE
)
_EXAMPLE = b"EXAMPLE"


def secret_name(path: str) -> str:
    """Say why a path looks like a secret by its name alone, empty where it does not.

    `*.template` files and public keys pass by their own name, but not out of a folder of secrets.
    """
    *folders, name = path.casefold().split("/")
    for folder in folders:
        for pattern in (*_FOLDERS, *_ANYWHERE):
            if fnmatchcase(folder, pattern):
                return f"looks like a secret: {pattern}/"
    if name in _FOLDERS:
        return f"looks like a secret: {name}"
    if name.endswith(_PASSES):
        return ""
    for pattern in (*_FILES, *_ANYWHERE):
        if fnmatchcase(name, pattern):
            return f"looks like a secret: {pattern}"
    return ""


def secret_content(content: bytes) -> str:
    """Say why a file looks like a secret by what is in it, empty where it does not.

    The keys of AWS's documentation, which end in EXAMPLE, do not.
    """
    # Looking for a plain text costs a hundredth of an expression, and nearly all files end here.
    if b"PRIVATE KEY-----" in content and _PRIVATE_KEY.search(content):
        return "holds a private key"
    if _CSV_HEADER.match(content):
        return "holds a table of secret access keys"
    if not any(start in content for start in (b"AKIA", b"ASIA")):
        return ""
    ids = [found for found in _KEY_ID.findall(content) if not found.endswith(_EXAMPLE)]
    if ids and any(map(_is_mixed, _KEY.findall(content))):
        return "holds an access key of AWS and its secret"
    return ""


def _is_mixed(text: bytes) -> bool:
    """Tell a random key from a checksum or a word."""
    return text != text.lower() and text != text.upper() and any(map(bytes.isdigit, _each(text)))


def _each(text: bytes) -> list[bytes]:
    return [text[at : at + 1] for at in range(len(text))]
