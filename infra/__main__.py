"""Synthesise the stacks: `python -m infra [--settings FILE] [--output DIR]`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.node import use_bundled_node
from shared.errors import SuiteError


def main(argv: Sequence[str] | None = None) -> int:
    """Write the templates and say which there are; 2 for settings that are wrong."""
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(prog="python -m infra", description=__doc__)
    parser.add_argument("--settings", type=Path, default=here / "config.toml", metavar="FILE")
    parser.add_argument("--output", type=Path, default=Path("cdk.out"), metavar="DIR")
    arguments = parser.parse_args(argv)
    use_bundled_node()
    # Late: this starts Node, and takes seconds that wrong arguments need not wait for.
    from infra.app import build_app, synthesise  # noqa: PLC0415 - see above
    from infra.settings import load_infra_settings  # noqa: PLC0415 - see above

    try:
        settings = load_infra_settings(arguments.settings)
        if settings.glacier is not None and (warning := settings.glacier.strategy.warning):
            sys.stderr.write(f"warning: {warning}\n")
        with TemporaryDirectory(prefix="towpath-bundle-") as folder:
            app = build_app(settings, output=arguments.output, bundles=Path(folder))
            assembly = synthesise(app)
    except SuiteError as error:
        sys.stderr.write(f"{error}\n")
        return error.status
    for stack in assembly.stacks:
        sys.stdout.write(f"{stack.template_full_path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
