"""Runs the cells of one submission, in a process of its own; started by grade_run.py.

One request a line comes on standard input, one reply a line goes to the file descriptor named on
the command line. The first request holds the limits and a token that every reply carries. A cell's
text comes only when it is its turn, so an answer finds no hidden test before that test runs.

What students print goes to file descriptor 1. Infinite loops, full memory and the like are the
parent's affair: it watches from outside and kills.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import difflib
import json
import linecache
import math  # noqa: F401 - restored when an answer patches it
import os
import resource
import sys
import traceback
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any, TextIO

import numpy
import numpy.linalg
import numpy.random
import numpy.testing
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import attention_course.checks as checks
from attention_course.checks import core

_exit, _getpid, _write = os._exit, os.getpid, os.write
_settrace, _setprofile = sys.settrace, sys.setprofile
MISSING = object()
PATCHABLE = ("__code__", "__defaults__", "__kwdefaults__")


class Originals:
    """What checks rely on, as it was before any code of the student ran."""

    def __init__(self) -> None:
        self.builtins = dict(vars(builtins))
        self.modules = sys.modules
        self.loaded = dict(sys.modules)
        self.kept: list[tuple[str, Any, dict[str, Any]]] = []
        for name, module in sorted(sys.modules.items()):
            if name.split(".")[0] == "numpy" or name == "math":
                self._keep(name, module, strict=False)
            elif name.startswith(checks.__name__):
                self._keep(name, module, strict=True)

    def _keep(self, name: str, module: ModuleType, strict: bool) -> None:
        """Remember the functions and classes of a module; `strict`: everything, contents too."""
        entries = {
            key: value
            for key, value in vars(module).items()
            if (strict and not key.startswith("__"))
            or callable(value)
            or isinstance(value, ModuleType)
        }
        self.kept.append((name, vars(module), entries))
        for key, value in entries.items():
            self._keep_inside(f"{name}.{key}", value, name, strict)

    def _keep_inside(self, label: str, value: Any, module: str, strict: bool) -> None:
        """Remember what can be changed inside a module's own function, class or table."""
        if isinstance(value, FunctionType) and value.__module__ == module:
            self.kept.append((label, value, {each: getattr(value, each) for each in PATCHABLE}))
        elif strict and isinstance(value, type) and value.__module__ == module:
            own = {k: v for k, v in vars(value).items() if k not in ("__dict__", "__weakref__")}
            self.kept.append((label, value, own))
            for key, each in own.items():
                self._keep_inside(f"{label}.{key}", each, module, strict)
        elif strict and isinstance(value, SimpleNamespace):
            self.kept.append((label, vars(value), dict(vars(value))))
        elif strict and type(value) is dict:
            self.kept.append((label, value, dict(value)))

    def restore(self) -> list[str]:
        """Put back what was changed, and name it. Uses no builtin before those are put back."""
        _settrace(None)
        _setprofile(None)
        changed = []
        now = builtins.__dict__
        for key in self.builtins:
            if key != "_" and now.get(key, MISSING) is not self.builtins[key]:
                now[key] = self.builtins[key]
                changed.append(key)
        for key, module in self.loaded.items():
            if self.modules.get(key, MISSING) is not module:
                self.modules[key] = module
                changed.append(f"sys.modules.{key}")
        for label, holder, kept in self.kept:
            for key, value in kept.items():
                if type(holder) is dict:
                    if holder.get(key, MISSING) is not value:
                        holder[key] = value
                        changed.append(f"{label}.{key}")
                elif _read(holder, key) is not value:
                    setattr(holder, key, value)
                    changed.append(label if key in PATCHABLE else f"{label}.{key}")
        return changed


def _read(holder: Any, key: str) -> Any:
    return getattr(holder, key) if key in PATCHABLE else vars(holder).get(key, MISSING)


