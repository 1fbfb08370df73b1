"""The five checks of a synced project, from what is here and what was read there. Pure.

| check           | passes if                                                                     |
|-----------------|-------------------------------------------------------------------------------|
| `config`        | config.ini is there and has the hash of the one here                          |
| `step_files`    | every file here under `1_download_merge_and_clip/` is there                   |
| `region_file`   | the region file is there, at its place, and its regions can be read           |
| `excluded_keys` | no key below the prefix is excluded, a secret, or no possible name            |
| `manifest`      | there is a manifest, and each of its files is there with its size and hash    |
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from pipelines.glacier.transfer.excludes import Kind, Rules, environments_of
from pipelines.glacier.transfer.manifest import CONFIG, MANIFEST_NAME, Entry, Manifest
from pipelines.glacier.transfer.names import name_fault

STEP_FOLDER: Final = "1_download_merge_and_clip/"


@dataclass(frozen=True, slots=True)
class Check:
    """One of the five, and what speaks against it."""

    name: str
    says: str
    """What passes, in words."""
    faults: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.faults


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of the objects below the prefix."""

    paths: Collection[str]
    read: Mapping[str, Entry]
    """What those have that were read, whole."""
    manifest: Manifest | None
    manifest_fault: str = ""
    """Why there is none."""


def check_config(here: Mapping[str, Entry], held: Held) -> Check:
    """Compare config.ini."""
    says = f"{CONFIG} is there and the same as here"
    mine, theirs = here.get(CONFIG), held.read.get(CONFIG)
    if theirs is None:
        return Check("config", says, (f"{CONFIG} is not there",))
    if mine != theirs:
        return Check("config", says, (f"{CONFIG} there is another one than here",))
    return Check("config", says)


def check_step_files(here: Collection[str], held: Held) -> Check:
    """Look for the files of the processing step."""
    says = f"every file under {STEP_FOLDER} is there"
    wanted = sorted(path for path in here if path.startswith(STEP_FOLDER))
    faults = [f"{path} is not there" for path in wanted if path not in held.paths]
    if not wanted:
        faults.append(f"there is no file under {STEP_FOLDER} here")
    return Check("step_files", says, tuple(faults))


def check_regions(path: str, expected: int, count: int | None, fault: str) -> Check:
    """Judge the region file: how many regions were read, or why none were."""
    says = f"the region file is there and has {expected} regions"
    if count is None:
        return Check("region_file", says, (f"{path} {fault}",))
    if count != expected:
        return Check("region_file", says, (f"{path} has {count} regions",))
    return Check("region_file", says)


def check_excluded(held: Held, rules: Rules) -> Check:
    """Look for keys that no sync would have written."""
    environments = environments_of(held.paths)
    faults = []
    for path in sorted(set(held.paths) - {MANIFEST_NAME}):
        if fault := name_fault(path):
            faults.append(f"{path!r} {fault}")
            continue
        verdict = rules.judge(path, environments)
        if verdict.kind is not Kind.TAKEN:
            faults.append(f"{path} ({verdict.reason})")
    return Check("excluded_keys", "no excluded or secret key is there", tuple(faults))


def check_manifest(held: Held) -> Check:
    """Compare every file of the manifest."""
    says = "every file of the manifest is there with its size and hash"
    if held.manifest is None:
        return Check("manifest", says, (f"{MANIFEST_NAME} {held.manifest_fault}",))
    faults = [
        f"{path} {_difference(entry, held.read.get(path))}"
        for path, entry in sorted(held.manifest.files.items())
        if held.read.get(path) != entry
    ]
    return Check("manifest", says, tuple(faults))


def _difference(wanted: Entry, found: Entry | None) -> str:
    if found is None:
        return "is not there"
    if found.size != wanted.size:
        return f"has {found.size} bytes; the manifest says {wanted.size}"
    return "has another content than the manifest says"
