"""Looks at what submissions use: processes, memory, files. Ends and deletes what they leave."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections import defaultdict
from pathlib import Path

import psutil

LOOK = 0.1  # seconds for which a look at the machine's processes is good
FILES = 10_000


class Processes:
    """All processes of this machine by their parent, looked up once for all submissions."""

    def __init__(self) -> None:
        self.lock, self.when = threading.Lock(), 0.0
        self.children: dict[int, list[psutil.Process]] = {}

    def below(self, pid: int) -> list[psutil.Process]:
        """A process and all that descend from it."""
        with self.lock:
            if time.monotonic() - self.when > LOOK:
                self._look()
            children = self.children
        with contextlib.suppress(psutil.Error):
            found = [psutil.Process(pid)]
            for process in found:
                found += children.get(process.pid, [])
            return found
        return []

    def _look(self) -> None:
        children = defaultdict(list)
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                children[process.ppid()].append(process)
        self.children, self.when = children, time.monotonic()


PROCESSES = Processes()


def memory(family: list[psutil.Process], limit: int) -> int:
    """Resident bytes of a process tree; pages that a process shares with its copies count once."""
    resident = 0
    for process in family:
        with contextlib.suppress(psutil.Error):
            resident += process.memory_info().rss
    if resident <= limit:
        return resident
    own = 0
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            try:
                full = process.memory_full_info()
                own += getattr(full, "pss", full.uss)
            except psutil.AccessDenied:
                own += process.memory_info().rss
    return own


def files_in(folder: Path) -> tuple[int, int]:
    """How many files there are in a folder, and the bytes they take on the disk."""
    count = size = 0
    try:
        for place, folders, files in os.walk(folder):
            count += len(folders) + len(files)
            for name in files:
                with contextlib.suppress(OSError):
                    size += os.lstat(os.path.join(place, name)).st_blocks * 512
            if count > FILES:
                break
    except RecursionError:  # folders in folders in folders
        count = FILES + 1
    return count, size


def remove(folder: Path) -> None:
    """Delete a folder, also where a submission took the rights away or nested it too deep."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except (OSError, RecursionError):
        subprocess.run(["chmod", "-R", "u+rwX", "--", str(folder)], stderr=subprocess.DEVNULL)
        subprocess.run(["rm", "-rf", "--", str(folder)], stderr=subprocess.DEVNULL)


def kill_leftovers(run_mark: str) -> None:
    """End what an earlier run of this output folder, itself killed, has left running."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("GRADE_RUN") == run_mark:
                process.kill()
