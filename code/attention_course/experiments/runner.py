"""Runs experiments and records them, one JSON a run: resumable, atomic, never twice.

A run counts as recorded when its file holds the hash of today's settings, so a killed session goes
on where it stopped and a changed setting is run anew.
"""

import argparse
import importlib
import json
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from attention_course.corpora.vocabulary import Vocabulary
from attention_course.experiments import EXPERIMENTS
from attention_course.pretrained import Pretrained
from attention_course.results import Result, Settings, settings_hash
from attention_course.scratch import weights as scratch_weights

LIBRARIES = ("attention-course", "numpy", "torch", "tensorflow", "keras")


class Outcome(NamedTuple):
    """What a run gives back: its last figures, one dictionary an evaluation along the way, and
    models to ship, by name.
    """

    metrics: dict[str, Any]
    curve: list[dict[str, Any]]
    shipped: dict[str, Pretrained] | None = None


def results_folder() -> Path:
    """`data/results` of the checkout that this package is installed from (editable)."""
    folder = Path(__file__).resolve().parents[3] / "data" / "results"
    if not folder.parent.joinpath("__init__.py").exists():
        raise FileNotFoundError(
            f"{folder.parent} is not the course's data/ folder: experiments are recorded from a "
            "checkout that is installed with `pip install -e .`"
        )
    return folder


def run_name(settings: Settings) -> str:
    """A readable file name, of the settings that tell the experiment's runs apart."""
    keys = _module(settings["experiment"]).TOLD_APART_BY
    return "_".join(f"{key}-{settings[key]}" for key in keys)


def path_of(settings: Settings) -> Path:
    """Where the run with these settings is recorded."""
    return results_folder() / settings["experiment"] / f"{run_name(settings)}.json"


def is_recorded(settings: Settings) -> bool:
    """Whether a file with today's settings exists."""
    path = path_of(settings)
    if not path.exists():
        return False
    return json.loads(path.read_text(encoding="utf-8"))["settings_hash"] == settings_hash(settings)


def all_settings(experiment: str) -> list[Settings]:
    """The settings of all runs of one experiment, each with the experiment's name in it."""
    return [{"experiment": experiment, **settings} for settings in _module(experiment).settings()]


def _module(experiment: str) -> ModuleType:
    return importlib.import_module(f"attention_course.experiments.{experiment}")


def record(settings: Settings) -> Path:
    """Run once and write the result, and the models it ships."""
    begin = time.perf_counter()
    outcome = _module(settings["experiment"]).run(settings)
    result = Result(
        name=run_name(settings),
        settings=settings,
        settings_hash=settings_hash(settings),
        metrics=outcome.metrics,
        curve=outcome.curve,
        seconds=round(time.perf_counter() - begin, 1),
        versions={"python": platform.python_version(), **_versions()},
        machine=f"{platform.system()} {platform.machine()}, one thread",
    )
    # The models first: a run counts as recorded once its result is there.
    for name, model in (outcome.shipped or {}).items():
        write_whole(results_folder().parent / "weights" / f"{name}.npz", model.to_bytes())
    text = json.dumps(vars(result), indent=1) + "\n"
    return write_whole(path_of(settings), text.encode("utf-8"))


def to_ship(
    model: Any,
    sizes: dict[str, Any],
    vocabularies: dict[str, Vocabulary],
    framework: ModuleType = scratch_weights,
) -> Pretrained:
    """The model as its file will hold it; its own weights are rounded likewise, for a last look.

    `framework` is the module `weights` of the model's framework.
    """
    weights = {name: x.astype(np.float16) for name, x in framework.to_arrays(model).items()}
    framework.from_arrays(model, weights)
    return Pretrained(weights, type(model).__name__, sizes, vocabularies)


def write_whole(path: Path, content: bytes) -> Path:
    """The file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.write_bytes(content)
    os.replace(draft, path)
    return path


def _versions() -> dict[str, str]:
    """Versions of the libraries that are loaded in this process."""
    found = {}
    for library in LIBRARIES:
        if library.replace("-", "_") in sys.modules:
            try:
                found[library] = version(library)
            except PackageNotFoundError:
                found[library] = "not installed"
    return found


def main(arguments: list[str] | None = None) -> int:
    """Command line: names of experiments (all if none), --jobs, --list."""
    parser = argparse.ArgumentParser(prog="python -m attention_course.experiments")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(EXPERIMENTS))
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side (default 2)")
    parser.add_argument("--list", action="store_true", help="say what is recorded, run nothing")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(EXPERIMENTS):
        parser.error(
            f"unknown experiment {', '.join(sorted(unknown))}; choose from {', '.join(EXPERIMENTS)}"
        )
    todo = []
    for name in options.names or EXPERIMENTS:
        runs = all_settings(name)
        missing = [settings for settings in runs if not is_recorded(settings)]
        print(f"{name}: {len(runs) - len(missing)} of {len(runs)} runs recorded", flush=True)
        todo += missing
    return 0 if options.list else run_all(todo, options.jobs)


def run_all(todo: list[Settings], jobs: int) -> int:
    """Record the runs in `jobs` single-threaded processes; returns how many failed."""
    # Set before the children import NumPy: small recurrent steps get slower with two threads.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", TF_NUM_INTRAOP_THREADS="1")
    failed = 0
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(record, settings): settings for settings in todo}
        for future in tqdm(as_completed(waiting), total=len(waiting), unit="run"):
            settings = waiting[future]
            if error := future.exception():
                failed += 1
                print(f"{settings['experiment']}/{run_name(settings)}: {error!r}", file=sys.stderr)
    return failed
