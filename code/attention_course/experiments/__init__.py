"""The recorded experiments behind the chapters' figures: `make results`, or `make results
NAME=copy_by_length`.

An experiment is a module here with `settings() -> list[dict]`, one dictionary a run,
`TOLD_APART_BY`, the settings that name a run, and `run(settings) -> Outcome`. `runner` runs what is
not yet recorded, two single-threaded processes side by side.
"""

EXPERIMENTS = (
    "copy_by_length",
    "padding_mistakes",
    "dates_autopsy",
    "recall_by_distance",
    "dates_attention",
    "attention_mistakes",
    "english_french",
    "multi30k",
    "multi30k_transformer",
    "scheduled_sampling",
    "sentiment",
    "luong",
    "which_difference",
    "transformer",
    "wrong_reshape",
    "depth",
    "memory_copy",
    "kor_eng",
    "transformer_training",
)
