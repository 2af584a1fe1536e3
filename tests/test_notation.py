"""The dictionary of the appendix: its code names exist, and its axes are those of real arrays."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

from attention_course.corpora.batching import Batch, make_batch
from attention_course.corpora.vocabulary import Vocabulary
from attention_course.positions import sinusoidal_positions

PAGE = Path(__file__).resolve().parents[1] / "appendix" / "notation.md"
FRAMEWORKS = ("scratch", "pytorch", "keras")
# No two alike, nor products of others that stand in the tables: a wrong letter is a wrong number.
SIZES = {"B": 2, "T": 3, "N": 4, "S": 5, "H": 7, "L": 1, "D": 24}
SIZES |= {"d_k": 8, "d_v": 9, "embed_size": 10, "vocab_size": 17}
B, T, N, S, H, L, D = (SIZES[letter] for letter in "BTNSHLD")
CODE = re.compile(r"`([\w.]+)(?:\((\w+)\))?`")

Row = dict[str, str]


def tables(text: str) -> Iterator[list[Row]]:
    """Each table of a Markdown page as rows, cells by column title."""
    for block in re.findall(r"(?:^\|.*\|\n)+", text, flags=re.MULTILINE):
        lines = [[c.strip() for c in line.strip("|\n").split(" | ")] for line in block.splitlines()]
        titles, rule, *rows = [[c.strip("| ") for c in line] for line in lines]
        assert set("".join(rule)) <= set("|-"), f"no rule below the titles {titles}"
        for row in rows:
            assert len(row) == len(titles), f"{len(row)} cells under {len(titles)} titles: {row}"
        yield [dict(zip(titles, row)) for row in rows]


ROWS = [row for table in tables(PAGE.read_text(encoding="utf-8")) for row in table]
ARRAYS = [row for row in ROWS if "axes" in row]
LIBRARY = [row for row in ROWS if "library's argument" in row]


# Every code name exists.


def full_names(name: str) -> list[str]:
    """The dotted paths that a name of the page stands for."""
    first = name.partition(".")[0]
    if first in ("torch", "keras") and not name.startswith("keras.masks"):
        return [name]
    if first in (*FRAMEWORKS, "corpora", "positions"):
        return [f"attention_course.{name}"]
    return [f"attention_course.{framework}.{name}" for framework in FRAMEWORKS]


def resolve(path: str) -> Any:
    """Import the longest module of a dotted path, then follow its attributes."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if part == "forward" and not hasattr(found, "forward"):
                part = "call"
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(path)


def check_name(name: str, argument: str | None) -> None:
    """AttributeError, ModuleNotFoundError or AssertionError unless the page's name exists."""
    for path in full_names(name):
        found = resolve(path)
        if argument is None:
            continue
        try:
            known = inspect.signature(found).parameters
        except ValueError:  # written in C: its documentation begins with its signature
            known = re.findall(r"\w+", found.__doc__.partition(")")[0])
        assert argument in known, f"{path} has no argument {argument}"


NAMES = sorted(
    {
        (name, argument or None)
        for row in ROWS
        for title in ("code", "argument", "library's argument")
        for name, argument in CODE.findall(row.get(title, ""))
    },
    key=str,
)


@pytest.mark.parametrize(("name", "argument"), NAMES, ids=str)
def test_every_code_name_exists(name, argument):
    check_name(name, argument)


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("masks.padding", None),
        ("transformer.Memory.output", None),
        ("transformer.Transformer", "num_heads"),
        ("pytorch.masks.to_value_mask", None),
    ],
)
def test_a_wrong_code_name_is_noticed(name, argument):
    with pytest.raises((AttributeError, AssertionError)):
        check_name(name, argument)


def test_every_row_with_axes_names_code():
    assert len(ARRAYS) > 35
    for row in ARRAYS:
        assert CODE.search(row["code"]), row


# The axes are those of arrays.


