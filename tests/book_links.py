"""Read built HTML pages and follow their links: a helper of test_book.py, standard library only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LINK_ATTRIBUTES = {
    "a": "href",
    "link": "href",
    "img": "src",
    "script": "src",
    "source": "src",
    "iframe": "src",
}


@dataclass
class Page:
    """What one page says of itself: its anchors, links and pictures, and its scripts."""

    anchors: set[str] = field(default_factory=set)
    links: list[tuple[str, str]] = field(default_factory=list)
    pictures: list[tuple[str, str | None]] = field(default_factory=list)

    def targets(self, tag: str) -> list[str]:
        """Return the addresses that elements `tag` point to."""
        return [address for name, address in self.links if name == tag]


class PageReader(HTMLParser):
    """Collect a Page while parsing."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.page.anchors.update(value for key in ("id", "name") if (value := values.get(key)))
        if tag == "img":
            self.page.pictures.append((values.get("src") or "", values.get("alt")))
        if address := values.get(LINK_ATTRIBUTES.get(tag, "")):
            self.page.links.append((tag, address))


def read_page(path: Path) -> Page:
    """Return what the HTML file at `path` holds."""
    reader = PageReader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader.page


def is_external(address: str) -> bool:
    """True for an address with a scheme or a host: https:, mailto:, data:, //host/…"""
    parts = urlsplit(address)
    return bool(parts.scheme or parts.netloc)


def broken_links(pages: dict[Path, Page], root: Path) -> Iterator[str]:
    """Yield a line for every link within the site that leads nowhere, anchors included."""
    for path, page in pages.items():
        for tag, address in page.links:
            if is_external(address):
                continue
            parts = urlsplit(address)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            where = f"{path.relative_to(root)}: <{tag}> {address}"
            if not target.is_file():
                yield f"{where}: there is no such file"
            elif parts.fragment and target in pages:
                anchor = unquote(parts.fragment)
                if anchor not in pages[target].anchors:
                    yield f"{where}: {target.relative_to(root)} has no anchor '{anchor}'"
