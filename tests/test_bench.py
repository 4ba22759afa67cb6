"""The benchmarks themselves: tasks, methods on one run, resuming, and tables."""
import dataclasses
import itertools
import math
import sys

import numpy as np
import pytest
import torch

from benchmarks import coherence, composites, machine, masks, page, peers, presets, quality, speed, tables
from benchmarks.machine import ROOT
from benchmarks.tasks import AREAS, SCENES, TASKS, TUNING_SCENES, WHOLE, make_task
from lib_softinpaint.settings.presets import bundled
from lib_softinpaint.settings.request import Request
from lib_softinpaint.settings.settings import Settings
from tests import tiny_models
from tests.tolerances import slowness
from training.scenes import HELD_OUT, vocabulary

pytestmark = tiny_models.KNOWN_WARNINGS

MOST_START_S = 0.015
"""By which the extension may delay the WebUI's start."""

EXACT_OUTSIDE = {peers.HARD, peers.OURS, peers.DIFFERENTIAL_PASTED, peers.DIFFUSERS_OVERLAY, peers.PASTE}


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.setattr(quality, "IMAGES", tmp_path)
    return tmp_path


def run(name="sky", area=WHOLE, steps=2, seeds=(1,), scene="yellow house", sampler="Euler a"):
    return peers.Run(make_task(scene, name), area, sampler, steps, seeds)


@pytest.mark.parametrize("name", TASKS)
def test_every_scene_has_every_task(name):
    words = set(vocabulary())
    for scene in SCENES:
        task = make_task(scene, name)
        assert task.scene.seed >= HELD_OUT
        assert set(task.prompt.replace(",", "").split()) <= words
        assert 30 < task.painted.sum() < 0.8 * task.painted.size
        assert (task.painted == make_task(scene, name).painted).all()
        if task.answer is not None:
            changed = (task.answer != task.image).any(-1)
            assert (changed & task.painted).sum() > 0.75 * changed.sum()  # a sun's glow or a tree's trunk may lie outside


@pytest.mark.parametrize("name", presets.ANSWERED.values())
def test_a_task_of_a_preset_with_one_answer_changes_what_is_painted(name):
    for scene in presets.SCENES[:3]:
        task = presets.task_of(scene, name)
        changed = (task.answer != task.image).any(-1)
        assert (changed & task.painted).mean() > 0.01
        # An antialiased rim may lie beyond.
        assert (changed & task.painted).sum() > 0.95 * changed.sum()
        assert task.prompt


def test_every_task_button_has_a_measured_preset():
    buttons = {preset.name for preset in bundled().values() if preset.task}
    assert buttons <= presets.TASKS.keys() | presets.ANSWERED.keys()


@pytest.mark.parametrize("name", ["half-hidden thing", "horizon"])
def test_what_goes_on_is_told_from_what_does_not(name):
    for scene in coherence.scenes(coherence.TUNING, 3):
        task = coherence.TASKS[name](scene, np.random.default_rng(0))
        assert coherence.goes_on(task.answer, task)
        plain = np.where(task.painted[..., None], task.image[5, 5], task.image).astype(np.uint8)
        assert not coherence.goes_on(plain, task)


@pytest.mark.parametrize("area", AREAS)
def test_every_method_paints_and_preserves_the_outside_as_promised(area, images):
    one_run = run(area=area, seeds=(1, 2))
    for method in peers.METHODS:
        outcome = quality.cached_outcome(method, one_run)
        assert outcome.results.shape == outcome.decoded.shape == (2, *one_run.task.image.shape)
        assert outcome.results.dtype == outcome.decoded.dtype == np.uint8
        assert outcome.repaint.shape == one_run.task.painted.shape
        changed = (outcome.results != one_run.task.image).any(-1)
        assert changed[:, one_run.task.painted].mean() > 0.5, method
        if method in EXACT_OUTSIDE:
            assert not changed[:, outcome.repaint == 0].any(), method
        assert (outcome.results[0] != outcome.results[1]).any(), method


