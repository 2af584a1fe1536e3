"""What keeps submissions apart from each other, from this machine and from the network."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORKER = ROOT / "tools" / "grade_worker.py"
HOME = "/home/student"
SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/nix"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives"),
    *("/etc/fonts", "/etc/localtime", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf"),
    "/sys/devices/system/cpu",
)
TOLD = {
    "bwrap": "bubblewrap: no network; of this machine's files a submission sees the system's and "
    "the course's modules, and it can write to its own folder only",
    "unshare": "unshare: no network; but submissions can read, change and delete every file that "
    "you can (install bubblewrap to prevent it)",
    "none": "NONE: submissions can use the network, and read, change and delete every file that "
    "you can (install bubblewrap to prevent it)",
}
# Builds the command that starts the worker in a work directory.
Sandbox = Callable[[Path, list[str]], list[str]]


def _bwrap(work: Path, command: list[str]) -> list[str]:
    """Only what is named here exists in there."""
    made = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    made += [word for path in SYSTEM for word in ("--ro-bind-try", path, path)]
    made += ["--proc", "/proc", "--dev", "/dev"]
    made += ["--bind", str(work / "shm"), "/dev/shm", "--remount-ro", "/dev"]
    made += ["--bind", str(work / "tmp"), "/tmp", "--bind", str(work / "home"), HOME]
    made += [word for path in _course() for word in ("--ro-bind", path, path)]
    return [*made, "--remount-ro", "/", "--chdir", HOME, "--", *command]


@functools.cache
def _course() -> list[str]:
    """Python with its packages, the course's modules and data, and the worker; nothing else."""
    real = Path(sys.executable).resolve()
    paths = [
        Path(sys.prefix),
        Path(sys.base_prefix),
        real.parent.parent,
        ROOT / "code",
        ROOT / "data",
    ]
    spare = [path for path in paths if path.is_dir() and not _is_system(path)]
    return list(dict.fromkeys(map(str, [*spare, WORKER])))


def _is_system(path: Path) -> bool:
    return any(path.is_relative_to(each) for each in SYSTEM)


def _unshare(*spaces: str) -> Sandbox:
    root = [] if os.geteuid() == 0 else ["--map-root-user"]
    return lambda work, command: ["unshare", *root, *spaces, "--", *command]


def _none(work: Path, command: list[str]) -> list[str]:
    return command


def candidates(asked: str = "auto") -> list[tuple[str, Sandbox]]:
    """The kinds of sandbox to try, the best first."""
    every: list[tuple[str, Sandbox]] = [
        ("bwrap", _bwrap),
        ("unshare", _unshare("--net", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")),
        ("unshare", _unshare("--net")),
        ("none", _none),
    ]
    return [
        (name, make)
        for name, make in every
        if asked in ("auto", name) and (name == "none" or shutil.which(name))
    ]


def environment(work: Path, run: str, sandbox: str) -> dict[str, str]:
    """The worker's variables: few, and none of the instructor's."""
    inside = sandbox == "bwrap"
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
        "HOME": HOME if inside else str(work / "home"),
        "TMPDIR": "/tmp" if inside else str(work / "tmp"),
        "LANG": "C.UTF-8",
        "MPLBACKEND": "Agg",
        "PIP_RETRIES": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "GRADE_RUN": run,
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    }


def prepare(work: Path) -> Path:
    """Make a work directory; returns the folder that the submission starts in."""
    for name in ("home", "tmp", "shm"):
        (work / name).mkdir(parents=True, exist_ok=True)
    return work / "home"
