"""What the first bash scripts left in the bucket and on PROD, and what they make of what we leave.

The scripts knew no manifest, no lease and no temporary names: a runout was a folder that one
recursive copy filled, a ledger a file that `echo` appended to.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from shared.handshake.layout import Runout
from tests.support.collecting import LAYOUT, Objects, contents, runout_files

COLLECT = r"""
set -euo pipefail
shopt -s nullglob
mkdir -p "$INBOX" "$CENTRAL"
touch "$LEDGER"
for folder in "$BUCKET_COPY"/from-ec2/aws-closest-*-CID-*/; do
  runout=$(basename "$folder")
  cid="${runout##*-CID-}"
  [[ "$cid" =~ ^[0-9]{5}$ ]] || continue
  grep -qx "$cid" "$LEDGER" && continue
  mkdir -p "$INBOX/$runout"
  cp -r "$folder"aws_compare_out/. "$INBOX/$runout/"
  [[ -f "$INBOX/$runout/positions${cid}_closest.csv" ]] || { echo "WARN $cid"; continue; }
  for file in "$INBOX/$runout"/*; do
    [[ -f "$file" ]] && cp -n "$file" "$CENTRAL/"
  done
  echo "$cid" >> "$LEDGER"
  echo "COLLECTED $cid"
done
"""
"""How the scripts brought results home, on a copy of the bucket in a folder."""


def run_bash_collector(bucket_copy: Path, root: Path, inbox: Path, central: Path) -> list[str]:
    """Run what stood in for the collector; returns what it said."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "BUCKET_COPY": str(bucket_copy),
        "INBOX": str(inbox),
        "CENTRAL": str(central),
        "LEDGER": str(root / ".completed_cids"),
    }
    done = subprocess.run(
        ["bash", "-c", COLLECT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout.split("\n")[:-1]


def mirror(objects: Mapping[str, bytes], folder: Path) -> Path:
    """Write a bucket's objects below a folder, as a recursive copy of it would be."""
    for key, body in objects.items():
        path = folder / key.removeprefix(f"{LAYOUT.prefix}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def pushed(runout: Runout, **other: bytes) -> Objects:
    """Return a whole push of the scripts, and what else lay in the folder that was copied."""
    extra = {f"{name.replace('__', '/')}.txt": body for name, body in other.items()}
    return runout_files(runout, {**contents(runout.cid), **extra})


def failed_push(runout: Runout) -> Objects:
    """Return what a failing step led to: an empty runout, or one with a log alone."""
    return runout_files(runout, {"run.log": b"Traceback ...\n"})
