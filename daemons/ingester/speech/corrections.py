"""Spelling corrections of transcripts: names that recognisers never get right. Pure.

    {"correctionsToApply": [{"misspellings": ["turdice"], "correctedSpelling": "turdis"}]}

They are applied in the order listed, each to what the ones before have made of the text. A
misspelling is found in any case, as a whole word: no letter, digit, underscore or combining mark
may touch it. Both spellings are literal text. Rule: what is right already is left alone, also where
the right spelling contains the wrong one, so that applying twice is applying once.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from daemons.ingester.speech.srt import Cue

_BETWEEN = "\0"
"""Stands between the texts of two cues: no word character, and in no text."""


@dataclass(frozen=True, slots=True)
class Correction:
    """One right spelling and the wrong ones that it replaces."""

    misspellings: tuple[str, ...]
    corrected: str


@dataclass(frozen=True, slots=True)
class Corrected:
    """Cues after corrections."""

    cues: tuple[Cue, ...]
    count: int
    """Replacements that changed something."""


def parse_corrections(text: str) -> tuple[Correction, ...]:
    """Read a corrections file; ValueError says what is wrong with it."""
    try:
        found = json.loads(text.removeprefix("\ufeff"))
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    items = found.get("correctionsToApply") if isinstance(found, dict) else None
    if not isinstance(items, list):
        raise ValueError("has no list 'correctionsToApply'")  # noqa: TRY004 - callers wait for one type
    return tuple(_correction(item, at) for at, item in enumerate(items))


def correct(cues: Sequence[Cue], corrections: Iterable[Correction]) -> Corrected:
    """Apply corrections to the text of cues."""
    text = _BETWEEN.join(cue.text.replace(_BETWEEN, "") for cue in cues)
    count = 0
    for correction in corrections:
        for misspelling in correction.misspellings:
            text, changed = _replace(text, misspelling, correction.corrected)
            count += changed
    if not count:
        return Corrected(tuple(cues), 0)
    texts = text.split(_BETWEEN)
    return Corrected(
        tuple(replace(cue, text=new) for cue, new in zip(cues, texts, strict=True)), count
    )


def _replace(text: str, misspelling: str, corrected: str) -> tuple[str, int]:
    """Replace one misspelling everywhere; returns the text and how often that changed it."""
    count = 0
    right = _RightSpelling(misspelling, corrected)

    def put(found: re.Match[str]) -> str:
        nonlocal count
        if _is_mark(text[found.end() : found.end() + 1]) or right.is_around(text, found):
            return found[0]
        count += 1
        return corrected

    # Composed and decomposed characters look the same to whoever wrote the list.
    forms = {unicodedata.normalize(form, misspelling) for form in ("NFC", "NFD")} | {misspelling}
    either = "|".join(map(re.escape, sorted(forms, key=len, reverse=True)))
    changed = re.sub(rf"(?<!\w)(?:{either})(?!\w)", put, text, flags=re.IGNORECASE)
    return changed, count


class _RightSpelling:
    """Sees whether a match is part of the right spelling already."""

    def __init__(self, misspelling: str, corrected: str) -> None:
        self._corrected = corrected
        pattern = re.compile(re.escape(misspelling), re.IGNORECASE)
        self._places = [found.start() for found in pattern.finditer(corrected)]

    def is_around(self, text: str, found: re.Match[str]) -> bool:
        """Say whether the right spelling stands where the match is."""
        begins = (found.start() - place for place in self._places)
        return found[0] == self._corrected or any(
            begin >= 0 and text.startswith(self._corrected, begin) for begin in begins
        )


def _is_mark(character: str) -> bool:
    """Say whether a character belongs to the letter before it."""
    return unicodedata.category(character or " ").startswith("M")


def _correction(item: object, at: int) -> Correction:
    if not isinstance(item, dict):
        raise ValueError(f"correctionsToApply[{at}] is no JSON object")  # noqa: TRY004 - callers wait for one type
    wrong, right = item.get("misspellings"), item.get("correctedSpelling")
    if not isinstance(right, str) or not isinstance(wrong, list):
        needs = "needs a list 'misspellings' and a text 'correctedSpelling'"
        raise ValueError(f"correctionsToApply[{at}] {needs}")  # noqa: TRY004 - callers wait for one type
    if not all(isinstance(each, str) for each in wrong):
        raise ValueError(f"correctionsToApply[{at}].misspellings holds something that is no text")
    if any(_BETWEEN in each for each in [*wrong, right]):
        raise ValueError(f"correctionsToApply[{at}] has a NUL character")
    # An empty misspelling would be found everywhere.
    return Correction(tuple(each for each in wrong if each.strip()), right)
