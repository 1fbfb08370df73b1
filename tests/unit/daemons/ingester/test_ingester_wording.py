import re
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from daemons.ingester.project.mappings import SiteMapping
from daemons.ingester.project.site_config import parse_site_config
from daemons.ingester.project.wording import sentence_of

PODCAST = {
    "id": "hard-fork",
    "rssFeedFile": "hard-fork.xml",
    "title": "Hard Fork",
    "status": "active",
    "url": "https://feeds.example/1",
}
CONFIG = {
    "id": "hardfork",
    "domain": "hardfork.browse.show",
    "appHeader": {"primaryTitle": "Hard Fork"},
    "includedPodcasts": [PODCAST],
    "whisperTranscriptionPrompt": "Hello.",
}


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"whisperTranscriptionPrompt": ""},
            "whisperTranscriptionPrompt '' is wrong; allowed: text that is not empty",
        ),
        (
            {"whisperTranscriptionPrompt": 3},
            "whisperTranscriptionPrompt 3 is wrong; allowed: text",
        ),
        (
            {"appHeader": {"primaryTitle": "x" * 41}},
            (f"appHeader.primaryTitle {'x' * 41!r} is wrong; allowed: at most 40 characters"),
        ),
        ({"appHeader": 3}, "appHeader 3 is wrong; allowed: a JSON object"),
        (
            {"appHeader": {}},
            "appHeader.primaryTitle is missing",
        ),
        (
            {"includedPodcasts": []},
            "includedPodcasts (a JSON list) is wrong; allowed: a list that is not empty",
        ),
        (
            {"includedPodcasts": {}},
            "includedPodcasts (a JSON object) is wrong; allowed: a JSON list",
        ),
        (
            {"includedPodcasts": [{**PODCAST, "status": "paused"}]},
            "includedPodcasts[0].status 'paused' is wrong; allowed: 'active' or 'inactive'",
        ),
        (
            {"includedPodcasts": [PODCAST, PODCAST]},
            (
                "includedPodcasts: podcast id 'hard-fork' is there twice; "
                "rssFeedFile 'hard-fork.xml' is there twice"
            ),
        ),
    ],
)
def test_a_mistake_in_a_site_is_told_in_our_words(fields: dict[str, Any], line: str) -> None:
    """`String should have at least 1 character` is no sentence for somebody with an editor."""
    with pytest.raises(ValueError, match=f"^{re.escape(line)}$"):
        parse_site_config(CONFIG | fields, "hardfork")


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (
            {"accountId": 222222222222, "bucketName": "b-1"},
            "accountId 222222222222 is wrong; allowed: text",
        ),
        (
            {"accountId": "22", "bucketName": "b-1"},
            "accountId '22' is wrong; allowed: the 12 digits of an account",
        ),
        (
            {"accountId": "222222222222", "bucketName": "Bad_Bucket"},
            "bucketName 'Bad_Bucket' is wrong; allowed: a bucket's name",
        ),
        ({"bucketName": "b-1"}, "accountId is missing"),
        ("b-1", "the entry 'b-1' is wrong; allowed: a JSON object"),
    ],
)
def test_a_mistake_in_a_mapping_is_told_in_our_words(entry: object, line: str) -> None:
    """A pattern with brackets and braces says nothing of an account's number."""
    with pytest.raises(ValidationError) as caught:
        SiteMapping.model_validate(entry)

    assert [sentence_of(each) for each in caught.value.errors()] == [line]


def test_other_numbers_are_said_and_what_has_no_words_is_said_as_it_came() -> None:
    """A new field must not be refused without a reason."""

    class Form(BaseModel):
        word: Annotated[str, Field(min_length=2)]
        pair: Annotated[list[int], Field(min_length=2)]
        share: Annotated[float, Field(le=1)]

    with pytest.raises(ValidationError) as caught:
        Form.model_validate({"word": "a", "pair": [1], "share": 2})

    assert [sentence_of(each).partition("; ")[2] for each in caught.value.errors()] == [
        "allowed: at least 2 characters",
        "allowed: a list of at least 2",
        "input should be less than or equal to 1",
    ]


def test_a_long_value_is_cut() -> None:
    """It is shown so that it is found, not to be read."""
    with pytest.raises(ValueError, match="domain 'xxx") as caught:
        parse_site_config(CONFIG | {"domain": "x" * 500}, "hardfork")

    assert "xxx... is wrong; allowed: a domain" in str(caught.value)
    assert len(str(caught.value)) < 160
