"""Korean words say that they are Korean.

The pages are in English, and a voice or a font that is told so makes a poor job of Hangul. Every
run of it, with the spaces and the punctuation between, becomes ``<span lang="ko">…</span>``: in
prose, tables and the glossary, in code and what it prints, in the contents of the page. It is done
in the written pages, since what a cell prints may be HTML. Attributes, scripts, ``<title>`` and
formulas stay as they are.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

HANGUL = "[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]"
BETWEEN = r"(?:[ .,:;!?…·()\[\]'\"’‘“”/–-]|&quot;|&\#39;|&\#x27;)*"
RUN = re.compile(rf"{HANGUL}+(?:{BETWEEN}{HANGUL}+)*")
SPAN = r'<span lang="ko">\g<0></span>'
# What is left alone as a whole, and any other tag: attributes may hold a ">" in quotes.
WHOLE = (
    r"<!--.*?-->"
    r"|<(?P<whole>script|style|title|textarea)\b.*?</(?P=whole)>"
    r"|<(?P<math>span|div) class=\"math\b.*?</(?P=math)>"
)
TAG = re.compile(rf"{WHOLE}|<(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>", re.DOTALL)


def mark_korean(page: str) -> str:
    """Return the HTML `page` with every run of Hangul in its text marked as Korean."""
    marked, start = [], 0
    for tag in TAG.finditer(page):
        marked += [RUN.sub(SPAN, page[start : tag.start()]), tag[0]]
        start = tag.end()
    return "".join([*marked, RUN.sub(SPAN, page[start:])])


def mark_pages(app: Sphinx, exception: Exception | None) -> None:
    """Event build-finished: mark the pages that have been written."""
    if exception or app.builder.format != "html":
        return
    for name in app.env.found_docs:
        path = Path(app.builder.get_outfilename(name))
        page = path.read_text(encoding="utf-8")
        if '<span lang="ko">' not in page:
            path.write_text(mark_korean(page), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", mark_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
