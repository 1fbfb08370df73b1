"""What a job is told: the event of Lambda's handler, and the environment of a container. Pure.

Both say the same. An event names the region as `region` and as `regions`, so that handlers of
either generation read it. A container's environment has the names that every runner knows, and
those of the processing only where they are not the default.
"""

from collections.abc import Mapping
from dataclasses import asdict

from pipelines.glacier.dates import Window
from pipelines.glacier.submit.submission import Processing, Submission

_WHERE_KNOWN = ("project_digest", "config_sha256", "email", "allow_stale")


def build_event(
    submission: Submission, region: str, window: Window, job_name: str
) -> Mapping[str, object]:
    """Return the event of one job."""
    processing, digests = submission.processing, submission.digests
    known = {
        "project_digest": digests.project,
        "config_sha256": digests.config,
        "email": submission.email,
    }
    return {
        "satellite": submission.satellite,
        "region": region,
        "regions": region,
        "date1": window.first.isoformat(),
        "date2": window.last.isoformat(),
        "s3_bucket": submission.storage.s3_bucket,
        "s3_base_path": submission.storage.s3_base_path,
        "download_flag": int(processing.download_flag),
        "post_processing_flag": int(processing.post_processing_flag),
        "clear_downloads": int(processing.clear_downloads),
        "cores": processing.cores,
        "layout": processing.layout,
        "force_reprocess": processing.force_reprocess,
        "job_name": job_name,
        "submission_id": submission.submission_id,
        **{name: value for name, value in known.items() if value},
        **({"allow_stale": True} if submission.allow_stale else {}),
    }


def build_environment(event: Mapping[str, object], processing: Processing) -> Mapping[str, str]:
    """Return the environment of the container that does what an event says."""
    names = ("satellite", "region", "date1", "date2", "s3_bucket", "s3_base_path", "job_name")
    always = (*names, "submission_id")
    told = tuple(name for name in _WHERE_KNOWN if name in event)
    default = asdict(Processing())
    changed = tuple(name for name, value in asdict(processing).items() if value != default[name])
    return {name.upper(): _as_text(event[name]) for name in (*always, *told, *changed)}


def _as_text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
