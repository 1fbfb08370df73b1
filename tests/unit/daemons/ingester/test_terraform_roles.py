import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.ingester.project.terraform_roles import (
    RolesReport,
    SiteRole,
    check_roles,
    parse_tfvars,
    read_role,
)


def check(*sites: SiteRole, **options: object) -> RolesReport:
    """Judge sites without account mappings."""
    return check_roles(sites, accounts={}, **options)  # type: ignore[arg-type]  # `chosen` alone


def creator(site_id: str, profile: str) -> SiteRole:
    """Return a site that creates the role."""
    return SiteRole(site_id, profile, creates=True)


def member(site_id: str, profile: str) -> SiteRole:
    """Return a site that uses the role of another."""
    return SiteRole(site_id, profile, creates=False)


def test_one_creator_a_profile_is_in_order() -> None:
    """It is how the six sites of two accounts are deployed."""
    report = check(
        creator("hardfork", "b"),
        member("listenfairplay", "b"),
        member("naddpod", "a"),
        creator("claretandblue", "a"),
    )

    assert report.problems == []
    assert report.creators == {"a": ["claretandblue"], "b": ["hardfork"]}
    assert report.members == {
        "a": ["claretandblue", "naddpod"],
        "b": ["hardfork", "listenfairplay"],
    }


def test_profile_without_a_creator_is_a_problem() -> None:
    """Its sites would have nobody to act as."""
    report = check(member("hardfork", "b"), member("listenfairplay", "b"))

    (problem,) = report.problems
    assert "profile 'b' has no site that creates the role" in problem


def test_profile_with_two_creators_is_a_problem_that_names_both() -> None:
    """The second deployment would fail: the role is there already."""
    report = check(creator("hardfork", "b"), creator("searchengine", "b"), member("x", "b"))

    (problem,) = report.problems
    assert "2 sites that create the role: 'hardfork', 'searchengine'" in problem


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("create_automation_role = true\n", ["aws_profile"]),
        ('aws_profile = ""\ncreate_automation_role = true\n', ["aws_profile"]),
        ('aws_profile = ["a"]\ncreate_automation_role = true\n', ["aws_profile"]),
        ('aws_profile = "a"\n', ["create_automation_role"]),
        ('aws_profile = "a"\ncreate_automation_role = 1\n', ["create_automation_role"]),
        ("# nothing\n", ["aws_profile", "create_automation_role"]),
    ],
)
def test_site_that_leaves_a_variable_out_is_a_problem(text: str, missing: list[str]) -> None:
    """Terraform would ask, or take a default that nobody has chosen."""
    role = read_role("hardfork", text)

    assert len(role.problems) == len(missing)
    for problem, name in zip(role.problems, missing, strict=True):
        assert f"site 'hardfork': terraform/prod.tfvars must have {name}" in problem


def test_site_without_the_file_is_a_problem() -> None:
    """It cannot have been deployed from here."""
    assert read_role("hardfork", None).problems == (
        "site 'hardfork': terraform/prod.tfvars is missing",
    )


def test_truth_may_be_written_as_a_text() -> None:
    """Terraform takes it for a variable of type bool."""
    assert read_role("x", 'aws_profile="a"\ncreate_automation_role="true"').creates is True


def test_chosen_sites_are_judged_by_all_sites_of_their_profile() -> None:
    """Who asks about one must not be told that there is no creator because that is another."""
    broken = SiteRole("other", "a", problems=("site 'other' is broken",))
    sites = (creator("hardfork", "b"), member("listenfairplay", "b"), broken)

    report = check(*sites, chosen=["listenfairplay"])

    assert report.problems == []
    assert report.creators == {"b": ["hardfork"]}


def test_profile_of_two_accounts_and_account_of_two_creators_are_warnings() -> None:
    """A role lives in an account; a profile only should stand for one."""
    sites = (
        creator("a-one", "a"),
        member("a-two", "a"),
        creator("b-one", "b"),
        creator("alone", "c"),
        creator("unmapped", "d"),
    )
    one, two, three = "1" * 12, "2" * 12, "3" * 12

    report = check_roles(sites, accounts={"a-one": one, "a-two": two, "b-one": one, "alone": three})

    assert report.problems == []
    profile, account = report.warnings
    assert "profile 'a' deploys sites that are mapped to accounts 111111111111, 2222" in profile
    assert "account 111111111111 is mapped to 2 sites that create the role" in account


def test_everything_is_told_as_text_and_as_json() -> None:
    """People read the one, programs the other."""
    report = check(creator("hardfork", "b"), member("naddpod", "a"))

    assert report.to_text().splitlines()[:2] == [
        "profile\ta\tcreated by nobody\tfor naddpod",
        "profile\tb\tcreated by hardfork\tfor hardfork",
    ]
    assert report.to_json() == {
        "profiles": [
            {"awsProfile": "a", "sites": ["naddpod"], "creators": []},
            {"awsProfile": "b", "sites": ["hardfork"], "creators": ["hardfork"]},
        ],
        "problems": list(report.problems),
        "warnings": [],
    }


def test_variables_are_read_as_terraform_writes_them() -> None:
    """Comments, lists, maps and heredocs are in real files, around what is looked for."""
    text = """\ufeff# The site "hardfork"
// another comment = "x"
/* aws_profile = "not this"
*/
site_id     = "hardfork"   # aws_profile = "nor this"
aws_profile = "b \\"quoted\\" \\\\ \\t"
memory      = 3008
tags = {
  aws_profile = "nor that"   // }
  list        = ["]", { a = [1, 2] }]
}
note = <<-EOT
  create_automation_role = false
  EOT
create_automation_role=true
"""
    assert parse_tfvars(text) == {
        "site_id": "hardfork",
        "aws_profile": 'b "quoted" \\ \t',
        "memory": None,
        "tags": None,
        "note": None,
        "create_automation_role": True,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = true\nb true", "line 2 has no '=' behind 'b'"),
        ("\n\na = ", "line 3 has a name without a value"),
        ("a = {\nb = 1\n", "line 2 has a bracket that is never closed"),
        ('a = "open\nb = 1', "line 1 has '\"', which ends nowhere or means nothing"),
        ("a = 1\na = 2", "line 2 has 'a' twice"),
        ('"a" = 1', "line 1 has '\"a\"' where a variable's name must be"),
        ("a = <<EOT\nnever ended", "line 1 has '<', which ends nowhere or means nothing"),
        ("/* never ended", "line 1 has '/', which ends nowhere or means nothing"),
    ],
)
def test_line_that_is_no_variable_is_named(text: str, message: str) -> None:
    """Half a file read as a whole one would tell of a creator that is none."""
    with pytest.raises(ValueError, match=r"^line \d+ ") as caught:
        parse_tfvars(text)

    assert message in str(caught.value)
    assert message in read_role("x", text).problems[0]


@given(st.text(alphabet='ab=\n"\\#/*<EOT{}[] -1', max_size=60))
def test_no_file_is_too_strange(text: str) -> None:
    """A file from anywhere ends in variables or in a line that names what is wrong."""
    role = read_role("hardfork", text)

    assert role.profile or any("aws_profile" in each or " line " in each for each in role.problems)
