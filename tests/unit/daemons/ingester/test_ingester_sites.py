import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from daemons.ingester.project import files as project_files
from daemons.ingester.project.mappings import find_data_folder, load_mappings
from daemons.ingester.project.sites import choose_sites, load_sites, processing_variables
from shared.errors import UsageError


def config(site_id: str = "hardfork", **fields: Any) -> dict[str, Any]:
    """Write the configuration of a site."""
    return {
        "id": site_id,
        "domain": f"{site_id}.browse.show",
        "appHeader": {"primaryTitle": "Hard Fork", "somethingNew": 1},
        "includedPodcasts": [podcast()],
        "whisperTranscriptionPrompt": "Hard Fork with Kevin Roose.",
        "somethingNew": {"a": []},
        **fields,
    }


def podcast(podcast_id: str = "hard-fork", **fields: Any) -> dict[str, Any]:
    """Write the configuration of a podcast."""
    return {
        "id": podcast_id,
        "rssFeedFile": f"{podcast_id}.xml",
        "title": "Hard Fork",
        "status": "active",
        "url": "https://feeds.simplecast.com/l2i9YnTd",
        **fields,
    }


def add_site(
    root: Path, document: Mapping[str, Any] | bytes, *, family: str = "my-sites", name: str = ""
) -> Path:
    """Put a site into a project and return its folder."""
    folder = root / "sites" / family / (name or str(dict(document)["id"]))  # type: ignore[arg-type] # bytes come with a name
    folder.mkdir(parents=True)
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    (folder / "site.config.json").write_bytes(body)
    return folder


def test_site_is_read_with_its_podcasts(tmp_path: Path) -> None:
    """Unknown fields are nobody's business, and inactive podcasts are kept."""
    second = podcast("hard-fork-archive", status="inactive")
    folder = add_site(tmp_path, config(includedPodcasts=[podcast(), second]))
    (folder.parent / "node_modules").mkdir()
    (folder.parent / "empty").mkdir()

    found = load_sites(tmp_path)

    (site,) = found.sites
    assert (site.id, site.title, site.domain) == ("hardfork", "Hard Fork", "hardfork.browse.show")
    assert site.prompt == "Hard Fork with Kevin Roose."
    assert [(each.id, each.feed_file, each.active) for each in site.podcasts] == [
        ("hard-fork", "hard-fork.xml", True),
        ("hard-fork-archive", "hard-fork-archive.xml", False),
    ]
    assert site.corrections == (
        folder / "spelling-corrections.json",
        folder.parent / "spelling-corrections.json",
    )
    assert not found.problems


def test_origin_sites_serve_only_where_there_are_no_own_ones(tmp_path: Path) -> None:
    """Who has sites of their own does not host ours."""
    add_site(tmp_path, config("theirs"), family="origin-sites")
    assert [site.id for site in load_sites(tmp_path).sites] == ["theirs"]

    add_site(tmp_path, b"{", name="broken")
    found = load_sites(tmp_path)
    assert [site.id for site in found.sites] == ["theirs"]
    assert [problem.site_id for problem in found.problems] == ["broken"]

    add_site(tmp_path, config("mine"))
    found = load_sites(tmp_path)
    assert [site.id for site in found.sites] == ["mine"]
    assert found.known_ids == ("broken", "mine")


