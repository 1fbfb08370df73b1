import pytest

from shared.s3.errors import Unsupported
from shared.s3.store import Checksums, Evidence, Stored, require_evidence
from shared.s3.uri import S3Uri


def stored(evidence: Evidence) -> Stored:
    """Make a write with this evidence."""
    return Stored(S3Uri("colony-shots", "a.png"), 1, "etag", evidence, Checksums())


@pytest.mark.parametrize("evidence", [Evidence.ETAG_MD5, Evidence.READ_BACK, Evidence.ANSWERED])
def test_proven_write_goes_through(evidence: Evidence) -> None:
    """The call stands around the put."""
    write = stored(evidence)

    assert require_evidence(write) is write


@pytest.mark.parametrize("evidence", [Evidence.NONE, Evidence.SIZE])
def test_marker_does_not_follow_what_is_not_proven(evidence: Evidence) -> None:
    """A manifest says that its files are there, byte for byte."""
    with pytest.raises(Unsupported, match=rf"a\.png.*proves {evidence.name}.*ETAG_MD5"):
        require_evidence(stored(evidence))

    assert require_evidence(stored(evidence), Evidence.NONE).evidence is evidence
