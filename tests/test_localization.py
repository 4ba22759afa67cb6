"""The languages: no text is missing or outdated, and what the scripts translate comes out right."""
import importlib.util
import json
import re
import shutil
import subprocess
import sys

import pytest

from lib_softinpaint.ui import languages
from tests import texts

FILES = sorted((texts.ROOT / "localizations").glob("*.json"))


@pytest.fixture(scope="module")
def shown():
    """All texts that users see, collected in a process of its own: Gradio leaves an event loop open."""
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("gradio is not installed")
    return set(json.loads(subprocess.check_output([sys.executable, "-m", "tests.texts"], cwd=texts.ROOT)))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_language_has_every_text_and_no_other(file, shown):
    known = texts.language(file)
    assert sorted(shown - set(known)) == []
    assert sorted(set(known) - shown) == []
    assert list(known) == sorted(known)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_translations_have_the_same_values_and_are_final(file):
    known = texts.language(file)
    for text, translation in known.items():
        assert translation.strip() == translation != ""
        assert sorted(texts.VALUE.findall(text)) == sorted(texts.VALUE.findall(translation)), text
        assert known.get(translation, translation) == translation, "it would be translated again"


def test_labels_with_a_unit_have_it_after_a_comma():
    for file in FILES:
        for text, translation in texts.language(file).items():
            if re.fullmatch(r"[\w ]+, pixels", text):
                assert re.search("[,、，]", translation), (file.name, translation)


def test_scripts_write_no_english_of_their_own(shown):
    webuis = {"Just resize"}  # compared with values, not shown
    assert {text[1:-1] for text in texts.untranslated_in_scripts()} <= shown | webuis


def test_the_page_has_the_webuis_files():
    assert {f"{name}.json" for name in languages.FILES.values()} == {file.name for file in FILES}
    assert languages.texts("en") == {}


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on the PATH")
@pytest.mark.parametrize("option, browsers, wanted, blur", [
    (None, ["fr-FR", "de-AT", "en"], "de", "Maskenunschärfe"), (None, ["en-GB", "de"], "en", None), (None, ["fr"], None, None),
    (None, ["zh-TW"], "zh", "蒙版模糊"), ("ja", ["de"], "ja", "マスクのぼかし"), ("en", ["de"], "en", None)])
def test_the_page_takes_the_option_or_the_browsers_language(option, browsers, wanted, blur, tmp_path):
    script = languages.script(option)
    assert script.count("</") == 1
    code = script.partition("<script>")[2].partition("</script>")[0]
    globals_ = ("window = {}, document = {documentElement: {dataset: {}}}, "
                f"navigator = {{languages: {json.dumps(browsers)}}}")
    (tmp_path / "run.cjs").write_text(
        f"const {globals_};\n{code}"
        "console.log(JSON.stringify([document.documentElement.lang ?? null, window.localization?.['Mask blur'] ?? null]))")
    assert json.loads(subprocess.check_output(["node", tmp_path / "run.cjs"])) == [wanted, blur]
