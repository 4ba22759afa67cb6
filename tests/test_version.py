"""The version in infotext: with the commit in a checkout of this project, and only there."""
import shutil
import subprocess
import sys

import pytest

from lib_softinpaint import __version__
from lib_softinpaint.bundled import PACKAGE


def git(folder, *words):
    identity = "-c", "user.name=name", "-c", "user.email=name@example.com"
    done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def checked_in(folder):
    """Makes a folder a checkout with one commit. Returns the commit's short name."""
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "all")
    return git(folder, "rev-parse", "--short=7", "HEAD")


@pytest.fixture
def project(tmp_path):
    """A folder with the parts of the library that know the version."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    library = tmp_path / "project" / PACKAGE.name
    library.mkdir(parents=True)
    for name in ("__init__.py", "bundled.py", "version.py"):
        shutil.copy(PACKAGE / name, library)
    (library.parent / "README.md").touch()
    return library.parent


def version_of(project, **environment):
    """The version that a new Python gets from a copy of the library."""
    code = "from lib_softinpaint.version import version; print(version())"
    return subprocess.run([sys.executable, "-B", "-c", code], cwd=project, env=environment, capture_output=True, text=True,
                          check=True).stdout.strip()


def path_of_git():
    found = shutil.which("git")
    return found and found.rpartition("/")[0]


def test_a_checkout_names_its_commit_and_whether_files_were_changed(project):
    commit = checked_in(project)
    assert version_of(project, PATH=path_of_git()) == f"{__version__}+{commit}"
    git(project, "tag", "v9")
    assert version_of(project, PATH=path_of_git()) == f"{__version__}+{commit}"
    (project / "README.md").write_text("changed", encoding="utf8")
    assert version_of(project, PATH=path_of_git()) == f"{__version__}+{commit}.changed"


@pytest.mark.parametrize("has_git", [True, False])
def test_an_unpacked_archive_has_the_plain_version_even_in_the_checkout_of_another_project(project, has_git):
    checked_in(project.parent)
    assert version_of(project, PATH=path_of_git() if has_git else "") == __version__


def test_an_installed_library_or_a_machine_without_git_has_the_plain_version(project):
    checked_in(project)
    assert version_of(project, PATH="/nowhere") == __version__
    (project / "lib_softinpaint" / "bundled").mkdir()
    assert version_of(project, PATH=path_of_git()) == __version__
