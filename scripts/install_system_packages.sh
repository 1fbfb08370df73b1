#!/usr/bin/env bash
# Install the Debian packages that heavier checks use, all of them or those of `tests` or `bench`:
#
#     scripts/install_system_packages.sh [tests|bench]
#
# Where that is impossible (not root, no apt) it says so and exits 0: what needs a package looks for
# it and gives a message of its own. Running it again costs a few milliseconds.
set -euo pipefail

for_tests=(
    chromium     # looks at the report page of a wildlife run, and prints it
    dbus         # a person's own units linger by way of loginctl, which speaks it
    espeak-ng    # speaks the words of the podcasts that are made up for tests and demonstration
    ffmpeg       # and ffprobe, by which an episode's audio is looked into and cut
    procps       # /bin/kill, by which a unit is reloaded
    python3-venv # /usr/bin/python3 and its venv: a confined unit runs no Python of a home folder
    systemd      # the tests of the units boot a private one, and let it check the units
    util-linux   # nsenter and pivot_root, with which a private machine is entered and made
)
for_bench=(
    golang-go # builds the S3 stub
)
case ${1:-all} in
    all) packages=("${for_tests[@]}" "${for_bench[@]}") ;;
    tests) packages=("${for_tests[@]}") ;;
    bench) packages=("${for_bench[@]}") ;;
    *)
        echo "install_system_packages: '$1' is neither tests nor bench" >&2
        exit 2
        ;;
esac

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
