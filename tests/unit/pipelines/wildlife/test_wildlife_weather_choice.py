"""Who is asked for weather, and what is said at start of a configuration that cannot work."""

from importlib.metadata import PackageNotFoundError

import pytest

from pipelines.wildlife import settings
from pipelines.wildlife.settings import RunSettings
from pipelines.wildlife.weather.choice import Configured, find_mistakes, plan_chain
from pipelines.wildlife.weather.client import user_agent
from pipelines.wildlife.weather.configuration import check_weather
from shared.errors import UsageError

CONTACT = "viltkamera@skog.se"


@pytest.mark.parametrize(
    ("configured", "chain"),
    [
        (Configured(), []),
        (Configured(chain=[]), []),
        (Configured(chain=["none"], contact=CONTACT, client_id=True, file=True), []),
        (Configured(contact=CONTACT), ["smhi"]),
        (Configured(contact=CONTACT, client_id=True), ["frost", "smhi"]),
        (Configured(contact=CONTACT, secret=True), ["frost", "smhi"]),
        (Configured(secret=True), []),
        (Configured(contact=CONTACT, client_id=True, file=True), ["static"]),
        (
            Configured(chain=["locationforecast", " smhi "], contact=CONTACT),
            ["locationforecast", "smhi"],
        ),
    ],
)
def test_the_chain_is_what_was_asked_for_or_what_can_be_had(
    configured: Configured, chain: list[str]
) -> None:
    """Nobody is asked who would refuse us for want of a key or a name."""
    assert find_mistakes(configured) == []
    assert [*plan_chain(configured)] == chain


@pytest.mark.parametrize(
    ("configured", "words"),
    [
        (Configured(chain=["frosty"]), ["'frosty' is not known"]),
        (Configured(chain=["auto", "smhi"], contact=CONTACT), ["'auto' stands alone"]),
        (Configured(chain=["smhi", "none"], contact=CONTACT), ["'none' stands alone"]),
        (Configured(chain=["smhi", "smhi"], contact=CONTACT), ["'smhi' is named twice"]),
        (Configured(chain=["static"]), ["'static' needs a file"]),
        (Configured(chain=["frost"], contact=CONTACT), ["'frost' needs a client id"]),
        (Configured(chain=["smhi"]), ["'smhi' needs a contact"]),
        (Configured(chain=["locationforecast"]), ["'locationforecast' needs a contact"]),
        (Configured(client_id=True), ["'frost' needs a contact"]),
        (
            Configured(chain=["frost", "static"]),
            ["'frost' needs a contact", "'static' needs a file", "'frost' needs a client id"],
        ),
    ],
)
def test_what_cannot_work_is_said_at_once(configured: Configured, words: list[str]) -> None:
    """Every mistake, before anybody is asked."""
    found = find_mistakes(configured)

    assert len(found) == len(words)
    assert all(word in line for word, line in zip(words, found, strict=True))


@pytest.mark.parametrize(
    "contact",
    [
        "you@example.com",
        "https://example.org/contact",
        "me@mail.example.net",
        "https://github.com/your-org/wildlife",
        "your-name@skog.se",
        "yourname@skog.se",
        "<e-mail>",
        "changeme",
        "me@localhost",
        "x",
        "a@b.se\r\nX-Evil: 1",
        "a@b.se c",
        f"{'a' * 300}@b.se",
    ],
)
@pytest.mark.parametrize("chain", ["auto", "smhi"])
def test_a_placeholder_is_no_contact(contact: str, chain: str) -> None:
    """Providers block who cannot be reached; a line break would be a header of its own."""
    (mistake,) = find_mistakes(Configured(chain=[chain], contact=contact))
    assert "reaches nobody" in mistake


@pytest.mark.parametrize(
    "contact", [CONTACT, "https://skog.se/vilt?x=1", "github.com/skog/vilt", "a.b+c@x-y.co.uk"]
)
def test_an_address_or_a_page_is_a_contact(contact: str) -> None:
    """Both are what the terms of use ask for."""
    assert find_mistakes(Configured(chain=["smhi"], contact=contact)) == []


def test_settings_are_checked_as_a_whole() -> None:
    """A command says all that is wrong before it starts anything."""
    check_weather(RunSettings())
    wrong = RunSettings.model_validate({"weather": ["frost"], "weather_contact": "me@example.com"})

    with pytest.raises(UsageError, match=r"reaches nobody(.|\n)*needs a client id"):
        check_weather(wrong)


def test_we_say_who_we_are_where_nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Providers block who does not; a source tree without a version does as well."""

    def nowhere(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(settings, "version", nowhere)

    assert user_agent("people@forest.se") == "towpath-wildlife/unknown people@forest.se"
