"""What MkDocs does beyond docs/: takes pages from elsewhere in the repository, and fits their links to the site."""
from __future__ import annotations

import posixpath
import re
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs.scripts.pages import HEADING, LINK, ROOT

NESTED = re.compile(r"^ {2,3}(?=- )", re.MULTILINE)
"""Indentation of a list within a list on GitHub. Python-Markdown wants four spaces."""

PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md",
         "SECURITY.md": "security.md", "CODE_OF_CONDUCT.md": "code-of-conduct.md", "demo/model/README.md": "bundled-model.md"}
"""Pages of the site that lie outside docs/, by their path in the repository."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for path, uri in PAGES.items():
        files.append(File.generated(config, uri, content=(ROOT / path).read_text(encoding="utf8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files, **_: Any) -> str:
    """The page with links as the site needs them, named by the page's title if they are named by its file.

    A link to a file that the site lacks becomes plain text.
    """
    sources = {uri: path for path, uri in PAGES.items()}
    uri = page.file.src_uri
    return fitted(markdown, sources.get(uri, f"docs/{uri}"), uri)


def fitted(markdown: str, path: str, uri: str) -> str:
    """Markdown from `path` in the repository for the page `uri` of the site, which MkDocs shows as GitHub does."""
    def target_of(link: re.Match) -> str:
        mark, text, target = link.groups()
        file, hash_sign, anchor = target.partition("#")
        if "://" in target or not file:
            return link[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(path), file))
        there = PAGES.get(file) or (file.removeprefix("docs/") if file.startswith("docs/") else None)
        if there is None:
            return text
        if text.endswith(".md"):
            text = HEADING.findall((ROOT / file).read_text(encoding="utf8"))[0]
        return f"{mark}[{text}]({posixpath.relpath(there, posixpath.dirname(uri) or '.')}{hash_sign}{anchor})"
    return NESTED.sub("    ", LINK.sub(target_of, markdown))
