"""What the stacks are told: a bad value is one clear line."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from infra.daemon_files import uploader_file, watcher_file
from infra.settings import (
    Coordinator,
    Glacier,
    HandshakeBucket,
    InfraSettings,
    ResultsBucket,
    Watchers,
    architecture_of,
    load_infra_settings,
)
from shared.errors import UsageError

SAMPLE = Path(__file__).resolve().parents[3] / "infra" / "config.toml"
GLACIER = '[glacier.bucket]\nname = "greenland-glacier-data"\n'
COORDINATOR = '[[coordinator.buckets]]\nname = "colony"\n'
WATCHERS = '[watchers.bucket]\nname = "hand-shake"\n'


def _load(tmp_path: Path, text: str) -> InfraSettings:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return load_infra_settings(path)


def test_the_sample_is_what_the_contracts_name() -> None:
    """Whoever deploys the sample gets the machines that the contracts describe."""
    settings = load_infra_settings(SAMPLE)

    assert settings.coordinator is not None
    assert settings.watchers is not None
    assert str(settings.coordinator.directory) == "/data/distributed-colony/output/s3"
    assert settings.watchers.instance_types == ("r7g.4xlarge",)
    assert settings.watchers.region == "us-west-2"
    assert settings.watchers.bucket.expire_collected_after_days == 0
    assert settings.glacier is not None
    assert settings.glacier.region == "us-west-2"
    assert settings.glacier.bucket.name == "greenland-glacier-data"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[coordinator]\nregion = "ireland"\n' + COORDINATOR, "line 2: coordinator.region: 'ire"),
        ('[coordinator]\nbuckets = [{name = "Colony"}]\n', "'Colony' may hold only a-z 0-9 . -"),
        ("[coordinator]\nspot = true\n", "line 1: coordinator.buckets: is not set"),
        (WATCHERS + "creates = true\n", "line 3: watchers.bucket.creates: there is no such"),
        ("[watchers]\ninstances = 200\n" + WATCHERS, "line 2: watchers.instances: 200: "),
        ("[watchers]\ninstances = 3\ninstances_at_most = 2\n" + WATCHERS, "more than instances_at"),
        ('[watchers]\nroot = "data"\n' + WATCHERS, "'data' is no absolute path"),
        ('[watchers]\ninstance_types = ["m7i.large", "m7g.large"]\n' + WATCHERS, "two archit"),
        ('[watchers]\ninstance_types = ["large"]\n' + WATCHERS, "'large' is no instance type"),
        ('[watchers]\nalarm_email = "me"\n' + WATCHERS, "line 2: watchers.alarm_email: 'me': "),
        (WATCHERS + "expire_collected_after_days = 5\n", "needs create = true"),
        ("wheels = 'x'\n", "the file: there is nothing to deploy"),
        (f'[glacier]\ninstance_types = ["m7g"]\n{GLACIER}', "'m7g' is arm64; the image is made"),
        (f"[glacier]\nfargate_memory = 9000\n{GLACIER}", "fargate_memory = 9000 is not valid; "),
        (
            f'[glacier]\nspot_allocation_strategy = "best"\n{GLACIER}',
            "'best' is not known; allowed",
        ),
        (f"[glacier]\nvolume_gibibytes = 30\n{GLACIER}", "line 2: glacier.volume_gibibytes: 30: "),
        ("[watchers\n", "line 1: "),
    ],
)
def test_a_bad_value_is_one_line_that_says_where(tmp_path: Path, text: str, said: str) -> None:
    """A deployment that fails after minutes for a slip of the pen wastes an afternoon."""
    with pytest.raises(UsageError) as caught:
        _load(tmp_path, text)

    [line] = str(caught.value).splitlines()
    assert said in line
    assert "config.toml" in line


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    """One run, one list."""
    with pytest.raises(UsageError) as caught:
        _load(tmp_path, "[watchers]\ninstances = -1\nspot = 7\n" + WATCHERS)

    assert len(str(caught.value).splitlines()) == 2


def test_a_file_that_is_not_there_points_to_the_sample(tmp_path: Path) -> None:
    """The first thing a newcomer mistypes is the path."""
    with pytest.raises(UsageError, match=r"infra/config\.toml is a sample"):
        load_infra_settings(tmp_path / "missing.toml")


@pytest.mark.parametrize(
    ("instance_type", "architecture"),
    [
        ("r7g.4xlarge", "arm64"),
        ("t4g.small", "arm64"),
        ("im4gn.large", "arm64"),
        ("c7gn.16xlarge", "arm64"),
        ("a1.medium", "arm64"),
        ("x2gd.medium", "arm64"),
        ("g5g.xlarge", "arm64"),
        ("t3.small", "x86_64"),
        ("g4dn.xlarge", "x86_64"),
        ("m7i-flex.large", "x86_64"),
        ("c7a.large", "x86_64"),
    ],
)
def test_the_name_of_a_type_tells_its_architecture(instance_type: str, architecture: str) -> None:
    """An image of the other architecture does not boot, and nobody sees why."""
    assert architecture_of(instance_type) == architecture


def test_a_daemon_is_told_what_the_settings_say(tmp_path: Path) -> None:
    """The file of an instance holds what differs, and sends metrics where the alarms look."""
    settings = _load(
        tmp_path,
        COORDINATOR + '[coordinator.settings]\nstability_seconds = 5\naliases = {a_b = "colony"}\n',
    )
    assert settings.coordinator is not None

    file = uploader_file(settings.coordinator)

    assert 'metrics = "cloudwatch"\n' in file.text
    assert "stability_seconds = 5\n" in file.text
    assert file.settings.aliases == {"a_b": "colony"}
    assert "interval_seconds" not in file.text


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("poll = 3", "watchers.settings.poll: there is no such setting"),
        ("poll_seconds = -3", "watchers.settings.poll_seconds: "),
        ('sidecar_command = ["{nothing}"]', "watchers.settings.sidecar_command: "),
    ],
)
def test_what_a_boot_would_refuse_is_refused_here(tmp_path: Path, extra: str, said: str) -> None:
    """A machine that comes up and does nothing costs as much as one that works."""
    settings = _load(tmp_path, WATCHERS + f"[watchers.settings]\n{extra}\n")
    assert settings.watchers is not None

    with pytest.raises(UsageError) as caught:
        watcher_file(settings.watchers)

    [line] = str(caught.value).splitlines()
    assert line.startswith(said)
    assert "docs/options/watcher.md" in line


def _names(model: type[BaseModel]) -> set[str]:
    """Return the settings of a table and of those in it."""
    inner = {
        InfraSettings: (Coordinator, Watchers, Glacier),
        Watchers: (HandshakeBucket,),
        Glacier: (ResultsBucket,),
    }
    return set(model.model_fields).union(*(_names(one) for one in inner.get(model, ())))


def test_every_setting_is_explained() -> None:
    """A setting that no page names is found by nobody."""
    page = (SAMPLE.parents[1] / "docs" / "aws.md").read_text()

    missing = {name for name in _names(InfraSettings) if f"`{name}`" not in page}

    assert missing <= {"coordinator", "glacier", "watchers", "wildlife"}
    for table in ("coordinator", "watchers", "glacier"):
        assert f"`[{table}]`" in page


def test_the_lock_of_the_cdk_command_names_no_registry() -> None:
    """A host that a lock file names would be asked by everybody who installs from it."""
    lock = (SAMPLE.parent / "package-lock.json").read_text()

    assert '"integrity": "sha512-' in lock
    assert "://" not in lock
    assert '"resolved"' not in lock
