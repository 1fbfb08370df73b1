"""What looks like a secret and is none, put together when it is asked for.

Written out, it would be found by everything that looks for secrets in a repository.
"""


def key_id(prefix: str = "AKIA") -> bytes:
    """Return what an access key's id looks like."""
    return prefix.encode() + b"ABCDEFGHIJKLMNOP"


def secret_key() -> bytes:
    """Return what a secret key looks like: forty characters with some of each kind."""
    return b"wJalr" + b"XUtnFEMI/K7MDENG+" + b"bPxRfiCYabcdefghi1"


def begin_private_key(kind: str = "") -> bytes:
    """Return the line that a private key begins with."""
    return f"-----BEGIN {kind}{' ' if kind else ''}PRIVATE {'KEY'}-----".encode()
