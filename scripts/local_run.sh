#!/usr/bin/env bash
# Start the uploader in the background on this machine; takes the uploader's own options.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/s3_upload_daemon.sh" --background "$@"
