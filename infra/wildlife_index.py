"""The way into a function's package, where it is called `index`: the handler of one state.

The six functions share their packages; which state each one is, its environment says.
"""

import os
from importlib import import_module

handler = import_module(f"pipelines.wildlife.handlers.{os.environ['WILDLIFE_STATE']}").handler
