#!/usr/bin/env bash
# Install the Debian packages that heavier checks use: golang-go builds the benchmark's S3 stub.
# Where that is impossible (not root, no apt) it says so and exits 0: what needs a package looks
# for it and gives a message of its own. Running it again costs a few milliseconds.
set -euo pipefail

packages=(golang-go)

skip() {
    echo "system packages not installed: $1; install by hand: ${packages[*]}" >&2
    exit 0
}

is_installed() {
    [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || skip "this is no Debian system"
missing=()
for package in "${packages[@]}"; do
    is_installed "$package" || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
    exit 0
fi
[[ $(id -u) == 0 ]] || skip "only root may use apt-get"

echo "installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
options=(--quiet=2 --option=DPkg::Lock::Timeout=300)
apt-get "${options[@]}" update >&2 || skip "apt-get update failed"
apt-get "${options[@]}" install --yes --no-install-recommends "${missing[@]}" >&2 ||
    skip "apt-get could not install ${missing[*]}"
