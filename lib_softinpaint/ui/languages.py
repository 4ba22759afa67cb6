"""The stand-alone page's languages, from the files that the WebUI's localization reads."""
from __future__ import annotations

import json
from string import Template

from lib_softinpaint.bundled import bundled

ENGLISH = "en"
FILES = {"de": "de_DE", "es": "es_ES", "ja": "ja_JP", "zh": "zh_CN"}
"""Names of the files, by language. They are those of the widely used localizations, so that the WebUI adds ours to them."""

CODES = ENGLISH, *FILES

SCRIPT = Template("""<script>
(() => {
    const languages = $languages;
    for (const name of $wanted ?? navigator.languages) {
        const code = name.split("-")[0], chosen = languages[code];
        if (!chosen && code !== "$english") continue;
        document.documentElement.lang = code;
        document.documentElement.dataset.softinpaint = "page";
        window.localization = chosen ?? {};
        return;
    }
})();
</script>
""")


def texts(language: str) -> dict[str, str]:
    """The translations by their English texts; {} for English."""
    if language == ENGLISH:
        return {}
    return json.loads((bundled("localizations") / f"{FILES[language]}.json").read_text(encoding="utf8"))


def script(language: str | None) -> str:
    """A script element that puts the page's texts where javascript/softInpainting/translation.mjs finds them.

    Parameters
    ----------
    language
        One of CODES; None for the first of the browser's languages that is among them.
    """
    known = {code: texts(code) for code in (FILES if language is None else {language} - {ENGLISH})}
    return SCRIPT.substitute(languages=json.dumps(known).replace("<", "\\u003c"), english=ENGLISH,
                             wanted=json.dumps(None if language is None else [language]))
