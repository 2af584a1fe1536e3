"""The bibliography and the links: each paper that a page links to stands in references.bib, and
each entry of references.bib is linked to somewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pybtex = pytest.importorskip(
    "pybtex.database", reason="the book's requirements are not installed: run `make book`"
)

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path
    for pattern in ("intro.md", "appendix/*.md", "chapters/**/*.ipynb", "exercises/*.ipynb")
    for path in ROOT.glob(pattern)
    if ".ipynb_checkpoints" not in path.parts
)
ENTRIES = pybtex.parse_file(str(ROOT / "references.bib"), bib_format="bibtex").entries
# Programs, their manuals and bug reports, lecture notes without a date, data, licences and
# standards: no literature. A link to any other place needs an entry.
NO_LITERATURE = {
    *("creativecommons.org", "cs231n.github.io", "docs.pytorch.org", "github.com", "keras.io"),
    *("nbgrader.readthedocs.io", "numpy.org", "otter-grader.readthedocs.io", "tatoeba.org"),
    *("www.manythings.org", "www.tensorflow.org", "www.unicode.org"),
}
ADDRESS = re.compile(r"https?://[^\s<>\"'`\]()]+(?:\([^\s<>()]*\)[^\s<>\"'`\]()]*)*")


def page_text(path: Path) -> str:
    """Return the text of a page: of a notebook its Markdown cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def identity(address: str) -> str:
    """Return what tells a work: arXiv number, DOI or, without them, the address."""
    parts = urlsplit(address)
    host, path = parts.netloc, parts.path.strip("/")
    if host == "arxiv.org":
        return "arxiv:" + re.sub(r"^(abs|pdf)/|v\d+$|\.pdf$", "", path)
    if host == "doi.org":
        return "doi:" + path.lower()
    query = f"?{parts.query}" if parts.query else ""
    return f"{host}/{path}{query}".rstrip("/")


def identities(fields: dict[str, str]) -> set[str]:
    """Return all that an entry can be found by; the ACL Anthology's names are ends of DOIs."""
    found = set()
    if eprint := fields.get("eprint"):
        found.add(f"arxiv:{eprint}")
    if doi := fields.get("doi"):
        found.add(f"doi:{doi.lower()}")
        if acl := re.fullmatch(r"10\.\d+/(?:v1/)?([A-Z]\d\d-\d{4}|\d{4}\.[\w-]+\.\d+)", doi):
            found.add(f"aclanthology.org/{acl[1]}")
    if url := fields.get("url"):
        found.add(identity(url))
    return found


KNOWN = {name: identities(entry.fields) for name, entry in ENTRIES.items()}


def cited(path: Path) -> Iterator[str]:
    """Yield the addresses of literature that the page at `path` links to."""
    for address in ADDRESS.findall(page_text(path)):
        address = address.rstrip(".,;:")
        host = urlsplit(address).netloc
        if host not in NO_LITERATURE:
            yield address


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_cites_is_in_the_bibliography(path: Path) -> None:
    known = set().union(*KNOWN.values())
    missing = [address for address in cited(path) if identity(address) not in known]
    assert not missing, f"no entry of references.bib for {missing}"


def test_every_entry_is_cited() -> None:
    found = {identity(address) for path in PAGES for address in cited(path)}
    idle = [name for name, names in KNOWN.items() if not names & found]
    assert not idle, f"in references.bib, but no page links to them: {idle}"


def test_no_work_stands_in_the_bibliography_twice() -> None:
    every = [name for names in KNOWN.values() for name in names]
    assert sorted(every) == sorted(set(every))


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_says_who_what_when_and_where(name: str) -> None:
    entry = ENTRIES[name]
    assert entry.persons.get("author"), "no author"
    assert entry.fields.get("title") and re.fullmatch(r"\d{4}", entry.fields.get("year", ""))
    assert KNOWN[name], "neither DOI nor arXiv number nor address"
    if "eprint" in entry.fields:
        assert entry.fields.get("archiveprefix") == "arXiv"
