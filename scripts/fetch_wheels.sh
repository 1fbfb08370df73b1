#!/usr/bin/env bash
# Fetch the packages that the machines of the systemd tests install the program from: these tests
# ask no index. For the Python that `make install PREFIX=` takes there, which need not be the one
# the tests run on. Where no such machine can be booted there is nothing to fetch.
#
#     scripts/fetch_wheels.sh PYTHON FOLDER
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
pip_python=$1
folder=$2

skip() {
    echo "no wheels fetched: $1; the tests that boot a machine are skipped" >&2
    exit 0
}

[[ $(id -u) == 0 ]] || skip "a private systemd needs root"
[[ -x /usr/lib/systemd/systemd ]] || skip "systemd is not installed"
version=""
for candidate in python3.13 python3.12 python3.11 python3; do
    if version=$("/usr/bin/$candidate" -c 'import ensurepip, sys, venv
print("%d.%d" % sys.version_info[:2])
sys.exit(sys.version_info < (3, 11))' 2>/dev/null); then
        break
    fi
    version=""
done
[[ -n $version ]] || skip "/usr/bin has no Python >= 3.11 with venv"

echo "fetching wheels for Python $version into $folder" >&2
mkdir -p -- "$folder"
for file in requirements/runtime.txt requirements/build.txt; do
    "$pip_python" -m pip download --quiet --disable-pip-version-check --only-binary=:all: --no-deps \
        --python-version "$version" --require-hashes -r "$file" -d "$folder" ||
        skip "pip could not fetch what $file names"
done
touch -- "$folder/.done"
