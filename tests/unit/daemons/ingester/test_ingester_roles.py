import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.ingester.account.roles import (
    SESSION_NAME_MAX,
    SiteScope,
    function_name,
    role_arn,
    session_name,
    session_policy,
)

_ALLOWED = re.compile(r"[A-Za-z0-9_=,.@-]{2,64}")
_EPOCH_MS = 1749472638931
HARDFORK = SiteScope(
    "hardfork", "222222222222", "hardfork-browse-dot-show", "us-east-1", "E2EXAMPLE"
)


def test_role_is_the_one_that_every_account_has() -> None:
    """The name is fixed by what created the roles; only the account is configuration."""
    wanted = "arn:aws:iam::222222222222:role/browse-dot-show-automation-role"

    assert role_arn("222222222222") == wanted


def test_short_names_are_written_out() -> None:
    """Who reads the trail of an account must find step, site and moment."""
    assert session_name("run", "hardfork", _EPOCH_MS) == f"auto-run-hardfork-{_EPOCH_MS}"


@pytest.mark.parametrize("step", ["run", "srt-indexing", "s3-pre-sync-and-more"])
def test_the_longest_site_fits(step: str) -> None:
    """32 characters of a site's id are legal, and were an outage."""
    name = session_name(step, "a" * 31 + "z", _EPOCH_MS)

    assert len(name) <= SESSION_NAME_MAX
    assert name.startswith("auto-")
    assert name.endswith(f"z-{_EPOCH_MS}")


def test_long_names_that_differ_at_the_end_stay_different() -> None:
    """A cut at the end would make one session of two sites."""
    first, second = (
        session_name("consistency-check", f"{'podcast-' * 3}number-{number}", _EPOCH_MS)
        for number in (1, 2)
    )

    assert first != second


@given(st.text(max_size=80), st.text(max_size=80), st.integers(0, 10**15))
def test_any_name_is_one_that_aws_takes(step: str, site_id: str, epoch_ms: int) -> None:
    """A name that STS refuses stops the site, whatever the reason for the name."""
    name = session_name(step, site_id, epoch_ms)

    assert _ALLOWED.fullmatch(name)
    assert name.endswith(f"-{epoch_ms}")


def test_session_may_do_what_the_role_is_granted_for_this_site_and_nothing_else() -> None:
    """The role reaches all sites of its account; a session must not."""
    policy = json.loads(session_policy(HARDFORK))

    allowed = {
        action: tuple(statement["Resource"])
        for statement in policy["Statement"]
        for action in statement["Action"]
    }
    objects = ("arn:aws:s3:::hardfork-browse-dot-show/*",)
    functions = tuple(
        f"arn:aws:lambda:us-east-1:222222222222:function:{name}-hardfork"
        for name in ("srt-indexing", "search-api")
    )
    served = ("arn:aws:cloudfront::222222222222:distribution/E2EXAMPLE",)
    assert allowed == {
        "s3:GetObject": objects,
        "s3:PutObject": objects,
        "s3:PutObjectAcl": objects,
        "s3:DeleteObject": objects,
        "s3:ListBucket": ("arn:aws:s3:::hardfork-browse-dot-show",),
        "lambda:InvokeFunction": functions,
        "cloudfront:CreateInvalidation": served,
        "cloudfront:GetInvalidation": served,
    }
    assert {statement["Effect"] for statement in policy["Statement"]} == {"Allow"}


def test_without_a_distribution_nothing_of_cloudfront_is_allowed() -> None:
    """An empty list of resources is a policy that AWS refuses."""
    scope = SiteScope("naddpod", "111111111111", "naddpod-browse-dot-show", "us-east-1")

    assert "cloudfront" not in session_policy(scope)


def test_policy_of_the_longest_names_fits() -> None:
    """AWS takes 2,048 characters."""
    functions = ("srt-indexing", "search-api", "rss-retrieval", "whisper-transcription")
    scope = SiteScope("s" * 32, "1" * 12, "b" * 63, "ap-southeast-1", "E" * 14, functions)

    assert len(session_policy(scope)) < 2048


def test_function_has_the_name_of_its_site() -> None:
    """The original invoked names without it, which exist nowhere."""
    assert function_name("srt-indexing", "hardfork") == "srt-indexing-hardfork"
