#!/usr/bin/env bash
# Stop the uploader that local_run.sh started; takes the same -d if that was given there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/s3_upload_daemon.sh" --stop "$@"