def test_project_without_any_site_is_a_mistake(tmp_path: Path) -> None:
    """A run in the wrong folder must not report success."""
    with pytest.raises(UsageError, match="no site below"):
        load_sites(tmp_path)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"id": "other"}, "id 'other' must be the folder's name, 'hardfork'"),
        ({"id": "hard_fork"}, "id 'hard_fork' is wrong; allowed: 1 to 32 of a-z and '-'"),
        ({"id": "a" * 33}, "id 'aaaa"),
        ({"id": 7}, "id 7 is wrong"),
        ({"domain": None}, "domain None is wrong"),
        ({"domain": "https://x"}, "domain 'https://x' is wrong"),
        ({"appHeader": {}}, "appHeader.primaryTitle is missing"),
        ({"appHeader": {"primaryTitle": "x" * 41}}, "appHeader.primaryTitle 'xxx"),
        ({"whisperTranscriptionPrompt": ""}, "whisperTranscriptionPrompt '' is wrong"),
        ({"includedPodcasts": []}, "includedPodcasts (a JSON list) is wrong"),
        ({"includedPodcasts": [podcast(url="file:///x")]}, "includedPodcasts[0].url 'file:///x'"),
        ({"includedPodcasts": [podcast(url="http://[x")]}, "includedPodcasts[0].url 'http://[x'"),
        ({"includedPodcasts": [podcast(), podcast("b", url="x")]}, "includedPodcasts[1].url 'x'"),
        ({"includedPodcasts": [podcast(status="paused")]}, "includedPodcasts[0].status 'paused'"),
        ({"includedPodcasts": [podcast("Hard")]}, "includedPodcasts[0].id 'Hard'"),
        ({"includedPodcasts": [podcast("hardfork")]}, "'hardfork' is the site's id too"),
        ({"includedPodcasts": [podcast(), podcast()]}, "podcast id 'hard-fork' is there twice"),
        (
            {"includedPodcasts": [podcast(), podcast("b", rssFeedFile="hard-fork.xml")]},
            "rssFeedFile 'hard-fork.xml' is there twice",
        ),
        (
            {"includedPodcasts": [podcast(rssFeedFile="../x.xml")]},
            "includedPodcasts[0].rssFeedFile '../x.xml' is wrong",
        ),
        (
            {"includedPodcasts": [podcast(rssFeedFile=".xml")]},
            "includedPodcasts[0].rssFeedFile '.xml' is wrong",
        ),
        (
            {"includedPodcasts": [podcast(rssFeedFile="feed.rss")]},
            "allowed: a plain file name that ends in '.xml'",
        ),
    ],
)
def test_mistakes_are_named_with_file_and_field(
    tmp_path: Path, fields: dict[str, Any], complaint: str
) -> None:
    """The operator mends a line of a file; the message must say which one."""
    folder = add_site(tmp_path, config() | fields, name="hardfork")

    (problem,) = load_sites(tmp_path).problems
    assert complaint in problem.message
    assert str(problem).startswith(f"site 'hardfork': {str(folder / 'site.config.json')!r}: ")


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    """One run must be enough to see everything that is wrong with a site."""
    add_site(tmp_path, config(domain="x", whisperTranscriptionPrompt=""))

    (problem,) = load_sites(tmp_path).problems
    assert len(str(problem).splitlines()) == 2


@pytest.mark.parametrize(
    ("body", "complaint"),
    [(b"{", "not valid JSON"), (b"[]", "must be an object"), (b"\xff", "not UTF-8"), (b"", "JSON")],
)
def test_a_file_that_cannot_be_read_costs_its_site(
    tmp_path: Path, body: bytes, complaint: str
) -> None:
    """The others run; the original lost such a site without a word."""
    add_site(tmp_path, body, name="broken")
    add_site(tmp_path, config())

    found = load_sites(tmp_path)
    assert [site.id for site in found.sites] == ["hardfork"]
    assert [problem.site_id for problem in found.problems] == ["broken"]
    assert complaint in found.problems[0].message


