"""Heads cut by a reshape alone: right shape, round trip, and tokens mixed. English to Korean,
beside the right model in `transformer`, with the same seeds, batches and number of updates.

"encoder" makes the mistake where the source looks at itself; "everywhere" also in the decoder,
which cuts its own tokens rightly when it speaks, one at a time, and so not as it was trained.
"""

from torch import Tensor

from attention_course.experiments.luong import JOIN
from attention_course.experiments.runner import Outcome
from attention_course.experiments.transformer import LAYERS, build
from attention_course.experiments.translating import load_task, train_and_judge
from attention_course.pytorch.multihead import KeysValues, MultiHeadAttention
from attention_course.pytorch.transformer import Transformer
from attention_course.results import Settings

TOLD_APART_BY = ("where", "seed")
SEEDS = (0, 1, 2)
WHERE = ("encoder", "everywhere")


class WrongHeads(MultiHeadAttention):
    """(B,T,D) is taken for (B,N,T,D/N) as it lies in memory, and back; no axes change places."""

    def project(self, key: Tensor, value: Tensor) -> KeysValues:
        pairs = ((self.key, key), (self.value, value))
        return tuple(self._cut(layer(x)) for layer, x in pairs)

    def attend(
        self,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor | None = None,
        need_weights: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        mask = mask[:, None] if mask is not None and mask.dim() == 3 else mask
        queries = self._cut(self.query(query))
        context, weights = self.attention(queries, keys, values, mask, need_weights)
        return self.out(context.reshape(query.shape)), weights

    def _cut(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), self.heads, x.shape[1], -1)


def settings() -> list[Settings]:
    """Each place with each seed."""
    return [
        {
            "where": where,
            "seed": seed,
            "steps": 1200,
            "warmup": 150,
            "batch_size": 64,
            "learning_rate": 4e-3,
            "evaluate_every": 100,
            "fixed": {"language": "korean", "size": 30000, "watched": 200, "options": LAYERS},
        }
        for where in WHERE
        for seed in SEEDS
    ]


def run(settings: Settings) -> Outcome:
    """Train; watch validation sentences on the way; at the end, every split."""
    fixed = settings["fixed"]
    task = load_task(fixed["language"], fixed["size"])
    model, sizes = build({"model": "transformer", "seed": settings["seed"]}, task)
    spoil(model, settings["where"])
    return train_and_judge(model, sizes, task, settings, JOIN[fixed["language"]])


def spoil(model: Transformer, where: str) -> None:
    """Give the mistake to the attentions of the encoder, or to all; the parameters stay."""
    attentions = [layer.attention for layer in model.encoder.layers]
    if where == "everywhere":
        for layer in model.decoder.layers:
            attentions += [layer.attention, layer.cross_attention]
    for attention in attentions:
        attention.__class__ = WrongHeads
