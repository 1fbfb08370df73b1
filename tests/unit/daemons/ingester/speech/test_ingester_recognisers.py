import sys
from pathlib import Path, PurePath

import pytest

from daemons.ingester.speech.backend import Piece, RecognitionFailed, plain_environment
from daemons.ingester.speech.double import Double
from daemons.ingester.speech.fasterwhisper import FasterWhisper, segments_to_srt
from daemons.ingester.speech.openai import OpenAi
from daemons.ingester.speech.providers import choose_recogniser
from daemons.ingester.speech.srt import Cue, parse_srt, render_srt
from daemons.ingester.speech.whispercpp import WhisperCpp, whisper_argv, with_words
from shared.errors import UsageError


def test_whisper_cpp_is_called_exactly_so() -> None:
    """The contract fixes every word; the prompt goes as it is, whatever is in it."""
    prompt = 'It\'s "Hard Fork"; $(rm -rf ~)\n--no'

    argv = whisper_argv(
        PurePath("/opt/w"), "large-v3-turbo", PurePath("/w/k.v2.mp3.part1.mp3"), prompt
    )

    assert argv == (
        *("/opt/w/build/bin/whisper-cli", "-m", "/opt/w/models/ggml-large-v3-turbo.bin"),
        *("-f", "/w/k.v2.mp3.part1.mp3", "--output-srt", "-of", "/w/k.v2.mp3.part1"),
        *("--prompt", prompt),
    )
    more = whisper_argv(PurePath("/w"), "m", PurePath("/a.mp3"), "p", ("-t", "8"))
    assert more[-3:] == ("p", "-t", "8")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"WHISPER_API_PROVIDER": "local-whisper.cpp", "WHISPER_CPP_PATH": "/opt/w"},
            WhisperCpp(Path("/opt/w"), "large-v3-turbo"),
        ),
        (
            {
                "WHISPER_API_PROVIDER": " local-whisper.cpp ",
                "WHISPER_CPP_PATH": "/opt/w",
                "WHISPER_CPP_MODEL": "tiny",
                "WHISPER_CPP_EXTRA_FLAGS": "-t 8 -l 'da'",
            },
            WhisperCpp(Path("/opt/w"), "tiny", ("-t", "8", "-l", "da")),
        ),
        (
            {"WHISPER_API_PROVIDER": "faster-whisper", "FASTER_WHISPER_MODEL": "/m"},
            FasterWhisper(Path("/m")),
        ),
        (
            {
                "WHISPER_API_PROVIDER": "faster-whisper",
                "FASTER_WHISPER_MODEL": "/m",
                "FASTER_WHISPER_LANGUAGE": "en",
                "FASTER_WHISPER_THREADS": "4",
                "FASTER_WHISPER_COMPUTE_TYPE": "int8",
                "FASTER_WHISPER_PYTHON": "/v/bin/python",
            },
            FasterWhisper(Path("/m"), "en", 4, "int8", "/v/bin/python"),
        ),
        ({"WHISPER_API_PROVIDER": "openai", "OPENAI_API_KEY": "sk-1"}, OpenAi("sk-1")),
        ({"WHISPER_API_PROVIDER": "test-double"}, Double()),
        (
            {"WHISPER_API_PROVIDER": "test-double", "WHISPER_TEST_DOUBLE_PATH": "/t"},
            Double(Path("/t")),
        ),
    ],
)
def test_the_settings_name_a_recogniser(variables: dict[str, str], expected: object) -> None:
    """The old names go on to work."""
    assert choose_recogniser(variables, Path("/srv/project")) == expected


@pytest.mark.parametrize("root", ["/srv/project", "."])
def test_paths_of_a_project_begin_at_its_root(root: str) -> None:
    """The same file is read from a shell in any folder and from a unit, which runs in `/`."""
    variables = {
        "WHISPER_CPP_PATH": "tools/w",
        "FASTER_WHISPER_MODEL": "models/m",
        "FASTER_WHISPER_PYTHON": "venv/bin/python",
        "WHISPER_TEST_DOUBLE_PATH": "known",
    }

    def chosen(provider: str) -> object:
        return choose_recogniser({**variables, "WHISPER_API_PROVIDER": provider}, Path(root))

    at = Path(root).absolute()
    assert chosen("local-whisper.cpp") == WhisperCpp(at / "tools/w")
    assert chosen("faster-whisper") == FasterWhisper(
        at / "models/m", python=str(at / "venv/bin/python")
    )
    assert chosen("test-double") == Double(at / "known")


def test_a_python_without_a_folder_is_looked_for_on_the_path() -> None:
    """As every shell does."""
    variables = {
        "WHISPER_API_PROVIDER": "faster-whisper",
        "FASTER_WHISPER_MODEL": "/m",
        "FASTER_WHISPER_PYTHON": "python3.12",
    }

    assert choose_recogniser(variables, Path("/srv")) == FasterWhisper(
        Path("/m"), python="python3.12"
    )


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, r"^WHISPER_API_PROVIDER is not set; choose one of local-whisper\.cpp, "),
        ({"OPENAI_API_KEY": "sk-1"}, "WHISPER_API_PROVIDER is not set"),
        ({"WHISPER_API_PROVIDER": "replicate"}, "is 'replicate', which is not supported"),
        ({"WHISPER_API_PROVIDER": "openai"}, "OPENAI_API_KEY is not set; openai needs it"),
        ({"WHISPER_API_PROVIDER": "local-whisper.cpp"}, "WHISPER_CPP_PATH is not set"),
        ({"WHISPER_API_PROVIDER": "faster-whisper"}, "FASTER_WHISPER_MODEL is not set"),
        (
            {
                "WHISPER_API_PROVIDER": "local-whisper.cpp",
                "WHISPER_CPP_PATH": "/w",
                "WHISPER_CPP_EXTRA_FLAGS": "'",
            },
            "cannot be split",
        ),
        (
            {
                "WHISPER_API_PROVIDER": "faster-whisper",
                "FASTER_WHISPER_MODEL": "/m",
                "FASTER_WHISPER_THREADS": "-1",
            },
            "FASTER_WHISPER_THREADS is '-1'",
        ),
    ],
)
def test_nothing_paid_is_ever_a_default(variables: dict[str, str], message: str) -> None:
    """An unset provider once meant a bill."""
    with pytest.raises(UsageError, match=message):
        choose_recogniser(variables, Path("/srv/project"))


