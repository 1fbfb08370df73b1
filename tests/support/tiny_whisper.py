"""Writes a model of Whisper's shape with random weights, some 700 kB in all: it hears nonsense.

The real library loads it, makes its features of real audio and decodes with its real code; nothing
is downloaded. It is a program of its own, run by the Python that has the library:
`python tiny_whisper.py FOLDER`.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

WIDTH, HEADS, MELS, FRAMES, CONTEXT = 32, 2, 80, 1500, 448
SPECIAL = (
    *("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>"),
    *("<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"),
)
STAMPS = tuple(f"<|{number * 0.02:.2f}|>" for number in range(1501))


def write_model(folder: Path) -> None:
    """Write the model; always the same one."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    features = {"feature_size": MELS, "sampling_rate": 16000, "hop_length": 160}
    (folder / "preprocessor_config.json").write_text(
        json.dumps({**features, "chunk_length": 30, "n_fft": 400})
    )
    words = [tokenizer.id_to_token(number) for number in range(tokenizer.get_vocab_size())]
    _Weights().write(folder, words)


def _tokenizer() -> Any:
    """Make a tokenizer that knows bytes, and what Whisper needs besides."""
    tokenizers = importlib.import_module("tokenizers")
    levels = importlib.import_module("tokenizers.pre_tokenizers").ByteLevel
    alphabet = {letter: at for at, letter in enumerate(sorted(levels.alphabet()))}
    model = importlib.import_module("tokenizers.models").BPE(vocab=alphabet, merges=[])
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = levels(add_prefix_space=False)
    tokenizer.decoder = importlib.import_module("tokenizers.decoders").ByteLevel()
    tokenizer.add_special_tokens([tokenizers.AddedToken(each, special=True) for each in SPECIAL])
    tokenizer.add_tokens([tokenizers.AddedToken(each) for each in STAMPS])
    return tokenizer


class _Weights:
    """Fills the layers of one encoder and one decoder."""

    def __init__(self) -> None:
        self._numpy = importlib.import_module("numpy")
        self._random = self._numpy.random.default_rng(7)

    def write(self, folder: Path, words: list[str]) -> None:
        """Write weights, vocabulary and configuration."""
        specs = importlib.import_module("ctranslate2.specs.whisper_spec")
        spec = specs.WhisperSpec(1, HEADS, 1, HEADS)
        self._encoder(spec.encoder)
        self._decoder(spec.decoder, len(words))
        spec.register_vocabulary(words)
        spec.config.suppress_ids = []
        spec.config.suppress_ids_begin = [words.index("<|endoftext|>")]
        spec.config.lang_ids = [words.index("<|en|>")]
        spec.config.alignment_heads = [(0, 0)]
        spec.validate()
        spec.optimize(quantization="int8")
        spec.save(str(folder))

    def _encoder(self, encoder: Any) -> None:
        encoder.conv1.weight, encoder.conv1.bias = self._some(WIDTH, MELS, 3), self._some(WIDTH)
        encoder.conv2.weight, encoder.conv2.bias = self._some(WIDTH, WIDTH, 3), self._some(WIDTH)
        encoder.position_encodings.encodings = self._some(FRAMES, WIDTH)
        self._norm(encoder.layer_norm)
        for layer in encoder.layer:
            self._attention(layer.self_attention, (3 * WIDTH, WIDTH))
            self._feed_forward(layer.ffn)

    def _decoder(self, decoder: Any, words: int) -> None:
        decoder.embeddings.weight = self._some(words, WIDTH)
        decoder.projection.weight = decoder.embeddings.weight
        decoder.position_encodings.encodings = self._some(CONTEXT, WIDTH)
        decoder.scale_embeddings = False
        self._norm(decoder.layer_norm)
        for layer in decoder.layer:
            self._attention(layer.self_attention, (3 * WIDTH, WIDTH))
            self._attention(layer.attention, (WIDTH, 2 * WIDTH, WIDTH))
            self._feed_forward(layer.ffn)

    def _attention(self, attention: Any, widths: tuple[int, ...]) -> None:
        self._norm(attention.layer_norm)
        for linear, width in zip(attention.linear, widths, strict=True):
            self._linear(linear, width, WIDTH)

    def _feed_forward(self, layer: Any) -> None:
        self._norm(layer.layer_norm)
        self._linear(layer.linear_0, 4 * WIDTH, WIDTH)
        self._linear(layer.linear_1, WIDTH, 4 * WIDTH)

    def _linear(self, linear: Any, outputs: int, inputs: int) -> None:
        linear.weight, linear.bias = self._some(outputs, inputs), self._some(outputs)

    def _norm(self, norm: Any) -> None:
        norm.gamma = self._numpy.ones(WIDTH, self._numpy.float32)
        norm.beta = self._numpy.zeros(WIDTH, self._numpy.float32)

    def _some(self, *shape: int) -> Any:
        return (self._random.standard_normal(shape) * 0.3).astype(self._numpy.float32)


if __name__ == "__main__":
    write_model(Path(sys.argv[1]))
