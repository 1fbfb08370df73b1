"""`corrections.json`: seconds to add to what cameras showed within spans of time.

A correction may mend a clock that began anew in the year of its making, so the limit of a clock's
error does not hold for it.
"""

import re
from collections import Counter
from hashlib import sha256
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pipelines.wildlife.stage0.clock.rules import Correction
from pipelines.wildlife.stage0.clock_files.forms import CameraId
from pipelines.wildlife.stage0.clock_files.mistakes import Mistakes, mistakes_of, shown

_DELTA_MAX_SECONDS = 100 * 366 * 86_400
_SHA256 = re.compile(r"[0-9a-f]{64}")
_Name = Annotated[str, Field(min_length=1, max_length=200)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)

    correction_id: _Name
    camera_id: CameraId
    delta_seconds: Annotated[
        float, Field(ge=-_DELTA_MAX_SECONDS, le=_DELTA_MAX_SECONDS, allow_inf_nan=False)
    ]
    effective_from: AwareDatetime | None = None
    effective_to: AwareDatetime | None = None
    rule_id: _Name
    created_at: AwareDatetime

    def to_correction(self) -> Correction:
        return Correction(
            correction_id=self.correction_id,
            camera_id=self.camera_id,
            delta_seconds=self.delta_seconds,
            begin=self.effective_from,
            end=self.effective_to,
            rule_id=self.rule_id,
            created_at=self.created_at,
        )


_RECORDS = TypeAdapter(list[_Record])


class _Manifest(BaseModel):
    sha256: str


def parse_corrections(text: bytes) -> list[Correction]:
    """Return what is in the file; Mistakes."""
    try:
        records = _RECORDS.validate_json(text)
    except ValidationError as error:
        raise Mistakes(mistakes_of(error)) from error
    corrections = [record.to_correction() for record in records]
    lines = [
        f"{each.correction_id!r} is in effect from {each.begin} to {each.end}; end it later"
        for each in corrections
        if each.begin and each.end and each.begin >= each.end
    ]
    counts = Counter(each.correction_id for each in corrections)
    lines += [
        f"correction_id {shown(name)} is there {count} times; write each once"
        for name, count in counts.items()
        if count > 1
    ]
    if lines:
        raise Mistakes(lines)
    return corrections


def check_sum(text: bytes, manifest: bytes) -> None:
    """Check that the file is the one that its manifest is about; Mistakes."""
    try:
        said = _Manifest.model_validate_json(manifest).sha256.lower()
    except ValidationError as error:
        raise Mistakes(mistakes_of(error, "manifest.json")) from error
    found = sha256(text).hexdigest()
    if not _SHA256.fullmatch(said) or said != found:
        line = f"has the SHA-256 {found}, and manifest.json says {shown(said)}"
        raise Mistakes([f"{line}; copy both again from the same version"])
