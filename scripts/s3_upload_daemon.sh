#!/usr/bin/env bash
# The uploader under its old name: the same options, the same variables, one process.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
if [[ -x "$here/.venv/bin/towpath" ]]; then
  exec "$here/.venv/bin/towpath" uploader "$@"
fi
command -v towpath >/dev/null || {
  echo "s3_upload_daemon.sh: towpath is not installed; run 'make install' in $here" >&2
  exit 2
}
exec towpath uploader "$@"
