#!/usr/bin/env bash
# Put the program where units can run it: `make install PREFIX=/opt/towpath [EXTRAS=neowise]`.
#
#     PREFIX/releases/<version>-<digest>/   an environment: pinned packages, and the wheel of this tree
#     PREFIX/bin -> releases/.../bin        the one in use; replaced in one step
#
# An environment names its own folder in every script, so it cannot be built elsewhere and moved;
# the link can. Running daemons keep theirs until they are restarted: a release that a process runs
# from stays, and the last one that was in use before this: to go back, point the link at it. The
# same content again changes nothing, and two at once into one PREFIX are refused.
set -euo pipefail
umask 022
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    echo "install: $1" >&2
    exit 2
}

is_in_home() {
    [[ $1/ == /home/* || $1/ == /root/* || $1/ == /run/user/* ]]
}

is_fit() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-/usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11 /usr/bin/python3 python3}; do
        if command -v "$candidate" >/dev/null && is_fit "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    fail "there is no Python >= 3.11 with venv; install python3.11 and python3.11-venv, or say PYTHON=/path/to/python3.11"
}

(($# >= 1)) || fail "say where: make install PREFIX=/opt/towpath"
prefix=${1%/}
shift
[[ $prefix == /* ]] || fail "PREFIX '$prefix' is not absolute"
[[ $prefix =~ ^[A-Za-z0-9/._+@-]+$ ]] || fail "PREFIX '$prefix' has characters that no interpreter line can name; use letters, digits, / . _ + @ -"
[[ /$prefix/ != */../* ]] || fail "PREFIX '$prefix' has a part '..'"
[[ ! -e $prefix/bin || -L $prefix/bin ]] || fail "$prefix/bin is there and was not made by this; move it away or name another PREFIX"

requirements=()
for extra in "$@"; do
    [[ $extra =~ ^[a-z]+$ && -f requirements/$extra.txt ]] || fail "EXTRAS '$extra' has no requirements/$extra.txt"
    requirements+=("requirements/$extra.txt")
done
((${#requirements[@]})) || requirements=(requirements/runtime.txt)

python=$(find_python)
interpreter=$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')
if is_in_home "$interpreter" && ! is_in_home "$prefix"; then
    fail "$python is $interpreter, in a home folder, which units with ProtectHome cannot see; say PYTHON=/usr/bin/python3.11"
fi

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
pip=(-m pip install --quiet --disable-pip-version-check --no-input)

"$python" -m venv "$work/build"
"$work/build/bin/python" "${pip[@]}" --require-hashes -r requirements/build.txt
"$work/build/bin/python" -m hatchling build -t wheel -d "$work/wheel" >/dev/null 2>"$work/log" ||
    { cat "$work/log" >&2; fail "the wheel cannot be built"; }
wheel=("$work"/wheel/towpath-*.whl)
version=$(basename "${wheel[0]}" | cut -d- -f2)
digest=$({ "$interpreter" -V; cat "${wheel[0]}" "${requirements[@]}"; } | "$python" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:12])')
name="$version-$digest"
release="$prefix/releases/$name"

mkdir -p -- "$prefix/releases"
exec 9>>"$prefix/releases/.lock"
# Python, because not every system has flock; the lock is this shell's as long as it has the file.
"$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null ||
    fail "another install into $prefix is under way; wait for it to end"

if [[ -e $release/.complete ]]; then
    echo "unchanged $release"
else
    # Left by an attempt that was interrupted: nothing leads to it.
    rm -rf -- "$release"
    "$python" -m venv "$release"
    for file in "${requirements[@]}"; do
        "$release/bin/python" "${pip[@]}" --require-hashes -r "$file"
    done
    "$release/bin/python" "${pip[@]}" --no-index --no-deps "${wheel[0]}"
    "$release/bin/towpath" --version >/dev/null
    touch -- "$release/.complete"
    echo "installed $release"
fi

# Python, because not every system's mv can replace a link to a folder.
"$python" - "$prefix" "$name" <<'END'
import contextlib
import glob
import os
import shutil
import sys


def texts_of_processes():
    """Return with what every process was started, and the files that it has mapped."""
    texts = []
    for kind in ("cmdline", "maps"):
        for file in glob.iglob(f"/proc/[0-9]*/{kind}"):
            with contextlib.suppress(OSError), open(file, "rb") as stream:  # it may have ended
                texts.append(stream.read())
    return b"\0".join(texts)


prefix, name = sys.argv[1:]
link = os.path.join(prefix, "bin")
before = os.path.basename(os.path.dirname(os.readlink(link))) if os.path.islink(link) else name
following = os.path.join(prefix, ".bin.next")
if os.path.lexists(following):
    os.unlink(following)
os.symlink(os.path.join("releases", name, "bin"), following)
os.replace(following, link)
if before == name:
    raise SystemExit
releases = os.path.join(prefix, "releases")
used = texts_of_processes()
for other in sorted(os.listdir(releases)):
    release = os.path.join(releases, other)
    if other in {name, before} or other.startswith("."):
        continue
    if os.fsencode(f"/releases/{other}/") in used:
        print(f"kept {release}: a process runs from it")
        continue
    shutil.rmtree(release)
    print(f"removed {release}")
END
echo "$prefix/bin/towpath is $name; next: $prefix/bin/towpath units install, and where units run already: systemctl restart towpath.target"
