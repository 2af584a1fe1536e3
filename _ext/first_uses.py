"""The first use of a glossary term on a page leads to its entry.

On the pages of chapters/ the first use of each term in running prose (paragraphs and list items)
becomes a link to appendix/glossary; the first sentence of the definition is its tooltip. The
notebooks stay as they are: in Colab and Jupyter the words are plain. Whole words count, in capitals
or not, in the plural too, and the longest term first: "attention pooling" is not "attention".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

GLOSSARY = "appendix/glossary"
PAGES = "chapters/"

# Never linked: everyday words, and those that every page needs from its first line on.
LEFT_OUT = {
    *("attention", "batch", "decoder", "encoder", "gradient", "learning rate", "loss", "parameter"),
    *("position", "score", "seed", "source", "state", "target", "token", "update", "view"),
    *("weights", "window"),
}
# Linked only in a paragraph with another of the three: "three values" may be any three numbers.
IN_COMPANY = {"query", "key", "value"}
COMPANY = re.compile(r"\b(quer(?:y|ies)|keys?|values?)\b", re.IGNORECASE)
# What a page means by a word, where it is not what the glossary means.
OTHER_MEANINGS = {
    "chapters/further/05-the-transformer-in-numpy-backwards": {"mask"},  # where max(0, a) is on
    "chapters/further/05-what-it-costs": {"cache"},  # of the processor
}

# Where no term is linked: what is not prose, what is folded away or answered with the book closed.
SKIPPED_NODES = (
    nodes.FixedTextElement,
    nodes.caption,
    nodes.image,
    nodes.literal,
    nodes.math,
    nodes.raw,
    nodes.reference,
    nodes.table,
    nodes.title,
)
SKIPPED_CLASSES = {"tip", "dropdown"}
SKIPPED_SECTIONS = {"References"}


class Entry(NamedTuple):
    """One entry of the glossary: where it stands, what it is called, what it says first."""

    anchor: str
    names: tuple[str, ...]
    sentence: str


def first_sentence(item: nodes.definition_list_item) -> str:
    """Return the definition's first sentence, without the Korean words before it."""
    paragraph = item.next_node(nodes.paragraph)
    korean = paragraph.next_node(nodes.strong).astext()
    text = paragraph.astext().removeprefix(korean).strip()
    return re.split(r"(?<=\.)\s+(?=[A-Z])", text)[0]


def read_glossary(document: nodes.document) -> list[Entry]:
    """Return the entries of the glossary page."""
    entries = []
    for glossary in document.findall(addnodes.glossary):
        for item in glossary.findall(nodes.definition_list_item):
            terms = list(item.findall(nodes.term))
            names = tuple(term.astext() for term in terms)
            entries.append(Entry(terms[0]["ids"][0], names, first_sentence(item)))
    return entries


def spelling(name: str) -> str:
    """Return a pattern for `name` and its plural: heads, queries, batches."""
    stem, plural = name, "s?"
    if re.search("[^aeiou]y$", name):
        stem, plural = name[:-1], "(?:y|ies)"
    elif name.endswith(("s", "x", "ch", "sh")):
        plural = "(?:es)?"
    words = (re.escape(word).replace("–", "[–-]") for word in stem.split())
    return r"\s+".join(words) + plural


def pattern(names: list[str]) -> re.Pattern[str]:
    """Return what finds a whole word of `names`, each name in a group of its own."""
    groups = "|".join(f"({spelling(name)})" for name in names)
    return re.compile(rf"(?<![\w–-])(?:{groups})(?![\w–-])", re.IGNORECASE)


def is_skipped(node: nodes.Element) -> bool:
    """True for a node in which no term is linked."""
    if isinstance(node, nodes.section):
        return node.next_node(nodes.title).astext() in SKIPPED_SECTIONS
    classes = set(node["classes"])
    is_cell = node.get("nb_element") == "cell_code"
    return isinstance(node, SKIPPED_NODES) or is_cell or bool(classes & SKIPPED_CLASSES)


def prose(node: nodes.Element, paragraph: str = "") -> Iterator[tuple[nodes.Text, str]]:
    """Yield the pieces of running prose below `node`, each with its paragraph, in reading order."""
    for child in node.children:
        if isinstance(child, nodes.Text):
            if paragraph:
                yield child, paragraph
        elif not is_skipped(child):
            is_paragraph = isinstance(child, nodes.paragraph)
            yield from prose(child, child.astext() if is_paragraph else paragraph)


def has_company(paragraph: str) -> bool:
    """True for a paragraph with at least two of query, key and value."""
    return len({word[0].lower() for word in COMPANY.findall(paragraph)}) > 1


def link_words(text: str, waiting: dict[str, Entry], address: str) -> list[nodes.Node]:
    """Return `text` with links to the entries that it is the first to name.

    They are taken out of `waiting`, which maps names to entries.
    """
    pieces: list[nodes.Node] = []
    names = sorted(waiting, key=len, reverse=True)
    start = 0
    for found in pattern(names).finditer(text) if names else ():
        entry = waiting.get(names[found.lastindex - 1])
        if entry is None:
            continue
        for name in entry.names:
            waiting.pop(name, None)
        link = nodes.reference("", found[0], internal=True, classes=["glossary-term"])
        link["refuri"], link["reftitle"] = f"{address}#{entry.anchor}", entry.sentence
        pieces += [nodes.Text(text[start : found.start()]), link]
        start = found.end()
    return [*pieces, nodes.Text(text[start:])]


def link_first_uses(
    document: nodes.document, entries: list[Entry], address: str, other: set[str] = frozenset()
) -> None:
    """Link the first use of each entry's name in `document`, those in `other` excepted."""
    unlinked = LEFT_OUT | other
    waiting = {name: entry for entry in entries for name in entry.names if name not in unlinked}
    for text, paragraph in list(prose(document)):
        alone = set() if has_company(paragraph) else IN_COMPANY
        held = {name: waiting.pop(name) for name in alone & set(waiting)}
        text.parent.replace(text, link_words(text.astext(), waiting, address))
        waiting.update(held)


def link_terms(app: Sphinx, document: nodes.document, docname: str) -> None:
    """Event doctree-resolved: link the terms of a page of chapters/, if there is a glossary."""
    if not docname.startswith(PAGES) or GLOSSARY not in app.env.found_docs:
        return
    entries = read_glossary(app.env.get_doctree(GLOSSARY))
    address = app.builder.get_relative_uri(docname, GLOSSARY)
    link_first_uses(document, entries, address, OTHER_MEANINGS.get(docname, set()))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-resolved", link_terms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
