#!/usr/bin/env bash
# Send every chunk that waits, once: 'towpath dispatcher --once' under its old name, with the same variables.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
if [[ -x "$here/.venv/bin/towpath" ]]; then
  exec "$here/.venv/bin/towpath" dispatcher --once "$@"
fi
command -v towpath >/dev/null || {
  echo "prod_dispatch_cids.sh: towpath is not installed; run 'make install' in $here" >&2
  exit 2
}
exec towpath dispatcher --once "$@"
