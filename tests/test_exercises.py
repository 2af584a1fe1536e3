"""Exercises: stubs fail and say so, solutions pass, and checks tell right answers from wrong."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import assignments
import nbformat
import pytest
from nbformat import NotebookNode

from attention_course.checks import CheckFailed, check
from attention_course.checks.core import EXERCISES
from proofs import RIGHT, WRONG

SOURCES = {path.stem: assignments.read(path) for path in assignments.sources()}
for stem in SOURCES:
    importlib.import_module(f"proofs.chapter{int(stem[:2])}")

every_assignment = pytest.mark.parametrize("name", SOURCES)


def exercises(notebook: NotebookNode) -> dict[str, dict[str, list[NotebookNode]]]:
    """Exercise → kind → its cells, in order."""
    found: dict[str, dict[str, list[NotebookNode]]] = {}
    for cell in notebook.cells:
        exercise, kind = assignments.part(cell)
        if exercise:
            found.setdefault(exercise, {}).setdefault(kind, []).append(cell)
    return found


ANSWERS = {
    exercise: (name, cells)
    for name, notebook in SOURCES.items()
    for exercise, cells in exercises(notebook).items()
}
every_exercise = pytest.mark.parametrize("exercise", ANSWERS)


def run(cells: list[NotebookNode], namespace: dict) -> None:
    """Run the code cells, but for lines of IPython."""
    for cell in cells:
        if cell.cell_type == "code" and "setup" not in cell.metadata.get("tags", []):
            exec(compile(cell.source, cell.id, "exec"), namespace)


def unmarked(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if not assignments.part(cell)[0]]


# --- How a source notebook is made --------------------------------------------


@every_assignment
def test_six_exercises_at_least_of_all_levels_and_numbered(name: str):
    chapter = int(name[:2])
    statements = [cells["statement"][0].source for cells in exercises(SOURCES[name]).values()]
    found = [assignments.STATEMENT.match(text) for text in statements]
    assert [each[1] for each in found] == [f"{chapter}.{n + 1}" for n in range(len(found))]
    assert len(found) >= 6 and {each[3] for each in found} == {"Warm-up", "Core", "Challenge"}


@every_exercise
def test_the_cells_of_an_exercise(exercise: str):
    _, cells = ANSWERS[exercise]
    assert set(cells) - {"given"} == {"statement", "hints", "answer", "check", "hidden"}
    assert len(cells["answer"]) == len(cells["check"]) == len(cells["hidden"]) == 1
    statement, answer = cells["statement"][0].source, cells["answer"][0].source
    promised = int(assignments.STATEMENT.match(statement)[5])
    given = [assignments.points(cells[kind][0]) for kind in ("check", "hidden")]
    told = f"{exercise}: the cells give {sum(given)} points, the statement promises {promised}"
    assert sum(given) == promised and min(given) >= 1, told
    assert len(assignments.HINT.findall(cells["hints"][0].source)) == 3
    assert re.search(rf"(?m)^def {exercise}\(", answer), "the answer is a function of that name"
    assert f"`{exercise}(" in statement, "the statement says what to call it with"
    assert cells["check"][0].source.rstrip().endswith(f"check({exercise})")
    assert assignments.HIDDEN.search(cells["hidden"][0].source)


def test_the_table_for_instructors_says_what_each_exercise_tests():
    head, _, *rows = assignments.table().splitlines()
    assert len(rows) == len(ANSWERS) and {row.count("|") for row in rows} == {head.count("|")}
    for row in rows:
        assert re.fullmatch(r"\| \[\d\.\d+ [^|]+ \| [^|]+ \| [^|]{12,200} \|", row), row


@every_assignment
def test_the_chapter_leads_to_each_exercise_once_by_its_name(name: str):
    chapter = assignments.read(assignments.ROOT / "chapters" / f"{name}.ipynb")
    links = re.findall(
        rf"\[(\d\.\d+ · [^\]]+)\]\(\.\./exercises/book/{name}\.ipynb#[^)]+\) "
        r"\((warm-up|core|challenge), (\d+) minutes\)",
        "\n".join(cell.source for cell in chapter.cells),
    )
    statements = [cells["statement"][0].source for cells in exercises(SOURCES[name]).values()]
    found = [assignments.STATEMENT.match(text) for text in statements]
    assert sorted(links) == sorted((f"{f[1]} · {f[2]}", f[3].lower(), f[4]) for f in found)


def test_the_front_page_counts_the_exercises_right():
    intro = (assignments.ROOT / "intro.md").read_text(encoding="utf-8")
    assert f"a page of exercises, {len(ANSWERS)} in all" in intro


def test_each_check_belongs_to_one_exercise():
    assert sorted(EXERCISES) == sorted(ANSWERS)
    total = sum(len(exercises(notebook)) for notebook in SOURCES.values())
    assert total == len(ANSWERS), "an exercise of that name is in two notebooks"


@every_exercise
def test_no_hint_holds_a_line_of_the_solution(exercise: str):
    _, cells = ANSWERS[exercise]
    hints = cells["hints"][0].source
    for line in secret_lines(cells):
        assert line not in hints, line


# --- What the checks say ------------------------------------------------------


@every_assignment
def test_stubs_fail_and_say_that_they_are_stubs(name: str):
    notebook = assignments.for_students(SOURCES[name])
    namespace: dict = {}
    run(unmarked(notebook), namespace)
    for exercise, cells in exercises(notebook).items():
        run([*cells.get("given", []), *cells["answer"]], namespace)
        with pytest.raises(CheckFailed, match="still to be written") as failed:
            run(cells["check"], namespace)
        assert str(failed.value).startswith(f"✗ {exercise}: ")


@every_assignment
def test_solutions_pass_hidden_tests_included(name: str, capsys):
    run(SOURCES[name].cells, {})
    printed = capsys.readouterr().out
    for exercise in exercises(SOURCES[name]):
        assert printed.count(f"✓ {exercise}: passed") >= 1


@pytest.mark.parametrize("seed", range(3))
@every_exercise
def test_right_answers_pass(exercise: str, seed: int):
    assert len(RIGHT[exercise]) >= 2
    for answer in RIGHT[exercise]:
        try:
            check(answer, exercise, seed)
        except CheckFailed as failure:
            pytest.fail(f"{answer.__name__} is right, but:\n{failure}")


@pytest.mark.parametrize("seed", range(3))
@every_exercise
def test_wrong_answers_fail_and_the_message_names_the_mistake(exercise: str, seed: int):
    assert len(WRONG[exercise]) >= 3
    for answer, says in WRONG[exercise]:
        with pytest.raises(CheckFailed) as failed:
            check(answer, exercise, seed)
        told = " ".join(str(failed.value).split())
        assert says in told, f"{answer.__name__}: no {says!r} in\n{failed.value}"


@every_exercise
def test_an_answer_that_returns_nothing_fails_in_words(exercise: str):
    with pytest.raises(CheckFailed):
        check(lambda *inputs: None, exercise)


def test_an_unknown_exercise_is_named():
    with pytest.raises(ValueError, match="Did you mean 'shift_targets'"):
        check(lambda: None, "shift_target")


# --- Editions -----------------------------------------------------------------


def secret_lines(cells: dict[str, list[NotebookNode]]) -> Iterator[str]:
    """The distinctive lines of the solution and the hidden tests: long enough, and not in what
    everybody sees."""
    answer, hidden = cells["answer"][0].source, cells["hidden"][0].source
    secret = [found[2] for found in assignments.SOLUTION.finditer(answer)]
    secret += [found[1] for found in assignments.HIDDEN.finditer(hidden)]
    kinds = ("statement", "given", "check")
    seen = "\n".join(cell.source for kind in kinds for cell in cells.get(kind, []))
    for line in "\n".join(secret).splitlines():
        line = line.strip()
        if len(line) >= 16 and line not in seen:
            yield line


@every_assignment
def test_nothing_leaks_into_what_students_get(name: str):
    notebook = assignments.for_students(SOURCES[name])
    text = json.dumps(notebook, ensure_ascii=False)
    for exercise, cells in exercises(SOURCES[name]).items():
        lines = list(secret_lines(cells))
        assert len(lines) >= 2, f"{exercise}: the leak test would see nothing"
        for line in lines:
            assert json.dumps(line, ensure_ascii=False)[1:-1] not in text, line
    assert "BEGIN" not in text and "END" not in text
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert ":::" not in text, "Colab shows a directive as plain text: use <details>"


@every_assignment
def test_the_book_without_solutions_has_none(name: str):
    text = json.dumps(
        assignments.for_the_book(SOURCES[name], name, solutions=False), ensure_ascii=False
    )
    whole = json.dumps(assignments.for_the_book(SOURCES[name], name), ensure_ascii=False)
    for cells in exercises(SOURCES[name]).values():
        answer = cells["answer"][0].source
        solution = "".join(found[2] for found in assignments.SOLUTION.finditer(answer))
        for line in filter(lambda each: len(each.strip()) >= 16, solution.splitlines()):
            assert json.dumps(line, ensure_ascii=False)[1:-1] in whole
        for line in secret_lines(cells):
            assert json.dumps(line, ensure_ascii=False)[1:-1] not in text
    assert "HIDDEN" not in whole


def test_zips_hold_one_notebook_an_assignment(tmp_path: Path):
    import zipfile

    student, instructor = assignments.write_zips(tmp_path)
    for archive in (student, instructor):
        assert zipfile.ZipFile(archive).namelist() == [f"{name}.ipynb" for name in SOURCES]
    again = student.read_bytes()
    assert assignments.write_zips(tmp_path)[0].read_bytes() == again


def test_a_statement_of_another_form_is_named(tmp_path: Path):
    notebook = assignments.read(assignments.sources()[0])
    cell = next(c for c in notebook.cells if assignments.part(c)[1] == "statement")
    cell.source = cell.source.replace("minutes", "min", 1)
    nbformat.write(notebook, tmp_path / "01-other.ipynb")
    with pytest.raises(ValueError, match=r"01-other\.ipynb: shift_targets begins '## 1\.1 "):
        assignments.table(tmp_path)


def test_a_word_that_the_setting_does_not_know_is_refused(monkeypatch: pytest.MonkeyPatch):
    for asked, shown in (("no", False), ("NO", False), ("yes", True)):
        monkeypatch.setenv("COURSE_SOLUTIONS", asked)
        assert assignments.with_solutions() is shown
    monkeypatch.setenv("COURSE_SOLUTIONS", "off")
    with pytest.raises(ValueError, match="'off', expected 'yes' or 'no'"):
        assignments.with_solutions()