def test_a_key_is_not_shown() -> None:
    """Objects end up in logs and tracebacks."""
    assert "sk-1" not in repr(OpenAi("sk-1"))


def test_a_recogniser_gets_no_secrets() -> None:
    """It needs its own folders and libraries, and no cloud."""
    kept = plain_environment(
        {
            "PATH": "/bin",
            "CUDA_VISIBLE_DEVICES": "0",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_REGION": "x",
            "OPENAI_API_KEY": "x",
            "HF_TOKEN": "x",
            "TOWPATH_ANYTHING": "x",
        }
    )

    assert kept == {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "0"}


def test_segments_become_cues() -> None:
    """Seconds of floating point become whole milliseconds, once."""
    lines = '[-0.1, 1.0005, " Hello"]\n[1.9999, 2.5, " --> x"]\n[3.0, 2.9, "y"]\n'

    assert parse_srt(segments_to_srt(lines)).cues == (
        *(Cue(0, 1000, "Hello"), Cue(2000, 2500, "-> x"), Cue(3000, 3000, "y")),
    )


@pytest.mark.parametrize("line", ["{", "[1, 2]", '["a", 2, "x"]', '[NaN, 1, "x"]', "3"])
def test_odd_segments_fail_the_attempt(line: str) -> None:
    """Half a result must not pass for silence."""
    with pytest.raises(RecognitionFailed, match="something odd"):
        segments_to_srt(line)


def test_the_last_words_of_a_program_are_told() -> None:
    """An exit status says nothing to the person who must act."""
    assert with_words("exit status 3", "a\nb\n\nc\nfailed to open\n") == (
        "exit status 3: b | c | failed to open"
    )
    assert with_words("exit status 3", "\n") == "exit status 3"


@pytest.mark.asyncio
async def test_the_double_knows_what_will_be_said(tmp_path: Path) -> None:
    """A chunk gets the cues that begin in it, in its own time; unknown audio always the same."""
    cues = [Cue(0, 1000, "a"), Cue(9999, 10_500, "b"), Cue(10_000, 11_000, "c"), Cue(20_000, 1, "")]
    (tmp_path / "k.srt").write_text(render_srt(cues))
    double = Double(tmp_path)
    await double.check()

    async def heard(key: str, start_ms: int, length_ms: int) -> tuple[Cue, ...]:
        piece = Piece(tmp_path / "x.mp3", key, start_ms, length_ms)
        text = await double.recognise(piece, prompt="", limit_seconds=1, progress=lambda: None)
        return parse_srt(text).cues

    assert await heard("k", 0, 10_000) == (Cue(0, 1000, "a"), Cue(9999, 10_500, "b"))
    assert await heard("k", 10_000, 10_000) == (Cue(0, 1000, "c"),)
    assert await heard("k--1721921400000", 0, 5000) == (Cue(0, 1000, "a"),)
    assert [(cue.start_ms, cue.end_ms) for cue in await heard("other", 600_000, 9000)] == [
        *((0, 4000), (4000, 8000), (8000, 9000))
    ]
    with pytest.raises(UsageError, match="known transcripts"):
        await Double(tmp_path / "no").check()


@pytest.mark.asyncio
async def test_what_is_missing_is_named_before_any_work(tmp_path: Path) -> None:
    """One clear error, not one for each of a thousand episodes."""
    whisper = WhisperCpp(tmp_path / "w", "tiny")
    program, model = tmp_path / "w/build/bin/whisper-cli", tmp_path / "w/models/ggml-tiny.bin"
    with pytest.raises(UsageError, match=r"folder .* does not exist; set WHISPER_CPP_PATH"):
        await whisper.check()
    program.parent.mkdir(parents=True)
    model.parent.mkdir()
    program.write_text("")
    with pytest.raises(UsageError, match=r"program .* cannot be run"):
        await whisper.check()
    program.chmod(0o755)
    with pytest.raises(UsageError, match=r"model .* does not exist; put it there"):
        await whisper.check()
    model.write_text("")
    await whisper.check()

    with pytest.raises(UsageError, match="openai has no key"):
        await OpenAi("").check()
    with pytest.raises(UsageError, match=r"has no 'config.json'; set FASTER_WHISPER_MODEL"):
        await FasterWhisper(tmp_path).check()
    for name in ("config.json", "model.bin", "tokenizer.json"):
        (tmp_path / name).write_text("")
    with pytest.raises(UsageError, match=r"not installed for '/not/there'"):
        await FasterWhisper(tmp_path, python="/not/there").check()
    assert FasterWhisper(tmp_path).python == sys.executable
