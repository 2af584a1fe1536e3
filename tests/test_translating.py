"""What the translation experiments share, and that they were recorded on today's corpus."""

import numpy as np
import pytest
import torch

from attention_course import results
from attention_course.corpora.batching import bucketed_batches
from attention_course.corpora.grammar.french import detokenize_french
from attention_course.corpora.translation import Pair, Translation, load_translation
from attention_course.corpora.vocabulary import Vocabulary
from attention_course.experiments import english_french, multi30k, scheduled_sampling, translating
from attention_course.experiments.translating import Task
from attention_course.pytorch.bahdanau import BahdanauSeq2Seq
from attention_course.pytorch.training import make_train_step

SENTENCES = ("a b", "b", "c a b c", "d", "b c d a b", "a d", "c", "d b a")
PAIRS = [
    Pair(
        tuple(s.split()),
        tuple(s.upper().split()),
        links := frozenset((i, i) for i in range(n)),
        links,
    )
    for s in SENTENCES
    for n in [len(s.split())]
]


@pytest.fixture
def task() -> Task:
    """Eight sentences whose translation is upper case."""
    vocabularies = [
        Vocabulary.from_sequences(side) for side in zip(*((p.source, p.target) for p in PAIRS))
    ]
    return Task(Translation(PAIRS, PAIRS, PAIRS, PAIRS, PAIRS), PAIRS, *vocabularies)


def a_model(task: Task, kind: type = BahdanauSeq2Seq, seed: int = 0) -> BahdanauSeq2Seq:
    return kind(*map(len, task.vocabularies), embed_size=5, hidden_size=6, seed=seed)


def train(model: torch.nn.Module, task: Task, epochs: int) -> list[float]:
    source, target = (vocabulary.encode for vocabulary in task.vocabularies)
    ids = [(source(pair.source), target(pair.target)) for pair in PAIRS]
    step = make_train_step(model, 2e-2)
    return [step(b) for b in bucketed_batches(ids, 8, *task.vocabularies, 0, epochs=epochs)]


def sources(pairs: list[Pair]) -> list[tuple[str, ...]]:
    return [pair.source for pair in pairs]


def test_translations_come_back_in_the_order_of_their_sources(task: Task) -> None:
    model = a_model(task)
    train(model, task, epochs=150)
    right = [list(pair.target) for pair in PAIRS]
    for options in ({}, {"at_once": 3}, {"beam_size": 3}, {"beam_size": 3, "at_once": 3}):
        assert translating.translate(model, sources(PAIRS), *task.vocabularies, **options) == right
    assert translating.translate(model, sources(PAIRS[::-1]), *task.vocabularies) == right[::-1]


def test_text_scores_of_a_perfect_and_of_a_wrong_translation() -> None:
    perfect = translating.text_scores([list(p.target) for p in PAIRS], PAIRS, " ".join)
    assert perfect == {"exact": 1.0, "bleu": 100.0, "chrf": 100.0}
    said = [list(p.target) for p in PAIRS]
    said[4] = said[4][:-1] + ["x"]
    worse = translating.text_scores(said, PAIRS, " ".join)
    assert worse["exact"] == 7 / 8 and 0 < worse["bleu"] < 100 and 0 < worse["chrf"] < 100


def test_error_rates_read_the_row_with_which_a_word_was_chosen(task: Task) -> None:
    class Diagonal:
        """Looks at word t when it says word t."""

        def alignment(self, source, lengths, target_in):
            weights = np.zeros((*target_in.shape, source.shape[1]))
            steps = np.arange(target_in.shape[1])
            weights[:, steps, np.minimum(steps, source.shape[1] - 1)] = 1
            return weights

    found = translating.error_rates(Diagonal(), PAIRS, task)
    assert found["aer"] == 0 and found["aer_row_later"] > 0.5 and found["aer_row_earlier"] > 0.5


def test_the_fingerprint_changes_with_a_word_and_with_the_split(task: Task) -> None:
    print_of = translating.fingerprint
    before = print_of(task.corpus)
    assert before == print_of(Translation(*map(list, task.corpus)))
    changed = PAIRS[:3] + [PAIRS[3]._replace(target=("E",))] + PAIRS[4:]
    assert print_of(task.corpus._replace(test=changed)) != before
    assert print_of(task.corpus._replace(test=PAIRS[1:])) != before


def test_vocabularies_come_from_the_training_sentences_alone() -> None:
    small = translating.load_task("french", 50)
    assert len(small.train) == 50
    assert set(small.source_vocab.tokens[4:]) == {w for p in small.train for w in p.source}
    assert small.train == load_translation("french").train[:50]


