"""moto's server on loopback: the control planes (STS, IAM, ...), and a second opinion on S3.

moto accepts wrong checksums: nothing about verification is proved against it.
"""

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

RESET_LIMIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class MotoServer:
    """A running server."""

    url: str

    def reset(self) -> None:
        """Forget everything, so that the next test starts with an empty account."""
        request = urllib.request.Request(f"{self.url}/moto-api/reset", data=b"", method="POST")  # noqa: S310 - our own loopback address
        with urllib.request.urlopen(request, timeout=RESET_LIMIT_SECONDS):  # noqa: S310 - the same
            pass

    def environment(self, aws_region: str = "eu-west-1") -> dict[str, str]:
        """Return the variables with which any AWS client talks to this server."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": aws_region,
            "AWS_DEFAULT_REGION": aws_region,
        }


@contextmanager
def running_moto() -> Iterator[MotoServer]:
    """Run moto in a thread of this process on a free port."""
    # Imported late: moto takes a second to import, and most tests do without it.
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - see above

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield MotoServer(f"http://{host}:{port}")
    finally:
        server.stop()
