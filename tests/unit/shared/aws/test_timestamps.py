"""Times in answers: the same moment as botocore reads, at a fraction of its cost."""

from datetime import UTC, datetime

import pytest
from botocore.utils import parse_timestamp

from shared.aws.clients import ClientPool, ClientSettings
from shared.aws.timestamps import read_timestamp

MOMENT = datetime(2024, 11, 5, 7, 8, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2024-11-05T07:08:09.000Z",
        "2024-11-05T07:08:09Z",
        "2024-11-05T08:08:09+01:00",
        "Tue, 05 Nov 2024 07:08:09 GMT",
        "Tue, 05 Nov 2024 07:08:09 +0000",
        "1730790489",
        "1730790489.0",
        1730790489,
        1730790489.0,
        "Tuesday, 05-Nov-24 07:08:09 GMT",
        "05 November 2024 07:08:09 UTC",
    ],
)
def test_every_form_names_the_same_moment(value: object) -> None:
    """The forms of S3 and STS, of other stores, and what botocore alone can read."""
    found = read_timestamp(value)

    assert found == MOMENT
    assert found == parse_timestamp(value)


@pytest.mark.parametrize("value", ["1711121000", "2024110507"])
def test_seconds_that_look_like_a_date_are_seconds(value: str) -> None:
    """Digits alone are a number for botocore; they must not become the year 1711."""
    assert read_timestamp(value) == parse_timestamp(value)


@pytest.mark.parametrize("value", ["", "yesterday", "2024-13-05T07:08:09Z"])
def test_what_is_no_time_is_refused(value: str) -> None:
    """A store that writes nonsense is told of, as before."""
    with pytest.raises(ValueError, match="Invalid timestamp"):
        read_timestamp(value)


@pytest.mark.asyncio
async def test_clients_read_times_this_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing would break without it, and every listing would cost four times as much."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    pool = ClientPool(ClientSettings(aws_region="eu-west-1"))

    factory = pool._session.get_component("response_parser_factory")
    parser = factory.create_parser("rest-xml")
    await pool.aclose()

    assert parser._timestamp_parser is read_timestamp
