#!/usr/bin/env bash
# Make what the benchmark needs under bench/.work (the peers' own virtual environment, the S3 stub),
# then run it: `bench/run.sh [uploader|handover|ingest_sync|glacier|wildlife_stage0|wildlife_stage2|
# wildlife_tables] OPTIONS`, those of `python -m bench.uploader`, which is the default, of
# `bench.handover` and so on; `bench.glacier_clip` and the last two need neither peers nor stub.
# `bench/run.sh wildlife` runs the three of wildlife one after the other.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

which=uploader
case ${1:-} in
    uploader | handover | ingest_sync | glacier | wildlife | wildlife_*) which=$1 && shift ;;
esac

work=bench/.work
python=${PYTHON:-.venv/bin/python}
[[ -x $python ]] || { echo "no $python; run 'make install' first, or set PYTHON" >&2; exit 2; }
mkdir -p "$work"
# The lock lasts as long as the benchmark, which inherits it: two at a time would measure each other.
exec 9>"$work/lock"
flock --nonblock 9 || { echo "another benchmark is running in $work" >&2; exit 5; }
rm -rf "$work"/run-*  # what a killed benchmark left

case $which in
    glacier) exec "$python" -m bench.glacier_clip "$@" ;;
    wildlife_stage2 | wildlife_tables) exec "$python" -m "bench.$which" "$@" ;;
esac

peers=requirements/bench.txt
case $which in handover | wildlife*) peers= ;; esac
if [[ -n $peers ]] && ! cmp --silent "$peers" "$work/venv/requirements.txt"; then
    echo "installing the peers into $work/venv" >&2
    rm -rf "$work/venv"
    "$python" -m venv "$work/venv"
    "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --require-hashes -r "$peers"
    cp "$peers" "$work/venv/requirements.txt"
fi

command -v go >/dev/null || scripts/install_system_packages.sh bench
command -v go >/dev/null || {
    echo "the benchmark's S3 stub needs Go 1.19 or newer; install Debian's golang-go" >&2
    exit 2
}
# The stub uses the standard library only: without a module proxy nothing can be fetched.
(cd bench/s3stub && GOPROXY=off GOFLAGS=-mod=mod CGO_ENABLED=0 go test ./... >/dev/null &&
    GOPROXY=off GOFLAGS=-mod=mod CGO_ENABLED=0 go build -o "../.work/s3stub" .)

if [[ $which == wildlife ]]; then
    "$python" -m bench.wildlife_stage0
    "$python" -m bench.wildlife_stage2
    exec "$python" -m bench.wildlife_tables
fi
exec "$python" -m "bench.$which" "$@"
