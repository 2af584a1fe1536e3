"""The training loop, written once for every framework."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from math import isfinite
from time import perf_counter
from typing import Any

from tqdm import tqdm

Metrics = dict[str, float]


@dataclass
class History:
    """What happened in a training run.

    losses: one a step. evaluations: (step, metrics), where step counts the updates made so far.
    seconds: wall time of the whole run, evaluations included. stopped_early: `stop_when`
    was satisfied.
    """

    losses: list[float] = field(default_factory=list)
    evaluations: list[tuple[int, Metrics]] = field(default_factory=list)
    seconds: float = 0.0
    stopped_early: bool = False

    @property
    def steps(self) -> int:
        """Number of updates made."""
        return len(self.losses)

    def curve(self, name: str) -> tuple[list[int], list[float]]:
        """Steps and values of one metric, ready to plot. Raises KeyError for an unknown name."""
        steps = [step for step, _ in self.evaluations]
        return steps, [metrics[name] for _, metrics in self.evaluations]


def fit(
    train_step: Callable[[Any], float],
    batches: Iterable[Any],
    steps: int | None,
    evaluate: Callable[[], Metrics] | None = None,
    evaluate_every: int = 100,
    stop_when: Callable[[Metrics], bool] | None = None,
    progress: bool = True,
) -> History:
    """Call `train_step(batch)`, which makes one update and returns its loss, `steps` times.

    `evaluate()` is called after every `evaluate_every` steps and after the last one; training
    ends when `stop_when(metrics)` is true of what it returned. No batch is drawn beyond the last
    step, so a stream can be used further. A progress bar with the smoothed loss goes to stderr.

    steps: None means until `batches` end. When a number is given and the batches end before it,
    that is an error: a run that is silently shorter spoils a comparison at equal budget.

    Raises ValueError for steps or evaluate_every below 1 or a `stop_when` without `evaluate`;
    FloatingPointError, naming the step, for a loss that is NaN or infinite; RuntimeError for
    batches that end early.
    """
    _check_arguments(steps, evaluate, evaluate_every, stop_when)
    history = History()
    start = perf_counter()
    with tqdm(total=steps, disable=not progress, unit="step", mininterval=0.5) as bar:
        for batch in islice(batches, steps):
            history.losses.append(_checked_loss(float(train_step(batch)), history.steps + 1))
            bar.set_postfix_str(f"loss {_smoothed(history.losses):.3f}", refresh=False)
            bar.update()
            due = evaluate and (history.steps % evaluate_every == 0 or history.steps == steps)
            if due and _evaluated(history, evaluate, stop_when):
                break
    _check_budget(history, steps)
    if evaluate and history.steps and history.steps % evaluate_every and steps is None:
        _evaluated(history, evaluate, stop_when)
    history.seconds = perf_counter() - start
    return history


def _evaluated(
    history: History,
    evaluate: Callable[[], Metrics],
    stop_when: Callable[[Metrics], bool] | None,
) -> bool:
    """Record the metrics of this step; true when they end the training."""
    metrics = dict(evaluate())
    history.evaluations.append((history.steps, metrics))
    history.stopped_early = stop_when is not None and bool(stop_when(metrics))
    return history.stopped_early


def _smoothed(losses: list[float], window: int = 50) -> float:
    """Mean of the last losses: one batch alone is too noisy to read."""
    recent = losses[-window:]
    return sum(recent) / len(recent)


def _checked_loss(loss: float, step: int) -> float:
    if not isfinite(loss):
        raise FloatingPointError(
            f"train_step: the loss is {loss} at step {step}; "
            "try a lower learning rate or a lower bound on the gradient norm"
        )
    return loss


def _check_budget(history: History, steps: int | None) -> None:
    if steps is not None and history.steps < steps and not history.stopped_early:
        raise RuntimeError(
            f"batches: ended after {history.steps} of {steps} steps; give an endless stream, "
            "or steps=None to train until they end"
        )


def _check_arguments(
    steps: int | None,
    evaluate: Callable[[], Metrics] | None,
    evaluate_every: int,
    stop_when: Callable[[Metrics], bool] | None,
) -> None:
    for name, value in (("steps", steps), ("evaluate_every", evaluate_every)):
        if value is not None and value < 1:
            raise ValueError(f"{name}: got {value}, expected 1 or more")
    if stop_when is not None and evaluate is None:
        raise ValueError("stop_when: got a function but evaluate=None, expected both")