def test_the_built_in_destroys_the_image_on_timestep_samplers(images):
    for sampler, wide in (("Euler", False), ("DDIM", True)):
        one_run = run("large area", sampler=sampler, steps=4)
        result = quality.cached_outcome(peers.BUILTIN, one_run).results[0].astype(int)
        far = quality.cached_outcome(peers.OURS, one_run).repaint == 0
        assert (np.abs(result - one_run.task.image)[far].mean() > 5) == wide


def test_the_built_in_blends_with_the_masked_content():
    """As the real one does: with "fill" its reference is not the original."""
    for content, alike in (("original", True), ("fill", False)):
        one_run = run("ground", steps=1)
        one_run = dataclasses.replace(one_run, task=dataclasses.replace(one_run.task, masked_content=content))
        references = []
        for kind in (peers.BuiltInPipeline, peers.RecordingPipeline):
            pipeline = peers.pipeline_for(kind, one_run)
            peers.run_soft(pipeline, one_run, Settings(enabled=True), 8)
            references.append(pipeline.job.reference)
        assert torch.equal(*references) == alike


def test_a_fresh_user_finds_the_settings_of_a_fresh_webui():
    found = Request()
    for each in [*quality.plans(False)[0].runs, *quality.plans(True)[0].runs]:
        assert (each.task.mask_blur, each.task.denoising_strength, each.task.masked_content) == (
            found.mask_blur, found.denoising_strength, found.masked_content)
        assert (each.steps, each.guidance) == (found.steps, found.cfg_scale)


def test_defaults_are_decided_on_other_scenes_and_seeds_than_are_reported():
    decided = [each for plan in quality.plans(True, tuple(TUNING_SCENES), quality.TUNING_SEEDS) for each in plan.runs]
    reported = [each for plan in quality.plans(True) for each in plan.runs]
    decided += [each for plan in quality.plans(False) for each in plan.runs]
    assert not {each.task.scene.seed for each in decided} & {each.task.scene.seed for each in reported}
    assert not {seed for each in decided for seed in each.seeds} & {seed for each in reported for seed in each.seeds}


@pytest.mark.parametrize("model", peers.MODELS)
def test_each_model_paints_its_own_images(model, images):
    one_run = dataclasses.replace(run(steps=4), model=model, guidance=1.0)
    own = quality.cached_outcome(peers.OURS, one_run).decoded
    other = quality.cached_outcome(peers.OURS, dataclasses.replace(one_run, model=peers.PLAIN)).decoded
    assert (own == other).all() == (model == peers.PLAIN)


def test_saved_images_are_not_painted_again(images, monkeypatch):
    before = quality.cached_outcome(peers.PASTE, run())
    monkeypatch.setattr(quality, "PAINTERS", {})
    again, other = quality.cached_outcome(peers.PASTE, run()), quality.cached_outcome(peers.POISSON, run())
    assert (again.results == before.results).all()
    assert (other.decoded == before.decoded).all()
    with pytest.raises(StopIteration):
        quality.cached_outcome(peers.PASTE, run(seeds=(2,)))


def test_an_unfinished_file_is_painted_again(images):
    quality.cached_outcome(peers.HARD, run())
    file = next(images.rglob("*.npz"))
    file.rename(file.with_suffix(".part"))
    assert quality.cached_outcome(peers.HARD, run()).results.any()


def test_images_of_older_code_are_deleted(images):
    old = images / "hard_inpainting-000000000000"
    old.mkdir()
    (old / "some.npz").touch()
    quality.cached_outcome(peers.HARD, run())
    assert [each.name for each in images.iterdir()] == [quality.fingerprint(peers.HARD)]


def test_every_image_gets_all_scores(images):
    rows = list(quality.measures([run(seeds=(1, 2))], (peers.HARD, peers.OURS)))
    assert [(row["method"], row["seed"]) for row in rows] == [("hard inpainting", 1), ("hard inpainting", 2), ("ours", 1),
                                                             ("ours", 2)]
    assert np.mean([row["core_effect"] for row in rows[:2]]) == pytest.approx(1)
    assert all(row["outside_changed"] == 0 and 0 <= row["blend_score"] <= 100 and row["ciede2000"] > 0 for row in rows)
    assert {row["found"] for row in rows} <= {0, 1}


