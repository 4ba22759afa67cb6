"""The workflow files, which cannot run here: that they can be read, and that what they name is there."""
import re
from pathlib import Path

import pytest

from tests.matrix import ENVIRONMENTS

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".github"
FILES = sorted((*FOLDER.glob("workflows/*.yml"), *FOLDER.glob("actions/*/action.yml")))


@pytest.fixture
def yaml():
    return pytest.importorskip("yaml", reason="PyYAML, which comes with MkDocs, is not installed")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_each_step_uses_or_runs_something_that_exists(yaml, path):
    content = yaml.safe_load(path.read_text(encoding="utf8"))
    jobs = content["jobs"].values() if "jobs" in content else [content["runs"]]
    steps = [step for job in jobs for step in job["steps"]]
    assert steps
    for step in steps:
        assert ("uses" in step) != ("run" in step)
        action = step.get("uses", "")
        assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", action) or not action or (ROOT / action / "action.yml").is_file()
        for module in re.findall(r"python -m ((?:tests|docs)[\w.]+)", step.get("run", "")):
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


def test_the_matrix_has_each_environment_on_each_system(yaml):
    jobs = yaml.safe_load((FOLDER / "workflows/tests.yml").read_text(encoding="utf8"))["jobs"]
    varied = jobs["matrix"]["strategy"]["matrix"]
    assert set(varied["environment"]) == set(ENVIRONMENTS)
    assert {name.partition("-")[0] for name in varied["os"]} == {"ubuntu", "windows", "macos"}


def test_the_webuis_are_those_that_were_run(yaml):
    jobs = yaml.safe_load((FOLDER / "workflows/webui.yml").read_text(encoding="utf8"))["jobs"]
    table = (ROOT / "docs/hosts.md").read_text(encoding="utf8").partition("## What has been run")[2]
    for host in jobs["family"]["strategy"]["matrix"]["include"]:
        assert f"| {host['host']} " in table
