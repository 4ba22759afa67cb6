"""The command batch on this machine: pairing, prompts, the manifest, lost workers and a killed run."""
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image, ImageChops

from lib_softinpaint.batch import dispatch, manifest
from lib_softinpaint.batch.seats import ProcessSeat, in_thread
from lib_softinpaint.batch.task import Failed, Made, Outcome, Task
from lib_softinpaint.batch.worker import LocalSetup, Worker, local_worker
from lib_softinpaint.cli import captions, masks
from lib_softinpaint.cli import main as cli
from lib_softinpaint.errors import BadInput
from lib_softinpaint.images import infotext_files
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.request import Request
from lib_softinpaint.settings.settings import Settings
from tests.tiny_models import KNOWN_WARNINGS

ROOT = Path(__file__).parent.parent
SIDE_PX = 64
FINISH_SECONDS = 150
WORDS = ("--prompt", "a tree", "--steps", "2", "--seed", "5")
pytestmark = KNOWN_WARNINGS


def write_images(folder, count):
    """Small images, each with other content, and one mask for all."""
    (folder / "images").mkdir(parents=True)
    with Image.open(ROOT / "tests/image.png") as image, Image.open(ROOT / "tests/mask.png") as mask:
        for number in range(count):
            box = (3 * number, 64, 3 * number + SIDE_PX, 64 + SIDE_PX)
            image.convert("RGB").crop(box).save(folder / f"images/{number}.png")
        mask.crop((100, 140, 100 + SIDE_PX, 140 + SIDE_PX)).save(folder / "mask.png")


def started(folder, *words):
    """The command in a process of its own."""
    code = f"import sys; sys.path[0] = {str(ROOT)!r}; from lib_softinpaint.cli.main import main; sys.exit(main())"
    return subprocess.Popen([sys.executable, "-c", code, "batch", *map(str, words)], cwd=folder, stderr=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)


def lines(folder):
    return list(manifest.entries(folder / manifest.NAME))


