"""Serves the built book to this machine only and prints the address. PORT is the first to try."""

from __future__ import annotations

import functools
import http.server
import os
import sys
from pathlib import Path

HTML = Path(__file__).resolve().parent.parent / "_build" / "html"


def make_server(folder: Path, port: int, tries: int = 20) -> http.server.ThreadingHTTPServer:
    """A server of `folder` on the first free port from `port` on."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    for candidate in range(port, port + tries):
        try:
            return http.server.ThreadingHTTPServer(("127.0.0.1", candidate), handler)
        except OSError:
            continue
    raise OSError(
        f"no free port from {port} to {port + tries - 1}; choose one: make serve PORT=..."
    )


def main() -> int:
    """Serves until Ctrl-C; returns the exit status."""
    if not (HTML / "index.html").exists():
        print("There is no book yet: make book", file=sys.stderr)
        return 1
    try:
        server = make_server(HTML, int(os.environ.get("PORT") or 8000))
    except (OSError, ValueError, OverflowError) as error:
        print(error, file=sys.stderr)
        return 1
    with server:
        print(f"http://127.0.0.1:{server.server_port}/   (Ctrl-C stops it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
