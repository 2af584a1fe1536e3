"""Runs the plan of one submission in a worker process, watches it, and kills it when it must.

Every violation is handled alike: the whole process tree is killed, and a new worker starts from the
first cell, without the cell that did it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from grade_plan import Step
from grade_sandbox import WORKER, Sandbox, environment, prepare
from grade_watch import FILES, PROCESSES, files_in, memory, remove

POLL = 0.05  # seconds between two looks at a worker
START = 120  # seconds in which a worker must be ready
FORGED = "sent a result of its own making"
KEPT = 20_000  # bytes kept of what a cell prints


class Limits(NamedTuple):
    """What a submission may use."""

    cell_seconds: float = 30.0
    seconds: float = 600.0
    memory_mb: int = 2000
    output_mb: int = 10
    files_mb: int = 100
    processes: int = 32


class Outcome(NamedTuple):
    """What came of one cell. `killed`: it broke a limit."""

    passed: bool
    message: str = ""
    restored: tuple[str, ...] = ()
    printed: str = ""
    seconds: float = 0.0
    killed: bool = False


class Setting(NamedTuple):
    """Where workers run: the sandbox, and a mark by which leftovers of a killed run are found."""

    name: str
    sandbox: Sandbox
    run: str
    folder: Path


class WorkerError(Exception):
    """The worker does not start; nothing that a submission can cause."""


class _Killed(Exception):
    """A limit was broken; the text says which."""


class Worker:
    """One worker process in its own work directory."""

    def __init__(self, setting: Setting, limits: Limits):
        self.limits, self.token = limits, secrets.token_hex(16)
        self.work = Path(tempfile.mkdtemp(dir=setting.folder))
        start = prepare(self.work)
        reader, writer = os.pipe()
        self.process = subprocess.Popen(
            setting.sandbox(self.work, [sys.executable, str(WORKER), str(writer)]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=start,
            env=environment(self.work, setting.run, setting.name),
            pass_fds=(writer,),
            start_new_session=True,
        )
        os.close(writer)
        assert self.process.stdin and self.process.stdout
        self.requests, self.output, self.events = self.process.stdin, self.process.stdout, reader
        for stream in (self.requests.fileno(), self.output.fileno(), self.events):
            os.set_blocking(stream, False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.output, selectors.EVENT_READ)
        self.selector.register(self.events, selectors.EVENT_READ)
        self.pending, self.arrived, self.number = b"", b"", 0
        self.printed, self.count, self.usual, self.walked = b"", 0, 3, 0.0

    def begin(self) -> None:
        """Wait until the worker is ready.

        Raises:
            WorkerError: when it never is.
        """
        limits = {
            "file_bytes": self.limits.files_mb * 1_000_000 + 1_000_000,
            "cpu_seconds": int(self.limits.seconds) * 2 + 60,
        }
        try:
            self._ask({"token": self.token, "limits": limits}, START, "start")
        except _Killed as error:
            told = self.printed.decode(errors="replace").strip()
            raise WorkerError(told or str(error)) from None
        self.usual = len(PROCESSES.below(self.process.pid))

    def run(self, step: Step, left: float) -> Outcome:
        """Run one cell."""
        begin, seconds = time.monotonic(), min(self.limits.cell_seconds, left)
        whole = f"the submission took longer than {minutes(self.limits.seconds)}"
        slow = f"this cell took longer than {seconds:g} s"
        if step.kind in ("check", "hidden"):
            told = "a loop that does not end?"
            slow = f"the check of this answer took longer than {seconds:g} s: {told}"
        slow = slow if left > self.limits.cell_seconds else whole
        try:
            told = self._ask({"kind": step.kind, "source": step.source}, seconds, slow)
            passed, message = bool(told["passed"]), str(told["message"])
            restored, killed = tuple(map(str, told["restored"])), False
        except _Killed as error:
            passed, message, restored, killed = False, str(error), (), True
        except (KeyError, TypeError):
            passed, message, restored, killed = False, FORGED, (), True
        spent = round(time.monotonic() - begin, 3)
        printed = self.printed.decode("utf-8", "replace") if step.kind != "hidden" else ""
        return Outcome(passed, message, restored, printed, spent, killed)

    def _ask(self, request: dict[str, Any], seconds: float, slow: str) -> dict[str, Any]:
        """Send a request and wait for its reply, watching."""
        self.printed, self.count = b"", 0
        self.number += 1
        self.pending = json.dumps(request | {"number": self.number}).encode() + b"\n"
        end = time.monotonic() + seconds
        while True:
            ended = self.process.poll() is not None
            told = self._exchange(0 if ended else POLL)
            if told is not None:
                self._watch(all=True)
                return told
            if ended:
                raise _Killed(_ending(self.process.returncode))
            if time.monotonic() > end:
                raise _Killed(slow)
            self._watch()

    def _exchange(self, seconds: float) -> dict[str, Any] | None:
        """Send what is pending, read what has come; the reply, if it is there."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            if self.pending:
                sent = os.write(self.requests.fileno(), self.pending)
                self.pending = self.pending[sent:]
        self.selector.select(seconds)
        self.arrived += b"".join(self._read(self.events))
        # What was printed before the reply was in the pipe before it.
        for data in self._read(self.output.fileno()):
            self.count += len(data)
            self.printed = (self.printed + data)[:KEPT]
            if self.count > self.limits.output_mb * 1_000_000:
                raise _Killed(f"printed more than {self.limits.output_mb} MB")
        *lines, self.arrived = self.arrived[-1_000_000:].split(b"\n")
        replies = []
        for line in lines:
            with contextlib.suppress(ValueError, TypeError):
                told = json.loads(line)
                if isinstance(told, dict) and told.get("token") == self.token:
                    replies.append(told)
        for told in replies:
            if told.get("number", 1) != self.number or len(replies) > 1:
                raise _Killed(FORGED)
            return told
        return None

    def _read(self, stream: int) -> Iterator[bytes]:
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):
                data = os.read(stream, 65536)
                if not data:
                    with contextlib.suppress(KeyError):
                        self.selector.unregister(stream)
                    time.sleep(0.01)
                    return
                yield data

    def _watch(self, all: bool = False) -> None:
        """Raise _Killed if the worker and its children use too much."""
        limits = self.limits
        family = PROCESSES.below(self.process.pid)
        if len(family) - self.usual > limits.processes:
            raise _Killed(f"started more than {limits.processes} processes")
        if memory(family, limits.memory_mb * 1_000_000) > limits.memory_mb * 1_000_000:
            raise _Killed(f"used more than {limits.memory_mb:,} MB")
        if all or time.monotonic() - self.walked > 5 * POLL:
            self.walked = time.monotonic()
            count, size = files_in(self.work)
            if size > limits.files_mb * 1_000_000:
                raise _Killed(f"wrote more than {limits.files_mb} MB")
            if count > FILES:
                raise _Killed(f"wrote more than {FILES:,} files")

    def close(self) -> None:
        """Kill the worker and all that it has started, and delete what it wrote."""
        for process in reversed(PROCESSES.below(self.process.pid)):
            with contextlib.suppress(psutil.Error):
                process.kill()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.selector.close()
        with contextlib.suppress(OSError):
            self.requests.close()
        self.output.close()
        os.close(self.events)
        remove(self.work)


