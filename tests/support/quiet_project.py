"""A project of the ingester in which a local run has nothing to do and asks nobody."""

import json
from pathlib import Path


def quiet_project(root: Path, *site_ids: str, status: str = "inactive") -> Path:
    """Write a project with these sites; none of their feeds is fetched while inactive."""
    for site_id in site_ids:
        folder = root / "sites" / "my-sites" / site_id
        folder.mkdir(parents=True)
        podcast = {
            "id": f"{site_id}-pod",
            "rssFeedFile": f"{site_id}.xml",
            "title": site_id,
            "status": status,
            "url": "https://feeds.test/x",
        }
        document = {
            "id": site_id,
            "domain": f"{site_id}.browse.show",
            "appHeader": {"primaryTitle": site_id.title()},
            "includedPodcasts": [podcast],
            "whisperTranscriptionPrompt": site_id,
        }
        (folder / "site.config.json").write_text(json.dumps(document))
    return root


def written_files(root: Path) -> set[str]:
    """Return the files of a project that are not its configuration."""
    found = (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    return {name for name in found if not name.startswith(("sites/", "."))}
