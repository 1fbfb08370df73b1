"""Run the strict S3 by itself: `python -m tests.support.strict_s3 --port 0 --bucket one`.

One line of JSON on stdout says where it is and which variables a client needs; SIGTERM or SIGINT
ends it.
"""

import argparse
import json
import signal
import sys

from tests.support.strict_s3.behaviour import Behaviour
from tests.support.strict_s3.ground import DEFAULT_REGION
from tests.support.strict_s3.server import StrictS3

_STOP = {signal.SIGTERM, signal.SIGINT}


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal comes."""
    asked = _parser().parse_args(arguments)
    # Blocked before the server's thread starts, which inherits that: only sigwait takes them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    behaviour = Behaviour(keep_bytes_max=asked.keep_bytes)
    s3 = StrictS3(asked.bucket, behaviour=behaviour, aws_region=asked.region, port=asked.port)
    with s3:
        said = {"url": s3.url, "buckets": asked.bucket, "environment": s3.environment()}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
        signal.sigwait(_STOP)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.support.strict_s3", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--bucket", action="append", default=[], help="may be given repeatedly")
    parser.add_argument("--region", default=DEFAULT_REGION)
    parser.add_argument(
        "--keep-bytes", type=int, help="keep only size and digests of longer bodies"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
