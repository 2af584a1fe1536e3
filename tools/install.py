"""Makes `.venv` and installs what the requirement files pin; does nothing when that is done.

Called by the Makefile through install.sh, with `book` (what building the HTML needs) or `all`.
Standard library only. A stamp inside `.venv` remembers which requirement files were installed. It
is written last and taken away first, so an interrupted run never counts as a finished one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / "course-stamp.json"
LOG = VENV / "install.log"
HEARTBEAT = 10  # seconds between two signs of life


class Level(NamedTuple):
    """One thing that can be installed: its files, and what to tell the reader beforehand."""

    files: tuple[str, ...]
    megabytes: int
    what: str


LEVELS = {
    "book": Level(
        files=("requirements-book.txt",),
        megabytes=300,
        what="what building the book needs (about a minute, 0.3 GB)",
    ),
    "all": Level(
        files=("requirements-book.txt", "requirements.txt", "pyproject.toml"),
        megabytes=4000,
        what="everything the chapters and checks need, PyTorch and TensorFlow included "
        "(a few minutes, 4 GB; more where PyTorch brings its GPU libraries)",
    ),
}


class InstallError(Exception):
    """Something the reader can act on; the text says what."""


# --- Is there anything to do? -------------------------------------------------


def fingerprint(level: str) -> str:
    """A hash of the files that `level` installs from."""
    digest = hashlib.sha256()
    for name in LEVELS[level].files:
        digest.update((ROOT / name).read_bytes() + b"\0")
    return digest.hexdigest()


def read_stamp() -> dict[str, str]:
    """What was installed into `.venv`, or {} when that is unknown."""
    try:
        return json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}


def write_stamp(stamp: dict[str, str]) -> None:
    scratch = STAMP.with_suffix(".tmp")
    scratch.write_text(json.dumps(stamp, indent=1) + "\n")
    os.replace(scratch, STAMP)


def is_current(level: str) -> bool:
    """Whether `.venv` holds `level` as the files ask for it now. Starts no process."""
    return venv_fits(read_stamp()) and read_stamp().get(level) == fingerprint(level)


def venv_fits(stamp: dict[str, str]) -> bool:
    """Whether `.venv` can be used at all: its Python is there, here, and the one asked for."""
    if not VENV_PYTHON.exists():
        return False
    if stamp.get("root", str(ROOT)) != str(ROOT):  # a moved folder: every script points elsewhere
        return False
    asked = f"{sys.version_info.major}.{sys.version_info.minor}" if os.environ.get("PYTHON") else ""
    return not asked or stamp.get("python", asked) == asked


# --- Making the virtual environment -------------------------------------------


def base_python() -> str:
    """The interpreter outside any virtual environment."""
    return getattr(sys, "_base_executable", None) or sys.executable


def venv_answers() -> bool:
    """Whether the Python of `.venv` runs and has pip."""
    command = [str(VENV_PYTHON), "-m", "pip", "--version"]
    try:
        return subprocess.run(command, capture_output=True, env=environment()).returncode == 0
    except OSError:
        return False


def make_venv() -> None:
    """Creates `.venv`, replacing a broken one."""
    if VENV.exists():
        if not (VENV / "pyvenv.cfg").exists() and any(VENV.iterdir()):
            raise InstallError(f"{VENV} exists but is no virtual environment. Move it away.")
        print("The virtual environment .venv cannot be used any more; making it anew.", flush=True)
        shutil.rmtree(VENV)
    done = subprocess.run([base_python(), "-m", "venv", str(VENV)], capture_output=True, text=True)
    if done.returncode:
        raise InstallError(explain_venv(done.stdout + done.stderr))


def explain_venv(output: str) -> str:
    """What to do when `python -m venv` failed with `output`."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if "No space left on device" in output:
        return NO_SPACE
    if "ensurepip" in output or "No module named venv" in output:
        return (
            f"Python {version} ({base_python()}) comes without its venv module.\n"
            f"  Debian, Ubuntu:  sudo apt install python{version}-venv\n"
            "Then run the same command again."
        )
    tail = "\n".join("  " + line for line in output.strip().splitlines()[-5:])
    return f"Python {version} ({base_python()}) could not make a virtual environment:\n{tail}"


# --- Running pip --------------------------------------------------------------


NO_SPACE = (
    "The disk is full. Free some space (the book needs 0.3 GB, everything 4 GB, and as much again\n"
    "for a while in the temporary folder, which TMPDIR can move) and run the same command again."
)
NO_NETWORK = (
    "pip could not reach the package index. With a working network run the same command again;\n"
    "what was done so far is kept.\n"
    "  Behind a proxy:  HTTPS_PROXY=http://host:port make ...\n"
    "  Without network: on a machine that has one, with the same system and Python, run\n"
    "                       pip download -d wheels -r requirements.txt\n"
    "                   carry the folder over, then\n"
    "                       PIP_NO_INDEX=1 PIP_FIND_LINKS=/path/to/wheels make ..."
)
NETWORK_SIGNS = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|getaddrinfo"
    r"|name resolution|Network is unreachable|Connection (?:refused|reset|aborted)|timed out",
    re.IGNORECASE,
)