def test_odd_files_cost_their_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder by the name of the file, or something that cannot be a configuration by its size."""
    monkeypatch.setattr(project_files, "_LARGEST_BYTES", 2000)
    add_site(tmp_path, config())
    add_site(tmp_path, b" " * 2001, name="large")
    (tmp_path / "sites" / "my-sites" / "odd" / "site.config.json").mkdir(parents=True)

    found = load_sites(tmp_path)
    assert [site.id for site in found.sites] == ["hardfork"]
    messages = {problem.site_id: problem.message for problem in found.problems}
    assert messages["large"] == "is larger than 2000 bytes; it cannot be right"
    assert "cannot be read" in messages["odd"]


def test_subset_is_exact(tmp_path: Path) -> None:
    """A typo in `--sites` must not run something else, nor everything, nor nothing."""
    for site_id in ("a", "b", "c"):
        add_site(tmp_path, config(site_id))
    add_site(tmp_path, b"{", name="broken")
    found = load_sites(tmp_path)

    assert choose_sites(found, None) is found
    chosen = choose_sites(found, " c, a,")
    assert [site.id for site in chosen.sites] == ["a", "c"]
    assert not chosen.problems
    assert [each.site_id for each in choose_sites(found, "broken").problems] == ["broken"]
    for wrong in ("", " , "):
        with pytest.raises(UsageError, match="names no site; known: a, b, broken, c"):
            choose_sites(found, wrong)
    with pytest.raises(UsageError, match="'nosuch', which is not known; known: a, b, broken, c"):
        choose_sites(found, "a,nosuch")


def test_site_values_win_over_root_values_and_both_over_the_environment(tmp_path: Path) -> None:
    """The order of the contract; each layer says only what it changes."""
    folder = add_site(tmp_path, config())
    (tmp_path / ".env.local").write_text("A=root\nB=root\n")
    (folder / ".env.aws-sso").write_text("AWS_PROFILE=dev\nB=site\n")
    (site,) = load_sites(tmp_path).sites

    found = processing_variables(tmp_path, site, {"A": "env", "B": "env", "C": "env"})
    assert found == {"A": "root", "B": "site", "C": "env", "AWS_PROFILE": "dev"}


def test_mappings_block_their_own_site_only(tmp_path: Path) -> None:
    """A missing account id is found before anything has begun."""
    (tmp_path / ".site-account-mappings.json").write_text(
        json.dumps(
            {
                "good": {
                    "accountId": "222222222222",
                    "bucketName": "good-browse-dot-show",
                    "cloudfrontId": "E1",
                    "new": 1,
                },
                "bad": {"accountId": 222222222222, "bucketName": "Bad_Bucket"},
            }
        )
    )

    found = load_mappings(tmp_path, ["good", "bad", "none"])

    assert list(found.by_site) == ["good"]
    assert found.by_site["good"].cloudfront_id == "E1"
    assert found.by_site["good"].search_api_url is None
    messages = {problem.site_id: problem.message for problem in found.problems}
    assert "accountId 222222222222 is wrong" in messages["bad"]
    assert "bucketName 'Bad_Bucket'" in messages["bad"]
    assert messages["none"] == "the site has no entry"


@pytest.mark.parametrize("chosen", [["alpha", "beta", "gamma"], ["alpha", "gamma"]])
def test_a_bucket_belongs_to_one_site(tmp_path: Path, chosen: list[str]) -> None:
    """Two would download each other's audio and merge their manifests, chosen together or not."""
    shared = {"accountId": "222222222222", "bucketName": "one-bucket"}
    (tmp_path / ".site-account-mappings.json").write_text(
        json.dumps(
            {
                "alpha": shared,
                "beta": {**shared, "accountId": "333333333333"},
                "gamma": {**shared, "bucketName": "another-bucket"},
                "note": "no entry at all",
            }
        )
    )

    found = load_mappings(tmp_path, chosen)

    assert list(found.by_site) == ["gamma"]
    messages = {problem.site_id: problem.message for problem in found.problems}
    assert messages.keys() == {*chosen} - {"gamma"}
    assert "bucketName 'one-bucket' is that of 'beta' too; give" in messages["alpha"]


def test_missing_mappings_are_a_mistake_in_the_project(tmp_path: Path) -> None:
    """Without the file nobody can run."""
    with pytest.raises(UsageError, match="site-account-mappings"):
        load_mappings(tmp_path, ["a"])


def test_data_folder_is_the_configured_one_or_the_usual_one(tmp_path: Path) -> None:
    """The usual folder may be new; a configured one is somebody's archive."""
    assert find_data_folder(tmp_path) == tmp_path / "aws-local-dev"

    (tmp_path / "archive").mkdir()
    (tmp_path / ".local-files-config.json").write_text('{"localFilesPath": "archive"}')
    assert find_data_folder(tmp_path) == tmp_path / "archive"


@pytest.mark.parametrize("value", ['"/nowhere/archive"', '""', "7", "[]", '"a\\u0000"'])
def test_data_folder_that_is_not_there_stops_everything(tmp_path: Path, value: str) -> None:
    """A drive that is not mounted: starting anew would transcribe the whole archive again."""
    (tmp_path / ".local-files-config.json").write_text(f'{{"localFilesPath": {value}}}')

    with pytest.raises(UsageError, match="localFilesPath") as caught:
        find_data_folder(tmp_path)
    assert caught.value.status == 2