def shape_of(axes: str) -> tuple[int, ...]:
    """'(B,N,S,D/N)' -> (2, 4, 5, 6)."""
    return tuple(size_of(axis) for axis in axes.strip("()").split(","))


def size_of(axis: str) -> int:
    if "/" in axis:
        whole, _, parts = axis.partition("/")
        return SIZES[whole] // SIZES[parts]
    if "·" in axis:
        one, other = axis.split("·")
        return SIZES[one] * SIZES[other]
    number, letters = re.fullmatch(r"(\d*)(\w*)", axis).groups()
    return int(number or 1) * (SIZES[letters] if letters else 1)


@cache
def batch() -> Batch:
    words = Vocabulary.from_sequences([[f"w{i}" for i in range(SIZES["vocab_size"] - 4)]])
    assert len(words) == SIZES["vocab_size"]
    return make_batch([[4, 5, 6, 7, 8], [9, 10]], [[4, 5], [6]], words, words)


def module(framework: str, name: str) -> ModuleType:
    return importlib.import_module(f"attention_course.{framework}.{name}")


def tensor(framework: str, array: np.ndarray) -> Any:
    makers = {"pytorch": torch.as_tensor, "keras": tf.convert_to_tensor}
    return makers.get(framework, np.asarray)(array)


def run(layer: Any, *arrays: Any, **options: Any) -> Any:
    """A layer of `scratch` has a `forward`; those of PyTorch and Keras are called."""
    return layer(*arrays, **options) if callable(layer) else layer.forward(*arrays, **options)


def normal(framework: str, *shape: int) -> Any:
    array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return tensor(framework, array)


@cache
def recurrent(framework: str, name: str = "seq2seq.Seq2Seq", **options: Any) -> Any:
    """A small model and what its encoder leaves behind."""
    where, kind = name.split(".")
    words = SIZES["vocab_size"]
    model = getattr(module(framework, where), kind)(
        words, words, SIZES["embed_size"], H, cell="gru", **options
    )
    return model, model.start(batch().source, batch().source_lengths)


@cache
def transformer(framework: str) -> Any:
    words = SIZES["vocab_size"]
    model = module(framework, "transformer").Transformer(words, words, D, N, L, 4 * D)
    return model, model.start(batch().source, batch().source_lengths)


def cached(framework: str) -> Any:
    """The keys of the first layer after T steps."""
    model, state = transformer(framework)
    for tokens in batch().target_in.T:
        _, state = model.step(state, tokens)
    return state.past[0][0]


def maps(framework: str) -> Any:
    model, _ = transformer(framework)
    return model.maps(batch().source, batch().source_lengths, batch().target_in)


def logits(framework: str, model: Any) -> Any:
    arrays = batch().source, batch().source_lengths, batch().target_in
    return run(model, *(tensor(framework, array) for array in arrays))


def stepped(framework: str) -> Any:
    model, state = recurrent(framework, "bahdanau.BahdanauSeq2Seq")
    return model.step(state, batch().target_in[:, 0])[1]


def embedded(framework: str) -> Any:
    model, _ = recurrent(framework)
    return run(model.decoder.embedding, tensor(framework, batch().target_in))


def aligned(framework: str) -> Any:
    model, _ = recurrent(framework, "bahdanau.BahdanauSeq2Seq")
    return model.alignment(batch().source, batch().source_lengths, batch().target_in)


def scores(name: str, *shapes: tuple[int, ...]) -> Callable[[str], Any]:
    def produce(framework: str) -> Any:
        pair = (normal(framework, B, T, 8), normal(framework, B, S, 8))
        weights = (normal(framework, *shape) for shape in shapes)
        return getattr(module(framework, "attention"), name)(*pair, *weights)

    return produce


def attended(framework: str, **shapes: tuple[int, ...]) -> Any:
    """The context of arrays of the declared shapes."""
    names = {"query": "(B,T,d_k)", "key": "(B,S,d_k)", "value": "(B,S,d_v)"}
    arrays = [normal(framework, *shapes.get(n, shape_of(axes))) for n, axes in names.items()]
    return run(module(framework, "attention").Attention(), *arrays)[0]


