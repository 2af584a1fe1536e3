"""Look at built pages with Debian's Chromium: a helper of test_book.py.

Nothing is downloaded: the browser is the system's, axe-core comes with a PyPI package, and the
pages come from a server on 127.0.0.1. Every request to anywhere else fails and is noted.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no other host can be reached
]
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PATIENCE = 90_000  # milliseconds; a busy machine is no error

# Settled: all scripts have run and MathJax has set every formula.
SETTLED = """async () => {
  await document.fonts.ready;
  if (window.MathJax?.startup?.promise) await MathJax.startup.promise;
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""

# What a reader can unfold is looked at as well: hidden cells, answers, the other tabs.
UNFOLD = """() => {
  document.querySelectorAll('details').forEach(each => { each.open = true; });
  document.querySelectorAll('.toggle-hidden').forEach(
    each => each.classList.remove('toggle-hidden'));
  const style = document.createElement('style');
  style.textContent = '.sd-tab-set > .sd-tab-content { display: block !important; order: 1; }'
    + '* { transition: none !important; animation: none !important; }';
  document.head.append(style);
  document.dispatchEvent(new Event('change'));
}"""

# Tokens of one kind look alike: of every kind of coloured token one is left for axe, which needs
# several milliseconds for each. The rest become plain text.
THIN_OUT = """() => {
  const seen = new Set();
  document.querySelectorAll('.highlight span').forEach(token => {
    const place = token.closest('.output') ? 'output' : 'code';
    const kind = `${place} ${token.className}`;
    if (seen.has(kind)) token.replaceWith(...token.childNodes);
    else seen.add(kind);
  });
}"""

# Formulas that stayed raw, and those that MathJax could not read.
FORMULAS = r"""() => {
  const found = [];
  const skip = 'pre, code, script, style, mjx-container, noscript, template';
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.parentElement.closest(skip) && /\$\$|\\\(|\\\[|\\begin\{/.test(node.data)) {
      found.push('raw formula: ' + node.data.trim().slice(0, 80));
    }
  }
  document.querySelectorAll('mjx-merror, [data-mml-node="merror"]').forEach(each => {
    const message = each.closest('[data-mjx-error]')?.dataset.mjxError ?? each.textContent;
    found.push('MathJax: ' + message.slice(0, 80));
  });
  return found;
}"""

# The page may not scroll sideways; if it does, say which element reaches furthest to the right.
OVERFLOW = """() => {
  const page = document.scrollingElement;
  if (page.scrollWidth <= window.innerWidth) return null;
  let widest = null, right = window.innerWidth;
  for (const each of document.body.querySelectorAll('*')) {
    let clipped = false;
    for (let up = each.parentElement; up && up !== document.body; up = up.parentElement) {
      if (getComputedStyle(up).overflowX !== 'visible') { clipped = true; break; }
    }
    const box = each.getBoundingClientRect();
    if (!clipped && box.width && box.right > right + 0.5) { widest = each; right = box.right; }
  }
  const name = widest ? widest.outerHTML.slice(0, 160) : 'no single element';
  return `the page is ${page.scrollWidth} px wide at ${window.innerWidth} px: ${name}`;
}"""

# Nothing of the text may be cut off where no scrolling reaches it: by a box that hides what is too
# wide, or to the left of a box that scrolls.
CLIPPED = """() => [...document.querySelectorAll('.bd-article *')].filter(each => {
    if (each.clientWidth <= 1 || each.closest('svg, mjx-assistive-mml')) return false;
    const overflow = getComputedStyle(each).overflowX;
    if (/hidden|clip/.test(overflow)) return each.scrollWidth > each.clientWidth + 1;
    const left = each.getBoundingClientRect().left - each.scrollLeft - 1;
    return /auto|scroll/.test(overflow)
      && [...each.children].some(child => child.getBoundingClientRect().left < left);
  }).map(each => `cut off at ${innerWidth} px: ${each.outerHTML.slice(0, 160)}`)"""


@dataclass
class Visit:
    """What happened while one page was loaded and looked at."""

    off_site: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    formulas: list[str] = field(default_factory=list)
    overflow: list[str] = field(default_factory=list)
    axe: list[str] = field(default_factory=list)

    def complaints(self) -> list[str]:
        """Return one line for everything that is not as it should be."""
        named = {
            "off-site request": self.off_site,
            "HTTP error": self.refused,
            "console error": self.console,
            "formula": self.formulas,
            "sideways scrolling": self.overflow,
            "axe": self.axe,
        }
        return [f"{kind}: {each}" for kind, found in named.items() for each in dict.fromkeys(found)]


class QuietHandler(SimpleHTTPRequestHandler):
    """Serve files and keep silent about it."""

    def log_message(self, format: str, *args: object) -> None:
        pass

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """Send a file; a reader who has left the page already is no error."""
        with contextlib.suppress(ConnectionError):
            super().copyfile(source, outputfile)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve `folder` on a free port of 127.0.0.1; yield the address, ending in a slash."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Yield a headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


def axe_source() -> str:
    """Return the JavaScript of axe-core."""
    return (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


@contextlib.contextmanager
def window(browser: Any, theme: str) -> Iterator[Any]:
    """Yield an empty page of a reader who has chosen `theme`, "light" or "dark"."""
    context = browser.new_context(viewport=WIDE, color_scheme=theme, reduced_motion="reduce")
    choose = "try {{ localStorage.mode = localStorage.theme = '{}'; }} catch {{}}"
    context.add_init_script(choose.format(theme))
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


@contextlib.contextmanager
def watching(page: Any, address: str, visit: Visit) -> Iterator[None]:
    """Note in `visit` what `page` asks for outside `address`, and what it complains about."""
    local = (address, "data:", "blob:", "about:")

    def asked(request: Any) -> None:
        if not request.url.startswith(local):
            visit.off_site.append(f"{request.resource_type} {request.url[:140]}")

    def answered(response: Any) -> None:
        if response.status >= 400:
            visit.refused.append(f"{response.status} {response.url}")

    def said(message: Any) -> None:
        if message.type == "error":
            visit.console.append(message.text[:200])

    def failed(error: Any) -> None:
        visit.console.append(f"uncaught: {error.message[:200]}")

    listeners = {"request": asked, "response": answered, "console": said, "pageerror": failed}
    for event, listener in listeners.items():
        page.on(event, listener)
    yield
    for event, listener in listeners.items():
        page.remove_listener(event, listener)


def run_axe(page: Any, contrast: bool = True) -> list[str]:
    """Return one line for each rule of axe-core that the page breaks; contrast is the slow one."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(axe_source())
    options = {"resultTypes": ["violations"], "preload": False}
    options["rules"] = {"color-contrast": {"enabled": contrast}}
    found = page.evaluate("(options) => axe.run(document, options)", options)
    lines = []
    for rule in found["violations"]:
        places = [" ".join(map(str, node["target"])) for node in rule["nodes"]]
        more = f" and {len(places) - 3} more" if len(places) > 3 else ""
        lines.append(f"{rule['id']} ({rule['impact']}): {'; '.join(places[:3])}{more}")
    return lines


def look(page: Any, visit: Visit) -> None:
    """Note in `visit` what is wrong with the open page, all of it unfolded, in two widths."""
    page.evaluate(SETTLED)
    visit.formulas += page.evaluate(FORMULAS)
    page.evaluate(UNFOLD)
    page.evaluate(THIN_OUT)
    page.evaluate(SETTLED)
    visit.axe += run_axe(page)
    page.set_viewport_size(NARROW)
    page.evaluate(SETTLED)
    if wide := page.evaluate(OVERFLOW):
        visit.overflow.append(wide)
    visit.overflow += page.evaluate(CLIPPED)
    visit.axe += [f"at 390 px: {line}" for line in run_axe(page, contrast=False)]


def inspect(page: Any, address: str, name: str) -> Visit:
    """Open the page `name` below `address` in the browser's `page`, and look at it.

    One `page` serves for many visits: a new one would cost several seconds each time."""
    visit = Visit()
    page.set_viewport_size(WIDE)
    with watching(page, address, visit):
        page.goto(address + name, wait_until="load")
        look(page, visit)
    return visit
