"""The texts that users see: what is built for the accordion and the page, what their scripts write, and what the server says.

`python -m tests.texts` prints them as JSON.
"""
from __future__ import annotations

import ast
import importlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from lib_softinpaint.generation.candidates import Candidate, marks, remarks
from lib_softinpaint.generation.history import USUAL_LIMIT_MB
from lib_softinpaint.generation.views import AMPLIFIED
from lib_softinpaint.hosts.webui import detect
from lib_softinpaint.settings.presets import PresetFile, bundled
from lib_softinpaint.settings.request import MASKED_CONTENTS, Request

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "lib_softinpaint"
SCRIPTS = [*sorted((ROOT / "javascript/softInpainting").glob("*.mjs")), *sorted((LIBRARY / "ui/browser").glob("*.mjs"))]
SERVER = [LIBRARY / path for path in (
    "ui/page_events.py", "ui/presets.py", "ui/recomposite.py", "ui/staging.py", "ui/compared.py", "generation/turns.py",
    "generation/views.py", "images/steps.py", "images/painted_masks.py", "hosts/diffusers/painter.py",
    "hosts/webui/staging.py", "hosts/webui/gallery.py")]
"""Files whose messages are shown in the accordion or on the page."""

OPTIONS = LIBRARY / "hosts/webui/options.py"
SENTENCE = re.compile(r" ?[A-Z{].* .*([.!?}]|amplified)")
"""A message, a label with a value, or an image's name. Other strings are labels, which are in what is built, or code."""
IN_HTML = re.compile(r"[A-Z{].* .*")
USUAL_NAMES = {"name", "fault", "view"}
"""Names of placeholders that are kept where two templates differ in nothing else."""

NOT_SHOWN = re.compile(r"id must be|newer request from this panel|as it was written")
"""Messages of the API, of faults in our own files, and those that are caught."""

LITERAL = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
TRANSLATED = re.compile(rf"\btranslated\(\s*({LITERAL}(?:\s*\+\s*{LITERAL})*)")
TEXT_OF_SCRIPT = re.compile(rf'fix: ({LITERAL})|^    \[\[.*?\], (?:"[\w-]+", )?({LITERAL})\],$', re.MULTILINE)
"""Texts that scripts translate where they show them: fixes of advice, and descriptions of shortcuts."""

VALUE = re.compile(r"\{(\w+)\}")


# What is built

class _Html(HTMLParser):
    """Texts and spoken names in HTML."""

    def __init__(self, html: str):
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("title", "placeholder", "aria-label", "alt") and value]

    def handle_data(self, data: str) -> None:
        self.found.append(" ".join(data.split()))


@contextmanager
def _input_accordion(value: bool, label: str, elem_id: str) -> Iterator[object]:
    gradio = importlib.import_module("gradio")
    with gradio.Accordion(label, elem_id=elem_id):
        yield gradio.Checkbox(value, visible=False)


def built() -> set[str]:
    """Texts of the components of the accordion and of the page, as Gradio sends them to the browser."""
    gradio = importlib.import_module("gradio")
    from PIL import Image

    from lib_softinpaint.ui import accordion
    from lib_softinpaint.ui.page_host import PageHost
    from lib_softinpaint.ui.page_layout import lay_out

    own = PresetFile(ROOT / "no-presets.json")
    with gradio.Blocks() as webui:
        accordion.build(_input_accordion, own, accordion.KeepSize(lambda: False, lambda keep: None))
    with gradio.Blocks(title="Soft inpainting") as page:
        lay_out(PageHost(None, ["Euler a"], ["Automatic"], None), own, Request(), Image.new("RGB", (8, 8)), None, "")
    documented = {accordion.documented(group) for group in (*accordion.ADVANCED, accordion.BASICS, accordion.CANDIDATES)}
    found = {page.title}
    for component in [*webui.config["components"], *page.config["components"]]:
        props = component["props"]
        found |= {props[name] for name in ("label", "info", "placeholder") if props.get(name)}
        if component["type"] in ("radio", "checkboxgroup"):
            found |= {shown for shown, _ in props["choices"]}
        if component["type"] == "button":
            found.add(props["value"])
        if component["type"] == "markdown" and props["value"] not in documented:
            found.add(props["value"].removeprefix("### "))
        if component["type"] == "html":
            found.update(_Html(props.get("value") or "").found)
    return {text for text in found if text and re.search("[A-Za-z]", text) and "component-" not in text}


# What scripts and the server write

def _evaluated(literals: str) -> str:
    """The text of JavaScript's literals, joined by +. They have the same form in Python."""
    return ast.literal_eval(re.sub(r"\s*\+\s*", " ", literals))


def of_scripts() -> set[str]:
    """Templates and texts that scripts write."""
    code = "\n".join(path.read_text(encoding="utf8") for path in SCRIPTS)
    return {_evaluated(literals) for literals in TRANSLATED.findall(code)} | {
        _evaluated(fix or description) for fix, description in TEXT_OF_SCRIPT.findall(code)}


