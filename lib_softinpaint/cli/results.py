"""The results of one image: which are saved, under which names, and their contact sheet."""
from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import click
from PIL import Image

from lib_softinpaint.cli.command import print_note
from lib_softinpaint.cli.exported import Export
from lib_softinpaint.cli.files import rescuing
from lib_softinpaint.cli.jobs import Job
from lib_softinpaint.errors import BadInput
from lib_softinpaint.generation import candidates
from lib_softinpaint.generation.candidates import Candidate
from lib_softinpaint.generation.colours import colours_of
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.generation.source import completed
from lib_softinpaint.images import infotext_files, job_file
from lib_softinpaint.images.files import painted_in, save_result
from lib_softinpaint.images.sheet import contact_sheet
from lib_softinpaint.settings.request import INPAINT_NOT_MASKED, Request


@dataclass(frozen=True, eq=False)
class Result:
    """One result that is not saved yet.

    Parameters
    ----------
    job
    request
        With the seed of this result.
    original, mask
    image
    infotext
    kept
        None if the result was generated elsewhere or by hard inpainting.
    """

    job: Job
    request: Request
    original: Image.Image
    mask: Image.Image | None
    image: Image.Image
    infotext: str
    kept: KeptImage | None

    @cached_property
    def candidate(self) -> Candidate:
        if self.kept is not None:
            return candidates.of_kept(self.kept, self.kept.settings)
        place = self.job.image
        painted = painted_in(self.mask, place, self.original, place, self.request, [])
        inverted = self.request.mask_mode == INPAINT_NOT_MASKED
        return candidates.of_images(self.original, self.image, 1 - painted if inverted else painted)


@dataclass
class Results:
    """The results of one image. Without any wish, each is saved as soon as it is there.

    Parameters
    ----------
    best_first
        Whether the best result gets the first name.
    keep_best
        How many are saved; None saves all.
    sheet
        Whether a contact sheet is saved beside them.
    keep
        Whether their job files are saved, too.
    export
    """

    best_first: bool
    keep_best: int | None
    sheet: bool
    keep: bool
    export: Export
    _held: list[Result] = field(default_factory=list)
    _jobs: list[Job] = field(default_factory=list)

    def add(self, result: Result) -> None:
        if not (self.best_first or self.keep_best or self.sheet):
            _save(result, result.job, self.keep, self.export)
            return
        self._jobs.append(result.job)
        places = candidates.best_first([each.candidate for each in (*self._held, result)])
        self._held = [(*self._held, result)[place] for place in places[:self.keep_best]]

    def save(self) -> None:
        """Saves what is held, and prints its scores and remarks."""
        if not self._held:
            return
        shown = self._held if self.best_first else sorted(self._held, key=lambda each: each.job.number)
        compared = [each.candidate for each in shown]
        names = candidates.labels(compared)
        faults = []
        for name, result, job in zip(names, shown, self._jobs):
            try:
                _save(result, job, self.keep, self.export, name.partition(": ")[2])
            except BadInput as fault:  # noqa: PERF203 - the others must not be lost
                faults.append(str(fault))
        request, first = shown[0].request, self._jobs[0]
        for sentence in candidates.remarks(compared, request.denoising_strength, request.masked_content):
            print_note(f"{first.image}: {sentence}")
        if self.sheet:
            sheet = contact_sheet({f"{name}, seed {result.request.seed}": result.image for name, result in zip(names, shown)})
            with rescuing(sheet_of(first), lambda place: sheet.save(place)):
                sheet.save(sheet_of(first))
            click.echo(sheet_of(first))
        if faults:
            raise BadInput("; ".join(faults))


def sheet_of(job: Job) -> Path:
    """The file of the contact sheet of the image of this job."""
    return job.target.with_name(f"{job.image.stem}-sheet.png")


def _save(result: Result, job: Job, keep: bool, export: Export, score: str = "") -> None:
    """Saves a result, with its job file and its layers if wanted, under the names of a job of the same image."""
    image, text = result.image, result.infotext
    with rescuing(job.target, lambda place: infotext_files.save(image, place, text)):
        save_result(image, job.target, text, colours_of(result.original))
    click.echo(f"{job.target}  score {score}" if score else job.target)
    if result.kept is None:
        return
    whole = completed(result.kept, text, result.original)
    if keep:
        with rescuing(job.kept, lambda place: job_file.save(whole, place)):
            job_file.save(whole, job.kept)
        click.echo(job.kept)
    export.save(whole, whole.settings, job.target)
