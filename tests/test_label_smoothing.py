"""Label smoothing in three frameworks, and mistakes that must be caught. The loss without it is
tested where each framework is.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import torch
import torch.nn.functional as F

import attention_course.keras.losses as keras_losses
import attention_course.pytorch.losses as torch_losses
import attention_course.scratch.losses as scratch_losses
from attention_course.scratch.functional import log_softmax

FRAMEWORKS = ("scratch", "pytorch", "keras")
EXACT = 1e-12
B, T, V, EPSILON = 3, 4, 5, 0.3
MASK = np.arange(T) < np.array([[2], [4], [1]])


def case() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return 2 * rng.standard_normal((B, T, V)), rng.integers(0, V, (B, T)), MASK


def loss_and_gradient(
    framework: str, logits: np.ndarray, targets: np.ndarray, mask: np.ndarray, *smoothing: float
) -> tuple[float, np.ndarray]:
    if framework == "scratch":
        return scratch_losses.masked_cross_entropy(logits, targets, mask, *smoothing)
    if framework == "pytorch":
        leaf = torch.tensor(logits, requires_grad=True)
        rest = (torch.tensor(targets), torch.tensor(mask))
        loss = torch_losses.masked_cross_entropy(leaf, *rest, *smoothing)
        loss.backward()
        return loss.item(), leaf.grad.numpy()
    leaf = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(leaf)
        loss = keras_losses.masked_cross_entropy(leaf, targets, mask, *smoothing)
    return float(loss), tf.convert_to_tensor(tape.gradient(loss, leaf)).numpy()


# Checks, by name; mutants below must fail one.


def the_target_is_spread_by_hand(framework: str) -> None:
    """p = 1/7, 2/7, 4/7; of the target, the third, 0.3 are spread: 0.1, 0.1, 0.8."""
    logits, targets = np.log([[[1.0, 2, 4]]]), np.array([[2]])
    loss, gradient = loss_and_gradient(framework, logits, targets, np.array([[True]]), 0.3)
    message = "ε is spread evenly over all V, the target included"
    expected = np.log(7) - 0.1 * np.log(2) - 0.8 * np.log(4)
    assert abs(loss - expected) < EXACT, f"{message}: {loss}, expected {expected}"
    expected = np.array([1 / 7 - 0.1, 2 / 7 - 0.1, 4 / 7 - 0.8])
    assert np.allclose(gradient[0, 0], expected, rtol=0, atol=EXACT), f"gradient: {message}"


def equals_the_mean_over_real_tokens(framework: str) -> None:
    logits, targets, mask = case()
    loss, gradient = loss_and_gradient(framework, logits, targets, mask, EPSILON)
    aim = (1 - EPSILON) * np.eye(V)[targets] + EPSILON / V
    each = -(aim * log_softmax(logits)).sum(axis=-1)
    message = "not the mean over real tokens: pads counted, or sentences?"
    assert abs(loss - each[mask].mean()) < EXACT, message
    expected = (np.exp(log_softmax(logits)) - aim) / mask.sum() * mask[..., None]
    assert np.allclose(gradient, expected, rtol=0, atol=EXACT), f"gradient: {message}"


def padding_changes_nothing(framework: str) -> None:
    logits, targets, mask = case()
    loss, gradient = loss_and_gradient(framework, logits, targets, mask, EPSILON)
    longer = [np.concatenate([array, array[:, :2]], axis=1) for array in (logits, targets)]
    longer[0][:, T:] *= 100
    padded = np.pad(mask, ((0, 0), (0, 2)))
    again, longer_gradient = loss_and_gradient(framework, *longer, padded, EPSILON)
    message = "what stands at the padding counts"
    assert abs(again - loss) < EXACT, message
    assert np.allclose(longer_gradient[:, :T], gradient, rtol=0, atol=EXACT), message
    assert (longer_gradient[~padded] == 0).all(), message


def none_is_as_before(framework: str) -> None:
    """0 is the default, and the plain cross-entropy."""
    plain, zero = (loss_and_gradient(framework, *case(), *more) for more in ((), (0.0,)))
    logits, targets, mask = case()
    said = np.take_along_axis(log_softmax(logits), targets[..., None], axis=-1)[..., 0]
    assert abs(plain[0] + said[mask].mean()) < EXACT, "the default is not 0"
    assert plain[0] == zero[0] and (plain[1] == zero[1]).all(), "0 is not the plain loss"


CHECKS = {
    check.__name__: check
    for check in (
        the_target_is_spread_by_hand,
        equals_the_mean_over_real_tokens,
        padding_changes_nothing,
        none_is_as_before,
    )
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", CHECKS)
def test_property(name: str, framework: str) -> None:
    CHECKS[name](framework)


def test_three_frameworks_agree() -> None:
    found = [loss_and_gradient(framework, *case(), 0.1) for framework in FRAMEWORKS]
    for loss, gradient in found[1:]:
        assert abs(loss - found[0][0]) < EXACT
        assert np.allclose(gradient, found[0][1], rtol=0, atol=EXACT)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_it_equals_pytorch_s_own(framework: str) -> None:
    logits, targets, mask = case()
    leaf = torch.tensor(logits, requires_grad=True)
    ignored = torch.tensor(np.where(mask, targets, -1))
    own = F.cross_entropy(leaf.mT, ignored, ignore_index=-1, label_smoothing=EPSILON)
    own.backward()
    loss, gradient = loss_and_gradient(framework, logits, targets, mask, EPSILON)
    assert abs(loss - own.item()) < EXACT
    assert np.allclose(gradient, leaf.grad.numpy(), rtol=0, atol=EXACT)


def test_the_gradient_is_the_slope() -> None:
    logits, targets, mask = case()
    _, gradient = scratch_losses.masked_cross_entropy(logits, targets, mask, EPSILON)
    for place in ((0, 0, 0), (1, 3, 2), (1, 0, int(targets[1, 0])), (2, 0, 4), (2, 3, 1)):
        ends = []
        for step in (1e-6, -1e-6):
            moved = logits.copy()
            moved[place] += step
            ends.append(loss_and_gradient("scratch", moved, targets, mask, EPSILON)[0])
        assert abs((ends[0] - ends[1]) / 2e-6 - gradient[place]) < 1e-8


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_being_certain_costs_more_than_being_as_sure_as_the_target(framework: str) -> None:
    """The least loss is the entropy of the spread target, where the gradient is 0."""
    targets, mask = case()[1:]
    aim = (1 - EPSILON) * np.eye(V)[targets] + EPSILON / V
    loss, gradient = loss_and_gradient(framework, np.log(aim), targets, mask, EPSILON)
    assert abs(loss + (aim[0, 0] * np.log(aim[0, 0])).sum()) < EXACT
    assert np.abs(gradient).max() < EXACT
    surer = loss_and_gradient(framework, 2 * np.log(aim), targets, mask, EPSILON)[0]
    assert surer > loss + 0.05


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("smoothing", [-0.1, 1.0, 1.5, float("nan")])
def test_out_of_range_is_refused(framework: str, smoothing: float) -> None:
    with pytest.raises(ValueError, match=rf"smoothing must lie in 0\.\.1, .*got {smoothing}"):
        loss_and_gradient(framework, *case(), smoothing)


# Mistakes.


class Mutant(NamedTuple):
    """`wrong` for the loss of `framework`: the check `caught_by` then fails."""

    framework: str
    wrong: Callable[..., Any]
    caught_by: Callable[[str], None]


def _pads_counted(logits, targets, mask, smoothing=0.0):
    """F.cross_entropy without ignore_index, averaged over all places."""
    each = F.cross_entropy(logits.mT, targets, reduction="none", label_smoothing=smoothing)
    return (each * mask).mean()


def _pads_smoothed(logits, targets, mask, smoothing=0.0):
    """Their target is ignored, what was spread is not."""
    rows = logits.log_softmax(-1)
    chosen = rows.gather(-1, targets[..., None])[..., 0] * mask
    return -((1 - smoothing) * chosen + smoothing * rows.mean(-1)).sum() / mask.sum()


def _over_the_others(logits, targets, mask, smoothing=0.0):
    """ε/(V − 1) for each other token, nothing of it for the target."""
    size = logits.shape[-1]
    other = smoothing / (size - 1)
    aim = tf.one_hot(targets, size, 1 - smoothing, other, dtype=logits.dtype)
    each = tf.nn.softmax_cross_entropy_with_logits(aim, logits)
    return tf.reduce_mean(tf.boolean_mask(each, mask))


def _more_than_one(logits, targets, mask, smoothing=0.0):
    """ε is spread, and the target keeps its 1."""
    size = logits.shape[-1]
    aim = tf.one_hot(targets, size, dtype=logits.dtype) + smoothing / size
    each = tf.nn.softmax_cross_entropy_with_logits(aim, logits)
    return tf.reduce_mean(tf.boolean_mask(each, mask))


scratch_loss = scratch_losses.masked_cross_entropy


def _gradient_of_the_plain_loss(logits, targets, mask, smoothing=0.0):
    return scratch_loss(logits, targets, mask, smoothing)[0], scratch_loss(logits, targets, mask)[1]


def _smoothed_by_default(logits, targets, mask, smoothing=0.1):
    return scratch_loss(logits, targets, mask, smoothing)


MUTANTS = [
    Mutant("pytorch", _pads_counted, equals_the_mean_over_real_tokens),
    Mutant("pytorch", _pads_counted, padding_changes_nothing),
    Mutant("pytorch", _pads_smoothed, padding_changes_nothing),
    Mutant("keras", _over_the_others, the_target_is_spread_by_hand),
    Mutant("keras", _more_than_one, the_target_is_spread_by_hand),
    Mutant("scratch", _gradient_of_the_plain_loss, the_target_is_spread_by_hand),
    Mutant("scratch", _smoothed_by_default, none_is_as_before),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.wrong.__name__}-{m.framework}")
def test_mutant_is_caught(monkeypatch: pytest.MonkeyPatch, mutant: Mutant) -> None:
    module = f"attention_course.{mutant.framework}.losses"
    monkeypatch.setattr(f"{module}.masked_cross_entropy", mutant.wrong)
    with pytest.raises(AssertionError):
        mutant.caught_by(mutant.framework)


def test_every_check_catches_some_mutant() -> None:
    assert {*CHECKS.values()} == {mutant.caught_by for mutant in MUTANTS}
