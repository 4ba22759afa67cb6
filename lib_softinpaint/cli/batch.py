"""The command batch: inpaints a folder on one or many workers, and resumes a stopped run."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click
import torch

from lib_softinpaint.batch import manifest as manifests
from lib_softinpaint.batch.dispatch import Dispatch
from lib_softinpaint.batch.manifest import Manifest
from lib_softinpaint.batch.seats import ProcessSeat, Seat, WebUISeat
from lib_softinpaint.batch.task import Failed, Outcome, Task
from lib_softinpaint.batch.worker import LocalSetup
from lib_softinpaint.cli import captions
from lib_softinpaint.cli.command import OUTPUTS, Command, print_note
from lib_softinpaint.cli.exported import Export, export_options
from lib_softinpaint.cli.files import folder_for
from lib_softinpaint.cli.jobs import Job, check_targets, demand_distinct, demand_other_folder, images_in, listed, plan_jobs
from lib_softinpaint.cli.masks import MaskOf, by_name, by_suffix
from lib_softinpaint.cli.progress import Progress
from lib_softinpaint.cli.requested import Requested, request_options, requested, with_values
from lib_softinpaint.errors import BadInput
from lib_softinpaint.hosts.placement import Placement
from lib_softinpaint.settings.fields import Value
from lib_softinpaint.settings.mask_tools import SOURCES, source_of
from lib_softinpaint.settings.request import Request, with_seed

THREADS_VARIABLE = "OMP_NUM_THREADS"
MOST_FAILURES_PRINTED = 20


@click.command(cls=Command)
@click.argument("paths", nargs=-1, required=True, metavar="FOLDER...", type=click.Path(path_type=Path, exists=True))
@click.option("--mask", type=click.Path(path_type=Path, exists=True), metavar="PATH",
              help="One mask for all images, or a folder with a mask named like each image.")
@click.option("--mask-suffix", metavar="TEXT",
              help="The masks are beside the images. With -mask, the mask of a.jpg is a-mask.png.")
@click.option("--mask-from-alpha", is_flag=True, help="The transparent areas of each image are repainted.")
@click.option("--prompts", type=click.Path(path_type=Path), metavar="FILE",
              help="A .csv or .jsonl file with a row for each image: file_name, prompt, and any other option, with _ for -.")
@click.option("--captions", "caption_suffix", is_flag=False, flag_value=".txt", metavar="[SUFFIX]",
              help="Read each image's prompt from a text file named like it. Images without one use --prompt. [suffix: .txt]")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=OUTPUTS / "batch",
              help="Folder for the results and their manifest. It belongs to the batch, so keep other files out of it. To "
                   "resume, run the command again with the same folder.")
@click.option("--force", is_flag=True, help="Overwrite results that were made with other settings or by other programs.")
@click.option("--best-of", type=click.IntRange(1), default=1, metavar="N",
              help="Generate N results for each image, each with the next seed, and keep the one with the best blend score.")
@export_options
@click.option("--retries", type=click.IntRange(0), default=2,
              help="How often an image is tried again after an unexpected error, or after its worker died.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS",
              help="Longest time for one image. Then its worker is replaced and the image is tried again. Default: no limit, "
                   "but a WebUI that is ten times slower than the others is left out.")
@click.option("--workers", type=click.IntRange(1), help="How many processes load the model. Default: one for each GPU, or "
                                                        "one on the CPU; with --ray, as many as the cluster has room for.")
@click.option("--ray", "ray_address", metavar="ADDRESS",
              help='Run on the Ray cluster at this address ("auto": the one of this machine). All its machines must see the '
                   "files under the same paths.")
@click.option("--cpus-per-worker", type=click.FloatRange(0, min_open=True), default=1,
              help="With --ray: CPUs reserved for each worker.")
@click.option("--gpus-per-worker", type=click.FloatRange(0),
              help="With --ray: GPUs reserved for each worker. 0.5 puts two on one GPU. Default: 1 if there are GPUs.")
@click.option("--webui", "webuis", multiple=True, metavar="URL",
              help="Generate in a running WebUI that has this extension. Repeat it to share the images among several.")
@request_options
@click.pass_context
def batch(context: click.Context, paths: tuple[Path, ...], mask: Path | None, mask_suffix: str | None, mask_from_alpha: bool,
          prompts: Path | None, caption_suffix: str | None, output: Path, force: bool, best_of: int, retries: int,
          timeout: float | None, workers: int | None, ray_address: str | None, cpus_per_worker: float,
          gpus_per_worker: float | None, webuis: tuple[str, ...], like: Path | None, model: str | None,
          loras: tuple[str, ...], lora_dir: Path, placement: Placement, export_folder: Path | None, photoshop: bool,
          **values: Value) -> None:
    """Inpaint all images in FOLDER on one or many workers.

    The file manifest.jsonl in the output folder says what became of each image. If an image fails, the others still run. If
    the run is stopped or killed, run the command again: it resumes and retries failed images. Without --seed, each image
    gets its own.
    """
    if webuis and (ray_address is not None or workers is not None):
        raise click.UsageError("--webui cannot be combined with --ray or --workers; each WebUI is one worker")
    if prompts is not None and caption_suffix is not None:
        raise click.UsageError("--prompts and --captions cannot be combined")
    export = Export(export_folder, photoshop)
    if export_folder is not None and webuis:
        raise click.UsageError("--export needs soft inpainting on this machine; it cannot be combined with --webui")
    export.check((), force)
    wanted = requested(context, like, model, loras, lora_dir, bool(webuis), values)
    from_image = source_of(wanted.request.settings.mask_tools) is not None
    if (mask is not None) + (mask_suffix is not None) + mask_from_alpha + from_image != 1:
        raise click.UsageError("exactly one of --mask, --mask-suffix and --mask-from-alpha is needed, or instead a "
                               f"--mask-tools that begins with {', '.join(SOURCES[:-1])} or {SOURCES[-1]}")
    images = images_in(paths, captions.used(prompts, caption_suffix))
    if mask_suffix is not None:
        if not mask_suffix:
            raise click.UsageError("--mask-suffix must not be empty")
        images = [image for image in images if not image.stem.endswith(mask_suffix)]
        if not images:
            raise click.UsageError(f"--mask-suffix must leave images to inpaint, but all names end in {mask_suffix}")
    mask_of = by_name(mask) if mask else None if mask_suffix is None else by_suffix(mask_suffix)
    sources = {image.parent for image in images}.union([mask if mask.is_dir() else mask.parent] if mask else [])
    for option, folder in (("--output", output), ("--export", export_folder)):
        if folder is not None:
            demand_other_folder(folder, sources, option)
    values_of = captions.values_of(images, prompts, caption_suffix, wanted.request.prompt)
    planner = _Planner(wanted, mask_of, values_of, best_of, model, export)
    jobs = plan_jobs(images, output, 1)
    demand_distinct([job.target for job in jobs])
    with folder_for(output / manifests.NAME), manifests.opened(output) as manifest:
        if manifest.is_new:
            check_targets([job.target for job in jobs], force)
        left = _left(jobs, planner, manifest, output, force)
        if len(left) < len(jobs):
            print_note(f"{len(jobs) - len(left)} of {len(jobs)} images are done already")
        failed = 0
        if left:
            request = wanted.with_loras(wanted.request)
            places = tuple(path.absolute() for path in wanted.lora_places)
            model = os.path.abspath(model) if model and Path(model).exists() and not webuis else model
            setup = LocalSetup(request, model, placement, places)
            with (_seats(setup, webuis, ray_address, workers, cpus_per_worker, gpus_per_worker) as seats,
                  Progress(len(left)) as advance):
                failed = _run(left, planner, manifest, Dispatch(seats, retries, timeout, print_note), advance)
        click.echo(f"{len(jobs) - failed} of {len(jobs)} images are done: {manifest.path}")
    if failed:
        raise BadInput(f"{failed} of {len(jobs)} images failed; {manifest.path} says why")


@dataclass(frozen=True)
class _Plan:
    """What is to become of one image: a task, or the reason why there can be none."""

    image: Path
    mask: Path | None
    task: Task
    error: str
    key: str


class _Planner:
    def __init__(self, wanted: Requested, mask_of: MaskOf | None, values_of: captions.ValuesOf, candidates: int,
                 model: str | None, export: Export):
        self._wanted, self._mask_of, self._values_of = wanted, mask_of, values_of
        self._candidates, self._model = candidates, model
        self._export = replace(export, folder=export.folder and export.folder.absolute())

    def planned(self, job: Job) -> _Plan:
        image, target = job.image, job.target
        mask, error, key, request = None, "", "", Request()
        try:
            mask = None if self._mask_of is None else self._mask_of(image)
            request = self._wanted.with_loras(with_values(self._wanted.request, self._values_of(image)))
        except BadInput as fault:
            error = " ".join(str(fault).split())
        task = Task(image.absolute(), None if mask is None else mask.absolute(), target.absolute(), request,
                    self._candidates, self._wanted.may_fit, self._export.folder, self._export.photoshop)
        try:
            key = manifests.key_of_task(task, self._model)
        except OSError as fault:
            error = error or f"{fault.filename} cannot be read: {fault.strerror}"
        # The key has no random seed, so that a second start finds what the first one made.
        return _Plan(image, mask, replace(task, request=with_seed(request)), error, key)


def _left(jobs: Sequence[Job], planner: _Planner, manifest: Manifest, output: Path, force: bool) -> list[Job]:
    """The jobs without a result. A note names the files that are replaced but were not recorded as results.

    Raises UsageError if results of other settings would be overwritten.
    """
    left, unknown, changed = [], [], 0
    for job in jobs:
        known = manifest.key_of(job.target)
        if job.target.exists():
            if known is None:
                unknown.append(job.target.name)
            elif known == planner.planned(job).key:
                continue
            else:
                changed += 1
        left.append(job)
    if changed and not force:
        raise click.UsageError(f"{changed} results in {output} were made with other settings, prompts or files; use --force "
                               "to make them again, or another --output")
    if unknown and not force:
        print_note(f"{output} contains files that the manifest does not list as done; they are replaced: {listed(unknown)}")
    return left


def _run(left: Sequence[Job], planner: _Planner, manifest: Manifest, dispatch: Dispatch,
         advance: Callable[[float], None]) -> int:
    """Runs the jobs and records what became of each. Returns how many failed.

    Each job is planned when a worker is free for it, so that millions do not fill the memory.
    """
    running: dict[Path, _Plan] = {}
    failures = 0

    def record(plan: _Plan, outcome: Outcome) -> None:
        nonlocal failures
        manifest.add(outcome, plan.image, plan.mask, plan.key)
        advance(1)
        if isinstance(outcome.result, Failed):
            failures += 1
            if failures <= MOST_FAILURES_PRINTED:
                print_note(f"{plan.image} failed: {outcome.result.error}")

    def tasks() -> Iterator[Task]:
        for job in left:
            plan = planner.planned(job)
            if plan.error:
                record(plan, Outcome(plan.task, Failed(plan.error), 0, ""))
                continue
            running[plan.task.target] = plan
            yield plan.task

    for outcome in dispatch.outcomes(tasks()):
        record(running.pop(outcome.task.target), outcome)
    return failures


@contextmanager
def _seats(setup: LocalSetup, webuis: Sequence[str], ray_address: str | None, workers: int | None, cpus: float,
           gpus: float | None) -> Iterator[Sequence[Seat]]:
    if webuis:
        yield [WebUISeat(url, setup.request, setup.model) for url in webuis]
    elif ray_address is not None:
        from lib_softinpaint.batch.ray_seats import ray_seats

        threads = int(os.environ.get(THREADS_VARIABLE) or max(1, int(cpus)))
        with ray_seats(ray_address, replace(setup, threads=threads), workers, cpus, gpus) as seats:
            yield seats
    else:
        count = workers or (torch.cuda.device_count() if setup.placement.device in (None, "cuda") else 0) or 1
        # Without this, each process would take all cores. One process alone gives the bytes of the command inpaint.
        share = None if count == 1 or THREADS_VARIABLE in os.environ else max(1, (os.cpu_count() or 1) // count)
        yield [ProcessSeat(replace(setup, threads=share), number) for number in range(count)]