def test_what_is_found_is_a_share_of_what_was_asked_for():
    task = make_task("village by the lake", "background")
    night = dataclasses.replace(task.scene, light=task.light).draw()
    changed = np.where(task.painted[..., None], night, task.image)
    assert quality.found(task.image, task) == 0
    assert quality.found(changed, task) == 0.5  # the time of day, but no new cloud


def test_a_change_that_follows_the_mask_is_aligned():
    repaint = np.linspace(0, 1, 64, dtype=np.float32) * np.ones((64, 1), np.float32)
    original = np.full((64, 64, 3), 80, np.uint8)
    follows = np.rint(80 + 100 * repaint[..., None] * np.ones(3)).astype(np.uint8)
    similarity, residual = quality.alignment(repaint, original, follows[None])
    assert similarity > 0.98
    assert residual < 4
    against = quality.alignment(repaint, original, follows[None, :, ::-1])
    assert against[0] < -0.98
    assert all(math.isnan(number) for number in quality.alignment(repaint, original, original[None]))


def rows():
    for scene in ("one", "two"):
        for method, base in (("hard inpainting", 20.0), ("ours", 60.0)):
            for seed in range(1, 5):
                yield {**dict.fromkeys(("jump", "jump_painted", "outline", "gradient_ratio", "foreign_edges", "ghost",
                                        "contrast_retention", "cam", "dam", "halo", "gradient_at_edge", "half_eaten",
                                        "effect", "ring_change", "blend_score"), base + seed),
                       "outside_changed": 0, "core_effect": 1.0, "found": seed > 1, "ciede2000": None, "scene": scene,
                       "task": "sky", "side": 256, "area": WHOLE, "model": peers.PLAIN, "method": method,
                       "sampler": "Euler a", "steps": 20, "seed": seed}


def test_tables_count_wins_and_compare_equal_runs():
    lines = tables.own_table(list(rows())).splitlines()
    assert lines[2].startswith("| hard inpainting | 22.5 ± 1.1 | ")
    assert lines[3].startswith("| ours | 62.5 ± 1.1 | ")
    assert [line.split(" | ")[-1] for line in lines[2:]] == ["0 |", "2 |"]
    assert "75%" in tables.truth_table(list(rows())).splitlines()[3]
    assert "| hard inpainting | +40.0 (+40.0 to +40.0) | 100% of 8 (100% to 100%) |" in tables.comparisons(list(rows()))
    assert tables.table_by(list(rows()), "task").splitlines()[-1] == "| sky | 22 / 22.5 / 1.00 | 62 / 62.5 / 1.00 |"


def test_intervals_grow_with_the_differences_between_scenes():
    """Many images of one scene are no more evidence than a few."""
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 1, 12)
    few, many = ({str(number): centre + rng.normal(0, 0.1, count) for number, centre in enumerate(centres)}
                 for count in (4, 100))
    widths = [high - low for _, (low, high) in (tables.over_scenes(values, np.mean) for values in (few, many))]
    assert widths[0] == pytest.approx(widths[1], rel=0.15)
    assert widths[1] == pytest.approx(2 * 1.96 * centres.std() / math.sqrt(12), rel=0.2)


def test_tables_are_put_between_their_marks_in_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    page.PAGE.write_text("By hand.\n\n<!-- begin speed -->\n\nold\n\n<!-- end speed -->\n\nMore.\n")
    page.put("masks", ["| a |"])
    page.put("speed", ["| b |", "| c |"])
    assert page.PAGE.read_text() == "By hand.\n\n<!-- begin speed -->\n\n| b |\n\n| c |\n\n<!-- end speed -->\n\nMore.\n"


