"""The eight decoders of `which_difference` differ in what they say, and in nothing else."""

import numpy as np
import pytest
import torch

from attention_course.experiments import which_difference
from attention_course.experiments.translating import count_parameters
from attention_course.experiments.which_difference import DECODERS, EarlyLuong, build
from attention_course.pytorch.luong import LuongSeq2Seq

SOURCE, LENGTHS = np.array([[3, 5, 4, 6], [4, 3, 0, 0]]), np.array([4, 2])
ASKS = ("before", "after")
TARGET = np.array([[1, 4, 5, 3, 6], [1, 6, 3, 5, 4]])


class Sizes:
    """Vocabularies of which only the size is asked."""

    source_vocab, target_vocab = range(508), range(636)


def settings_of(decoder: tuple, hidden_size: int | None = None) -> dict:
    asks, score, fed = decoder
    found = next(
        s
        for s in which_difference.settings()
        if (s["asks"], s["score"], s["fed"]) == decoder and s["seed"] == 0
    )
    assert (asks, score, fed) in DECODERS
    if hidden_size:
        found = found | {"fixed": found["fixed"] | {"hidden_size": hidden_size}}
    return found


def small(decoder: tuple) -> LuongSeq2Seq:
    return build(settings_of(decoder, hidden_size=8), Sizes).double()


def test_all_eight_have_about_equally_many_parameters() -> None:
    counts = [count_parameters(build(settings_of(decoder), Sizes)) for decoder in DECODERS]
    assert len(set(DECODERS)) == 8
    assert max(counts) / min(counts) < 1.02


@pytest.mark.parametrize("decoder", DECODERS, ids=str)
def test_the_state_that_asks_is_the_one_it_says(decoder: tuple) -> None:
    """Another word at step 2 moves that step's weights where the state after it asks."""
    model, changed = small(decoder), TARGET.copy()
    changed[:, 2] = 7
    one, other = (model.alignment(SOURCE, LENGTHS, words) for words in (TARGET, changed))
    moved = np.abs(one - other).max(axis=(0, 2)) > 1e-12
    assert moved.tolist() == [False, False, decoder[0] == "after", True, True]
    assert isinstance(model, EarlyLuong) == (decoder[0] == "before")


@pytest.mark.parametrize("decoder", DECODERS, ids=str)
def test_a_look_reaches_later_states_only_where_it_is_fed(decoder: tuple) -> None:
    model = small(decoder)
    start, states = model.start(SOURCE, LENGTHS), []
    for memory in (start.memory, model.start(SOURCE[:, ::-1].copy(), LENGTHS + [0, 2]).memory):
        _, state = model.step(start._replace(memory=memory), TARGET[:, 0])
        _, state = model.step(state._replace(memory=start.memory), TARGET[:, 1])
        states.append(state.hidden[0])
    assert torch.equal(*states) != decoder[2]


@pytest.mark.parametrize("decoder", DECODERS, ids=str)
def test_one_step_at_a_time_is_teacher_forcing(decoder: tuple) -> None:
    model = small(decoder)
    logits = model(*map(torch.tensor, (SOURCE, LENGTHS, TARGET)))
    expected, state = logits.log_softmax(dim=-1).detach().numpy(), model.start(SOURCE, LENGTHS)
    for t in range(TARGET.shape[1]):
        log_probs, state = model.step(state, TARGET[:, t])
        assert np.abs(log_probs - expected[:, t]).max() < 1e-12


def test_early_and_fed_with_an_additive_score_is_bahdanaus_step() -> None:
    """The same weights make the states and weights of `BahdanauSeq2Seq`; the readouts differ."""
    from attention_course.pytorch.bahdanau import BahdanauSeq2Seq
    from attention_course.pytorch.weights import from_arrays, to_arrays

    mine = small(("before", "additive", True))
    theirs = BahdanauSeq2Seq(508, 636, 64, 8).double()
    shared = to_arrays(mine)
    kept = {n: x for n, x in to_arrays(theirs).items() if n.startswith("decoder.readout")}
    from_arrays(theirs, {n: x for n, x in shared.items() if n in to_arrays(theirs)} | kept)
    for model in (mine, theirs):
        model.seen = model.alignment(SOURCE, LENGTHS, TARGET)
    assert np.abs(mine.seen - theirs.seen).max() < 1e-12


def test_an_effect_is_the_mean_of_differences_in_one_choice_alone() -> None:
    found = which_difference.effect("exact", "fed", score="additive")
    first, second = (
        np.mean(
            [which_difference.measured("exact", asks=a, score="additive", fed=fed) for a in ASKS],
            axis=0,
        )
        for fed in (False, True)
    )
    assert found.shape == (3, 3) and np.allclose(found, second - first)
    other_way = which_difference.effect("exact", "score", fed=False, asks="after")
    one = which_difference.measured("exact", asks="after", score="general", fed=False)
    other = which_difference.measured("exact", asks="after", score="additive", fed=False)
    assert np.allclose(other_way, other - one) and (other_way > 0).all()
