"""The HTML book as a reader gets it: built strictly, links that lead somewhere, nothing loaded
from elsewhere, legible on a phone, usable by everybody, in light and dark."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("sphinx", reason="the book's requirements are not installed: run `make book`")

import nbformat
import yaml
from book_browser import CHROMIUM, chromium, inspect, serving, window
from book_links import broken_links, is_external, read_page
from bs4 import BeautifulSoup
from bs4.element import PreformattedString
from docutils import nodes
from docutils.utils import new_document
from sphinx.errors import ConfigError, ExtensionError

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
THEMES = ("light", "dark")
GENERATED = ("genindex", "search")


def load(path: Path) -> ModuleType:
    """Import the Python file at `path`, which lies outside of any package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


course_repository = load(ROOT / "_ext" / "course_repository.py")
display_math = load(ROOT / "_ext" / "display_math.py")
figure_alt = load(ROOT / "_ext" / "figure_alt.py")
first_uses = load(ROOT / "_ext" / "first_uses.py")
framework_tabs = load(ROOT / "_ext" / "framework_tabs.py")
korean = load(ROOT / "_ext" / "korean.py")
offline_mathjax = load(ROOT / "_ext" / "offline_mathjax.py")
build_book = load(ROOT / "tools" / "build_book.py")


def toc_entries(entry: Any) -> Iterator[str]:
    """Yield the documents that a table of contents names, in reading order."""
    if isinstance(entry, list):
        for each in entry:
            yield from toc_entries(each)
    elif isinstance(entry, dict):
        yield from (str(entry[key]) for key in ("root", "file") if key in entry)
        for value in entry.values():
            yield from toc_entries(value)


DOCUMENTS = list(toc_entries(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))))
PAGES = [f"{name}.html" for name in (*DOCUMENTS, *GENERATED)]


