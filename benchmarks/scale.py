"""How the command batch scales: python -m benchmarks.scale overhead | workers | cluster | manifest

overhead   time per image of the command's local engine against a plain loop over the same work
workers    images per minute by number of workers, on processes and on a two-node Ray cluster
cluster    a folder of 200 images on a two-node Ray cluster, with two workers killed on the way
manifest   time and memory of planning, writing and reading a manifest, by number of images
"""
from __future__ import annotations

import os
import pickle
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

from PIL import Image

from lib_softinpaint.batch import manifest as manifests
from lib_softinpaint.batch.dispatch import Dispatch
from lib_softinpaint.batch.seats import ProcessSeat
from lib_softinpaint.batch.task import Made, Outcome, Task
from lib_softinpaint.batch.worker import LocalSetup, local_worker
from lib_softinpaint.cli import jobs
from lib_softinpaint.settings.request import Request
from tests.ray_cluster import Cluster

ROOT = Path(__file__).parent.parent
SIDE_PX, STEPS = 64, 2
OVERHEAD_SIDE_PX, OVERHEAD_STEPS, OVERHEAD_IMAGES, ROUNDS = 128, 8, 12, 3
WORKERS_IMAGES = 60
CLUSTER_IMAGES, KILLED_AFTER = 200, (30, 90)
MANIFEST_LINES = 100_000


