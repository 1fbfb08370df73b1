#!/usr/bin/env bash
# Watch for jobs and compute them until stopped: 'towpath watcher' under its old name, with the same variables.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
if [[ -x "$here/.venv/bin/towpath" ]]; then
  exec "$here/.venv/bin/towpath" watcher "$@"
fi
command -v towpath >/dev/null || {
  echo "ec2_watch_and_process.sh: towpath is not installed; run 'make install' in $here" >&2
  exit 2
}
exec towpath watcher "$@"
