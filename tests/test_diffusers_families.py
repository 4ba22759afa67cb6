"""Soft inpainting with flow models, on random components in their published layouts."""
import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import distance_transform_edt

from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.diffusers.families import FAMILIES, family_of
from lib_softinpaint.hosts.diffusers.pipeline import SoftInpaintPipeline
from lib_softinpaint.hosts.diffusers.vae import decoded, encoded
from lib_softinpaint.settings.settings import Settings
from tests import tiny_flow_models
from tests.tolerances import default_reach
from tests.webui.host import drawn_disc, drawn_image

pytestmark = tiny_flow_models.KNOWN_WARNINGS

IMAGE, MASK, BLUR = drawn_image(64, 56), drawn_disc(64, 56, 8), 2
"""56 is not a multiple of 16, the families' patches in pixels."""
ORIGINAL, PAINTED = np.asarray(IMAGE), np.asarray(MASK) == 255
DISTANCE = distance_transform_edt(~PAINTED)
OUTSIDE = default_reach(BLUR) * 56 / 48 < DISTANCE
WORKING = Size(48, 64)
LATENT = Size(6, 8)
SMOOTH = Settings(enabled=True, seam_search=0.0, drift_correction=0.0)
"""Shows what was sampled as it is."""

WITHOUT_NEGATIVE = {"Flux.2 Klein"}
"""Families whose pipeline takes no negative prompt."""


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("models"), {}

    def pipeline_of(family):
        if family not in made:
            made[family] = quiet(SoftInpaintPipeline.from_pipe(tiny_flow_models.made(family, folder)))
        return made[family]
    return pipeline_of


@pytest.fixture(params=tiny_flow_models.FAMILIES)
def family(request):
    return request.param


@pytest.fixture
def pipeline(pipelines, family):
    return pipelines(family)


def quiet(pipeline):
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def arguments(pipeline, seed=1, **fields):
    text = {"max_sequence_length": 16}
    if hasattr(pipeline, "_get_qwen3_prompt_embeds"):
        text = {"text_encoder_out_layers": (0, 1, 2), **text}
    return {"guidance_scale": 1.0, "num_inference_steps": 4, "generator": torch.Generator().manual_seed(seed), **text, **fields}


def inpaint(pipeline, seed=1, mask=MASK, **fields):
    fields = arguments(pipeline, seed, **{"mask_blur": BLUR, "settings": SMOOTH, **fields})
    return [np.asarray(image) for image in pipeline(fields.pop("prompt", "a"), IMAGE, mask, **fields).images]


def latent(pipeline, **fields):
    fields = arguments(pipeline, **{"mask_blur": BLUR, "settings": SMOOTH, "output_type": "latent", **fields})
    return pipeline("a", IMAGE, fields.pop("mask", MASK), **fields).images


def change(image, where):
    return np.abs(image.astype(float) - ORIGINAL)[where].mean()


# What the user sees

@pytest.mark.parametrize("steps", [4, 20])
def test_the_outside_stays_exact_and_the_core_is_repainted(pipeline, steps):
    image, = inpaint(pipeline, num_inference_steps=steps, settings=Settings(enabled=True))
    assert image.shape == ORIGINAL.shape
    np.testing.assert_array_equal(image[OUTSIDE], ORIGINAL[OUTSIDE])
    assert change(image, PAINTED) > 10


def test_preservation_strength_acts_in_the_feather(pipeline):
    weak, strong = (latent(pipeline, mask_blur=8, settings=Settings(enabled=True, preservation_strength=each))
                    for each in (0.0, 8.0))
    original = encoded(pipeline, IMAGE.resize(WORKING.width_height, Image.Resampling.LANCZOS))
    assert (strong - original).abs().mean() < 0.9 * (weak - original).abs().mean()