def multi_head(framework: str) -> tuple[Any, Any]:
    layer = module(framework, "multihead").MultiHeadAttention(D, N)
    query, source = normal(framework, B, T, D), normal(framework, B, S, D)
    return run(layer, query, source, source, need_weights=True)


def of_attention(name: str, *shapes: tuple[int, ...]) -> Callable[[str], Any]:
    return lambda f: getattr(module(f, "attention"), name)(*(normal(f, *s) for s in shapes))


def padding(framework: str) -> Any:
    return module(framework, "masks").padding_mask(tensor(framework, batch().source_lengths), S)


def split(framework: str) -> Any:
    return module(framework, "multihead").split_heads(normal(framework, B, T, D), N)


def by_pair(framework: str) -> Any:
    return module(framework, "masks").to_attn_mask(padding(framework).expand(B, T, S), N)


PRODUCERS: dict[str, Callable[[str], Any]] = {
    "source tokens": lambda f: batch().source,
    "source lengths": lambda f: batch().source_lengths,
    "tokens the decoder reads": lambda f: batch().target_in,
    "tokens it must say": lambda f: batch().target_out,
    "real target tokens": lambda f: batch().target_mask,
    "encoder states, one way": lambda f: recurrent(f)[1].memory.outputs,
    "annotations, both ways": lambda f: recurrent(f, bidirectional=True)[1].memory.outputs,
    "fixed vector": lambda f: recurrent(f)[1].memory.context,
    "decoder state": lambda f: stepped(f).hidden[0],
    "decoder's embeddings": embedded,
    "attentional state": lambda f: recurrent(f, "luong.LuongSeq2Seq")[1].hidden[-1],
    "logits": lambda f: logits(f, recurrent(f)[0]),
    "projected keys": lambda f: stepped(f).memory.keys,
    "scores, dot": scores("dot_scores"),
    "scores, scaled dot": scores("scaled_dot_scores"),
    "scores, general": scores("general_scores", (8, 8)),
    "scores, additive": scores("additive_scores", (8, 6), (8, 6), (6,)),
    "weights": of_attention("masked_softmax", (B, T, S)),
    "context": of_attention("weighted_sum", (B, T, S), (B, S, 9)),
    "weights of the last step": lambda f: stepped(f).weights,
    "weights of a sentence": aligned,
    "positions": lambda f: sinusoidal_positions(T, D),
    "encoder's output": lambda f: transformer(f)[1].memory.outputs,
    "one head's keys and values": lambda f: transformer(f)[1].memory.layers[0][1],
    "cache": cached,
    "split into heads": split,
    "merged heads": lambda f: module(f, "multihead").merge_heads(split(f)),
    "multi-head output": lambda f: multi_head(f)[0],
    "weights of all heads": lambda f: multi_head(f)[1],
    "encoder's maps": lambda f: maps(f).encoder,
    "decoder's maps": lambda f: maps(f).decoder,
    "cross-attention's maps": lambda f: maps(f).cross,
    "logits of the Transformer": lambda f: logits(f, transformer(f)[0]),
    "padding": padding,
    "causal": lambda f: module(f, "masks").causal_mask(T),
    "for the library, by key": lambda f: module(f, "masks").to_key_padding_mask(padding(f)),
    "for the library, by pair": by_pair,
    "for the library, by value": lambda f: module(f, "masks").to_value_mask(padding(f)),
}
INPUTS = ("query", "key", "value")  # given, not computed: an array of that shape must be accepted


def frameworks_of(row: Row) -> tuple[str, ...]:
    """One framework where the name says which, else all."""
    first = CODE.search(row["code"])[1].partition(".")[0]
    return (first,) if first in FRAMEWORKS else FRAMEWORKS


