from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.ingester.archive.episode import (
    Episode,
    NewEpisode,
    epoch_ms,
    format_time,
    parse_episode,
    parse_time,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, 6000, tzinfo=UTC)
KEY = "2024-01-07_t--1721921400000"


def new(**fields: object) -> Episode:
    """Make the entry of a new episode with other fields than usual."""
    entry = NewEpisode("p", "t", KEY, "u", "", NOW, NOW, guid="g").entry()
    return Episode({**entry.record, **fields})


def test_what_is_not_known_about_a_new_entry_is_left_out() -> None:
    """A duration of nothing is no fact; a GUID comes last."""
    record = NewEpisode("p", "t", KEY, "u", "", NOW, NOW).entry().record

    assert "durationInSeconds" not in record
    assert "guid" not in record
    assert list(new().record)[-1] == "guid"


def test_new_entry_can_be_read_again() -> None:
    """What this program writes is what it accepts."""
    assert parse_episode(new().record, 0) == new()


def test_entry_without_a_date_takes_the_one_of_its_key() -> None:
    """It must still be found when the feed shows the episode again."""
    assert new(publishedAt=None).date == "2024-01-07"
    assert new().date == "2026-01-02"


def test_odd_fields_are_as_good_as_missing() -> None:
    """One odd field must not stop a whole site."""
    odd = new(guid=7, sequentialId="1", downloadedAt=True, summary=None)

    assert (odd.guid, odd.sequential_id, odd.downloaded_at) == ("", 0, None)
    assert parse_episode(odd.record, 0) == odd


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_round_trip_to_the_millisecond(at: datetime) -> None:
    """Every time in the archive goes through here."""
    found = parse_time(format_time(at))

    assert found == at.replace(microsecond=at.microsecond // 1000 * 1000)
    assert found is not None
    assert epoch_ms(at) == epoch_ms(found)


@pytest.mark.parametrize(
    "text", ["", "no date", "2024-13-01T00:00:00Z", "0001-01-01T00:00:00+10:00"]
)
def test_what_is_no_time_is_none(text: str) -> None:
    """Old entries hold such; they are sorted last."""
    assert parse_time(text) is None