class Session:
    """The notebook's namespace, and how its cells are run."""

    def __init__(self) -> None:
        self.prints = os.dup(1)
        self.stream = _stream(self.prints)
        self.shell = _shell()
        self.originals = Originals()
        self.trusted: dict[str, Any] = {}
        self.check, self.numpy = checks.check, numpy

    def run(self, kind: str, source: str) -> dict[str, Any]:
        """Run one cell: `passed`, the `message` if not, and what had to be `restored`."""
        if self.stream.closed:
            self.stream = _stream(self.prints)
        sys.stdout = sys.stderr = self.stream
        restored: list[str] = []
        try:
            if kind in ("check", "hidden"):
                restored = self.originals.restore()
                message = self._check(source, kind == "hidden")
                if changed := self.originals.restore():
                    restored += changed
                    message = message or f"changes {', '.join(changed[:3])} while it is checked"
            else:
                message = self._cell(source, kind == "given")
        finally:
            with contextlib.suppress(OSError, ValueError):
                self.stream.flush()
        return {"passed": not message, "message": message, "restored": restored}

    def _cell(self, source: str, trusted: bool) -> str:
        """Run a cell as Jupyter does. Names that a given cell binds are kept for the checks."""
        before = dict(self.shell.user_ns) if trusted else {}
        try:
            done = self.shell.run_cell(source)
            error = done.error_before_exec or done.error_in_exec
        except BaseException as raised:
            error = raised
        if trusted:
            now = self.shell.user_ns
            bound = {k: v for k, v in now.items() if before.get(k, MISSING) is not v}
            self.trusted |= {k: v for k, v in bound.items() if not k.startswith("_")}
        return self._told(error) if error else ""

    def _check(self, source: str, hidden: bool) -> str:
        """Run a check in a copy of the namespace in which no name hides a builtin."""
        space = {k: v for k, v in self.shell.user_ns.items() if k not in self.originals.builtins}
        space |= self.trusted
        space |= {"check": self.check, "np": self.numpy, "__builtins__": builtins}
        try:
            exec(compile(source, "<check>", "exec"), space)
        except core.CheckFailed as error:
            return _text(error)
        except AssertionError as error:
            return _text(error) or ("a hidden test fails" if hidden else _failing(error, source))
        except NameError as error:
            return self._unknown(error) or self._told(error)
        except BaseException as error:
            return self._told(error)
        return ""

    def _unknown(self, error: NameError) -> str:
        """For a function that a check asks for and that is not there: the one like it, if any."""
        if len(list(traceback.walk_tb(error.__traceback__))) > 2:
            return ""  # it came up further down, in the student's code
        own = {k.lower(): k for k, v in self.shell.user_ns.items() if isinstance(v, FunctionType)}
        like = difflib.get_close_matches(str(error.name).lower(), own, 1)
        told = f" (you have `{own[like[0]]}`)" if like else ""
        return f"no function `{error.name}` is defined{told}"

    def _told(self, error: BaseException) -> str:
        """An error in one line, and the line of the student's code where it came up."""
        text = f"{type(error).__name__}: {_text(error)}".rstrip(": ")
        line = ""
        try:
            for frame, number in traceback.walk_tb(error.__traceback__):
                if frame.f_globals is self.shell.user_ns:
                    line = linecache.getline(frame.f_code.co_filename, number).strip()
        except Exception:
            line = ""
        return f"{text}\n  in the line: {line}" if line else text


def _stream(descriptor: int) -> TextIO:
    """What `print` writes to: line by line, so that nothing is lost when the process is killed."""
    return os.fdopen(os.dup(descriptor), "w", buffering=1, encoding="utf-8", errors="replace")


def _text(error: BaseException) -> str:
    try:
        return str(error).strip()[:4000]
    except BaseException:
        return "its message cannot be shown"


def _failing(error: AssertionError, source: str) -> str:
    """The line of a visible check that does not hold."""
    lines = source.splitlines()
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename == "<check>" and 0 < number <= len(lines):
            return f"does not hold: {lines[number - 1].strip()}"
    return "AssertionError"


def _shell() -> InteractiveShell:
    """IPython in this process: no history file, no colours, no traceback on the screen."""
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    config.InteractiveShell.cache_size = 0
    shell = InteractiveShell.instance(config=config)
    shell.ask_exit = lambda: None
    shell.enable_gui = lambda gui=None: None  # for %matplotlib
    for name in ("showtraceback", "showsyntaxerror", "showindentationerror"):
        setattr(shell, name, lambda *arguments, **options: None)
    return shell


def limit(limits: dict[str, int]) -> None:
    """The limits that the system can set by itself; and: die when the grader does (Linux)."""
    for name, value in (
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, limits["cpu_seconds"]),
        (resource.RLIMIT_NOFILE, 512),
    ):
        hard = resource.getrlimit(name)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (value, value))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL


def main(events: int) -> None:
    requests = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    hello = json.loads(requests.readline())
    os.set_inheritable(events, False)
    limit(hello["limits"])
    session, own, encode = Session(), _getpid(), json.dumps

    def reply(**told: Any) -> None:
        if _getpid() != own:  # a copy of this process that the student's code has made
            _exit(0)
        data = b"\n" + encode({"token": hello["token"]} | told).encode() + b"\n"
        while data:
            data = data[_write(events, data) :]

    reply(ready=True)
    for line in requests:
        request = json.loads(line)
        reply(number=request["number"], **session.run(request["kind"], request["source"]))
    _exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