def check_axes(row: Row, framework: str) -> None:
    """AssertionError, ValueError or TypeError unless the row's axes are those of the array."""
    declared = shape_of(row["axes"])
    if row["name"] in INPUTS:
        shape = tuple(attended(framework, **{row["name"]: declared}).shape)
        assert shape == shape_of("(B,T,d_v)"), f"{row['name']} {declared} gives {shape}"
    else:
        shape = tuple(PRODUCERS[row["name"]](framework).shape)
        assert shape == declared, f"{row['name']}: {row['axes']} = {declared}, {framework} {shape}"


@pytest.mark.parametrize("row", ARRAYS, ids=lambda row: row["name"])
def test_axes_are_those_of_arrays(row):
    for framework in frameworks_of(row):
        check_axes(row, framework)


def test_no_producer_without_a_row():
    assert {*PRODUCERS, *INPUTS} == {row["name"] for row in ARRAYS}


LETTERS = {"B": "T", "S": "T", "T": "S", "D": "H", "H": "D", "2H": "H", "N": "B", "L": "N"}
LETTERS |= {"d_k": "d_v", "d_v": "d_k", "D/N": "D", "1": "T", "B·N": "B"}
LETTERS |= {"embed_size": "D", "vocab_size": "D"}


@pytest.mark.parametrize("row", ARRAYS, ids=lambda row: row["name"])
def test_any_wrong_axis_on_the_page_would_be_noticed(row):
    framework = frameworks_of(row)[0]
    axes = row["axes"].strip("()").split(",")
    wrong = [[*axes[:i], LETTERS[axis], *axes[i + 1 :]] for i, axis in enumerate(axes)]
    # What is given is refused by the code, what is computed has another shape.
    noticed = (AssertionError, ValueError) if row["name"] in INPUTS else AssertionError
    for each in (*wrong, [*axes, "T"]):
        with pytest.raises(noticed):
            check_axes({**row, "axes": f"({','.join(each)})"}, framework)


# What True means in the libraries.


def in_torch(layer: Any, **mask: Any) -> Callable[[Any], Any]:
    layer = layer.eval()
    return lambda x: layer(x, x, x, **mask)[0]


def library_answers() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """A sentence (1,S,D) -> what comes out where True stands on the first key alone."""
    first = np.arange(S) == 0
    by_key, by_pair = torch.tensor(first[None]), torch.tensor(np.tile(first, (S, 1)))
    own = torch.nn.MultiheadAttention(D, N, batch_first=True)
    layer = torch.nn.TransformerEncoderLayer(D, N, 4 * D, 0.0, batch_first=True).train()
    dot, heads = keras.layers.Attention(), keras.layers.MultiHeadAttention(N, D // N)
    nothing = torch.nn.functional.scaled_dot_product_attention
    return {
        "scaled_dot_product_attention": lambda x: nothing(x, x, x, attn_mask=by_pair),
        "key_padding_mask": in_torch(own, key_padding_mask=by_key),
        "(attn_mask": in_torch(own, attn_mask=by_pair),
        "src_key_padding_mask": lambda x: layer(x, src_key_padding_mask=by_key),
        "layers.Attention": lambda x: dot([x, x, x], mask=[None, first[None]]),
        "attention_mask": lambda x: heads(x, x, x, attention_mask=np.tile(first, (1, S, 1))),
    }


def test_true_means_in_the_libraries_what_the_page_says():
    answers = library_answers()
    x = np.random.default_rng(0).standard_normal((1, S, D)).astype(np.float32)
    other = x.copy()
    other[:, 0] += 1
    assert len(answers) == len(LIBRARY)
    for row, (part, answer) in zip(LIBRARY, answers.items()):
        argument = row["library's argument"]
        assert part in argument
        give = torch.tensor if "torch." in argument else np.asarray
        before, after = (
            np.asarray(answer(give(a)).detach() if give is torch.tensor else answer(a))
            for a in (x, other)
        )
        moved = abs(before - after)[:, 1:].max() > 1e-6  # the first is the query that changed
        assert row["True means"] == ("attend" if moved else "ignore"), argument