def test_grey_is_repainted_less(pipeline):
    grey = Image.fromarray(np.asarray(MASK) // 4)
    for mix in (0.0, 0.5, 1.0):
        settings = Settings(enabled=True, threshold_mix=mix, seam_search=0.0, drift_correction=0.0, preservation_strength=1.0)
        (partly,), (fully,) = (inpaint(pipeline, mask=each, settings=settings) for each in (grey, MASK))
        assert change(partly, PAINTED) < 0.9 * change(fully, PAINTED)


def test_threshold_mix_changes_the_feather(pipeline):
    blend, threshold = (latent(pipeline, mask_blur=8, settings=Settings(enabled=True, threshold_mix=each)) for each in (0, 1))
    assert (blend - threshold).abs().max() > 0.1


def test_only_masked_repaints_a_crop(pipeline):
    image, = inpaint(pipeline, padding_mask_crop=8, height=48, width=48)
    far = DISTANCE > 16
    np.testing.assert_array_equal(image[far], ORIGINAL[far])
    assert change(image, PAINTED) > 10


@pytest.mark.parametrize("content", ["fill", "latent noise", "latent nothing"])
def test_masked_content_changes_the_start(pipeline, content):
    image, = inpaint(pipeline, masked_content=content, strength=0.5)
    np.testing.assert_array_equal(image[OUTSIDE], ORIGINAL[OUTSIDE])
    assert (image != inpaint(pipeline, strength=0.5)[0]).any()


def test_hard_inpainting_also_works(pipeline):
    image, = inpaint(pipeline, settings=Settings(enabled=False))
    far = DISTANCE > 3 * BLUR + 16
    np.testing.assert_array_equal(image[far], ORIGINAL[far])
    assert change(image, PAINTED) > 10


# What is sampled

def check_each_step(pipeline, **fields):
    """Each step predicts the original outside the mask, and its noise there stays the first noise."""
    noises, repaint, original = [], None, None

    def look(running, step, timestep, tensors):
        nonlocal repaint, original
        scheduler = running.scheduler
        repaint, original = scheduler.job.repaint, scheduler.job.reference
        outside = (repaint == 0).expand_as(original)
        torch.testing.assert_close(scheduler.predicted[outside], original[outside], rtol=0, atol=0)
        sigma = scheduler.sigmas[scheduler.step_index]
        if sigma > 0:
            noisy = pipeline.latents.unpacked(tensors["latents"], LATENT)
            noises.append(((noisy - (1 - sigma) * original) / sigma)[outside])
        return tensors
    result = latent(pipeline, callback_on_step_end=look, **fields)
    outside, core = (repaint == 0).expand_as(result), (repaint == 1).expand_as(result)
    assert outside.any() and core.any()
    assert len(noises) == 2
    torch.testing.assert_close(noises[1], noises[0], rtol=0, atol=1e-3)
    torch.testing.assert_close(result[outside], original[outside], rtol=0, atol=0)
    assert (result - original)[core].abs().mean() > 0.1


def test_each_step_keeps_the_original_outside(pipeline):
    check_each_step(pipeline)


def test_the_check_detects_a_run_without_the_blend(pipeline, monkeypatch):
    monkeypatch.setattr(SoftInpaintJob, "blend", lambda job, denoised, ratio: denoised)
    with pytest.raises(AssertionError):
        check_each_step(pipeline)


def test_the_first_step_of_a_full_run_is_pure_noise(pipeline):
    ratios = []
    latent(pipeline, strength=1.0, callback_on_step_end=lambda running, step, timestep, tensors: ratios.append(step) or tensors)
    assert ratios == [0, 1, 2, 3]
    assert pipeline.scheduler.step_index is None  # the run had its own


def parent_of(pipeline):
    """The diffusers pipeline that ours extends, with the same models."""
    return quiet(getattr(diffusers, family_of(type(pipeline).__name__).parent)(**pipeline.components, **(
        {"is_distilled": pipeline.config.is_distilled} if "is_distilled" in pipeline.config else {})))


def test_a_white_mask_equals_diffusers_own_image_to_image(pipeline):
    """So neither the wrapped scheduler nor the family's packing and normalisation changes anything by itself."""
    white, small = Image.new("L", IMAGE.size, 255), IMAGE.resize(WORKING.width_height, Image.Resampling.LANCZOS)
    ours = latent(pipeline, mask=white)
    parent, start = parent_of(pipeline), encoded(pipeline, small)
    given = pipeline._parent_arguments(start, WORKING, 1.0, dict(arguments(pipeline), prompt="a", strength=0.75))
    parent.image_processor = pipeline.with_scheduler(None).image_processor
    packed = parent(**{**given, "generator": torch.Generator().manual_seed(1), "output_type": "latent"}).images
    torch.testing.assert_close(ours, pipeline.latents.sampled(pipeline.vae, packed, LATENT), rtol=1e-4, atol=1e-4)
    pixels = parent(**{**given, "generator": torch.Generator().manual_seed(1), "output_type": "pt"}).images
    torch.testing.assert_close(parent.image_processor.postprocess(decoded(pipeline, ours), "pt"), pixels, rtol=0, atol=1e-4)


def test_the_latents_are_those_that_diffusers_encodes(pipeline):
    small = IMAGE.resize(WORKING.width_height, Image.Resampling.LANCZOS)
    ours = encoded(pipeline, small)
    assert ours.shape == (1, tiny_flow_models.CHANNELS, *LATENT)
    assert torch.equal(pipeline.latents.unpacked(pipeline.latents.packed(ours), LATENT), ours)
    if not hasattr(pipeline, "_encode_vae_image"):
        pytest.skip("this pipeline encodes in prepare_latents")
    pixels = pipeline.image_processor.preprocess(small)
    pixels = pixels[:, :, None] if "Qwen" in type(pipeline).__name__ else pixels
    torch.manual_seed(0)
    drawn = torch.stack([pipeline._encode_vae_image(pixels, torch.Generator().manual_seed(seed)) for seed in range(200)])
    theirs = drawn.mean(0).flatten()
    ours = pipeline.latents.start(None, ours) if "Klein" not in type(pipeline).__name__ else \
        torch.nn.functional.pixel_unshuffle(ours, 2)
    assert (theirs - ours.flatten()).abs().mean() < 0.15 * max(1, drawn.std(0).mean().item())


def test_a_batch_equals_its_singles_and_seeds_differ(pipeline):
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    together = latent(pipeline, num_images_per_prompt=2, generator=generators)
    apart = torch.cat([latent(pipeline, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2)])
    torch.testing.assert_close(together, apart, rtol=1e-3, atol=1e-3)
    assert (apart[0] != apart[1]).any()
    again = latent(pipeline, generator=torch.Generator().manual_seed(1))
    assert torch.equal(again, apart[:1])


def test_a_list_of_prompts_and_images(pipeline):
    other = Image.fromarray(255 - ORIGINAL)
    masks = [MASK, drawn_disc(64, 56, 8, x=0.3)]
    images = pipeline(["a", "b"], [IMAGE, other], masks, **arguments(pipeline, mask_blur=BLUR, settings=SMOOTH)).images
    np.testing.assert_array_equal(np.asarray(images[0])[OUTSIDE], ORIGINAL[OUTSIDE])
    far = distance_transform_edt(np.asarray(masks[1]) == 0) > default_reach(BLUR) * 56 / 48
    np.testing.assert_array_equal(np.asarray(images[1])[far], 255 - ORIGINAL[far])


def test_guidance(pipeline, family):
    negative = {} if family in WITHOUT_NEGATIVE else {"negative_prompt": "b"}
    plain = latent(pipeline)
    if family == "Flux.1":
        embedded, true = latent(pipeline, guidance_scale=5.0), latent(pipeline, true_cfg_scale=4.0, **negative)
        assert (embedded != plain).any()
        assert (true != plain).any()
        return
    guided = latent(pipeline, guidance_scale=4.0)
    assert (guided != plain).any()
    if negative:
        assert (latent(pipeline, guidance_scale=4.0, **negative) != guided).any()


def test_callbacks_see_each_step_and_a_preview(pipeline):
    seen = []

    def look(running, step, timestep, tensors):
        seen.append((step, running.preview().size))
        return tensors
    latent(pipeline, callback_on_step_end=look)
    assert seen == [(step, WORKING.width_height) for step in range(3)]


def test_a_low_strength_runs_one_step(pipeline):
    steps = []
    latent(pipeline, strength=0.01, callback_on_step_end=lambda running, step, time, tensors: steps.append(step) or tensors)
    assert steps == [0]


def test_bfloat16(pipeline):
    half = quiet(SoftInpaintPipeline.from_pipe(pipeline, torch_dtype=torch.bfloat16))
    try:
        assert half.denoiser.dtype == torch.bfloat16
        image, = inpaint(half)
        np.testing.assert_array_equal(image[OUTSIDE], ORIGINAL[OUTSIDE])
        assert change(image, PAINTED) > 10
        sampled, original = latent(half), encoded(half, IMAGE.resize(WORKING.width_height, Image.Resampling.LANCZOS))
        same = (sampled == original.to(sampled.dtype)).all(1)
        assert same.any() and not same.all()
    finally:
        half.to(torch.float32)


def test_ten_rounds_keep_the_outside(pipelines):
    pipeline, image = pipelines("SD3"), IMAGE
    for seed in range(10):
        image = pipeline("a", image, MASK, **arguments(pipeline, seed, mask_blur=BLUR, num_inference_steps=2)).images[0]
    np.testing.assert_array_equal(np.asarray(image)[OUTSIDE], ORIGINAL[OUTSIDE])


def test_steps_before_the_first_unlocked_pixel_are_skipped(pipelines, monkeypatch):
    pipeline, counts, grey = pipelines("Flux.1"), [], Image.fromarray(np.asarray(MASK) // 2)

    def paint():
        steps = []
        made = latent(pipeline, mask=grey, num_inference_steps=12, strength=1.0,
                      settings=Settings(enabled=True, threshold_mix=1.0),
                      callback_on_step_end=lambda running, step, timestep, tensors: steps.append(step) or tensors)
        counts.append(len(steps))
        return made
    shortened = paint()
    monkeypatch.setattr(SoftInpaintJob, "locked_steps", lambda job, ratios, order=1: 0)
    torch.testing.assert_close(paint(), shortened, rtol=1e-3, atol=1e-3)
    assert counts[0] < counts[1] == 12


@pytest.mark.parametrize(("kind", "config"), [
    ("FlowMatchEulerDiscreteScheduler", {"stochastic_sampling": True}), ("FlowMatchEulerDiscreteScheduler", {"shift": 7.0}),
    ("FlowMatchEulerDiscreteScheduler", {"use_karras_sigmas": True}), ("FlowMatchHeunDiscreteScheduler", {}),
    ("FlowMatchLCMScheduler", {})])
def test_other_flow_schedulers(pipelines, kind, config):
    pipeline = pipelines("SD3").with_scheduler(getattr(diffusers, kind)(**config))
    image, = inpaint(pipeline, num_inference_steps=6)
    np.testing.assert_array_equal(image[OUTSIDE], ORIGINAL[OUTSIDE])
    assert change(image, PAINTED) > 10


# Which model runs

def test_from_pretrained_chooses_the_family(pipeline, family, tmp_path):
    parent_of(pipeline).save_pretrained(tmp_path)
    loaded = SoftInpaintPipeline.from_pretrained(tmp_path, local_files_only=True)
    assert type(loaded) is type(pipeline)
    assert torch.equal(latent(quiet(loaded)), latent(pipeline))


def test_every_family_is_tested():
    assert len(tiny_flow_models.FAMILIES) == len(FAMILIES)
    assert {family_of(name).label for each in FAMILIES for name in each.names} == {each.label for each in FAMILIES}
    assert all(hasattr(diffusers, name) for each in FAMILIES for name in (each.parent, *each.names))


@pytest.mark.parametrize("name", ["PixArtSigmaPipeline", "LuminaPipeline", "Flux2Pipeline"])
def test_an_unknown_family_is_refused_by_name(name, tmp_path):
    (tmp_path / "model_index.json").write_text(f'{{"_class_name": "{name}", "transformer": ["diffusers", "X"]}}')
    with pytest.raises(ValueError, match=f"^the model must be one of Stable Diffusion 1, 2 and XL, .*Chroma, got {name}"):
        SoftInpaintPipeline.from_pretrained(tmp_path)


def test_a_family_is_refused_by_another_familys_pipeline(pipelines):
    chroma, flux = pipelines("Chroma"), pipelines("Flux.1")
    with pytest.raises(ValueError, match="^Chroma needs SoftInpaintPipeline or SoftInpaintChromaPipeline, got SoftInpaintFlux"):
        type(flux).from_pipe(chroma)


def test_a_scheduler_of_stable_diffusion_is_refused(pipelines):
    with pytest.raises(ValueError, match=r"level is known \(FlowMatch.*\), got EulerDiscreteScheduler$"):
        inpaint(pipelines("SD3").with_scheduler(diffusers.EulerDiscreteScheduler()))