@pytest.mark.parametrize("experiment", ["english_french", "scheduled_sampling"])
def test_runs_were_recorded_on_todays_sentences(experiment: str) -> None:
    today = translating.fingerprint(load_translation("french"))
    assert {run.metrics["corpus"] for run in results.load(experiment)} == {today}


# The wrong decoders of `english_french` are wrong in just the way they say.


def looked(kind: type, task: Task) -> tuple[torch.Tensor, ...]:
    """How far weights and context of one step move when the source is replaced."""
    model = a_model(task, kind, seed=3).double()
    query = torch.randn(2, 1, 6, generator=torch.manual_seed(0), dtype=torch.float64)
    seen = []
    for words in ([[4, 5, 6], [7, 4, 4]], [[7, 7, 5], [5, 6, 6]]):
        memory, _ = model.encode(torch.tensor(words), torch.tensor([3, 2]))
        context, weights = model.attend(query, memory)
        assert weights.shape == (2, 1, 3) and context.shape == (2, 1, 12)
        assert torch.allclose(weights.sum(dim=-1), torch.ones(2, 1, dtype=torch.float64))
        assert (weights[1, 0, 2] == 0).all()
        seen.append((weights, context))
    return tuple((a - b).abs().max() for a, b in zip(*seen))


@pytest.mark.parametrize(
    ("name", "weights_move", "context_moves"),
    [("bahdanau", True, True), ("decoder_context", True, False), ("blind_weights", False, True)],
)
def test_what_moves_with_the_source(
    task: Task, name: str, weights_move: bool, context_moves: bool
) -> None:
    weights, context = looked(english_french.MODELS[name], task)
    assert (weights > 1e-6) == weights_move and (context > 1e-6) == context_moves
    assert weights_move or weights == 0
    assert context_moves or context < 1e-12


def test_every_model_of_the_experiment_learns(task: Task) -> None:
    for kind in english_french.MODELS.values():
        model = kind(*map(len, task.vocabularies), 8, 16, cell="gru", bidirectional=True)
        losses = train(model, task, epochs=40)
        assert losses[-1] < 0.5 * losses[0]


def test_by_length_counts_every_sentence_once() -> None:
    said = [list(p.target) for p in PAIRS]
    said[0] = ["A"]
    table = translating.by_length(said, PAIRS)
    assert table == {"1": [3, 1.0], "2": [2, 0.5], "3": [1, 1.0], "4": [1, 1.0], "5": [1, 1.0]}


# Scheduled sampling.


def test_the_schedules_end_near_one_half() -> None:
    for name, arguments in scheduled_sampling.SCHEDULES.items():
        if arguments:
            truth = scheduled_sampling.MAKERS[name](**arguments)
            assert truth(1) > 0.98 and abs(truth(scheduled_sampling.STEPS) - 0.5) < 0.01


def test_a_slip_changes_one_word_that_is_read_and_the_same_words_are_counted(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []

    def watched(said, targets, mask):
        counted.append((said, targets, mask))
        return 0.0

    monkeypatch.setattr(scheduled_sampling, "token_accuracy", watched)
    read = []

    class Model(torch.nn.Module):
        def forward(self, source, lengths, target_in):
            read.append(target_in.numpy())
            return torch.zeros(*target_in.shape, 9)

    for slip in (False, True):
        scheduled_sampling.tokens_right(Model(), task, slip)
    changed = read[0] != read[1]
    assert (changed.sum(axis=1) <= 1).all() and changed.sum() > len(PAIRS) / 2
    assert not changed[:, 0].any()
    (_, _, before), (_, _, after) = counted
    assert (before == after).all()
    lengths = np.array([len(p.target) + 1 for p in PAIRS])
    assert (after.sum(axis=1) >= 1).all() and (after.sum(axis=1) < lengths).all()
    assert (after[changed]).all()


# Multi30k.


def test_multi30k_tokens_are_lower_case_and_elisions_stand_alone() -> None:
    english, french = multi30k.tokenized(("Two men aren't here.", "L'homme n'est pas là."))
    assert english == ["two", "men", "aren't", "here", "."]
    assert french == ["l'", "homme", "n'", "est", "pas", "là", "."]


def test_multi30k_is_scored_against_the_french_of_the_corpus() -> None:
    pairs = [("A man.", "Un homme d'âge mûr est assis."), ("B.", "Deux chiens courent ici .")]
    said = ["un homme d'âge mûr est assis.", "deux chiens courent ici."]
    scored = multi30k.score(said, pairs)
    assert scored["bleu"] == 100 and "case:lc" in scored["signature"]
    assert multi30k.score([said[0], "deux chats"], pairs)["bleu"] < 100


def test_french_text_is_joined_for_chrf() -> None:
    assert (
        detokenize_french(["l'", "homme", "n'", "a", "pas", "d'", "eau"]) == "l'homme n'a pas d'eau"
    )