def run_build(book: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run tools/build_book.py on the folder `book`."""
    command = [sys.executable, str(ROOT / "tools" / "build_book.py"), str(book)]
    settings = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, env=settings)


@pytest.fixture(scope="module")
def book() -> Path:
    """The folder of the built pages, built now if anything has changed."""
    done = run_build(ROOT)
    if done.returncode:
        pytest.fail(f"the book does not build:\n{done.stderr}", pytrace=False)
    return HTML


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        reason = f"{CHROMIUM} is missing: apt-get install chromium (Debian)"
        pytest.fail(reason, pytrace=False) if os.environ.get("CI") else pytest.skip(reason)
    with chromium() as running:
        yield running


# ---- every page of the book


def built_pages(folder: Path) -> list[Path]:
    """Return the HTML pages of a book (not the pieces of HTML that the theme leaves in _static)."""
    return sorted(p for p in folder.rglob("*.html") if "_static" not in p.relative_to(folder).parts)


def test_every_page_of_the_contents_is_built_and_no_other(book: Path) -> None:
    built = {str(path.relative_to(book)) for path in built_pages(book)}
    assert built == {*PAGES, "index.html"}


def test_links_and_anchors_lead_somewhere(book: Path) -> None:
    pages = {path: read_page(path) for path in built_pages(book)}
    broken = list(broken_links(pages, book))
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("name", PAGES)
def test_every_picture_says_what_it_shows(book: Path, name: str) -> None:
    pictures = read_page(book / name).pictures
    silent = [address for address, alt in pictures if not (alt or "").strip()]
    assert not silent, f"{name}: no alt text: {silent}"


@pytest.mark.parametrize("name", PAGES)
def test_scripts_and_styles_are_our_own(book: Path, name: str) -> None:
    page = read_page(book / name)
    scripts, styles = page.targets("script"), page.targets("link")
    mathjax = [address for address in scripts if "mathjax" in address.lower()]
    assert not [address for address in scripts + styles if is_external(address)]
    assert len(mathjax) <= 1, f"{name} loads MathJax more than once: {mathjax}"


def test_colab_links_follow_the_one_setting(book: Path) -> None:
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    named = config["repository"]
    options = {"repository_url": named["url"], "repository_branch": named["branch"]}
    chosen = course_repository.repository_options(options, os.environ)
    for name in DOCUMENTS:
        found = [a for a in read_page(book / f"{name}.html").targets("a") if "colab" in a]
        expected = []
        if chosen["repository_url"] and (ROOT / f"{name}.ipynb").is_file():
            there = chosen["repository_url"].removeprefix("https://github.com/")
            place = f"{there}/blob/{chosen['repository_branch']}/{name}.ipynb"
            expected = [f"https://colab.research.google.com/github/{place}"]
        assert [a for a in found if f"/{name}.ipynb" in a or "OWNER" in a] == expected, name


CHAPTERS = [name for name in DOCUMENTS if name.startswith("chapters/")]
CORE = [name for name in CHAPTERS if "/further/" not in name]
NO_PROSE = {
    *("h1", "h2", "h3", "h4", "h5", "h6", "code", "pre", "table", "figcaption", "summary"),
    *("admonition-title", "cell", "dropdown", "math", "tip"),
}


def soup_of(path: Path) -> BeautifulSoup:
    """Return the HTML file at `path` as a tree."""
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@pytest.mark.parametrize("name", CHAPTERS)
def test_first_uses_lead_to_the_glossary(book: Path, name: str) -> None:
    """At most one link a term, in running prose only, with the definition as its tooltip."""
    entries = {term["id"] for term in soup_of(book / "appendix" / "glossary.html").select("dt[id]")}
    links = soup_of(book / f"{name}.html").select("a.glossary-term")
    assert (10 if name in CORE else 3) <= len(links) <= 30
    targets = [link["href"].split("#") for link in links]
    there = os.path.relpath("appendix/glossary.html", Path(name).parent)
    assert {page for page, _ in targets} == {there}
    assert {anchor for _, anchor in targets} <= entries
    assert len(targets) == len({anchor for _, anchor in targets})
    for link in links:
        around = {word for each in link.parents for word in (each.name, *each.get("class", []))}
        assert not around & (NO_PROSE | {"a"}), f"{link} stands in {around & NO_PROSE}"
        assert link["title"].endswith(".") and not re.search(korean.HANGUL, link["title"])


def test_only_chapters_lead_to_the_glossary_unasked(book: Path) -> None:
    others = [name for name in DOCUMENTS if name not in CHAPTERS]
    assert not [n for n in others if soup_of(book / f"{n}.html").select("a.glossary-term")]


@pytest.mark.parametrize("name", PAGES)
def test_korean_is_marked_as_korean(book: Path, name: str) -> None:
    page = soup_of(book / f"{name}")
    found = page.find_all(string=re.compile(korean.HANGUL))
    unmarked = [
        text
        for text in found
        if not isinstance(text, PreformattedString)
        and not {"title", "script", "style"} & {each.name for each in text.parents}
        and text.find_parent(lang="ko") is None
    ]
    assert not unmarked
    for span in page.select("span[lang=ko]"):
        assert re.search(korean.HANGUL, span.get_text()) and not span.find("span")


def test_the_glossary_and_what_cells_print_speak_korean(book: Path) -> None:
    assert len(soup_of(book / "appendix/glossary.html").select("dd span[lang=ko]")) > 100
    printed = ".cell_output pre span[lang=ko]"
    assert soup_of(book / "chapters/04-luong-attention.html").select(printed)


def test_every_reference_is_listed_with_its_address(book: Path) -> None:
    entries = (ROOT / "references.bib").read_text(encoding="utf-8").count("\n@") + 1
    listed = soup_of(book / "appendix/references.html").select("div.citation")
    assert len(listed) == entries
    assert not [each.get_text() for each in listed if not each.select("a[href^=http]")]


@pytest.fixture(scope="module")
def site(book: Path) -> Iterator[str]:
    with serving(book) as address:
        yield address


@pytest.fixture(scope="module")
def windows(browser: Any) -> Iterator[dict[str, Any]]:
    """One browser window a theme, for all pages."""
    with window(browser, "light") as light, window(browser, "dark") as dark:
        yield {"light": light, "dark": dark}


@pytest.mark.browser
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", PAGES)
def test_page_in_the_browser(site: str, windows: dict[str, Any], name: str, theme: str) -> None:
    """No request elsewhere, no error, no sideways scrolling at 390 px, no finding of axe."""
    complaints = inspect(windows[theme], site, name).complaints()
    assert not complaints, f"{name}, {theme}:\n" + "\n".join(complaints)


@pytest.mark.browser
def test_search_finds_a_page(site: str, windows: dict[str, Any]) -> None:
    windows["light"].goto(f"{site}search.html?q=references")
    windows["light"].wait_for_selector("#search-results li a")


# ---- a tiny book: tabs, formulas and the repository's address


def code_cell(source: str, output: str, tag: str) -> nbformat.NotebookNode:
    """Return an executed cell that printed `output`."""
    printed = nbformat.v4.new_output("stream", name="stdout", text=f"{output}\n")
    cell = nbformat.v4.new_code_cell(source, outputs=[printed], execution_count=1)
    cell.metadata["tags"] = [tag] if tag else []
    return cell


TINY_CELLS = [
    ("a = 1", "numpy one", "tab-numpy"),
    ("b = 2", "numpy two", "tab-numpy"),
    ("c = 3", "torch one", "tab-pytorch"),
    ("d = 4", "keras one", "tab-keras"),
    ("e = 5", "no tab", ""),
    ("f = 6", "numpy three", "tab-numpy"),
    ("g = 7", "torch two", "tab-pytorch"),
]
TINY_TEXT = r"""# A tiny chapter

$$
\begin{aligned} a &= b \\ c &= d \end{aligned} \tag{1.1}
$$

$$
\textcolor{#0072b2}{q} \cdot \textcolor{#b34700}{k}
$$
"""


def write_tiny_book(folder: Path) -> None:
    """Write a book of two pages that uses this book's settings and extensions."""
    for name in ("_config.yml", "references.bib"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("_ext", "_static"):
        shutil.copytree(ROOT / name, folder / name)
    toc = "format: jb-book\nroot: intro\nchapters:\n  - file: chapters/01-seq2seq-limits\n"
    (folder / "_toc.yml").write_text(toc, encoding="utf-8")
    (folder / "intro.md").write_text("# A tiny book\n", encoding="utf-8")
    cells = [nbformat.v4.new_markdown_cell(TINY_TEXT), *(code_cell(*each) for each in TINY_CELLS)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    (folder / "chapters").mkdir()
    nbformat.write(notebook, folder / "chapters" / "01-seq2seq-limits.ipynb")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of the tiny book, built for the repository owner/name, branch v1."""
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny_book(folder)
    address = {"COURSE_REPO_URL": "https://github.com/owner/name", "COURSE_REPO_BRANCH": "v1"}
    done = run_build(folder, **address)
    assert done.returncode == 0, done.stderr
    return folder / "_build" / "html"


def test_repository_address_makes_the_buttons(tiny: Path) -> None:
    links = read_page(tiny / "chapters" / "01-seq2seq-limits.html").targets("a")
    colab = "https://colab.research.google.com/github/owner/name/blob/v1/"
    assert [a for a in links if "colab" in a] == [f"{colab}chapters/01-seq2seq-limits.ipynb"]
    assert "https://github.com/owner/name" in links
    assert any(a.startswith("https://github.com/owner/name/issues/new") for a in links)
    assert not [a for a in read_page(tiny / "intro.html").targets("a") if "colab" in a]


TAB_TEXTS = """() => [...document.querySelectorAll('.sd-tab-set')].map(set =>
  [...set.querySelectorAll(':scope > .sd-tab-label')].map(label => [
    label.textContent.trim(),
    [...label.nextElementSibling.querySelectorAll('.cell_output pre')].map(out =>
      out.textContent.trim())]))"""
VISIBLE = """() => [...document.querySelectorAll('.sd-tab-set .cell_output pre')]
  .filter(each => each.checkVisibility()).map(each => each.textContent.trim())"""


@pytest.mark.browser
def test_tabs_hold_code_and_outputs_and_are_in_step(tiny: Path, browser: Any) -> None:
    with serving(tiny) as address, window(browser, "light") as page:
        page.goto(f"{address}chapters/01-seq2seq-limits.html")
        assert page.evaluate(TAB_TEXTS) == [
            [
                ["NumPy", ["numpy one", "numpy two"]],
                ["PyTorch", ["torch one"]],
                ["Keras", ["keras one"]],
            ],
            [["NumPy", ["numpy three"]], ["PyTorch", ["torch two"]]],
        ]
        assert page.evaluate(VISIBLE) == ["numpy one", "numpy two", "numpy three"]
        page.locator(".sd-tab-label", has_text="PyTorch").first.click()
        assert page.evaluate(VISIBLE) == ["torch one", "torch two"]
        page.reload()
        assert page.evaluate(VISIBLE) == ["torch one", "torch two"]
        page.emulate_media(media="print")
        assert len(page.evaluate(VISIBLE)) == 6


@pytest.mark.browser
def test_formulas_keep_numbers_and_colours(tiny: Path, browser: Any) -> None:
    with serving(tiny) as address, window(browser, "dark") as page:
        assert inspect(page, address, "chapters/01-seq2seq-limits.html").complaints() == []
        query = page.locator("mjx-container [fill='#0072b2']").first
        assert page.locator("mjx-container [id='mjx-eqn:1.1']").count() == 1
        assert query.evaluate("each => getComputedStyle(each).fill") == "rgb(121, 184, 242)"


# ---- a browser that has nothing to complain about must be able to complain

FLAWED = """<!doctype html><html lang="en"><head><title>Flawed</title></head><body>
<main><h1>Flawed</h1><div id="wide" style="width: 600px; background: silver">wide</div>
<article class="bd-article"><div style="overflow: hidden">
<p id="cut" style="width: 500px">cut</p></div></article>
<p>Raw: $$x$$</p><img src="missing.png">
<script src="https://example.org/x.js"></script><script>throw new Error("thrown")</script>
</main></body></html>"""


@pytest.mark.browser
def test_the_inspection_sees_what_is_wrong(tmp_path: Path, browser: Any) -> None:
    (tmp_path / "page.html").write_text(FLAWED, encoding="utf-8")
    with serving(tmp_path) as address, window(browser, "light") as page:
        visit = inspect(page, address, "page.html")
    assert visit.off_site == ["script https://example.org/x.js"]
    assert any("missing.png" in each for each in visit.refused)
    assert any("thrown" in each for each in visit.console)
    assert visit.formulas == ["raw formula: Raw: $$x$$"]
    assert 'id="wide"' in visit.overflow[0] and 'id="cut"' in visit.overflow[1]
    assert any(each.startswith("image-alt") for each in visit.axe)


def test_the_link_checker_sees_what_is_broken(tmp_path: Path) -> None:
    page = '<h1 id="here">A</h1><a href="#here"></a><a href="#gone"></a><img src="x.png">'
    other = '<a href="a.html#here"></a><a href="a.html#lost"></a><a href="https://example.org"></a>'
    (tmp_path / "a.html").write_text(page, encoding="utf-8")
    (tmp_path / "b.html").write_text(other, encoding="utf-8")
    pages = {path: read_page(path) for path in sorted(tmp_path.glob("*.html"))}
    assert list(broken_links(pages, tmp_path)) == [
        "a.html: <a> #gone: a.html has no anchor 'gone'",
        "a.html: <img> x.png: there is no such file",
        "b.html: <a> a.html#lost: a.html has no anchor 'lost'",
    ]


# ---- the extensions, one by one


@pytest.mark.parametrize(
    "url", ["", "https://github.com/OWNER/REPO", "https://github.com/OWNER/REPO/"]
)
def test_placeholder_hides_the_buttons(url: str) -> None:
    options = {"repository_url": url, "use_repository_button": True, "launch_buttons": {"a": "b"}}
    settled = course_repository.repository_options(options, {})
    assert settled["launch_buttons"] == {}
    assert not settled["use_repository_button"] and not settled["use_issues_button"]


def test_environment_names_the_repository() -> None:
    options = {"repository_url": "https://github.com/OWNER/REPO", "repository_branch": "main"}
    environment = {"COURSE_REPO_URL": "https://github.com/a/b.git", "COURSE_REPO_BRANCH": "v1.0"}
    settled = course_repository.repository_options(options, environment)
    assert settled == {"repository_url": "https://github.com/a/b", "repository_branch": "v1.0"}


@pytest.mark.parametrize(
    "url", ["github.com/a/b", "https://gitlab.com/a/b", "https://github.com/a"]
)
def test_malformed_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="expected https://github"):
        course_repository.repository_options({}, {"COURSE_REPO_URL": url})


def test_malformed_branch_is_refused() -> None:
    environment = {"COURSE_REPO_URL": "https://github.com/a/b", "COURSE_REPO_BRANCH": "a branch"}
    with pytest.raises(ConfigError, match="expected a branch or tag"):
        course_repository.repository_options({}, environment)


def test_missing_mathjax_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline_mathjax, "PACKAGE", "no_such_package")
    with pytest.raises(ExtensionError, match="make book"):
        offline_mathjax.mathjax_script()


def test_two_tab_tags_on_a_cell_are_refused() -> None:
    tags = {"tags": ["tab-numpy", "tab-keras"]}
    cell = nodes.container(nb_element="cell_code", cell_index=4, cell_metadata=tags)
    with pytest.raises(ExtensionError, match="code cell 5"):
        framework_tabs.tab_tag(cell)


def test_pictures_without_words_are_found() -> None:
    document = new_document("page")
    for index, alt in enumerate(("words", "", None)):
        cell = nodes.container(nb_element="cell_code", cell_index=index)
        cell += nodes.image(uri="a.png", **({} if alt is None else {"alt": alt}))
        document += cell
    assert figure_alt.silent_cells(document) == [2, 3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [(r"a \\ b \tag{1.1}", True), (r"a \tag{1.1}", False), (r"a \\ b", False)],
)
def test_only_tagged_formulas_of_several_lines_are_left_alone(text: str, expected: bool) -> None:
    assert display_math.as_written(nodes.math_block(text, text)) is expected


def glossary_entry(name: str) -> Any:
    return first_uses.Entry(f"term-{name}", (name,), f"What {name} is.")


def linked(*children: nodes.Node, names: tuple[str, ...] = ("head", "key", "query")) -> list[str]:
    """Return the words that become links in a page of `children`."""
    page = new_document("page")
    page += children
    first_uses.link_first_uses(page, [glossary_entry(each) for each in names], "glossary.html")
    return [link.astext() for link in page.findall(nodes.reference)]


def paragraph(text: str) -> nodes.paragraph:
    return nodes.paragraph("", text)


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("A head, the head, heads.", ("head",), ["head"]),
        ("Heads and queries.", ("head", "query"), ["Heads"]),
        ("Queries meet keys.", ("query", "key"), ["Queries", "keys"]),
        ("The key to it all.", ("key",), []),
        ("A header; a two-head layer.", ("head",), []),
        (
            "Soft attention.",
            ("attention pooling", "soft attention", "attention"),
            ["Soft attention"],
        ),
        ("An encoder-decoder.", ("encoder–decoder", "decoder"), ["encoder-decoder"]),
        ("The loss of a batch.", ("loss", "batch"), []),
        ("A multi-head\nattention.", ("multi-head attention",), ["multi-head\nattention"]),
        ("Batch norms are classes.", ("class",), ["classes"]),
    ],
)
def test_words_that_become_links(text: str, names: tuple[str, ...], expected: list[str]) -> None:
    assert linked(paragraph(text), names=names) == expected


def test_only_prose_is_linked() -> None:
    code = nodes.paragraph("", "", nodes.literal("", "head"))
    table = nodes.table("", nodes.tgroup("", nodes.tbody("", paragraph("head"))))
    folded = nodes.container("", paragraph("head"), classes=["dropdown"])
    cell = nodes.container("", paragraph("head"), nb_element="cell_code")
    papers = nodes.section("", nodes.title("", "References"), paragraph("head"))
    assert linked(nodes.title("", "head"), code, table, folded, cell, papers) == []


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<p>Say 나는, 너는!</p>", '<p>Say <span lang="ko">나는, 너는</span>!</p>'),
        ('<img alt="나 > 너">', '<img alt="나 > 너">'),
        ("<title>한글</title><script>'한글'</script>", None),
        ('<span class="math notranslate">\\(\\text{한}\\)</span>', None),
        ("<pre>은\n는</pre>", '<pre><span lang="ko">은</span>\n<span lang="ko">는</span></pre>'),
        ("no Hangul", None),
    ],
)
def test_hangul_is_marked(page: str, expected: str | None) -> None:
    assert korean.mark_korean(page) == (expected or page)


# ---- the colours of query, key, value and context

PAPER = {"light": "#ffffff", "dark": "#121212"}  # the theme's page


def role_colours(theme: str) -> dict[str, str]:
    """Return the colours that course.css gives the four roles."""
    styles = (ROOT / "_static" / "course.css").read_text(encoding="utf-8")
    selector = ":root {" if theme == "light" else 'html[data-theme="dark"] {'
    block = styles.split(selector, 1)[1].split("}", 1)[0]
    return dict(re.findall(r"--(query|key|value|context): (#[0-9a-f]{6});", block))


def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb (WCAG 2.1)."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", THEMES)
def test_role_colours_are_legible(theme: str) -> None:
    colours = role_colours(theme)
    assert set(colours) == {"query", "key", "value", "context"}
    for role, colour in colours.items():
        low, high = sorted([luminance(colour), luminance(PAPER[theme])])
        assert (high + 0.05) / (low + 0.05) >= 4.5, f"{role} {colour} on {PAPER[theme]}"


def test_figures_formulas_and_prose_share_the_role_colours() -> None:
    plotting = pytest.importorskip("attention_course.plotting")
    assert {role: colour.lower() for role, colour in plotting.ROLES.items()} == role_colours(
        "light"
    )
    styles = (ROOT / "_static" / "course.css").read_text(encoding="utf-8")
    for role, colour in role_colours("light").items():
        assert f'[fill="{colour}" i] {{ fill: var(--{role})' in styles


# ---- the build itself


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """The folder of a book that has never been built."""
    (tmp_path / "chapters").mkdir()
    for name in ("_config.yml", "_toc.yml", "chapters/01.ipynb"):
        (tmp_path / name).write_text("a", encoding="utf-8")
    return tmp_path


def pretend(book: Path, output: Path) -> None:
    """Stand in for Jupyter Book: one page."""
    page = output / "_build" / "html" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("built", encoding="utf-8")


def test_nothing_is_built_twice(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []
    monkeypatch.setattr(
        build_book, "run_jupyter_book", lambda *given: (calls.append(given[0]), pretend(*given))
    )
    for count, change in enumerate([None, "chapters/01.ipynb", "_toc.yml"], start=1):
        if change:
            (sources / change).write_text("b", encoding="utf-8")
        build_book.build(sources)
        build_book.build(sources)
        assert len(calls) == count, f"after a change of {change}"
    monkeypatch.setenv("COURSE_REPO_URL", "https://github.com/a/b")
    build_book.build(sources)
    assert len(calls) == 4


def test_a_failure_leaves_the_old_book_and_is_not_forgotten(
    sources: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(book: Path, output: Path) -> None:
        raise build_book.BuildFailed("intro.md:15: WARNING: no such target")

    monkeypatch.setattr(build_book, "run_jupyter_book", pretend)
    assert build_book.main([str(sources)]) == 0
    (sources / "_toc.yml").write_text("b", encoding="utf-8")
    monkeypatch.setattr(build_book, "run_jupyter_book", fail)
    assert [build_book.main([str(sources)]) for _ in range(2)] == [1, 1]
    assert capsys.readouterr().err.count("no such target") == 2
    assert (sources / "_build" / "html" / "index.html").read_text() == "built"


def test_a_full_disk_is_said_in_words(
    sources: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(book: Path, output: Path) -> None:
        raise OSError(28, "No space left on device", str(output))

    monkeypatch.setattr(build_book, "run_jupyter_book", full)
    assert build_book.main([str(sources)]) == 1
    assert "No space left on the disk" in capsys.readouterr().err


def test_missing_jupyter_book_is_said_in_words(
    sources: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build_book.util, "find_spec", lambda name: None)
    assert build_book.main([str(sources)]) == 1
    assert "Run: make book" in capsys.readouterr().err


def test_a_warning_is_shown_plainly() -> None:
    log = "Running\n\x1b[31m/book/intro.md:15: WARNING: no target\x1b[0m\nTraceback (most recent)\n"
    assert build_book.problems(log, Path("/book")) == "intro.md:15: WARNING: no target"
