"""The table [wildlife]: what a run, or its roles, could not do is refused by `make synth`."""

from pathlib import Path

import pytest

from infra.settings import InfraSettings, load_infra_settings
from shared.errors import UsageError

SAMPLE = Path(__file__).resolve().parents[3] / "infra" / "config.toml"
BUCKET = '[wildlife.bucket]\nname = "traps"\n'


def _load(tmp_path: Path, text: str) -> InfraSettings:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return load_infra_settings(path)


def test_the_sample_is_what_the_contract_names() -> None:
    """Whoever deploys the sample gets what the contract describes."""
    wildlife = load_infra_settings(SAMPLE).wildlife

    assert wildlife is not None
    assert wildlife.region == "eu-north-1"
    assert (wildlife.max_vcpus, wildlife.bid_percent, wildlife.budget_usd) == (100, 50, 100)
    assert wildlife.bucket.keep_versions_days == 30


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[wildlife]\nenvironment = "test"\n' + BUCKET, "'test'"),
        (BUCKET + 'output_prefix = "raw/out"\n', "'raw/out' lies inside 'raw'"),
        (BUCKET + 'output_prefix = "raw"\n', "'raw' lies inside 'raw'"),
        (BUCKET + "[wildlife.settings]\ncolour = 1\n", "settings.colour is no setting of a run"),
        (
            BUCKET + '[wildlife.settings]\nfrost_client_id = "x"\n',
            "settings.frost_client_id is a secret",
        ),
        (
            BUCKET + '[wildlife.settings]\naws_region = "eu-west-1"\n',
            "settings.aws_region is decided by the stack",
        ),
        (BUCKET + "[wildlife.settings]\nconf_threshold = 2\n", "settings.conf_threshold"),
        (BUCKET + '[wildlife.settings]\ndetector = "http"\n', "needs a way out"),
        (
            BUCKET + '[wildlife.settings]\nmodel_uri = "s3://models/a.onnx"\n',
            "put it below 's3://traps/metadata/'",
        ),
        (
            BUCKET + '[wildlife.settings]\nweather_contact = "me@example.com"\n',
            "weather_contact 'me@example.com' reaches nobody",
        ),
        (
            BUCKET + '[wildlife.settings]\nweather_file = "w.json"\n',
            "is a file, of which functions have none",
        ),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(tmp_path: Path, text: str, said: str) -> None:
    """Found by a run it would cost an evening, and money."""
    with pytest.raises(UsageError) as raised:
        _load(tmp_path, text)

    assert said in str(raised.value)
