"""JavaScript modules are joined into one that can be embedded in a page."""
import re
import shutil
import subprocess

import pytest

from lib_softinpaint.ui.scripts import EXPORT, IMPORT, PAGE, PREVIEW, found, joined

MODULES, OF_PAGE = (sorted(entry.parent.glob("*.mjs")) for entry in (PREVIEW, PAGE))
LARGEST_LINES = 250


def write(folder, **texts):
    for name, text in texts.items():
        (folder / f"{name}.mjs").write_text(text)
    return folder / "last.mjs"


def run(module, path):
    path.write_text(module)
    return subprocess.run(["node", path], capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on the PATH")
def test_each_module_runs_once_in_its_own_scope(tmp_path):
    last = write(
        tmp_path, first="console.log('first');\nexport const ONE = 1;\nexport function two() {\n    return 2 * ONE;\n}\n",
        middle='import {ONE} from "./first.mjs";\n\nconst LOCAL = 4;\nexport const FIVE = ONE + LOCAL;\n',
        last='import {ONE, two} from "./first.mjs";\nimport {FIVE} from "./middle.mjs";\n\n'
             "const LOCAL = 10;\nconsole.log(ONE, two(), FIVE, LOCAL);\n")
    assert run(joined(last), tmp_path / "joined.mjs") == "first\n1 2 5 10\n"
    assert run(last.read_text(), tmp_path / "apart.mjs") == "first\n1 2 5 10\n"


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on the PATH")
@pytest.mark.parametrize("path", [PREVIEW, PAGE], ids=lambda path: path.name)
def test_the_pages_scripts_are_valid(path, tmp_path):
    module = tmp_path / "joined.mjs"
    module.write_text(joined(path))
    checked = subprocess.run(["node", "--check", module], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert "</script" not in joined(path)


def test_the_page_contains_every_module():
    assert all(f'modules["{path.name}"] = ' in joined(PREVIEW) for path in MODULES)
    assert all(f'modules["{path.name}"] = ' in joined(PAGE) for path in OF_PAGE)
    assert not {path.name for path in MODULES} & {path.name for path in OF_PAGE}


@pytest.mark.parametrize("path", [*MODULES, *OF_PAGE], ids=lambda path: path.name)
def test_imports_and_exports_have_the_supported_forms(path):
    text = path.read_text(encoding="utf8")
    assert len(re.findall(r"^import\b|\bimport\(", text, re.MULTILINE)) == len(IMPORT.findall(text))
    assert len(re.findall(r"^export\b", text, re.MULTILINE)) == len(EXPORT.findall(text))
    for names, module in IMPORT.findall(text):
        assert set(re.split(r",\s+", names)) <= set(EXPORT.findall(found(module, path).read_text(encoding="utf8")))


@pytest.mark.parametrize("path", [*MODULES, *OF_PAGE], ids=lambda path: path.name)
def test_modules_are_short_and_start_with_a_comment(path):
    lines = path.read_text(encoding="utf8").splitlines()
    assert len(lines) <= LARGEST_LINES
    assert lines[0].startswith("// ")
