"""Soft inpainting without a WebUI. The first use creates its own .venv.

    python3 softinpaint.py demo             inpaints the bundled image, hard and soft, and shows both side by side
    python3 softinpaint.py inpaint --help   inpaints your images
    python3 softinpaint.py batch FOLDER     inpaints a folder on one or many workers; can be resumed
    python3 softinpaint.py mask IMAGE       writes a mask without inpainting: edited, or made from the image
    python3 softinpaint.py page             opens a page in the browser for painting and inpainting
    python3 softinpaint.py recomposite JOB  re-composites a kept job with other settings, without a model
    python3 softinpaint.py checkpoint DIR   writes the bundled model as a checkpoint for the WebUI
    python3 softinpaint.py test             runs the linter and the tests; --matrix: with oldest and newest packages too
    python3 softinpaint.py mutate           changes the library in one place at a time, and lists what no test notices
    python3 softinpaint.py bench            runs the benchmarks of speed and image quality
    python3 softinpaint.py docs             builds the documentation site in outputs/site; docs serve shows it
"""
import difflib
import hashlib
import os
import shutil
import subprocess
import sys
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "standalone-requirements.txt"
PAGE = ROOT / "page-requirements.txt"
DEVELOPMENT = ROOT / "development-requirements.txt"
RAY = ROOT / "ray-requirements.txt"
PHOTOSHOP = ROOT / "photoshop-requirements.txt"
DOCS = ROOT / "docs-requirements.txt"
BESIDES = {"page": [PAGE], "test": [PAGE, DEVELOPMENT, DOCS], "docs": [DOCS],
           **dict.fromkeys(("bench", "mutate"), [DEVELOPMENT])}
OF_OPTIONS = {("batch", "--ray"): RAY, **{(verb, "--photoshop"): PHOTOSHOP for verb in ("inpaint", "batch", "recomposite")}}
FOR = {PAGE: "the page", DOCS: "the documentation site", RAY: "Ray", PHOTOSHOP: "Photoshop files"}
INSTALLED = VENV / "installed-requirements.sha256"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

BUILDS_OF_TORCH = "https://download.pytorch.org/whl/cpu"
"""PyTorch's index, of which uv chooses a part."""
ANSWER_SECONDS = 5
ESLINT, JAVASCRIPT = "eslint@9", ("javascript", "lib_softinpaint/ui", "tests/javascript")
ALONE = "tests/test_guards.py", "tests/page", "tests/webui"
"""Tests that measure time or drive a browser."""
MOST_WORKERS = 4


def main(arguments):
    if sys.version_info < (3, 10):  # noqa: UP036 - any Python may run this file
        return complain("Python 3.10 or later is needed; this is {}.{}.".format(*sys.version_info))
    verbs = dict.fromkeys(("demo", "inpaint", "batch", "mask", "page", "recomposite"), command)
    verbs.update(checkpoint=checkpoint, test=test, bench=bench, mutate=mutate, docs=docs)
    if arguments[:1] in ([], ["-h"], ["--help"]):
        print(__doc__.strip())
        return 0
    if arguments[0] not in verbs:
        nearest = difflib.get_close_matches(arguments[0], verbs, 1)
        return complain(f"No such command '{arguments[0]}'. " + (
            f"Did you mean '{nearest[0]}'?" if nearest else f"The commands are {', '.join(verbs)}."))
    try:
        options = {word.partition("=")[0] for word in arguments}
        prepare(REQUIREMENTS, *BESIDES.get(arguments[0], []),
                *(file for (verb, option), file in OF_OPTIONS.items() if verb == arguments[0] and option in options))
    except ForeignEnvironment as fault:
        return complain(str(fault))
    except (subprocess.CalledProcessError, OSError) as fault:
        return complain(f"The set-up in {VENV} failed: {reason(fault)} Run the command again to continue.")
    return verbs[arguments[0]](arguments)


def command(arguments):
    """Runs a command of the command line in the caller's folder, because its arguments name files there."""
    start = (f"import sys; sys.path[0] = {str(ROOT)!r}; from lib_softinpaint.cli.main import main; "
             f"sys.exit(main(program={Path(__file__).name!r}))")
    return become(start, arguments)


def checkpoint(arguments):
    start = (f"import sys; sys.path[0] = {str(ROOT)!r}; from lib_softinpaint.cli.main import main, quieten_libraries; "
             "quieten_libraries(); from training.sd1_checkpoint import main as checkpoint; "
             f"sys.exit(main(program={Path(__file__).name + ' checkpoint'!r}, command=checkpoint))")
    return become(start, arguments[1:])


def become(start, arguments):
    """Runs the code in the environment, in place of this process where that is possible, so that a signal stops it."""
    command = [str(PYTHON), "-c", start, *arguments]
    if os.name == "posix":
        sys.stdout.flush()
        os.execv(command[0], command)
    return subprocess.run(command).returncode


