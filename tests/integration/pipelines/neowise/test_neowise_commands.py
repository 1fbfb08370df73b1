import csv
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipelines.neowise.cli import main
from pipelines.neowise.process import Job, process
from pipelines.neowise.settings import Settings
from pipelines.neowise.sky import DEMO_FIELDS, Sky, SkyPlan, Truth, chunk_csv, write_sky
from shared.cli import run_command
from shared.errors import ExitStatus, SuiteError
from tests.support.daemon import PROJECT, clean_environment
from tests.support.strict_s3.access import Access
from tests.support.strict_s3.faults import Fail, Fault, Reset
from tests.support.strict_s3.server import StrictS3

YEARS = ("year1", "year2", "addendum")
PLAN = SkyPlan(DEMO_FIELDS[:3], years=YEARS, background=6000, row_group_rows=256, extra_columns=2)
BUCKET = "colony-sky"


class Ground:
    """A sky and its chunks in a folder, and the commands at work on it."""

    def __init__(self, folder: Path, sky: Sky) -> None:
        self.folder = folder
        self.catalogue = folder / "catalogue"
        self.truths = {truth.cid: truth for truth in sky.truths}
        for truth in sky.truths:
            self.chunk(truth.cid).write_bytes(chunk_csv(truth))

    def chunk(self, cid: str) -> Path:
        """Return where a chunk's CSV lies."""
        return self.folder / f"positions_chunk_{cid}.csv"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Make one sky for all tests; nobody writes into it."""
    folder = tmp_path_factory.mktemp("sky")
    return Ground(folder, write_sky(folder / "catalogue", PLAN))


def neowise(
    *arguments: object, cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command as a daemon does."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "pipelines.neowise", *map(str, arguments)],
        cwd=cwd,
        env={
            **clean_environment(),
            "PYTHONPATH": str(PROJECT),
            "NEOWISE_YEARS": " ".join(YEARS),
            "WORKERS": "2",
            **(environ or {}),
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def assert_true(table: Path | str, truth: Truth) -> None:
    """Compare a table with what was planted: the same positions, the same detections."""
    text = table.read_text() if isinstance(table, Path) else table
    rows = list(csv.DictReader(text.splitlines()))
    matched = truth.matched.nonzero()[0].tolist()
    assert [row["row_id"] for row in rows] == [truth.ids[number] for number in matched]
    assert [int(row["cntr"]) for row in rows] == truth.cntr[matched].tolist()
    found = [float(row["sep_arcsec"]) for row in rows]
    assert found == pytest.approx(truth.separation_arcsec[matched].tolist(), abs=1e-6)


@pytest.mark.parametrize("cid", ["00002"])
def test_the_original_command_lines_give_the_truth(
    ground: Ground, tmp_path: Path, cid: str
) -> None:
    """What people have in their scripts works on, across RA 0 as anywhere."""
    seeds, out, answer = tmp_path / "seeds", tmp_path / "out", tmp_path / "aws_compare_out"
    steps = [
        ("seeds", "--tap-chunk-csv", ground.chunk(cid), "--chunk-id", cid, "--out-dir", seeds),
        (
            *("sidecar", "--optical-root", seeds, "--out-root", out, "--radius-arcsec", "5.0"),
            *("--parallel", "pixel", "--workers", "2", "--catalogue", ground.catalogue),
        ),
        (
            *("closest", "--sidecar-all", out / "neowise_se_flags_ALL.parquet"),
            *("--optical-root", seeds / f"chunk_{cid}", "--out-dir", answer, "--row-id-float"),
        ),
    ]

    for step in steps:
        done = neowise(*step)
        assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr

    assert_true(answer / f"positions{cid}_closest.csv", ground.truths[cid])
    report = (answer / f"positions{cid}_closest.qc.txt").read_text()
    assert report.startswith(f"rows={int(ground.truths[cid].matched.sum())}\ncolumns=row_id,")


def test_process_does_all_of_a_cid_on_local_paths(ground: Ground, tmp_path: Path) -> None:
    """Once more is the same; over another answer it does not write."""
    command = (
        *("process", "--cid", "00001", "--chunk-csv", ground.chunk("00001")),
        *("--catalogue", ground.catalogue, "--out", tmp_path / "out"),
    )
    table = tmp_path / "out" / "positions00001_closest.csv"

    first, second = neowise(*command), neowise(*command)
    assert_true(table, ground.truths["00001"])
    table.write_text("somebody's own\n")
    third = neowise(*command)

    assert (first.returncode, second.returncode, third.returncode) == (0, 0, 2)
    assert "is there with other content" in third.stderr
    assert table.read_text() == "somebody's own\n"


@pytest.fixture
def s3(ground: Ground) -> StrictS3:
    """Hold the sky in a bucket that anybody may read, and the chunks in a private one."""
    server = StrictS3(["colony-jobs"], access=Access(anonymous=True), aws_region="us-west-2")
    server.create_bucket(BUCKET)
    server.seed(
        BUCKET,
        {
            f"wise/healpix_k5/{path.relative_to(ground.catalogue)}": path.read_bytes()
            for path in ground.catalogue.rglob("*.parquet")
            if path.is_file()
        },
    )
    server.seed(
        "colony-jobs", {f"in/{cid}.csv": ground.chunk(cid).read_bytes() for cid in ground.truths}
    )
    return server


def _of(s3: StrictS3) -> Mapping[str, str]:
    return {
        "AWS_ENDPOINT_URL": s3.url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "TOWPATH_NEOWISE_CATALOGUE": f"s3://{BUCKET}/wise/healpix_k5",
    }


def _process(s3: StrictS3, cid: str) -> subprocess.CompletedProcess[str]:
    return neowise(
        *("process", "--cid", cid, "--chunk-csv", f"s3://colony-jobs/in/{cid}.csv"),
        *("--out", "s3://colony-jobs/out"),
        environ=_of(s3),
    )


def test_process_does_all_of_a_cid_on_s3(ground: Ground, s3: StrictS3) -> None:
    """As a container does: nothing on its disk, the catalogue read without credentials."""
    with s3:
        done = _process(s3, "00003")
        again = _process(s3, "00003")
        written = {key: body for key, body in s3.objects("colony-jobs").items() if "out/" in key}
        mutations = s3.mutations("colony-jobs")
        asked = {
            record.operation for record in s3.requests() if getattr(record, "bucket", "") == BUCKET
        }

    assert (done.returncode, again.returncode) == (0, 0), done.stderr + again.stderr
    assert_true(written["out/positions00003_closest.csv"].decode(), ground.truths["00003"])
    assert sorted(written) == [
        "out/positions00003_closest.csv",
        "out/positions00003_closest.qc.txt",
    ]
    assert len([one for one in mutations if one.key.startswith("out/")]) == 2
    assert not {name for name in asked if name.startswith(("Put", "Delete"))}


TROUBLES = {
    "denied": [Fault(Fail("AccessDenied"), bucket=BUCKET)],
    "throttled": [Fault(Fail("SlowDown"), bucket=BUCKET)],
    "failing": [Fault(Fail("InternalError"), bucket=BUCKET, method="GET")],
    "no bucket": [Fault(Fail("NoSuchBucket"), bucket=BUCKET)],
    "resetting": [Fault(Reset(), bucket=BUCKET)],
    "own bucket denied": [Fault(Fail("AccessDenied"), bucket="colony-jobs", method="PUT")],
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_trouble_with_s3_is_not_the_job_s_fault(
    s3: StrictS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trouble: str
) -> None:
    """The watcher tries such a job again for ever and never parks it."""
    for name, value in _of(s3).items():
        monkeypatch.setenv(name, value)
    settings = Settings(
        catalogue=f"s3://{BUCKET}/wise/healpix_k5", years=YEARS, workers=2, endpoint_url=s3.url
    )
    job = Job("00001", "s3://colony-jobs/in/00001.csv", is_csv=True, out="s3://colony-jobs/out")
    for fault in TROUBLES[trouble]:
        s3.faults.add(fault)

    with s3, pytest.raises(SuiteError) as caught:
        process(job, settings)

    assert caught.value.status == ExitStatus.UNREACHABLE
    assert "\n" not in str(caught.value)
    assert not [key for key in s3.objects("colony-jobs") if key.startswith("out/")]


def test_an_endpoint_that_is_not_there_is_not_the_job_s_fault(
    ground: Ground, tmp_path: Path
) -> None:
    """Nobody listens on this port."""
    seeds = tmp_path / "seeds"
    neowise(
        *("seeds", "--csv", ground.chunk("00001"), "--cid", "00001", "--out", seeds),
    )

    done = neowise(
        *("sidecar", "--seeds", seeds, "--out", tmp_path / "out"),
        *("--catalogue", "s3://colony-sky/x", "--catalogue-endpoint-url", "http://127.0.0.1:9"),
    )

    assert done.returncode == 6, done.stderr
    assert not (tmp_path / "out" / "neowise_se_flags_ALL.parquet").exists()


BAD = {
    "half a row": b"in_ra,in_dec\n1,2\n3",
    "no number": b"in_ra,in_dec\n1,x\n",
    "empty": b"",
    "same id": b"row_id,in_ra,in_dec\n1,1,2\n1,3,4\n",
}


@pytest.mark.parametrize("how", BAD)
def test_a_bad_chunk_leaves_one_line_and_no_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    """The dispatcher quarantines it with that line."""
    chunk = tmp_path / "positions_chunk_00009.csv"
    chunk.write_bytes(BAD[how])
    flags = ("--tap-chunk-csv", chunk, "--chunk-id", "00009", "--out-dir", tmp_path / "out")

    status = run_command("neowise", main, ["seeds", *map(str, flags)])

    told = capsys.readouterr().err
    assert status == 2
    assert told.startswith(f"towpath neowise: {str(chunk)!r}: line ")
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


USAGE = [
    (("seeds", "--chunk-id", "1", "--csv", "x", "--out", "y"), "'1' is no CID"),
    (("sedes",), "unknown step 'sedes'; steps are seeds, sidecar"),
    (("sidecar", "--optical-root", "x"), "--out-root"),
    (("sidecar", "--optical-root", "/nowhere", "--out", "y"), "'/nowhere' "),
    (
        ("closest", "--sidecar", "/nowhere", "--seeds", "x", "--out", "y"),
        "'/nowhere' cannot be read",
    ),
    (("process", "--cid", "00001", "--chunk-csv", "s3://x", "--out", "y"), "bucket 'x'"),
    (("sidecar", "--seeds", "x", "--out", "y", "--radius-arcsec", "61"), "at most 60"),
    (("sidecar", "--seeds", "x", "--out", "y", "--years", "../up"), "is no folder"),
]


@pytest.mark.parametrize(("arguments", "said"), USAGE, ids=[said for _, said in USAGE])
def test_wrong_usage_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    """What, where, and what is allowed."""
    monkeypatch.chdir(tmp_path)

    status = run_command("neowise", main, arguments)

    told = capsys.readouterr().err
    assert (status, told.count("\n")) == (2, 1), told
    assert said in told


def test_killed_at_any_time_it_goes_on(ground: Ground, tmp_path: Path) -> None:
    """A spot instance goes without asking; what had been finished is not read again."""
    seeds, out = tmp_path / "seeds", tmp_path / "out"
    neowise("seeds", "--csv", ground.chunk("00003"), "--cid", "00003", "--out", seeds)
    command = ("sidecar", "--seeds", seeds, "--out", out, "--catalogue", ground.catalogue)
    child = subprocess.Popen(
        [sys.executable, "-m", "pipelines.neowise", *map(str, command), "--workers", "1"],
        env={**clean_environment(), "PYTHONPATH": str(PROJECT), "NEOWISE_YEARS": ",".join(YEARS)},
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stderr is not None
        for line in child.stderr:
            if "pixel_finished" in line:
                child.send_signal(signal.SIGKILL)
                break
    finished = set((out / "tmp").glob("k5=*.parquet"))
    stamps = {path: path.stat().st_mtime_ns for path in finished}

    done = neowise(*command)

    assert done.returncode == 0, done.stderr
    assert finished
    assert {path: path.stat().st_mtime_ns for path in finished} == stamps
    neowise(
        *("closest", "--sidecar", out / "neowise_se_flags_ALL.parquet"),
        *("--optical-root", seeds / "chunk_00003", "--out", tmp_path),
    )
    assert_true(tmp_path / "positions00003_closest.csv", ground.truths["00003"])


def test_help_needs_no_science() -> None:
    """Somebody looks for a flag; SciPy can wait."""
    code = (
        "import sys; from pipelines.neowise.cli import main; main(['--help']); "
        "print(*{'numpy', 'pyarrow', 'scipy', 'astropy', 'pydantic'} & set(sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )

    assert done.stdout.splitlines()[-1] == ""
