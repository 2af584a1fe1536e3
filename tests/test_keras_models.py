"""What is particular to the Keras side; that it says what the others say is in `test_parity.py`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from attention_course.corpora.batching import Batch
from attention_course.decoding import greedy
from attention_course.keras.attention import (
    AdditiveScore,
    Attention,
    AttentionPooling,
    GeneralScore,
)
from attention_course.keras.bahdanau import BahdanauSeq2Seq
from attention_course.keras.losses import masked_cross_entropy
from attention_course.keras.recurrent import GRU, LSTM, Bidirectional
from attention_course.keras.seq2seq import AttentionSeq2Seq, Seq2Seq
from attention_course.keras.training import make_train_step
from attention_course.keras.weights import from_arrays, to_arrays
from attention_course.schedules import linear_schedule, linear_truth
from attention_course.scratch.attention import Attention as ScratchAttention

MASK = np.array([[True, True, False], [True, False, False]])


def copy_batch(rows: int, size: int, seed: int = 0) -> Batch:
    """Copy `size` symbols 2…7; 0 is sos, 1 is eos."""
    source = np.random.default_rng(seed).integers(2, 8, (rows, size))
    sos, eos = np.full((rows, 1), 0), np.full((rows, 1), 1)
    target_in, target_out = np.hstack([sos, source]), np.hstack([source, eos])
    lengths = np.full(rows, size)
    return Batch(source, lengths, target_in, target_out, lengths + 1)


# Loss.


def test_loss_is_the_mean_over_real_tokens_not_over_sentences():
    logits, targets = np.zeros((2, 3, 2)), np.zeros((2, 3), dtype=int)
    logits[0, :2, 1] = np.log(3)  # p(target) = 1/4 at the two tokens of the first sentence
    loss = float(masked_cross_entropy(logits, targets, MASK))
    assert loss == pytest.approx((2 * np.log(4) + np.log(2)) / 3)
    assert loss != pytest.approx((np.log(4) + np.log(2)) / 2)


def test_whatever_stands_at_padding_reaches_neither_loss_nor_gradient():
    logits, targets = np.ones((2, 3, 4)), np.where(MASK, 2, 99)
    logits[~MASK] = np.nan
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = masked_cross_entropy(logits, targets, MASK)
    assert float(loss) == pytest.approx(np.log(4))
    gradient = tape.gradient(loss, logits).numpy()
    assert (gradient[~MASK] == 0).all() and (gradient[MASK] != 0).all()


@pytest.mark.parametrize(
    ("logits", "targets", "mask", "error"),
    [
        (np.zeros((2, 3, 4)), np.zeros((2, 2), int), MASK, ValueError),
        (np.zeros((2, 3)), np.zeros((2, 3), int), MASK, ValueError),
        (np.zeros((2, 3, 4)), np.zeros((2, 3), int), MASK.astype(int), TypeError),
        (np.zeros((2, 3, 4)), np.zeros((2, 3), int), np.zeros((2, 3), bool), ValueError),
    ],
    ids=["targets (B,T-1)", "logits (B,T)", "int mask", "empty mask"],
)
def test_loss_refuses(logits, targets, mask, error):
    with pytest.raises(error, match="mask"):
        masked_cross_entropy(logits, targets, mask)


# Attention. Its properties, in half precision and compiled too, are in `contract/`.


def lookup(dtype: str) -> list[np.ndarray]:
    """query (2,3,4), key (2,5,4), value (2,5,6)."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(dtype) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 6))]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("kind", [np.array, tf.constant], ids=["NumPy", "TensorFlow"])
def test_attention_casts_nothing_that_goes_in_or_out(dtype, kind):
    """Keras by itself would turn all of it into float32."""
    context, weights = Attention()(*map(kind, lookup(dtype)), kind(np.ones((3, 5), bool)))
    assert context.dtype == weights.dtype == dtype
    expected, _ = ScratchAttention().forward(*lookup("float64"))
    precision = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(tf.cast(context, "float64"), expected, atol=20 * precision)


def test_a_general_score_refuses_inputs_of_another_dtype():
    query, key, _ = lookup("float64")
    assert GeneralScore(4, 4, dtype="float64")(query, key).dtype == "float64"
    with pytest.raises(TypeError, match="weight must have the dtype of query, float64, got float"):
        GeneralScore(4, 4)(query, key)