def test(arguments):
    if "--matrix" in arguments:
        return run("-m", "tests.matrix", *(word for word in arguments[1:] if word != "--matrix"))
    say("linter")
    linted = run("-m", "ruff", "check", ".")
    linted = lint_javascript() or linted
    say("type checker")
    linted = run("-m", "basedpyright") or linted
    say("tests")
    if arguments[1:]:
        tested = run("-m", "pytest", *arguments[1:])
        return linted or tested
    workers = str(min(MOST_WORKERS, os.cpu_count() or 1))
    tested = run("-m", "pytest", "-n", workers, "--dist", "loadfile", *(f"--ignore={each}" for each in ALONE))
    alone = run("-m", "pytest", *ALONE)
    return linted or tested or alone


def lint_javascript():
    """Lints the JavaScript where Node.js can do it. Returns the linter's exit code, 0 if there is none."""
    npx = shutil.which("npx")
    if npx is None:
        say("JavaScript linter: skipped, because npx is not installed")
        return 0
    command = [npx, "--yes", ESLINT]
    if subprocess.run([*command, "--version"], cwd=ROOT, capture_output=True).returncode:
        say(f"JavaScript linter: skipped, because {ESLINT} could not be downloaded")
        return 0
    say("JavaScript linter")
    return subprocess.run([*command, *JAVASCRIPT], cwd=ROOT).returncode


def bench(arguments):
    return run("-m", "benchmarks", *arguments[1:])


def docs(arguments):
    return run("-m", "mkdocs", *(arguments[1:] or ["build", "--strict"]))


def mutate(arguments):
    return run("-m", "tests.mutate", *arguments[1:])


class ForeignEnvironment(Exception):
    """Another program made the folder of the virtual environment."""


def prepare(*requirements):
    """Creates the virtual environment and installs what is missing."""
    if not runs():
        if VENV.exists() and not INSTALLED.exists():
            raise ForeignEnvironment(
                f"{VENV} was not made by this program and its Python does not start: repair or remove it.")
        say(f"creating a virtual environment in {VENV}")
        venv.create(VENV, with_pip=True, clear=True, symlinks=os.name != "nt")
        note_installed({})
    for file in requirements:
        wanted = hashlib.sha256(file.read_bytes()).hexdigest()
        if installed().get(file.name) == wanted:
            continue
        if file == REQUIREMENTS:
            say("PyTorch and the other packages: 0.4 GB to download, with a GPU up to 4 GB, once")
            install_torch([line for line in file.read_text().splitlines() if line.startswith("torch")])
        else:
            say(f"packages for {FOR.get(file, 'tests and benchmarks')}: about 0.1 GB to download, once")
        pip("-r", str(file))
        note_installed({**installed(), file.name: wanted})
        say("set-up done")


def install_torch(requirements):
    """Installs the build for this machine's GPU, which uv finds: CUDA, ROCm or XPU, else the one for the CPU.

    Where PyTorch's own index cannot be reached or lacks that build, the package index has another: with CUDA on Linux.
    """
    if answers(BUILDS_OF_TORCH):
        try:
            pip("uv")
            subprocess.run([str(PYTHON), "-m", "uv", "pip", "install", "--quiet", "--python", str(PYTHON),
                            "--torch-backend", "auto", *requirements], check=True, capture_output=True, text=True)
            return
        except subprocess.CalledProcessError as fault:
            say(f"PyTorch's build for this machine could not be installed; another one is. {reason(fault)}")
    pip(*requirements)


def installed():
    """Hash of each requirements file at its last installation, by file name."""
    lines = INSTALLED.read_text().splitlines() if INSTALLED.exists() else []
    return {name: digits for digits, name in (line.split() for line in lines if " " in line)}


def note_installed(hashes):
    INSTALLED.write_text("".join(f"{digits} {name}\n" for name, digits in hashes.items()))


def runs():
    """Whether the environment's Python starts. A system upgrade may have removed what it points to."""
    try:
        return subprocess.run([str(PYTHON), "-c", ""], capture_output=True).returncode == 0
    except OSError:
        return False


def answers(address):
    try:
        with urllib.request.urlopen(address + "/torch/", timeout=ANSWER_SECONDS):
            return True
    except OSError:
        return False


def pip(*arguments):
    subprocess.run([str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments],
                   check=True, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def reason(fault):
    """Last error that a failed step printed, as a sentence."""
    printed = getattr(fault, "stderr", None) or getattr(fault, "output", None) or ""
    lines = (printed.decode(errors="replace") if isinstance(printed, bytes) else printed).strip().splitlines()
    errors = [line for line in lines if line.upper().startswith("ERROR")] or lines[-1:] or [str(fault)]
    unreached = "the package index could not be reached; " if any("Retrying" in line for line in lines) else ""
    return unreached + errors[-1].rstrip(".") + "."


def run(*arguments):
    return subprocess.run([str(PYTHON), *arguments], cwd=ROOT).returncode


def say(step):
    print(f"[softinpaint] {step}", flush=True)


def complain(sentence):
    print(f"softinpaint: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
