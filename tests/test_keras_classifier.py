"""The classifier: what pads may not change, who gets weight, and that it learns."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from attention_course import pretrained, results
from attention_course.corpora.reviews import LabelledBatch, Review, load_reviews
from attention_course.experiments import sentiment
from attention_course.keras.classifier import (
    POOLINGS,
    Classifier,
    classification_loss,
    make_classifier_step,
    make_judge,
    mean_weights,
)
from attention_course.keras.weights import from_arrays, gradients, to_arrays

PAD, LENGTHS, LABELS = 0, np.array([5, 2, 3]), np.array([1, 0, 1])
WITH_WEIGHTS = ("attention", "mean")


def batch(size: int = 5, pad: int = PAD) -> LabelledBatch:
    """Three texts of 5, 2 and 3 tokens, padded to `size` with `pad`."""
    source = np.full((3, size), pad)
    draws = np.random.default_rng(0).integers(1, 9, (3, 5))
    for row, length in enumerate(LENGTHS):
        source[row, :length] = draws[row, :length]
    return LabelledBatch(source, LENGTHS, LABELS)


def build(pooling: str, seed: int = 0) -> Classifier:
    return Classifier(9, 4, 3, pooling, seed, dtype="float64")


def loss_of(model: Classifier, texts: LabelledBatch) -> tf.Tensor:
    return classification_loss(model, *(tf.constant(array) for array in texts))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_changes_neither_logits_nor_gradients(pooling):
    model = build(pooling)
    narrow, wide = batch(5), batch(9, pad=7)  # 7 is a real word: only the lengths tell
    np.testing.assert_allclose(model(*narrow[:2]), model(*wide[:2]), atol=1e-12)
    found = [gradients(model, lambda b=b: loss_of(model, b)) for b in (narrow, wide)]
    for name, gradient in found[0].items():
        np.testing.assert_allclose(gradient, found[1][name], atol=1e-12, err_msg=name)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_text_is_judged_the_same_alone_and_in_company(pooling):
    model, texts = build(pooling), batch(9)
    together = model(*texts[:2]).numpy()
    for row, length in enumerate(LENGTHS):
        alone = model(texts.source[row : row + 1, :length], LENGTHS[row : row + 1])
        np.testing.assert_allclose(alone, together[row : row + 1], atol=1e-12)


@pytest.mark.parametrize("pooling", WITH_WEIGHTS)
def test_weights_sum_to_one_over_real_tokens_and_are_exactly_zero_on_padding(pooling):
    weights = build(pooling).read(*batch(9)[:2]).weights.numpy()
    real = np.arange(9) < LENGTHS[:, None]
    assert weights.shape == (3, 9)
    assert (weights[~real] == 0).all() and (weights[real] > 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("pooling", WITH_WEIGHTS)
def test_the_context_is_the_weighted_average_of_the_states_and_judged(pooling):
    model = build(pooling)
    states, context, weights = model.read(*batch(9)[:2])
    assert states.shape == (3, 9, 6) and context.shape == (3, 6)
    np.testing.assert_allclose(np.einsum("bs,bsd->bd", weights, states), context, atol=1e-12)
    arrays = to_arrays(model)
    expected = context.numpy() @ arrays["readout.weight"][:, 0] + arrays["readout.bias"]
    np.testing.assert_allclose(model(*batch(9)[:2]), expected, atol=1e-12)
    np.testing.assert_allclose(model.judge(context), expected, atol=1e-12)


def test_the_mean_is_over_real_tokens_not_over_places():
    states, context, weights = build("mean").read(*batch(9)[:2])
    for row, length in enumerate(LENGTHS):
        np.testing.assert_allclose(context[row], states.numpy()[row, :length].mean(axis=0))
        np.testing.assert_allclose(weights[row, :length], 1 / length)


def test_last_takes_the_final_state_of_each_direction():
    states, context, weights = build("last").read(*batch(9)[:2])
    assert weights is None
    for row, length in enumerate(LENGTHS):
        forward, backward = states.numpy()[row, length - 1, :3], states.numpy()[row, 0, 3:]
        np.testing.assert_allclose(context[row], np.concatenate([forward, backward]))


def test_attention_is_the_pooling_layer_over_the_states():
    model = build("attention")
    states, _, weights = model.read(*batch(7)[:2])
    arrays = to_arrays(model)
    agreement = np.tanh(states @ arrays["attention.key_weight"] + arrays["attention.bias"])
    powers = np.exp(agreement @ arrays["attention.vector"]) * (np.arange(7) < LENGTHS[:, None])
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(weights, expected, atol=1e-12)
    assert np.ptp(expected[0, :5]) > 1e-3, "the weights should not all be equal"


def test_an_empty_row_has_no_weights_and_no_nan():
    mask = tf.constant([[[True, True, False]], [[False] * 3]])
    np.testing.assert_array_equal(
        mean_weights(mask, "float32"), [[[0.5, 0.5, 0.0]], [[0.0, 0.0, 0.0]]]
    )


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_gradient_reaches_every_parameter_and_is_right(pooling):
    model = build(pooling)
    found = gradients(model, lambda: loss_of(model, batch()))
    assert found.keys() == to_arrays(model).keys()
    for name, gradient in found.items():
        assert np.abs(gradient).max() > 1e-6, name
    for name in ("encoder.embedding.weight", "encoder.rnn.backward.w_h", "readout.weight"):
        place = np.unravel_index(np.abs(found[name]).argmax(), found[name].shape)
        losses = [moved_loss(pooling, to_arrays(model), name, place, by) for by in (1e-5, -1e-5)]
        numeric = (losses[0] - losses[1]) / 2e-5
        assert numeric == pytest.approx(found[name][place], rel=1e-5)


def moved_loss(pooling, arrays, name, place, by) -> float:
    arrays[name][place] += by
    model = build(pooling)
    from_arrays(model, arrays)
    arrays[name][place] -= by
    return float(loss_of(model, batch()))


def test_the_loss_is_the_mean_cross_entropy_of_the_labels():
    model = build("mean")
    p = 1 / (1 + np.exp(-model(*batch()[:2]).numpy()))
    expected = -(math.log(p[0]) + math.log(1 - p[1]) + math.log(p[2])) / 3
    assert float(loss_of(model, batch())) == pytest.approx(expected)


def test_names_sizes_and_initial_weights_that_do_not_depend_on_the_pooling():
    arrays = {pooling: to_arrays(build(pooling, seed=5)) for pooling in POOLINGS}
    shared = {"encoder.embedding.weight", "readout.weight", "readout.bias"}
    shared |= {f"encoder.rnn.{way}.{w}" for way in ("forward", "backward") for w in _LSTM}
    own = {"attention.key_weight", "attention.bias", "attention.vector"}
    assert arrays["mean"].keys() == arrays["last"].keys() == shared
    assert arrays["attention"].keys() == shared | own
    assert arrays["attention"]["attention.key_weight"].shape == (6, 3)
    for name in shared:
        np.testing.assert_array_equal(arrays["mean"][name], arrays["attention"][name])
        np.testing.assert_array_equal(arrays["mean"][name], arrays["last"][name])
    other = to_arrays(build("mean", seed=6))
    assert all((other[name] != arrays["mean"][name]).any() for name in shared)


_LSTM = ("w_x", "w_h", "b")


def test_weights_go_out_and_in():
    one, other = build("attention", 0), build("attention", 1)
    assert not np.allclose(one(*batch()[:2]), other(*batch()[:2]))
    from_arrays(other, to_arrays(one))
    np.testing.assert_array_equal(one(*batch()[:2]), other(*batch()[:2]))


@pytest.mark.slow
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_few_steps_learn_which_word_is_there(pooling):
    rng = np.random.default_rng(0)
    source, lengths = rng.integers(2, 9, (32, 6)), rng.integers(2, 7, 32)
    labels = rng.integers(0, 2, 32)
    places = (rng.random(32) * lengths).astype(int)
    source[np.arange(32), places] = labels  # words 0 and 1 decide, 2 to 8 do not
    source[np.arange(6) >= lengths[:, None]] = 1  # and padding looks like a word that does
    texts = LabelledBatch(source, lengths, labels)
    model = Classifier(9, 8, 8, pooling, 0)
    train_step, judge = make_classifier_step(model, 0.03), make_judge(model)
    losses = [train_step(texts) for _ in range(40)]
    assert losses[-1] < 0.1 < 0.5 < losses[0]
    assert ((judge(texts) > 0) == labels).all()


def test_step_and_judge_are_compiled_once_and_see_the_weights_of_now(monkeypatch):
    model, traces = build("attention"), []
    traced = model.read
    monkeypatch.setattr(model, "read", lambda *a: traces.append(1) or traced(*a))
    train_step, judge = make_classifier_step(model, 0.1), make_judge(model)
    before = judge(batch())
    for size in (5, 8, 6):
        train_step(batch(size))
    after = judge(batch(12))
    assert len(traces) == 2
    np.testing.assert_allclose(after, model(*batch()[:2]), atol=1e-12)
    assert (np.abs(after - before) > 1e-3).all()


def test_refuses_impossible_arguments():
    with pytest.raises(ValueError, match=r"pooling must be one of .*'mean'.* got 'max'"):
        Classifier(9, 4, 3, "max")
    with pytest.raises(ValueError, match="max_norm must be positive, got 0"):
        make_classifier_step(build("mean"), max_norm=0)
    wrong = batch()._replace(source_lengths=np.array([5, 0, 3]))
    for function in (make_classifier_step(build("mean")), make_judge(build("mean"))):
        with pytest.raises(ValueError, match=r"lengths must lie in 1\.\.5, got 0\.\.5"):
            function(wrong)


def test_it_is_a_keras_model_in_float32_by_default():
    model = Classifier(9, 4, 3)
    assert isinstance(model, keras.Model) and model.pooling == "attention"
    assert model(*batch()[:2]).dtype == tf.float32 and model(*batch()[:2]).shape == (3,)


# The recorded runs.


def test_accuracy_counts_the_right_side_and_logits_keep_the_order_of_the_reviews():
    reviews = load_reviews().test[:7]
    labels = np.array([review.label for review in reviews])
    assert sentiment.accuracy(2.0 * labels - 1, reviews) == 1
    assert sentiment.accuracy(1 - 2.0 * labels, reviews) == 0
    assert sentiment.accuracy(np.ones(7), reviews) == pytest.approx(labels.mean())
    vocabulary = sentiment.review_vocabulary()
    model = Classifier(len(vocabulary), 4, 3)
    logits = sentiment.make_logits(model, vocabulary, at_once=3)
    alone = [logits([review])[0] for review in reviews]
    np.testing.assert_allclose(logits(reviews), alone, atol=1e-6)
    assert np.ptp(alone) > 1e-3


def test_accuracy_by_length_counts_every_review_once():
    reviews, edges = load_reviews().test, (8, 25, 26, 43, 44, 60)
    lengths = np.array([len(review.tokens) for review in reviews])
    wrong = np.isin(lengths, edges)  # those that a range might lose to its neighbour
    labels = np.array([review.label for review in reviews])
    found = sentiment.by_length((2 * labels - 1) * np.where(wrong, -1.0, 1.0), reviews)
    for name, part in zip(found, (lengths <= 25, abs(lengths - 34.5) < 9, lengths >= 44)):
        assert found[name] == round(1 - wrong[part].mean(), 4) < 1
    assert set(edges) <= set(lengths) and list(found) == ["8-25", "26-43", "44-60"]


def test_weights_are_added_up_by_the_part_that_a_word_plays():
    tokens = ("so", ".", "it", "was", "not", "very", "good", ".", "then")
    weights = np.array([1, 2, 4, 8, 16, 32, 64, 128, 0.0])
    negated = sentiment.by_role(weights, Review(tokens, 0, 6, 4, 2, 7))
    assert negated == {
        "before": 12.0,
        "negator": 16.0,
        "between": 32.0,
        "adjective": 64.0,
        "full stop": 128.0,
        "elsewhere": 3.0,
    }
    plain = sentiment.by_role(weights, Review(tokens, 1, 6, None, 2, 7))
    assert plain == negated | {"before": 60.0, "negator": 0.0, "between": 0.0}


def test_looks_averages_over_negated_and_plain_reviews():
    vocabulary, reviews = sentiment.review_vocabulary(), load_reviews().test[:12]
    found = sentiment.looks(Classifier(len(vocabulary), 4, 3), reviews, vocabulary)
    assert found.keys() == {"negated", "plain"}
    for kind in found.values():
        assert sum(kind.values()) == pytest.approx(1, abs=1e-3)
    assert found["plain"]["negator"] == 0 < found["negated"]["negator"]


def test_the_shipped_classifier_is_as_right_as_recorded():
    shipped = pretrained.load("sentiment")
    model = Classifier(**shipped.sizes)
    from_arrays(model, shipped.weights)
    assert shipped.vocabularies["source"] == sentiment.review_vocabulary()
    (run,) = results.load("sentiment", **sentiment.SHIPPED)
    reviews = load_reviews().test[:200]
    found = sentiment.scores(sentiment.make_logits(model, shipped.vocabularies["source"]), reviews)
    assert abs(found - run.metrics["test_200_shipped"]) <= 0.01
    assert found > 0.98
