"""Multi30k again, English to French, with a Transformer of as many parameters as the Bahdanau model
of `multi30k`, and as much time on one core.
"""

from attention_course.experiments.multi30k import train_and_test
from attention_course.experiments.runner import Outcome
from attention_course.pytorch.transformer import Transformer
from attention_course.results import Settings

TOLD_APART_BY = ("seed",)


def settings() -> list[Settings]:
    """One run: about an hour on one core."""
    return [
        {
            "seed": 0,
            "epochs": 8,
            "batch_size": 64,
            "learning_rate": 1e-3,
            "warmup": 800,
            "dropout": 0.2,
            "max_norm": 1.0,
            "min_count": 2,
            "beam_size": 5,
            "smoothing": 0.1,
            "fixed": {"model_size": 256, "heads": 4, "layers": 3, "inner_size": 512}
            | {"norm_first": True, "tie": "target"},
        }
    ]


def run(settings: Settings) -> Outcome:
    """As `multi30k.run`."""
    return train_and_test(Transformer, settings)
