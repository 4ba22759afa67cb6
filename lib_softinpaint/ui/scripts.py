"""The stand-alone page's JavaScript. It is inlined in the page, where relative imports do not work."""
from __future__ import annotations

import re
from pathlib import Path

from lib_softinpaint.bundled import bundled

PREVIEW, PAGE = bundled("javascript/softInpainting/events.mjs"), Path(__file__).with_name("browser") / "page.mjs"

IMPORT = re.compile(r'^import \{([^}]+)\} from "(?:\.|(?:\.\./)+javascript/softInpainting)/(\w+\.mjs)";$', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:(?:async )?function|const) (\w+))", re.MULTILINE)
"""The only forms that our modules use."""


def inlined() -> str:
    """One script element for each script of the page."""
    return "\n".join(f'<script type="module">\n{joined(path)}\n</script>' for path in (PREVIEW, PAGE))


def found(name: str, importer: Path) -> Path:
    """A module that another one imports: beside it, or one of the preview's."""
    beside = importer.with_name(name)
    return beside if beside.exists() else PREVIEW.with_name(name)


def joined(path: Path) -> str:
    """A JavaScript module and all its imports, joined into one. Each keeps its own scope, so names may repeat."""
    texts: dict[str, str] = {}

    def add(module: Path) -> None:
        text = module.read_text(encoding="utf8")
        for _, name in IMPORT.findall(text):
            if name not in texts:
                add(found(name, module))
        exported = ", ".join(EXPORT.findall(text))
        text = EXPORT.sub("", IMPORT.sub(r'const {\1} = modules["\2"];', text))
        texts[module.name] = f'modules["{module.name}"] = (() => {{\n{text}return {{{exported}}};\n}})();'
    add(path)
    return "\n".join(["const modules = {};", *texts.values()])