def test_additive_layers_refuse_inputs_of_another_dtype():
    query, key, _ = lookup("float64")
    sizes = (4, 4, 3)
    assert AdditiveScore(*sizes, dtype="float64")(query, key).dtype == "float64"
    single = AdditiveScore(*sizes)
    for call in (single, lambda query, key: single.compare(query, single.project(key))):
        with pytest.raises(TypeError, match=r"must have the dtype of .*, float64, got float32"):
            call(query, key)
    with pytest.raises(TypeError, match="key_weight must have the dtype of value, float64"):
        AttentionPooling(4, 3)(key)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_an_additive_score_that_projects_the_keys_once_gives_the_same(dtype):
    score = AdditiveScore(4, 4, 5, dtype=dtype)
    query, key, _ = lookup(score.compute_dtype)
    scores = score(query, key)
    np.testing.assert_array_equal(score.compare(query, score.project(key)), scores)
    assert scores.shape == (2, 3, 5) and scores.dtype == score.compute_dtype
    assert score.vector.dtype == "float32"


def test_a_weight_s_gradient_is_one_product_for_all_rows():
    """`tf.matmul` of (B,T,in) and (in,out) makes its gradient (B,in,out) first, then adds it up."""
    score, pooling = AdditiveScore(6, 8, 7), AttentionPooling(8, 7)
    query, key = tf.ones((3, 4, 6)), tf.ones((3, 5, 8))

    @tf.function
    def gradients() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(score(query, key)) + tf.reduce_sum(pooling(key)[0])
        variables = [v.value for v in (*score.variables, *pooling.variables)]
        return tape.gradient(total, variables)

    graph = gradients.get_concrete_function().graph
    made = {tuple(output.shape) for op in graph.get_operations() for output in op.outputs}
    assert (8, 7) in made and not made & {(3, 6, 7), (3, 8, 7)}


def test_a_general_score_in_mixed_precision_learns_in_float32_and_counts_in_float16():
    model = AttentionSeq2Seq(8, 8, 3, 4, dtype="mixed_float16", score="general")
    score, batch = model.attention.score, copy_batch(2, 4)
    with tf.GradientTape() as tape:
        logits = model(batch.source, batch.source_lengths, batch.target_in)
    gradient = tape.gradient(logits, score.weight.value)
    assert logits.dtype == "float16" and score.weight.dtype == gradient.dtype == "float32"
    query, key, _ = lookup("float16")
    assert score(query, key).dtype == "float16"


@pytest.mark.filterwarnings("ignore:Layer .* does not support masking")
def test_attention_uses_the_mask_that_it_is_given_and_no_other():
    """`mask_zero` hangs a mask on its output, which Keras hands to arguments called `mask`."""
    embed = keras.layers.Embedding(9, 4, mask_zero=True)
    states = embed(np.array([[3, 1, 0], [2, 0, 0]]))
    _, weights = Attention()(states, states, states)
    assert (weights.numpy() > 0).all()
    mask = np.array([[[True, False, True]], [[False, True, True]]])
    _, weights = Attention()(states, states, states, mask)
    np.testing.assert_array_equal(weights.numpy() > 0, np.broadcast_to(mask, (2, 3, 3)))


