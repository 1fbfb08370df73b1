#!/usr/bin/env bash
# The old name of `towpath glacier deploy --apply`: the same options; --plan says what would be done.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
towpath="$here/.venv/bin/towpath"
[[ -x "$towpath" ]] || towpath=$(command -v towpath) || {
  echo "deploy_lambda_container.sh: towpath is not installed; run 'make install' in $here" >&2
  exit 2
}
for word in "$@"; do
  case $word in
    --plan | --help | -h) exec "$towpath" glacier deploy "$@" ;;
  esac
done
case " $* " in
  *" --apply "*) exec "$towpath" glacier deploy "$@" ;;
esac
exec "$towpath" glacier deploy --apply "$@"
