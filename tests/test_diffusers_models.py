"""Requests on the bundled scene model. These properties hold for every sampler."""
from dataclasses import replace

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from benchmarks import peers
from benchmarks.tasks import WHOLE, make_task
from lib_softinpaint import Settings, soft_inpaint
from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.hosts.diffusers.painter import Painter
from lib_softinpaint.hosts.placement import Placement
from lib_softinpaint.settings.request import Request
from tests import tiny_models
from tests.test_cli import IMAGE, MASK, outside, pixels

pytestmark = tiny_models.KNOWN_WARNINGS

REQUEST = Request(prompt="an orange tree", steps=5, denoising_strength=1, masked_content="fill", mask_blur=8, seed=3)
ORIGINAL, PAINTED, AWAY = pixels(IMAGE), pixels(MASK)[..., 0] == 255, outside(MASK, REQUEST.mask_blur)


@pytest.fixture(scope="module")
def pipeline():
    return models.load(str(models.SCENE_MODEL), "cpu")


def inpainted(pipeline, image=IMAGE, mask=MASK, **changes):
    request = Request(**{**vars(REQUEST), **changes})
    return np.asarray(models.inpaint(pipeline, request, Image.open(image), Image.open(mask))).astype(int)


@pytest.mark.parametrize("sampler", models.SAMPLERS)
def test_every_sampler_keeps_the_outside_exact_and_repaints_the_core(pipeline, sampler):
    made = inpainted(pipeline, sampler=sampler)
    hard = inpainted(pipeline, sampler=sampler, settings=Settings(enabled=False))
    assert (made[AWAY] == ORIGINAL[AWAY]).all()
    change, by_hard = (np.abs(image - ORIGINAL)[PAINTED].mean() for image in (made, hard))
    assert change > 0.7 * by_hard > 5  # the two treat the mask's grey rim differently


@pytest.mark.parametrize("schedule_type", models.SCHEDULE_TYPES)
def test_every_schedule_type(pipeline, schedule_type):
    made = inpainted(pipeline, sampler="DPM++ 2M", schedule_type=schedule_type)
    assert (made[AWAY] == ORIGINAL[AWAY]).all()
    karras = (made == inpainted(pipeline, sampler="DPM++ 2M", schedule_type="Karras")).all()
    assert karras == (schedule_type in ("Automatic", "Karras"))


@pytest.mark.parametrize(("sampler", "schedule_type"), [("DDIM", "Karras"), ("Restart", "Automatic"), ("Euler", "Beta")])
def test_unsupported_sampler_names_are_rejected(sampler, schedule_type):
    with pytest.raises(ValueError, match=r"^(Sampler|Schedule type) must be .*, got '"):
        models.scheduler_class(sampler, schedule_type)


@pytest.mark.parametrize("changes", [{"steps": 1}, {"denoising_strength": 0.01}])
@pytest.mark.parametrize("enabled", [True, False])
def test_there_is_always_at_least_one_step(pipeline, changes, enabled):
    made = inpainted(pipeline, settings=Settings(enabled=enabled), **{"denoising_strength": 0.5, **changes})
    assert (made[PAINTED] != ORIGINAL[PAINTED]).any()


def test_the_pipelines_own_scheduler_is_unchanged(pipeline):
    inpainted(pipeline, sampler="UniPC")
    assert isinstance(pipeline.scheduler, diffusers.DDIMScheduler)


def test_the_seed_decides_the_image(pipeline):
    assert (inpainted(pipeline) == inpainted(pipeline)).all()
    assert (inpainted(pipeline) != inpainted(pipeline, seed=4)).any()


def test_a_batch_equals_its_singles(pipeline):
    fields = dict(strength=1.0, num_inference_steps=5, masked_content="fill", mask_blur=8, guidance_scale=5.0)
    image, mask = Image.open(IMAGE), Image.open(MASK)

    def made(*seeds):
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        return pipeline("a moon", image, mask, num_images_per_prompt=len(seeds), generator=generators, **fields).images
    together, apart = made(1, 2), [*made(1), *made(2)]
    for one, other in zip(together, apart):
        assert np.abs(np.asarray(one).astype(int) - np.asarray(other)).max() <= 1


def test_only_masked_and_not_masked(pipeline, tmp_path):
    only = inpainted(pipeline, inpaint_area="Only masked", masked_area_padding=16)
    assert (only[AWAY] == ORIGINAL[AWAY]).all()
    assert (only != inpainted(pipeline)).any()
    ImageOps.invert(Image.open(MASK).convert("L")).save(tmp_path / "inverted.png")
    assert (inpainted(pipeline, mask=tmp_path / "inverted.png", mask_mode="Inpaint not masked") == inpainted(pipeline)).all()


def test_each_step_reports_progress(pipeline):
    shares = []
    models.inpaint(pipeline, REQUEST, Image.open(IMAGE), Image.open(MASK), on_step=shares.append)
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_one_function_does_it_all():
    made = soft_inpaint(Image.open(IMAGE), Image.open(MASK), "a house", steps=2, mask_blur=8, seed=1)
    assert (np.asarray(made)[AWAY] == ORIGINAL[AWAY]).all()
    with pytest.raises(TypeError, match="mask_blurr"):
        soft_inpaint(Image.new("RGB", (8, 8)), Image.new("L", (8, 8)), mask_blurr=8)