def test_attention_is_a_layer_of_a_functional_model():
    arrays, mask = lookup("float32"), np.ones((2, 3, 5), bool)
    mask[:, :, 2] = False
    inputs = [keras.Input((None, array.shape[-1])) for array in arrays]
    inputs.append(keras.Input((None, None), dtype="bool"))
    attention = Attention(GeneralScore(4, 4))
    model = keras.Model(inputs, attention(*inputs))
    assert [variable.path for variable in model.trainable_variables] == [
        attention.score.weight.path
    ]
    for one, other in zip(model([*arrays, mask]), attention(*arrays, mask), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


# Layers.


@pytest.mark.parametrize("state", [(np.zeros((2, 4)),), (np.zeros((2, 4)),) * 3])
def test_lstm_refuses_a_state_without_exactly_two_parts(state):
    with pytest.raises(ValueError, match=f"state must have 2 .* got {len(state)}"):
        LSTM(3, 4)(np.zeros((2, 5, 3)), None, state)


def test_layers_are_ordinary_keras_layers_with_the_right_number_of_weights():
    assert GRU(3, 4).count_params() == 3 * 12 + 4 * 12 + 2 * 12
    assert LSTM(5, 4).count_params() == 160  # Keras has one bias, torch two: 176
    layer = Bidirectional(GRU, 3, 4)
    assert layer.count_params() == 2 * GRU(3, 4).count_params()
    outputs, state = keras.Sequential([keras.layers.Identity(), layer])(np.zeros((2, 5, 3)))
    assert outputs.shape == (2, 5, 8) and [part.shape for part in state] == [(2, 8)]


# Training and decoding.


def test_float32_is_the_default_and_close_to_float64():
    sizes = (8, 8, 3, 4, "lstm", True)
    single, double = Seq2Seq(*sizes), Seq2Seq(*sizes, dtype="float64")
    from_arrays(double, to_arrays(single))
    batch = copy_batch(2, 4)
    arrays = (batch.source, batch.source_lengths, batch.target_in)
    logits = single(*arrays)
    assert logits.dtype == tf.float32
    np.testing.assert_allclose(logits, double(*arrays), atol=1e-5)


@pytest.mark.slow
def test_a_batch_is_learned_by_heart_and_decoded_and_compiled_at_most_twice(monkeypatch):
    model = AttentionSeq2Seq(8, 8, 8, 32, "gru")
    traces = []
    traced = model.decode
    monkeypatch.setattr(model, "decode", lambda *a: traces.append(1) or traced(*a))
    batches = [copy_batch(rows, size, rows) for rows, size in ((6, 3), (4, 2), (5, 4))]
    train_step = make_train_step(model, linear_schedule(0.01, steps=300, warmup=20))
    losses = [train_step(batch) for _ in range(100) for batch in batches]
    assert losses[-1] < 0.1 < 1.5 < losses[0]
    assert len(traces) <= 2, "another shape or learning rate compiles the training step anew"
    for batch in batches:
        state = model.start(batch.source, batch.source_lengths)
        said = greedy(model.step, state, len(batch.source), sos=0, eos=1, max_length=6)
        assert said == batch.source.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("truth", [None, linear_truth(1, 0.05)], ids=["told", "own words"])
def test_bahdanau_learns_by_heart_and_is_compiled_once_for_all_shapes(monkeypatch, truth):
    """Rows, source and target lengths change one after the other, and none compiles it anew."""
    model = BahdanauSeq2Seq(8, 8, 8, 32)
    traces, traced = [], model.decode
    monkeypatch.setattr(model, "decode", lambda *a: traces.append(1) or traced(*a))
    shapes = [(6, 3), (5, 3), (5, 4), (4, 4), (4, 2)]
    batches = [copy_batch(rows, size, rows) for rows, size in shapes]
    train_step = make_train_step(model, 0.01, truth=truth)
    losses = [train_step(batch) for _ in range(80) for batch in batches]
    assert losses[-1] < 0.1 < 1.5 < losses[0]
    assert len(traces) == 1, f"the training step was compiled {len(traces)} times"
    for batch in batches:
        state = model.start(batch.source, batch.source_lengths)
        said = greedy(model.step, state, len(batch.source), sos=0, eos=1, max_length=6)
        assert said == batch.source.tolist()
    assert len(traces) == 2, "decoding was compiled more than once"


def count_loops_and_products(function: tf.types.experimental.ConcreteFunction) -> tuple[int, int]:
    """While-loops, and products anywhere in them and around them."""
    definition = function.graph.as_graph_def()
    nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
    kinds = [node.op for node in nodes]
    return sum(kind.endswith("While") for kind in kinds), kinds.count("MatMul")


def test_the_loop_is_compiled_not_unrolled_and_truth_costs_nothing_where_it_is_not_asked_for():
    model = BahdanauSeq2Seq(8, 8, 3, 4, bidirectional=False)
    memory, state = model.encode(*map(tf.constant, ([[1, 2], [3, 4]], [2, 2])))

    def compiled(size: int, *truth: tf.Tensor) -> tf.types.experimental.ConcreteFunction:
        function = tf.function(lambda ids, *truth: model.decode(ids, memory, state, *truth)[0])
        return function.get_concrete_function(tf.zeros((2, size), tf.int32), *truth)

    short, long = (count_loops_and_products(compiled(size)) for size in (2, 9))
    # Context and state into the GRU, the query, v; the readout's is the fifth, outside the loop.
    assert short == long == (1, 5)
    assert count_loops_and_products(compiled(2, tf.ones((2, 2), tf.bool))) == (1, 6)


def test_train_step_refuses_impossible_arguments():
    model = Seq2Seq(8, 8, 3, 4)
    with pytest.raises(ValueError, match="max_norm must be positive, got 0"):
        make_train_step(model, max_norm=0)
    batch = copy_batch(2, 3)
    with pytest.raises(ValueError, match=r"lengths must lie in 1\.\.3, got 0\.\.3"):
        make_train_step(model)(batch._replace(source_lengths=np.array([0, 3])))