def run(plan: list[Step], setting: Setting, limits: Limits) -> list[Outcome | None]:
    """The outcome of every step; None for those that were not tried.

    Raises:
        WorkerError: when no worker starts.
    """
    outcomes: list[Outcome | None] = [None] * len(plan)
    end = time.monotonic() + limits.seconds
    _round(plan, outcomes, setting, limits, end)
    while _open(plan, outcomes) and time.monotonic() < end:
        _round(plan, outcomes, setting, limits, end)
    return outcomes


def _round(
    plan: list[Step], outcomes: list[Outcome | None], setting: Setting, limits: Limits, end: float
) -> None:
    """One worker's life: from the first cell to the end, or to a cell that breaks a limit.

    Checks that have an outcome are not repeated; other cells are, for what they define.
    """
    worker = Worker(setting, limits)
    try:
        worker.begin()
        for index, step in enumerate(plan):
            before = outcomes[index]
            if before and not _open(plan, outcomes, index):
                return
            checked = before and step.kind in ("check", "hidden")
            if checked or (before and before.killed) or step.exercise in _barred(plan, outcomes):
                continue
            outcome = outcomes[index] = worker.run(step, end - time.monotonic())
            if outcome.killed:
                return
    finally:
        worker.close()


def _barred(plan: list[Step], outcomes: list[Outcome | None]) -> set[str]:
    """The exercises of which a cell was killed: no more of it is run."""
    pairs = zip(plan, outcomes, strict=True)
    return {step.exercise for step, done in pairs if done and done.killed} - {""}


def _open(plan: list[Step], outcomes: list[Outcome | None], start: int = 0) -> bool:
    """Whether a check is still to be tried."""
    barred = _barred(plan, outcomes)
    return any(
        step.kind in ("check", "hidden") and done is None and step.exercise not in barred
        for step, done in list(zip(plan, outcomes, strict=True))[start:]
    )


def _ending(code: int) -> str:
    """Why a process is not there any more."""
    number = -code if code < 0 else code - 128
    if 0 < number < 65:
        with contextlib.suppress(ValueError):
            return f"crashed the process ({signal.Signals(number).name})"
    return "ended the process (os._exit?)"


def minutes(seconds: float) -> str:
    """A time limit in words."""
    return f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:g} s"
