"""The package installs from a checkout and from a wheel; its parts import what they should."""

from __future__ import annotations

import ast
import importlib.resources
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import install
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "code" / "attention_course"
FRAMEWORKS = {"scratch": set(), "pytorch": {"torch"}, "keras": {"keras", "tensorflow"}}
FRAMEWORK_LIBRARIES = set.union(*FRAMEWORKS.values())
MODULES = sorted(PACKAGE.rglob("*.py"))


def python(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs this environment's Python, away from the checkout."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | variables
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True
    )


def module_id(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


# --- The folder called code ---------------------------------------------------


def test_the_standard_librarys_code_stays_importable(tmp_path: Path) -> None:
    assert not (ROOT / "code" / "__init__.py").exists()
    for folder in (tmp_path, ROOT):
        done = python("-c", "import code, pdb; code.interact", cwd=folder)
        assert done.returncode == 0, done.stderr


def test_nothing_but_the_package_is_in_code() -> None:
    ignored = re.compile(r"__pycache__|.*\.egg-info|\..*")
    names = {p.name for p in (ROOT / "code").iterdir() if not ignored.fullmatch(p.name)}
    assert names == {"attention_course"}


def test_every_folder_of_the_package_is_installed() -> None:
    setting = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {p.parent.relative_to(ROOT / "code") for p in MODULES}
    expected = {".".join(folder.parts) for folder in folders} | {"attention_course.assets"}
    assert set(setting["packages"]) == expected
    for folder in folders:
        assert (ROOT / "code" / folder / "__init__.py").exists(), folder
    assert [p.parent.name for p in (ROOT / "data").rglob("__init__.py")] == ["data"]


# --- Assets, in a checkout and in a wheel -------------------------------------

LIST_ASSETS = """
import importlib.resources, json
folder = importlib.resources.files("attention_course.assets")
names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
print(json.dumps({"folder": str(folder), "names": [n for n in names if "__pycache__" not in n]}))
"""


def stored_assets() -> list[str]:
    files = (p for p in (ROOT / "data").rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return sorted(p.relative_to(ROOT / "data").as_posix() for p in files)


def test_the_editable_install_finds_the_assets() -> None:
    folder = importlib.resources.files("attention_course.assets")
    assert Path(str(folder)) == ROOT / "data"
    assert (folder / "README.md").is_file()


@pytest.mark.slow
def test_the_wheel_finds_the_assets(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("code", "data"):
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    expected = sorted(
        p.relative_to(source / "data").as_posix()
        for p in (source / "data").rglob("*")
        if p.is_file()
    )
    pip = ("-m", "pip", "-q", "--disable-pip-version-check")
    options = ("--no-index", "--no-deps", "--no-build-isolation")
    built = python(*pip, "wheel", *options, "-w", str(tmp_path), str(source), cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    done = python(*pip, "install", *options, "--target", str(site), str(wheel), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    tops = {p.name for p in site.iterdir() if not p.name.endswith(".dist-info")}
    assert tops == {"attention_course"}, "the wheel holds more than the package"
    listed = python("-c", LIST_ASSETS, cwd=tmp_path, PYTHONPATH=str(site))
    assert listed.returncode == 0, listed.stderr
    found = json.loads(listed.stdout)
    assert Path(found["folder"]).is_relative_to(site)
    assert found["names"] == expected


# --- Who may import whom ------------------------------------------------------


def imported_names(path: Path) -> Iterator[str]:
    """The absolute names of all modules that the file at `path` imports, wherever it does."""
    package = path.relative_to(ROOT / "code").with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def room(path: Path) -> str:
    """The first folder below the package, or '' for a module directly in it."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


SEPARATE = [path for path in MODULES if room(path) not in ("experiments", "checks")]


@pytest.mark.parametrize("path", SEPARATE, ids=module_id)
def test_imports_keep_the_frameworks_apart(path: Path) -> None:
    own = room(path) if room(path) in FRAMEWORKS else None
    for name in imported_names(path):
        top, _, rest = name.partition(".")
        library_allowed = top not in FRAMEWORK_LIBRARIES or (own and top in FRAMEWORKS[own])
        assert library_allowed, f"imports {name}"
        folder = rest.partition(".")[0] if top == "attention_course" else ""
        assert folder not in FRAMEWORKS or folder == own, f"imports {name}"


@pytest.mark.parametrize("path", [p for p in MODULES if room(p) == "scratch"], ids=module_id)
def test_scratch_is_numpy_only(path: Path) -> None:
    allowed = sys.stdlib_module_names | {"numpy", "attention_course", "__future__"}
    foreign = {name for name in imported_names(path) if name.partition(".")[0] not in allowed}
    assert not foreign


BLOCKED = """
import importlib, pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(name + " is blocked")

sys.meta_path.insert(0, Blocker())
import attention_course
others = {others}
for module in pkgutil.walk_packages(attention_course.__path__, "attention_course."):
    if not module.name.startswith(tuple("attention_course." + name for name in others)):
        importlib.import_module(module.name)
assert not {blocked} & {{name.partition(".")[0] for name in sys.modules}}
"""


def test_all_but_the_framework_folders_work_without_frameworks(tmp_path: Path) -> None:
    others = ("pytorch", "keras", "experiments", "checks")
    code = BLOCKED.format(blocked=FRAMEWORK_LIBRARIES, others=others)
    done = python("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


# --- What is pinned, and the messages of the installer ------------------------


@pytest.mark.parametrize("name", ["requirements-book.txt", "requirements.txt"])
def test_requirements_are_exact_pins(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    if name == "requirements.txt":
        assert lines.pop(0) == "-r requirements-book.txt"
    loose = [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9][\w.]*", line)]
    assert not loose
    names = [line.partition("==")[0] for line in lines]
    assert len(names) == len(set(names))


def test_the_book_needs_no_framework() -> None:
    text = (ROOT / "requirements-book.txt").read_text()
    assert not re.search(r"^(torch|tensorflow|keras)\b", text, re.MULTILINE)


def test_no_framework_is_a_hard_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.match(r"[\w-]+", line)[0] for line in project["dependencies"]}
    plain = {"numpy", "matplotlib", "tqdm", "pooch", "sacrebleu", "einops"}
    assert names == plain | {"koreanize-matplotlib"}


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("WARNING: Retrying ... NewConnectionError('...')", "PIP_NO_INDEX=1"),
        ("Temporary failure in name resolution", "working network"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED]", "PIP_CERT"),
        ("ERROR: something unforeseen", "something unforeseen"),
    ],
)
def test_the_installer_says_what_to_do(output: str, expected: str) -> None:
    assert expected in install.explain_pip(output)


def test_the_installer_names_what_is_missing_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "/media/wheels")
    said = install.explain_pip("ERROR: No matching distribution found for torch==2.13.0")
    assert "torch==2.13.0" in said and "/media/wheels" in said


def test_the_installer_asks_for_the_venv_module() -> None:
    assert "-venv" in install.explain_venv("ensurepip is not available")


def test_the_installer_refuses_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=5 * 2**20)
    monkeypatch.setattr(install.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(install, "folder_megabytes", lambda _: 0)
    with pytest.raises(install.InstallError, match="5 MB free"):
        install.check_space("book")


def test_a_stamp_counts_only_for_the_files_it_was_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = tmp_path / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").touch()
    (tmp_path / "requirements-book.txt").write_text("a==1\n")
    monkeypatch.delenv("PYTHON", raising=False)
    for name, value in {
        "ROOT": tmp_path,
        "VENV": venv,
        "VENV_PYTHON": venv / "bin" / "python",
        "STAMP": venv / "course-stamp.json",
    }.items():
        monkeypatch.setattr(install, name, value)
    assert not install.is_current("book")
    install.write_stamp({"root": str(tmp_path), "book": install.fingerprint("book")})
    assert install.is_current("book")
    (tmp_path / "requirements-book.txt").write_text("a==2\n")
    assert not install.is_current("book"), "the pins changed"
    install.write_stamp({"root": "/elsewhere", "book": install.fingerprint("book")})
    assert not install.is_current("book"), "the folder was moved"


def test_an_unsupported_python_is_refused_with_a_message(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.18 || exit 1\n')
    old.chmod(0o755)
    command = ["sh", str(ROOT / "tools" / "install.sh"), "book"]
    environment = os.environ | {"PYTHON": str(old)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Python 3.11" in done.stderr and "3.9.18" in done.stderr
    assert "Traceback" not in done.stderr
