#!/usr/bin/env bash
# Collect every result that is there, once: 'towpath collector --once' under its old name, with the same variables.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
if [[ -x "$here/.venv/bin/towpath" ]]; then
  exec "$here/.venv/bin/towpath" collector --once "$@"
fi
command -v towpath >/dev/null || {
  echo "prod_collect_results.sh: towpath is not installed; run 'make install' in $here" >&2
  exit 2
}
exec towpath collector --once "$@"