def explain_pip(output: str) -> str:
    """What to do when pip failed with `output`: plain words for the usual reasons."""
    lines = [line.strip() for line in output.splitlines()]
    errors = [line for line in lines if line.lower().startswith("error:")]
    if "No space left on device" in output or "Errno 28" in output:
        return NO_SPACE
    if "CERTIFICATE_VERIFY_FAILED" in output:
        return (
            "pip does not trust the certificate of the package index. Behind a proxy, name its\n"
            "certificate file:  PIP_CERT=/path/to/certificates.pem make ..."
        )
    missing = [line for line in errors if "No matching distribution" in line]
    if missing and os.environ.get("PIP_NO_INDEX"):
        where = os.environ.get("PIP_FIND_LINKS", "(PIP_FIND_LINKS is not set)")
        return f"Not among the downloaded packages in {where}:\n  " + "\n  ".join(missing)
    if NETWORK_SIGNS.search(output):
        return NO_NETWORK
    told = "\n".join("  " + line for line in errors[-4:] or lines[-6:])
    return f"pip failed:\n{told}\nThe whole story: {LOG}"


def environment() -> dict[str, str]:
    """The variables pip runs with: the reader's own, less those that break virtual environments."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    kept.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_USER="0", PIP_NO_INPUT="1")
    kept.setdefault("PIP_RETRIES", "2")
    return kept


class Progress:
    """Follows pip's lines and says every few seconds how far it is."""

    def __init__(self) -> None:
        self.packages = 0
        self.doing = "starting"
        self.begin = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._report, daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def see(self, line: str) -> None:
        """Takes one line of pip's output."""
        words = line.split()
        if line.startswith(("Collecting", "Processing", "Requirement already satisfied")):
            self.packages += 1
        if line.startswith("Requirement already"):
            self.doing = "comparing with what is there"
        elif line.startswith("Collecting"):
            self.doing = "looking for " + words[1]
        elif words[:1] == ["Downloading"]:
            self.doing = "fetching " + " ".join(words[1:])
        elif line.startswith("Installing collected"):
            self.doing = "unpacking"
        elif "WARNING: Retrying" in line:
            self.doing = "the network does not answer, trying again"

    def _report(self) -> None:
        while not self._done.wait(HEARTBEAT):
            seconds = time.monotonic() - self.begin
            print(f"  {seconds:4.0f} s   {self.packages:3d} packages   {self.doing}", flush=True)


def pip(*arguments: str) -> None:
    """Runs pip in `.venv`; everything it says goes to the log.

    Raises:
        InstallError: when pip fails, saying what to do.
    """
    command = [str(VENV_PYTHON), "-m", "pip", "install", "--progress-bar", "off", *arguments]
    output: list[str] = []
    with Progress() as progress, LOG.open("a") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        try:
            for line in process.stdout or ():
                log.write(line)
                output.append(line)
                progress.see(line)
        finally:
            if process.poll() is None and sys.exc_info()[0]:
                process.terminate()
            process.wait()
    if process.returncode:
        raise InstallError(explain_pip("".join(output)))


# --- Putting it together ------------------------------------------------------


def folder_megabytes(folder: Path) -> int:
    """Size of what `folder` holds, links not followed."""
    total = 0
    for directory, _, names in os.walk(folder):
        total += sum(os.lstat(os.path.join(directory, name)).st_size for name in names)
    return total // 2**20


def check_space(level: str) -> None:
    """Raises InstallError when the disk cannot hold what is still to come."""
    needed = max(100, LEVELS[level].megabytes - folder_megabytes(VENV))
    places = {ROOT: needed, Path(tempfile.gettempdir()): needed // 3}
    for place, megabytes in places.items():
        free = shutil.disk_usage(place).free // 2**20
        if free < megabytes:
            raise InstallError(
                f"Too little disk space at {place}: {free} MB free, about {megabytes} MB needed.\n"
                "Free some and run the same command again"
                + (" (TMPDIR can move the temporary folder)." if place != ROOT else ".")
            )


def install(level: str) -> None:
    """Brings `.venv` to `level`."""
    stamp = read_stamp()
    check_space(level)
    if not (venv_fits(stamp) and venv_answers()):
        make_venv()
        stamp = {}
    write_stamp({k: v for k, v in stamp.items() if k not in LEVELS})
    print(f"Installing into .venv: {LEVELS[level].what}.", flush=True)
    begin = time.monotonic()
    if level == "all":
        pip("-r", "requirements.txt")
        pip("--no-deps", "--no-build-isolation", "--editable", ".")
    else:
        pip("-r", "requirements-book.txt")
    done = {name: fingerprint(name) for name in LEVELS if name in (level, "book")}
    version = subprocess.check_output(
        [str(VENV_PYTHON), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], text=True
    ).strip()
    write_stamp({"root": str(ROOT), "python": version, **done})
    print(f"Installed in {time.monotonic() - begin:.0f} s.", flush=True)


def main(level: str) -> int:
    """Installs `level` if need be and returns the exit status."""
    if is_current(level):
        return 0
    try:
        install(level)
    except InstallError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nStopped. Nothing is half done: the same command goes on from here.", file=sys.stderr
        )
        return 130
    except OSError as error:
        if error.errno != errno.ENOSPC:
            print(f"\nThe installation stopped: {error}", file=sys.stderr)
        else:
            print(f"\n{NO_SPACE}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in LEVELS:
        sys.exit("usage: install.py " + "|".join(LEVELS))
    sys.exit(main(sys.argv[1]))
