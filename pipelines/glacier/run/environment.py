"""What a container is told: the fields of an event, in upper or lower case. Pure."""

from collections.abc import Mapping

NAMES = (
    "satellite",
    "region",
    "regions",
    "start_end_index",
    "date1",
    "date2",
    "start_date",
    "end_date",
    "s3_bucket",
    "s3_base_path",
    "download_flag",
    "post_processing_flag",
    "clear_downloads",
    "cores",
    "layout",
    "force_reprocess",
    "allow_stale",
    "dry_run",
    "project_digest",
    "config_sha256",
    "job_name",
    "submission_id",
    "email",
    "base_dir",
    "log_name",
)
"""Everything else in an environment is somebody else's."""


def event_of_environment(variables: Mapping[str, str]) -> Mapping[str, object]:
    """Return the event that an environment says; ValueError where both spellings differ."""
    event: dict[str, object] = {}
    for name in NAMES:
        spellings = (name, name.upper())
        given = sorted({variables[each] for each in spellings if variables.get(each)})
        if len(given) > 1:
            raise ValueError(
                f"variables {spellings[0]} and {spellings[1]} say {given[0]!r} and {given[1]!r}; "
                "set one of them"
            )
        event.update(dict.fromkeys([name], given[0]) if given else {})
    return event
