"""Ask S3 about many files of one folder with a few listings instead of a HEAD for each."""

from collections.abc import Mapping, Sequence

import structlog
from structlog.typing import FilteringBoundLogger

from daemons.uploader.plan import Remote, plan_lookup
from shared.s3.errors import ObjectError
from shared.s3.store import ObjectInfo, ObjectStore
from shared.s3.uri import S3Uri

log: FilteringBoundLogger = structlog.get_logger()


async def look_up(store: ObjectStore, uris: Sequence[S3Uri]) -> Mapping[S3Uri, ObjectInfo | Remote]:
    """Say what a listing knows of the keys, all of one folder and in key order (UTF-8).

    A key that is missing from the answer was not decided: the bucket holds far more than the disk,
    or may not be listed. Both are asked for one by one then, so no error is raised here.
    """
    plan = plan_lookup(len(uris))
    if not plan.use:
        return {}
    wanted = set(uris)
    last = uris[-1].key.encode()
    known: dict[S3Uri, ObjectInfo | Remote] = {}
    decided = b""
    pages = 0
    try:
        async for page in store.pages(_folder(uris[0]), after=_just_before(uris[0]), delimiter="/"):
            pages += 1
            known |= {item.uri: item for item in page.objects if item.uri in wanted}
            if page.objects:
                decided = page.objects[-1].uri.key.encode()
            if decided >= last or pages >= plan.pages_max:
                break
        else:
            decided = last
    except ObjectError as error:
        log.debug("listing_failed", bucket=uris[0].bucket, code=error.code, reason=str(error))
    return {uri: known.get(uri, Remote.ABSENT) for uri in uris if uri.key.encode() <= decided}


def _folder(uri: S3Uri) -> S3Uri:
    folder, slash, _ = uri.key.rpartition("/")
    return S3Uri(uri.bucket, folder + slash)


def _just_before(uri: S3Uri) -> str:
    """A key that sorts before `uri.key` and behind most of what does not interest us."""
    shorter = uri.key[:-1]
    return shorter if len(shorter) > len(_folder(uri).key) else ""
