"""`LuongSeq2Seq` in Keras, compiled: the same as eager, once for all shapes."""

import numpy as np
import pytest
import tensorflow as tf

from attention_course.corpora.batching import Batch, make_batch
from attention_course.corpora.vocabulary import Vocabulary
from attention_course.keras.luong import LuongSeq2Seq
from attention_course.keras.training import batch_loss, make_train_step

WORDS = Vocabulary.from_sequences(["abcdef"])


def some_batch(seed: int, count: int, longest: int) -> Batch:
    rng = np.random.default_rng(seed)
    first = len(WORDS) - 6
    sides = [
        [
            rng.integers(first, len(WORDS), rng.integers(1, longest + 1)).tolist()
            for _ in range(count)
        ]
        for _ in range(2)
    ]
    return make_batch(*sides, WORDS, WORDS)


def make(input_feeding: bool, **options) -> LuongSeq2Seq:
    sizes = (len(WORDS), len(WORDS), 5, 8)
    return LuongSeq2Seq(*sizes, "gru", True, seed=3, input_feeding=input_feeding, **options)


@pytest.mark.parametrize("input_feeding", [True, False])
def test_compiled_steps_are_those_of_the_open_model(input_feeding):
    """The loss that a compiled step reports is the open model's before it; then it falls."""
    model = make(input_feeding)
    train_step = make_train_step(model, 0.02)
    losses = []
    for seed in range(3):
        batch = some_batch(seed, 4, 6)
        expected = float(batch_loss(model, batch))
        losses.append(train_step(batch))
        assert abs(losses[-1] - expected) < 1e-5
    batch = some_batch(0, 4, 6)
    assert [train_step(batch) for _ in range(30)][-1] < losses[0] - 0.3


@pytest.mark.parametrize("input_feeding", [True, False])
def test_nothing_is_traced_again_for_another_size(input_feeding, monkeypatch):
    traced = []
    encode = LuongSeq2Seq.encode

    def noted(self, *arrays):
        traced.append(1)
        return encode(self, *arrays)

    monkeypatch.setattr(LuongSeq2Seq, "encode", noted)
    model = make(input_feeding)
    train_step = make_train_step(model)
    train_step(some_batch(0, 4, 6))
    once = len(traced)
    for seed, (count, longest) in enumerate([(2, 3), (7, 9), (1, 1), (4, 12)]):
        train_step(some_batch(seed, count, longest))
    assert len(traced) == once
    for count, longest in [(2, 3), (7, 9)]:
        batch = some_batch(9, count, longest)
        state = model.start(batch.source, batch.source_lengths)
        for t in range(batch.target_in.shape[1]):
            log_probs, state = model.step(state, batch.target_in[:, t])
        assert log_probs.shape == (count, len(WORDS)) and np.isfinite(log_probs).all()
    assert len(traced) == once + 1


def test_gradients_of_location_reach_no_place_beyond_the_known():
    """Sentences longer than `places`: the words behind get no weight and no gradient."""
    model = make(True, score="location", places=3)
    batch = some_batch(5, 4, 9)
    weights = model.alignment(batch.source, batch.source_lengths, batch.target_in)
    assert batch.source.shape[1] > 3 and (weights[:, :, 3:] == 0).all()
    with tf.GradientTape() as tape:
        loss = batch_loss(model, batch)
    gradient = tape.gradient(loss, model.attention.score.weight)
    assert np.isfinite(gradient.numpy()).all() and np.abs(gradient.numpy()).max() > 0