def lives(process):
    """A zombie does not: in a container, nobody may collect it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition, seconds=FINISH_SECONDS):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "took too long"
        time.sleep(0.02)


def single(folder, number, name, *words):
    """The file that the command inpaint makes of the same image."""
    assert cli.main(["inpaint", str(folder / f"images/{number}.png"), str(folder / "mask.png"), *words, "-o",
                     str(folder / name)]) == 0
    return (folder / name).read_bytes()


# The whole command, with kills

def test_a_killed_worker_costs_a_retry_and_a_killed_run_goes_on(tmp_path):
    write_images(tmp_path, 12)
    broken = tmp_path / "images/3.png"
    broken.write_bytes(broken.read_bytes()[:-3000])
    made = tmp_path / "made"
    words = ("images", "--mask", "mask.png", *WORDS, "--workers", "2", "-o", "made")

    first = started(tmp_path, *words)
    wait_for(lambda: len({entry["worker"] for entry in lines(made)}) == 2 or first.poll() is not None)  # both have begun
    workers = [child for child in psutil.Process(first.pid).children() if "spawn_main" in " ".join(child.cmdline())]
    assert len(workers) == 2
    workers[0].kill()
    wait_for(lambda: len(lines(made)) >= 7 and any(entry["tries"] == 2 for entry in lines(made)) or first.poll() is not None)
    children = psutil.Process(first.pid).children(recursive=True)
    first.send_signal(signal.SIGKILL)
    first.wait()
    try:
        wait_for(lambda: not any(map(lives, children)), 30)
    finally:
        for child in filter(lives, children):
            child.kill()
    first.communicate()
    before = lines(made)
    assert 7 <= len(before) < 12
    for path in made.glob("*.png"):
        with Image.open(path) as image:
            image.load()

    (made / ".0123.unfinished").write_bytes(b"half")
    second = started(tmp_path, *words)
    _, message = second.communicate()
    after = lines(made)
    assert second.returncode == cli.BAD_INPUT
    assert "3.png failed: " in message and "1 of 12 images failed; made/manifest.jsonl says why" in message
    assert "Traceback" not in message and "leaked" not in message
    assert after[:len(before)] == before, "what was done stays"
    last = {entry["result"]: entry for entry in after}
    assert set(last) == {f"{number}.png" for number in range(12)}
    assert sorted(name for name, entry in last.items() if entry["status"] == "failed") == ["3.png"]
    assert "3.png cannot be read as an image" in last["3.png"]["error"]
    assert len(after) - len(before) == 12 - sum(entry["status"] == "done" for entry in before)
    lost = [entry for entry in after if entry["tries"] == 2]
    assert len(lost) == 1
    entry, = {entry["result"]: entry for entry in lost}.values()
    assert (entry["status"], entry["seed"]) == ("done", 5)
    assert 0 < entry["score"] <= 100 and entry["seconds"] > 0
    assert sorted(path.name for path in made.iterdir() if path.suffix != ".lock") == sorted(
        [f"{number}.png" for number in range(12) if number != 3] + [manifest.NAME])
    assert (made / entry["result"]).read_bytes() == single(tmp_path, Path(entry["result"]).stem, "single.png", *WORDS)


# One task

@pytest.fixture(scope="module")
def worker():
    return local_worker(LocalSetup(Request()))


def test_the_best_candidate_is_kept_as_a_run_of_its_own_would_make_it(worker, tmp_path):
    write_images(tmp_path, 1)
    task = Task(tmp_path / "images/0.png", tmp_path / "mask.png", tmp_path / "best.png",
                Request(prompt="a tree", steps=2, seed=5), 3)
    best = worker.run(task)
    each = [worker.run(Task(task.image, task.mask, tmp_path / f"{seed}.png", Request(prompt="a tree", steps=2, seed=seed)))
            for seed in (5, 6, 7)]
    assert best.score == max(made.score for made in each)
    assert len({made.score for made in each}) == 3
    assert task.target.read_bytes() == (tmp_path / f"{best.seed}.png").read_bytes()
    assert task.target.read_bytes() == single(tmp_path, 0, "single.png", *WORDS[:-1], str(best.seed))


def test_transparent_areas_are_repainted(worker, tmp_path):
    write_images(tmp_path, 1)
    image = Image.open(tmp_path / "images/0.png")
    image.putalpha(ImageChops.invert(Image.open(tmp_path / "mask.png").convert("L")))
    image.save(tmp_path / "images/0.png")
    made = worker.run(Task(tmp_path / "images/0.png", None, tmp_path / "made.png", Request(prompt="a tree", steps=2, seed=5)))
    assert isinstance(made, Made), made
    assert (tmp_path / "made.png").read_bytes() == single(tmp_path, 0, "single.png", *WORDS)
    image.convert("RGB").save(tmp_path / "images/0.png")
    opaque = worker.run(Task(tmp_path / "images/0.png", None, tmp_path / "none.png", Request()))
    assert opaque == Failed(f"{tmp_path}/images/0.png must have transparent areas to repaint, but it has no transparency")


def test_mask_tools_make_each_images_own_mask(worker, tmp_path):
    write_images(tmp_path, 1)
    image = Image.open(tmp_path / "images/0.png")
    image.putalpha(ImageChops.invert(Image.open(tmp_path / "mask.png").convert("L")))
    image.save(tmp_path / "images/0.png")
    tools = Settings(enabled=True, mask_tools="transparency, grow 20 %")
    request = Request(prompt="a tree", steps=2, seed=5, settings=tools)
    made = worker.run(Task(tmp_path / "images/0.png", None, tmp_path / "made.png", request))
    assert isinstance(made, Made), made
    assert cli.main(["inpaint", str(tmp_path / "images/0.png"), *WORDS, "--mask-tools", "transparency, grow 20 %", "-o",
                     str(tmp_path / "single.png")]) == 0
    assert (tmp_path / "made.png").read_bytes() == (tmp_path / "single.png").read_bytes()
    image.convert("RGB").save(tmp_path / "images/0.png")
    opaque = worker.run(Task(tmp_path / "images/0.png", None, tmp_path / "none.png", request))
    assert opaque == Failed(f"the mask {tmp_path}/images/0.png has nothing to repaint after the mask tools "
                            "'transparency, grow 20 %'")


def test_hard_inpainting_has_a_score_too(worker, tmp_path):
    write_images(tmp_path, 1)
    request = Request(prompt="a tree", steps=2, seed=5, settings=Request().settings.__class__(enabled=False))
    made = worker.run(Task(tmp_path / "images/0.png", tmp_path / "mask.png", tmp_path / "made.png", request))
    assert 0 < made.score < 100


def test_a_scaled_mask_is_noted_once(worker, tmp_path):
    write_images(tmp_path, 1)
    with Image.open(tmp_path / "mask.png") as mask:
        mask.resize((128, 128), Image.Resampling.NEAREST).save(tmp_path / "large.png")
    made = worker.run(Task(tmp_path / "images/0.png", tmp_path / "large.png", tmp_path / "made.png", Request(steps=2, seed=5)))
    assert made.notes == (f"the mask {tmp_path}/large.png is 128x128 and was scaled to the image's 64x64.",)


def test_only_unexpected_errors_are_tried_again(tmp_path):
    write_images(tmp_path, 1)
    task = Task(tmp_path / "images/0.png", tmp_path / "mask.png", tmp_path / "made.png", Request(seed=1))

    def failing(fault):
        def make(*arguments):
            raise fault
        return Worker(make).run(task)
    assert failing(BadInput("a rule")) == Failed("a rule")
    found = failing(RuntimeError("CUDA error"))
    assert (found.error, found.retry, found.doubtful) == ("RuntimeError: CUDA error", True, True)
    assert "in make" in found.traceback
    found = failing(OSError(28, "No space left on device"))
    assert (found.retry, found.doubtful) == (True, False)
    assert failing(ConnectionError("no WebUI answers")).doubtful


# Which mask, which prompt

def test_masks_by_suffix(tmp_path):
    for name in ("a.jpg", "a-mask.png", "b.jpg", "b-mask.png", "b-mask.webp", "c.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    mask_of = masks.by_suffix("-mask")
    assert mask_of(tmp_path / "a.jpg") == tmp_path / "a-mask.png"
    for name, count in (("b.jpg", 2), ("c.png", 0)):
        with pytest.raises(BadInput, match=f"exactly one mask named {name[0]}-mask, found {count}"):
            mask_of(tmp_path / name)


@pytest.mark.parametrize(("name", "text"), [
    ("prompts.csv", "file_name,prompt,seed,mask_blur,edge_awareness\na.png,\"a tree, tall\",7,,0.5\n"),
    ("prompts.jsonl", '{"file_name": "a.png", "text": "a tree, tall", "seed": 7, "edge_awareness": 0.5}\n\n')])
def test_a_table_gives_an_image_any_setting(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    values_of = captions.from_table(tmp_path / name, [Path("images/a.png"), Path("images/b.png")])
    assert values_of(Path("images/a.png")) == {"prompt": "a tree, tall", "seed": 7, "edge_awareness": 0.5}
    assert values_of(Path("images/b.png")) == {}


@pytest.mark.parametrize(("text", "sentence"), [
    ("file,prompt\na.png,b\n", "must have a file_name, row 1 has none"),
    ("file_name,promt\na.png,b\n", "or options of this command with _ for -, got promt")])
def test_a_wrong_table_is_reported_at_once(tmp_path, text, sentence):
    (tmp_path / "prompts.csv").write_text(text)
    with pytest.raises(cli.click.UsageError, match=sentence):
        captions.from_table(tmp_path / "prompts.csv", [Path("a.png")])


def test_a_wrong_value_costs_its_own_image_only(tmp_path):
    (tmp_path / "prompts.csv").write_text("file_name,steps\na.png,many\nb.png,4\n")
    values_of = captions.from_table(tmp_path / "prompts.csv", [Path("a.png"), Path("b.png")])
    with pytest.raises(BadInput, match="row 1 of .*prompts.csv cannot be used: Steps must be"):
        values_of(Path("a.png"))
    assert values_of(Path("b.png")) == {"steps": 4}


def test_captions_lie_beside_the_images(tmp_path):
    (tmp_path / "a.txt").write_text("\ufeffa tree,\n tall\n", encoding="utf8")
    values_of = captions.from_captions(".txt", [tmp_path / "a.png", tmp_path / "b.png"])
    assert values_of(tmp_path / "a.png") == {"prompt": "a tree, tall"}
    assert values_of(tmp_path / "b.png") == {}


@pytest.mark.parametrize("prompt", ["", "a tree"])
def test_images_without_a_caption_are_named_unless_there_is_a_prompt(tmp_path, capsys, prompt):
    (tmp_path / "a.txt").write_text("a tree")
    captions.from_captions(".txt", [tmp_path / f"{name}.png" for name in "abcdefgh"], prompt)
    assert capsys.readouterr().err == ("" if prompt else
        "softinpaint: images with no caption file ending in .txt get an empty prompt (7): b.png, c.png, d.png, e.png, f.png "
        "and 2 more\n")


def test_rows_and_images_that_do_not_match_are_named(tmp_path, capsys):
    table = tmp_path / "prompts.csv"
    table.write_text("file_name,prompt\na.png,a tree\nx.png,a moon\ny.png,a lake\n")
    captions.from_table(table, [Path("a.png"), Path("b.png")])
    assert capsys.readouterr().err.splitlines() == [
        f"softinpaint: {table} has rows that name no image (2): x.png, y.png",
        f"softinpaint: images with no row in {table} get an empty prompt (1): b.png"]
    captions.from_table(table, [Path("a.png"), Path("b.png")], "a house")
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("words", ["--captions .caption", "--prompts images/prompts.csv"])
def test_files_that_are_read_for_images_are_not_listed_as_skipped(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path, 1)
    for name in ("0.caption", "other.caption", "manifest.jsonl"):
        Path("images", name).write_text("a tree")
    Path("images/prompts.csv").write_text("file_name,prompt\n0.png,a tree\n")
    assert cli.main(["batch", "images", "--mask", "mask.png", *words.split(), "--steps", "1", "-o", "made"]) == 0
    skipped = "other.caption, prompts.csv" if "captions" in words else "0.caption, other.caption"
    assert capsys.readouterr().err.startswith(
        f"softinpaint: images also contains files that are not images; skipped: {skipped}.\n")


@pytest.mark.parametrize(("words", "sentence"), [
    ("images", "exactly one of --mask, --mask-suffix and --mask-from-alpha is needed"),
    ("images --mask mask.png --mask-from-alpha", "exactly one of"),
    ("images --mask mask.png --mask-tools transparency", "exactly one of"),
    ("images --mask mask.png --mask-tools smoth", "Mask tools must be steps such as"),
    ("images --mask none.png", "'none.png' does not exist"),
    ("images --mask mask.png --webui http://127.0.0.1:9 --workers 2", "--webui cannot be combined with"),
    ("images --mask mask.png --prompts a.csv --captions .txt", "--prompts and --captions cannot be combined"),
    ("images --mask mask.png --prompts a.csv", "a.csv does not exist"),
    ("images --mask mask.png --prompts rows.csv", "rows.csv must have a row with the file_name of an image, such as 0.png, "
                                                  "got x.png"),
    ("images --mask mask.png --captions .caption", "none of 1 images has one, such as images/0.caption"),
    ("images --mask mask.png --captions caption", "--captions must be a suffix such as .txt, got 'caption'"),
    ("images --mask-suffix 0", "--mask-suffix must leave images to inpaint, but all names end in 0"),
    ("images --mask mask.png --prompts a.txt", "--prompts must be a .csv or .jsonl file, got a.txt"),
    ("images --mask mask.png --ray 127.0.0.1:9", "--ray must be the address of a running Ray cluster, got 127.0.0.1:9"),
    ("images --mask mask.png --webui http://127.0.0.1:9", "no worker is left: the WebUI at http://127.0.0.1:9: no WebUI "
                                                          "answers at http://127.0.0.1:9"),
    ("images --mask mask.png --sampler Foo", "Sampler must be one of"),
    ("images twice --mask mask.png", "each result needs its own name, but 2 of them would be named"),
    ("images --mask mask.png -o used", "already exists; use --force to overwrite it")])
def test_bad_input_is_reported_before_an_image_is_made(tmp_path, monkeypatch, capsys, words, sentence):
    if "--ray" in words:
        pytest.importorskip("ray", reason="Ray is not installed", exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path, 1)
    for folder in ("twice", "used"):
        shutil.copytree("images", folder)
    Path("rows.csv").write_text("file_name,prompt\nx.png,a tree\n")
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(["batch", *words.split(), *(() if "used" in words else ("-o", "made/inner"))]) == cli.BAD_INPUT
    assert sentence in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("output", ["-o images", "-o ./images/.", "-o masks", "-o link", "-o made --export masks"])
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_results_never_go_into_a_folder_of_images_or_masks(tmp_path, monkeypatch, capsys, output, force):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path, 1)
    Path("masks").mkdir()
    shutil.move("mask.png", "masks/0.png")
    try:
        Path("link").symlink_to("images")
    except OSError:
        pytest.skip("no links here")
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(["batch", "images", "--mask", "masks", *output.split(), *force]) == cli.BAD_INPUT
    option, folder = output.replace("-o made ", "").replace("-o", "--output").split()
    assert capsys.readouterr().err == (
        f"softinpaint: {option} must be a folder without input images or masks, got {Path(folder)}\n")
    assert sorted(tmp_path.rglob("*")) == before


# The manifest

def outcome(tmp_path, name, result=None, tries=1):
    return Outcome(Task(tmp_path / name, None, tmp_path / name, Request()), result or Made(5, 71.234, 0.5), tries, "process 1")


def test_an_image_without_a_mask_is_recorded_without_starting_a_worker(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path, 2)
    monkeypatch.setattr("lib_softinpaint.batch.seats.ProcessSeat.start", None)  # calling it would fail
    assert cli.main(["batch", "images", "--mask-suffix=-mask", "-o", "made"]) == cli.BAD_INPUT
    assert "softinpaint: 2 of 2 images failed; made/manifest.jsonl says why" in capsys.readouterr().err
    assert [(entry["image"], entry["status"], entry["error"], entry["tries"]) for entry in lines(Path("made"))] == [
        (f"images/{number}.png", "failed", f"the folder images must contain exactly one mask named {number}-mask, found 0", 0)
        for number in (0, 1)]


def test_the_manifest_remembers_what_is_done(tmp_path):
    for name, key in (("a.png", "1"), ("b.png", "2")):
        with manifest.opened(tmp_path) as record:
            record.add(outcome(tmp_path, name), Path(f"in/{name}"), Path("mask.png"), key)
    with manifest.opened(tmp_path) as record:
        record.add(outcome(tmp_path, "a.png", Failed("a reason", traceback="lines")), Path("in/a.png"), None, "1")
        assert not record.is_new
    with open(tmp_path / manifest.NAME, "a") as file:
        file.write('{"result": "b.png", "status": "fai')  # a crash of the machine
    with manifest.opened(tmp_path) as record:
        assert (record.key_of(Path("a.png")), record.key_of(Path("b.png")), record.key_of(Path("c.png"))) == (None, "2", None)
        record.add(outcome(tmp_path, "c.png"), Path("in/c.png"), None, "3")
    found = [json.loads(line) for line in (tmp_path / manifest.NAME).read_text().splitlines() if "fai\"" not in line and
             not line.endswith("fai")]
    assert [entry["result"] for entry in found] == ["a.png", "b.png", "a.png", "c.png"]
    assert found[0] == {"result": "a.png", "image": "in/a.png", "mask": "mask.png", "status": "done", "seed": 5,
                        "score": 71.23, "seconds": 0.5, "tries": 1, "worker": "process 1", "key": "1",
                        "ended": found[0]["ended"]}
    assert (found[2]["status"], found[2]["error"], found[2]["traceback"]) == ("failed", "a reason", "lines")


def test_one_run_at_a_time_uses_a_folder(tmp_path):
    with (manifest.opened(tmp_path), pytest.raises(BadInput, match="another one is running in"),
          manifest.opened(tmp_path)):
        pass
    (tmp_path / ".0123.unfinished").write_bytes(b"half")
    with manifest.opened(tmp_path):
        assert not (tmp_path / ".0123.unfinished").exists()


def test_a_key_changes_with_settings_and_files(tmp_path):
    write_images(tmp_path, 1)
    image = tmp_path / "images/0.png"
    tasks = [Task(image, tmp_path / "mask.png", tmp_path / "made.png", Request(**fields), count)
             for fields, count in (({}, 1), ({"prompt": "a"}, 1), ({}, 2))]
    keys = [manifest.key_of_task(task, None) for task in tasks] + [manifest.key_of_task(tasks[0], "model")]
    assert manifest.key_of_task(tasks[0], None) == keys[0]
    os.utime(image, (1, 1))
    assert len({*keys, manifest.key_of_task(tasks[0], None)}) == 5


def test_changed_settings_do_not_overwrite_results_unasked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path, 2)
    words = ["batch", "images", "--mask", "mask.png", "--steps", "2", "--captions", "-o", "made"]
    Path("images/1.txt").write_text("a moon")
    assert cli.main([*words, "--prompt", "a tree"]) == 0
    first = [infotext.parse(infotext_files.read(Path(f"made/{number}.png"))) for number in (0, 1)]
    assert [params["Prompt"] for params in first] == ["a tree", "a moon"]
    assert first[0]["Seed"] != first[1]["Seed"], "each image draws its own"
    assert cli.main([*words, "--prompt", "a tree"]) == 0, "random seeds are no other settings"
    assert "2 of 2 images are done already" in capsys.readouterr().err
    assert cli.main([*words, "--prompt", "a house"]) == cli.BAD_INPUT
    assert "1 results in made were made with other settings, prompts or files; use --force" in capsys.readouterr().err
    assert len(lines(Path("made"))) == 2


def test_a_file_that_no_run_recorded_is_not_replaced_silently(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path, 2)
    words = ["--mask", "mask.png", "--steps", "1", "-o", "made"]
    assert cli.main(["batch", "images/0.png", *words]) == 0
    capsys.readouterr()
    shutil.copy("images/0.png", "made/1.png")
    assert cli.main(["batch", "images", *words]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "softinpaint: made contains files that the manifest does not list as done; they are replaced: 1.png",
        "softinpaint: 1 of 2 images are done already"]


# Handing out tasks

class Thread:
    """A seat whose worker is a function in a thread of this process. `run` may raise, as if the worker died."""

    alike = False

    def __init__(self, name, run, has_spares=False, starts=lambda: ""):
        self.name, self.has_spares = name, has_spares
        self._run, self._starts = run, starts
        self.started = self.stopped = 0

    def start(self):
        self.started += 1
        return in_thread(self._starts)

    def submit(self, task):
        return in_thread(lambda: self._run(task))

    def stop(self):
        self.stopped += 1


def tasks(count):
    return [Task(Path(f"{number}.png"), None, Path(f"{number}.png"), Request()) for number in range(count)]


def good(task):
    time.sleep(0.01)
    return Made(1, 50, 0.01)


def dead(task):
    raise ConnectionError("gone")


def ran(seats, count, retries=2, timeout=None):
    told = []
    found = list(dispatch.Dispatch(seats, retries, timeout, told.append).outcomes(tasks(count)))
    assert len(found) == len({each.task for each in found})
    return {each.task.target.stem: each for each in found}, told


def test_a_dead_seat_without_spares_is_left_out_and_its_task_runs_elsewhere():
    found, told = ran([Thread("one", dead), Thread("other", good)], 5)
    assert len(found) == 5
    assert all(isinstance(each.result, Made) and each.worker == "other" for each in found.values())
    assert sorted(each.tries for each in found.values()) == [1, 1, 1, 1, 2]
    assert [line.partition(" while")[0] for line in told] == ["one was lost", "one is left out: it was lost"]


def test_a_seat_with_spares_starts_again_and_a_deadly_image_fails_after_its_retries():
    def run(task):
        return dead(task) if task.target.stem == "1" else good(task)
    seat = Thread("one", run, has_spares=True)
    found, _ = ran([seat], 4, retries=2)
    assert found["1"].result == Failed("one was lost while it generated this image (ConnectionError)", True)
    assert found["1"].tries == 3
    assert all(isinstance(found[name].result, Made) for name in "023")
    assert seat.started == 4 and seat.stopped == 1


def test_a_process_that_dies_between_two_tasks_counts_as_lost():
    task, = tasks(1)
    seat = ProcessSeat(LocalSetup(Request()), 0)
    others = multiprocessing.active_children()
    try:
        assert seat.start().result() == ""
        process, = set(multiprocessing.active_children()).difference(others)
        process.kill()
        for _ in range(2):  # the first may still reach the pool
            assert isinstance(seat.submit(task).exception(), BrokenProcessPool)
    finally:
        seat.stop()


def test_a_seat_that_does_not_answer_is_left_out():
    hangs = threading.Event()
    found, told = ran([Thread("one", lambda task: hangs.wait()), Thread("other", good)], 4, timeout=1)
    hangs.set()
    assert all(isinstance(each.result, Made) for each in found.values())
    assert len(told) == 1 and told[0].startswith("one is left out: it took longer than 1 s for ")


def test_a_seat_much_slower_than_the_others_is_left_out(monkeypatch):
    monkeypatch.setattr(dispatch, "LEAST_SLOW_SECONDS", 0.5)
    hangs = threading.Event()
    found, told = ran([Thread("one", lambda task: hangs.wait()), Thread("other", good)], 6)
    hangs.set()
    assert len(found) == 6 and len(told) == 1 and told[0].startswith("one is left out: it took longer than")


def test_a_seat_that_fails_image_after_image_is_left_out():
    found, told = ran([Thread("one", lambda task: Failed("500", True, True)), Thread("other", good)], 40)
    assert all(each.worker == "other" for each in found.values()) and len(found) == 40
    assert told == ["one is left out: it failed 3 images in a row, the last with 500"]


def test_a_seat_that_has_not_come_back_when_the_run_ends_is_told():
    hangs = threading.Event()
    starts = iter((lambda: "", hangs.wait))
    one = Thread("one", lambda task: Failed("timed out", True, True), starts=lambda: next(starts)())
    found, told = ran([one, Thread("other", good)], 10)
    hangs.set()
    assert len(found) == 10 and all(each.worker == "other" for each in found.values())
    assert told == ["one is left out: it did not come back after this error: timed out"]


def test_without_workers_the_run_ends():
    with pytest.raises(dispatch.NoWorkers, match="no worker is left: other: it lacks this extension"):
        ran([Thread("one", good, starts=lambda: dead(None)), Thread("other", good, starts=lambda: "it lacks this extension")],
            3)
    seat = Thread("one", good, has_spares=True, starts=lambda: dead(None))
    with pytest.raises(dispatch.NoWorkers, match="no worker is left: one: gone"):
        ran([seat], 3)
    assert seat.started == dispatch.MOST_FAILED_STARTS


def test_tasks_are_taken_only_when_a_worker_is_free():
    taken, most = [], []

    def lazily():
        for task in tasks(20):
            taken.append(task)
            yield task
    run = dispatch.Dispatch([Thread("one", good), Thread("other", good)], 0, None, print)
    for done, _ in enumerate(run.outcomes(lazily()), 1):
        most.append(len(taken) - done)
    assert max(most) <= 4  # one each, one that waits, and one that has ended since
    assert np.array(most).min() == 0