def broken_import():
    try:
        raise AttributeError("module 'kornia' has no attribute 'geometry'")
    except AttributeError as fault:
        raise RuntimeError("Failed to import diffusers.guiders because of the following error: module 'kornia'") from fault


def missing_package():
    raise ImportError("T5Tokenizer requires the SentencePiece library")


@pytest.mark.parametrize(("load", "kind", "sentence"), [
    (broken_import, ImportError, "must be installed in compatible versions, got RuntimeError: Failed to "),
    (missing_package, ImportError, "must be installed .*, got ImportError: T5Tokenizer requires the SentencePiece library"),
    (lambda: 1 / torch.zeros(1, dtype=torch.int8)[2], ValueError, "model must be a diffusers folder"),
    (lambda: torch.nn.Linear(2, 2).load_state_dict({}), ValueError, "model must be a diffusers folder")])
def test_a_broken_installation_is_not_reported_as_a_bad_model(monkeypatch, load, kind, sentence):
    monkeypatch.setattr(models.SoftInpaintPipeline, "from_pretrained", lambda *args, **kwargs: load())
    with pytest.raises(kind, match=sentence):
        models.load("some/model", "cpu")


def test_the_page_gets_progress_and_a_preview_of_each_image(tmp_path):
    seen = []
    with Image.open(IMAGE) as image, Image.open(MASK) as mask:
        events = Painter(tmp_path, Placement("cpu")).paint(
            replace(REQUEST, steps=2), image, mask, 2, "", lambda share, preview: seen.append((share, preview)))
        finished = list(events)
    assert len(finished) == 2
    assert [share for share, _ in seen] == pytest.approx([0, 0.5, 1] * 2)
    assert seen[1][1].size == (256, 256)


def test_an_invalid_model_is_rejected_with_a_message(tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    for name in (tmp_path, tmp_path / "broken.safetensors"):
        with pytest.raises(ValueError, match="model must be a diffusers folder, a .safetensors file .*, got "):
            models.load(str(name))


def striped(grey, sampler="Euler", steps=20):
    """A run with a mask of stripes with these strengths, without a feather."""
    stripes = np.repeat(np.float32(grey), 256 // len(grey)) * np.ones((256, 1), np.float32)
    task = replace(make_task("yellow house", "large area"), painted=stripes, mask_blur=0, masked_content="original")
    return peers.Run(task, WHOLE, sampler, steps, (1, 2))


def softly(run, **settings):
    """Decoded images of our soft inpainting."""
    chosen = Settings(enabled=True, edge_taper_px=0, feather_source="own", feather_width=0, **settings)
    return peers.soft("ours", peers.RecordingPipeline, chosen)(run)["ours"].decoded.astype(int)


def by_stripe(difference, count=4):
    return np.abs(difference).mean(axis=(0, 1, 3)).reshape(count, -1).mean(axis=1)


@pytest.mark.parametrize("sampler", ["Euler", "DDIM"])
def test_threshold_mix_1_equals_differential_diffusion_one_step_later(sampler):
    """Its masks replace the noisy latent before a step, ours the prediction within it. So a pixel unlocks one step later."""
    run, later = striped((0.25, 0.5, 0.75, 1), sampler), 1.5 / 20  # half a step for the rounding to 8 bits
    published = peers.differential_diffusion(run, Image.fromarray(run.task.image), run.task.painted)
    earlier = striped((0.25 + later, 0.5 + later, 0.75 + later, 1), sampler)
    assert np.abs(softly(earlier, threshold_mix=1.0, agreement=0.0) - published).max() <= 1
    assert by_stripe(softly(earlier, threshold_mix=0.0, agreement=0.0) - published).max() > 2


@pytest.mark.parametrize("mix", [0.0, 0.5])
def test_how_much_greys_preserve_does_not_depend_on_the_step_count(mix):
    """How much of the original shows in each grey, at 10, 20 and 40 steps, by the blend alone."""
    shares = []
    for steps in (10, 20, 40):
        run = striped((0.25, 0.5, 0.75, 1), steps=steps)
        change = by_stripe(softly(run, threshold_mix=mix, agreement=0.0) - run.task.image)
        shares.append(1 - change[:3] / change[3])
    assert np.ptp(shares, axis=0).max() < 0.05, shares


@pytest.mark.parametrize("agreement", [0.0, 1.0])
@pytest.mark.parametrize("sampler", ["Euler", "DDIM", "Heun"])
def test_steps_before_the_first_unlocked_pixel_are_skipped(sampler, agreement, monkeypatch):
    run = striped((0, 0.3, 0.55, 0.55), sampler)
    steps = []

    def made(**settings):
        calls = []
        blend = SoftInpaintJob.blend
        with monkeypatch.context() as patch:
            patch.setattr(SoftInpaintJob, "blend", lambda job, *given: calls.append(1) or blend(job, *given))
            images = softly(run, agreement=agreement, **settings)
        steps.append(len(calls))
        return images
    skipping = made(threshold_mix=1.0)
    made(threshold_mix=0.95)
    with monkeypatch.context() as patch:
        patch.setattr(SoftInpaintJob, "locked_steps", lambda job, ratios, order=1: 0)
        whole = made(threshold_mix=1.0)
    calls_before = agreement * (2 if sampler == "Heun" else 1)  # agreement needs the step before
    assert steps[0] == pytest.approx(0.55 * steps[2] + calls_before, abs=3)
    assert steps[1] == steps[2]  # any share of the blend changes grey pixels from the first step on
    assert np.abs(skipping - whole).max() <= 1