def untranslated_in_scripts() -> list[str]:
    """Sentences in scripts that are not passed to `translated`."""
    found = []
    for path in SCRIPTS:
        code = re.sub(r"^\s*(//|/\*\*|\*).*$|\s// .*$|/\*\*.*?\*/", "", path.read_text(encoding="utf8"), flags=re.MULTILINE)
        code = TEXT_OF_SCRIPT.sub("", TRANSLATED.sub("", code))
        found += re.findall(rf"{LITERAL}|`[^`]*`", code)
    return [text for text in found if re.match(r".[A-Z][a-z'-]* [a-z]", text)]


def _name_of(value: ast.expr) -> str:
    """A placeholder's name for an expression: the last name in it."""
    while not isinstance(value, (ast.Attribute, ast.Name)):
        if isinstance(value, ast.Call):
            value = value.args[-1] if value.args else value.func
        elif isinstance(value, ast.BinOp):
            value = value.left
        elif isinstance(value, ast.BoolOp):
            value = value.values[0]
        else:
            return "value"
    return (value.attr if isinstance(value, ast.Attribute) else value.id).strip("_")


def _filled(text: ast.expr) -> list[str]:
    """Templates of a string in Python. A choice between two strings makes two."""
    if isinstance(text, ast.Constant):
        return [text.value] if isinstance(text.value, str) else []
    if isinstance(text, ast.IfExp):
        return [*_filled(text.body), *_filled(text.orelse)]
    if not isinstance(text, ast.JoinedStr):
        return []
    found = [""]
    for part in text.values:
        if isinstance(part, ast.FormattedValue):
            name = _name_of(part.value)
            name += "2" * any("{" + name + "}" in start for start in found)
            chosen = _filled(part.value) if isinstance(part.value, ast.IfExp) else []
            others = _filled(part.value.values[-1]) if isinstance(part.value, ast.BoolOp) else []
            parts = chosen or ["{" + name + "}", *others]
        else:
            parts = _filled(part)
        found = [start + end for start in found for end in parts]
    return found


def _sentences(text: str) -> list[str]:
    return re.findall(r".+?[.!?](?= |$)|.+$", text)


def of_server() -> set[str]:
    """Templates of what the server says, sentence by sentence, and the presets' texts."""
    found, known = set(detect.LIMITS.values()) | {
        each.strip() for each in _sentences(detect.BLACK_AND_WHITE)}, built()
    for path in SERVER:
        tree = ast.parse(path.read_text(encoding="utf8"))
        inner = {id(each) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for each in ast.walk(node)} - {
            id(node) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)}
        alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, (ast.Constant, ast.JoinedStr)) and id(node) not in inner | alone:
                found.update(sentence.strip() for filled in _filled(node) for text in _Html(filled).found
                             if (IN_HTML if "<" in filled else SENTENCE).fullmatch(text)
                             and text not in known and not NOT_SHOWN.search(text)
                             for sentence in _sentences(text))
    found = {text.replace("{AMPLIFIED}", f"{AMPLIFIED}") for text in found if re.search(r"[A-Za-z]", VALUE.sub("", text))}
    usual_last = sorted(sorted(found), key=lambda text: not USUAL_NAMES.isdisjoint(VALUE.findall(text)))
    found = set({VALUE.sub("{}", text): text for text in usual_last}.values())
    presets = {text for preset in bundled().values() for text in (preset.about, preset.prompt) if text}
    return found | presets | _about_candidates() | {"Also set {values_besides}", "and", "image {number}", "the original"}


def _about_candidates() -> set[str]:
    """Templates of what is said about the candidates of a run."""
    def candidate(effect: float) -> Candidate:
        return Candidate(50.0, effect, np.zeros((1, 1, 3), np.float32), np.ones((1, 1), np.float32))
    found = {"seed", "seeds", *marks([candidate(0)], [""])}
    found |= {mark.replace("seed 1", "{name}") for mark in marks([candidate(9), candidate(9)], ["seed 1", "seed 2"]) if mark}
    for effects, named in (([0], "seed 1"), ([0, 0], "seeds 1 and 2"), ([9, 9], "seeds 1 and 2")):
        for strength in (0.125, 1):
            for content in (*MASKED_CONTENTS, "local fill"):
                for sentence in remarks([candidate(effect) for effect in effects], strength, content, ["1", "2"]):
                    template = sentence.replace(named, "{seeds}").replace("0.125", "{strength}").replace(
                        f'(now "{content}")', '(now "{content}")')
                    found.update(each.strip() for each in _sentences(template))
    return {re.sub(r"(?<=with |ike: )seed \{", "{", text) for text in found}


def of_options() -> set[str]:
    """Texts on the settings page. The WebUI puts what explains an option into parentheses."""
    found = set()
    for node in ast.walk(ast.parse(OPTIONS.read_text(encoding="utf8"))):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            texts = [text for argument in node.args for text in _filled(argument)]
            found |= {f"({text})" for text in texts if name == "info"}
            found |= {text for text in texts if name in ("OptionInfo", "OptionHTML") and text}
    return {text.replace("{USUAL_LIMIT_MB}", f"{USUAL_LIMIT_MB}") for text in found}


def all_texts() -> set[str]:
    return built() | of_scripts() | of_server() | of_options()


def language(path: Path) -> dict[str, str]:
    return json.loads(path.read_text(encoding="utf8"))


if __name__ == "__main__":
    print(json.dumps(sorted(all_texts()), indent=1))