def test_a_method_is_known_by_what_it_paints(monkeypatch):
    quality.fingerprint.cache_clear()
    usual = quality.fingerprint(peers.OURS)
    quality.fingerprint.cache_clear()
    monkeypatch.setattr(quality, "PAINTERS", {**quality.PAINTERS, (peers.OURS,): peers.soft(
        peers.OURS, peers.RecordingPipeline, Settings(enabled=True, preservation_strength=0.6))})
    assert quality.fingerprint(peers.OURS) != usual
    quality.fingerprint.cache_clear()


def test_sheets_show_each_task(images, tmp_path):
    files = quality.sheets([run(), run("ground")], (peers.HARD,), tmp_path / "sheets")
    assert [file.name for file in files] == ["sky-whole-image.jpg", "ground-whole-image.jpg"]


def test_imported_files_are_followed():
    files = {file.relative_to(machine.ROOT).as_posix()
             for file in machine.imported_files(machine.ROOT / "lib_softinpaint" / "generation" / "job.py")}
    assert {f"lib_softinpaint/{name}.py" for name in ("generation/job", "method/blend", "settings/settings")} <= files
    assert "lib_softinpaint/generation/score.py" not in files
    assert not any("diffusers" in file for file in files)  # the package imports it within a function


def test_speed_rows_hold_ratio_memory_and_goal():
    methods = {speed.OURS: lambda: np.zeros(2 ** 20), "slow": lambda: [np.ones(2 ** 20) for _ in range(20)]}
    times = speed.seconds(methods)
    assert min(map(len, times.values())) >= 3
    assert np.median(times["slow"]) > 3 * np.median(times[speed.OURS])
    assert math.isnan(memory := speed.peak_memory(methods["slow"], "cpu")) or memory > 100
    row = speed.Row("blend", "cpu", 1024, 1, speed.DEFINITION, 1.0, 0.1, 9.0, 1.0, 0.5)
    assert row.goal == speed.GOALS["blend", (1024, 1), speed.DEFINITION]
    assert dataclasses.replace(row, device="cuda").goal is None


def test_linear_time_has_exponent_1():
    figures = [speed.Row("blend", "cpu", size, 1, speed.OURS, size ** 2 * 1e-6, 0, 1, 0, 0) for size in (512, 1024, 2048)]
    assert speed.exponents(figures) == {"blend": pytest.approx(1)}


def test_loading_the_script_imports_only_what_registers_it():
    """All else is imported on first use, so that the WebUI starts as quickly as without it."""
    runs = [(speed.loaded(speed.SCRIPT), slowness()) for _ in range(3)]
    assert min(seconds / slow for (seconds, _), slow in runs) < MOST_START_S
    modules = runs[0][0][1]
    assert not (ROOT / "install.py").exists(), "the WebUI would start a Python for it"
    ours = {name.removeprefix("lib_softinpaint.hosts.webui.") for name in modules} - set(sys.stdlib_module_names)
    assert ours <= {"later", "names", "register", "start"}


@pytest.mark.parametrize("name", ["bundled", "second"])
def test_composites_against_a_known_truth(name):
    """The first two cases on each autoencoder."""
    clear, cut = itertools.islice(composites.cases(composites.codecs()[name]), 2)
    assert (clear.kind, cut.kind) == (composites.CLEAR, composites.CUT)
    for case in (clear, cut):
        figures = {method: composites.figures(case, compose(case)) for method, compose in composites.METHODS.items()}
        assert all(np.isfinite(row).all() for row in figures.values())
        assert figures["**ours**"][4] == 0
        assert figures["**ours**"][1] <= figures["ours, no drift correction"][1]
    assert composites.METHODS["seamlessClone"](cut).shape == cut.original.shape


def test_grey_maps_span_all_strengths():
    for name, grey in masks.grey_maps().items():
        assert (grey.min(), grey.max()) == (0, 1), name
        assert len(np.unique(grey)) >= 5


def test_every_feather_profile_falls_from_1_to_0():
    share = np.linspace(0, 1, 101)
    for name, profile in masks.PROFILES.items():
        values = profile(share)
        assert values[0] == 1, name
        assert values[-1] == pytest.approx(0, abs=1e-9), name
        assert (np.diff(values) <= 1e-9).all(), name
