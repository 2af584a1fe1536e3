"""Repository links from one setting.

The address of the course stands once, under ``repository:`` in ``_config.yml``; the environment
variables ``COURSE_REPO_URL`` and ``COURSE_REPO_BRANCH`` take precedence. While the address is the
placeholder, every button that would need it (Colab, repository, issues) is left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

PLACEHOLDER = "https://github.com/OWNER/REPO"
_ADDRESS = re.compile(r"https://github\.com/[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]*")


def repository_address(url: str) -> str:
    """Return `url` in the form ``https://github.com/OWNER/REPO``, or raise ConfigError."""
    address = url.strip().removesuffix("/").removesuffix(".git")
    if not _ADDRESS.fullmatch(address):
        raise ConfigError(
            f"the repository URL is {url!r}, expected https://github.com/OWNER/REPO (Colab opens "
            "GitHub only). It is set by COURSE_REPO_URL or under `repository:` in _config.yml"
        )
    return address


def repository_branch(branch: str) -> str:
    """Return `branch` unless it cannot be a branch or tag of git: then raise ConfigError."""
    if not _BRANCH.fullmatch(branch):
        raise ConfigError(
            f"the repository branch is {branch!r}, expected a branch or tag such as 'main'. It is "
            "set by COURSE_REPO_BRANCH or under `repository:` in _config.yml"
        )
    return branch


def repository_options(
    options: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, Any]:
    """Return the theme's `options` with the repository of `environment`, where it names one."""
    url = environment.get("COURSE_REPO_URL") or options.get("repository_url") or PLACEHOLDER
    branch = environment.get("COURSE_REPO_BRANCH") or options.get("repository_branch") or "main"
    address = repository_address(str(url))
    if address != PLACEHOLDER:
        named = {"repository_url": address, "repository_branch": repository_branch(str(branch))}
        return {**options, **named}
    hidden = {"launch_buttons": {}, "use_repository_button": False, "use_issues_button": False}
    return {**options, **hidden, "repository_url": ""}


def apply_repository(app: Sphinx, config: Config) -> None:
    """Event config-inited: settle the options before the theme reads them."""
    config.html_theme_options = repository_options(config.html_theme_options, os.environ)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", apply_repository, priority=1)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