def write_images(folder, count, side):
    """Images of different content, and their mask."""
    folder.mkdir(parents=True)
    with Image.open(ROOT / "demo/image.png") as image, Image.open(ROOT / "demo/mask.png") as mask:
        for number in range(count):
            left, top = 7 * number % (image.width - side), 11 * number % (image.height - side)
            image.crop((left, top, left + side, top + side)).convert("RGB").save(folder / f"{number:04d}.png")
        mask.crop(mask.getbbox()).resize((side // 2, side // 2)).save(folder.with_name("painted.png"))
    framed = Image.new("L", (side, side))
    framed.paste(Image.open(folder.with_name("painted.png")).convert("L"), (side // 4, side // 4))
    framed.save(folder.with_name("mask.png"))


def batch(work, *words, **options):
    """The command, started."""
    start = f"import sys; sys.path[0] = {str(ROOT)!r}; from lib_softinpaint.cli.main import main; sys.exit(main())"
    words = ["batch", work / "images", "--mask", work / "mask.png", "--prompt", "a tree", "--steps", STEPS, "--seed", 1,
             *words]
    return subprocess.Popen([sys.executable, "-c", start, *map(str, words)], **options)


def lines(path):
    return list(manifests.entries(path))


def overhead(work):
    write_images(work / "images", OVERHEAD_IMAGES, OVERHEAD_SIDE_PX)
    request = Request(prompt="a tree", steps=OVERHEAD_STEPS, seed=1)
    setup = LocalSetup(request, threads=1)

    def tasks(name):
        (work / name).mkdir(exist_ok=True)
        return [Task(image, work / "mask.png", work / name / image.name, request)
                for image in sorted((work / "images").iterdir())]
    worker = local_worker(setup)
    worker.run(tasks("loop")[0])
    rows = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        own = [worker.run(task).seconds for task in tasks("loop")]
        loop = (time.perf_counter() - start) / OVERHEAD_IMAGES
        ended, reported = [], []
        with manifests.opened(work / "loop") as manifest:
            first, *others = tasks("engine")
            for outcome in Dispatch([ProcessSeat(setup, 0)], 0, None, print).outcomes([first, *others]):
                reported.append(outcome.result.seconds)
                manifest.add(outcome, outcome.task.image, outcome.task.mask, "key")
                ended.append(time.perf_counter())
        between = (ended[-1] - ended[0]) / (OVERHEAD_IMAGES - 1)
        inside = statistics.mean(reported[1:])
        rows.append((statistics.mean(own), loop, between, inside, between - inside))
        print("loop {1:.4f} s per image; engine {2:.4f} s, of which the worker {3:.4f} s, engine's own {4:.5f} s"
              .format(*rows[-1]), flush=True)
    own_cost = statistics.median(row[4] for row in rows)
    share = own_cost / statistics.median(row[1] for row in rows)
    print(f"the engine's own time per image: {own_cost * 1000:.2f} ms, {share:.2%} of an image in the plain loop")


def workers(work):
    write_images(work / "images", WORKERS_IMAGES, SIDE_PX)
    print("| engine | workers | images per minute | share of workers x one worker |\n|---|---|---|---|")
    with Cluster(work / "r", cpus=2) as cluster:
        for engine, flags in (("processes", ()), ("Ray, two nodes", ("--ray", cluster.address))):
            base = None
            for count in (1, 2, 3):
                output = work / f"{engine[:3]}{count}"
                assert batch(work, "--workers", count, "-o", output, *flags, stdout=subprocess.DEVNULL).wait() == 0
                rate = 60 * steady_rate(output, count)
                base = base or rate
                print(f"| {engine} | {count} | {rate:.0f} | {rate / base / count:.0%} |", flush=True)


def steady_rate(output, count):
    """Images per second while all workers run: the mean time of an image in a worker, which all do at once."""
    seconds = [entry["seconds"] for entry in lines(output / manifests.NAME)][count:]
    return count / statistics.mean(seconds)


def cluster(work):
    write_images(work / "images", CLUSTER_IMAGES, SIDE_PX)
    output, kills = work / "made", list(KILLED_AFTER)
    begun = time.monotonic()
    with Cluster(work / "r") as running:
        print(f"two raylets after {time.monotonic() - begun:.0f} s", flush=True)
        begun = time.monotonic()
        command = batch(work, "--ray", running.address, "-o", output)
        while command.poll() is None:
            done = len(lines(output / manifests.NAME))
            if kills and done >= kills[0]:
                victim = running.workers()[0]
                victim.kill()
                print(f"killed worker process {victim.pid} after {done} images", flush=True)
                kills.pop(0)
            time.sleep(0.05)
        seconds = time.monotonic() - begun
    found = lines(output / manifests.NAME)
    made = {entry["result"] for entry in found if entry["status"] == manifests.DONE}
    unfinished = [path.name for path in output.iterdir() if path.name.startswith(".") and path.suffix == ".unfinished"]
    names = [entry["worker"] for entry in found]
    print(f"exit code {command.returncode}, {seconds:.0f} s, {len(found)} lines, {len(made)} done, "
          f"{sum(entry['tries'] > 1 for entry in found)} after a second try, {len(unfinished)} unfinished files; "
          f"images by worker: { {name: names.count(name) for name in sorted(set(names))} }")
    for path in output.glob("*.png"):
        with Image.open(path) as image:
            image.load()
    assert made == {path.name for path in (work / "images").iterdir()} == {path.name for path in output.glob("*.png")}


def manifest(work):
    work.mkdir(exist_ok=True)
    task = Task(work / "a.png", work / "a.png", work / "a.png", Request(prompt="a tree"))
    start = time.perf_counter()
    with manifests.opened(work) as record:
        for _ in range(200):
            record.add(Outcome(task, Made(1, 50, 1), 1, "process 1"), task.image, task.mask, "0" * 16)
    print(f"one line, on the disk: {(time.perf_counter() - start) / 200 * 1000:.2f} ms")
    path = work / manifests.NAME
    line = path.read_text().splitlines()[0]
    path.write_text("".join(line.replace("a.png", f"{number:08d}.png") + "\n" for number in range(MANIFEST_LINES)))
    size = path.stat().st_size
    tracemalloc.start()
    with manifests.opened(work):
        held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    start = time.perf_counter()
    with manifests.opened(work):
        seconds = time.perf_counter() - start
    print(f"a line: {size // MANIFEST_LINES} bytes, {seconds / MANIFEST_LINES * 1e6:.1f} us to read, "
          f"{held // MANIFEST_LINES} bytes of memory")
    (work / "a.png").write_bytes(b"")
    start = time.perf_counter()
    for _ in range(2000):
        manifests.key_of_task(task, None)
    print(f"key of a task: {(time.perf_counter() - start) / 2000 * 1e6:.0f} us")
    shutil.copy(ROOT / "demo/image.png", work / "a.png")
    start = time.perf_counter()
    for _ in range(500):
        jobs.is_image(work / "a.png")
    print(f"whether a file is an image: {(time.perf_counter() - start) / 500 * 1e6:.0f} us")
    print(f"a task in bytes: {len(pickle.dumps(task))}")


if __name__ == "__main__":
    named = {each.__name__: each for each in (overhead, workers, cluster, manifest)}
    if len(sys.argv) != 2 or sys.argv[1] not in named:
        sys.exit(__doc__)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="si") as folder:
        named[sys.argv[1]](Path(folder) / "w")
