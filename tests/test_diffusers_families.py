"""Soft inpainting with flow models, on random components in their published layouts."""
import diffusers
import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from PIL import Image
from scipy.ndimage import distance_transform_edt

from lib_softinpaint.errors import BadInput
from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.geometry import Size
from lib_softinpaint.hosts.diffusers import models, noise_levels
from lib_softinpaint.hosts.diffusers.families import FAMILIES, Family, family_named, family_of
from lib_softinpaint.hosts.diffusers.pipeline import DTYPE, SoftInpaintPipeline
from lib_softinpaint.hosts.diffusers.prompts import as_run, notes_on, prepared
from lib_softinpaint.hosts.diffusers.vae import decoded, encoded
from lib_softinpaint.method import schedule
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.request import MASKED_CONTENTS, Request
from lib_softinpaint.settings.settings import Settings
from tests import tiny_flow_models
from tests.tolerances import default_reach
from tests.webui.host import drawn_disc, drawn_image

pytestmark = tiny_flow_models.KNOWN_WARNINGS

IMAGE, MASK, BLUR = drawn_image(112, 88), drawn_disc(112, 88, 10, x=0.2), 2
"""88 is not a multiple of 16, the families' patches in pixels."""
ORIGINAL, PAINTED = np.asarray(IMAGE), np.asarray(MASK) == 255
DISTANCE = distance_transform_edt(~PAINTED)
OUTSIDE = default_reach(BLUR) * 88 / 80 < DISTANCE
WORKING, LATENT = Size(80, 112), Size(10, 14)
SMOOTH = Settings(enabled=True, seam_search=0.0, drift_correction=0.0)
"""Shows what was sampled as it is."""

WITHOUT_NEGATIVE = {"Flux.2 Klein", "Flux.1 Fill"}
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
    text = {"max_sequence_length": 512 if "Qwen" in type(pipeline).__name__ else 16}
    if "Klein" in type(pipeline).__name__:
        text["text_encoder_out_layers"] = 0, 1, 2  # the tiny encoder has two
    generator = torch.Generator().manual_seed(seed)
    return {"guidance_scale": pipeline.guidance_for(1.0), "num_inference_steps": 4, "generator": generator, **text, **fields}


def inpaint(pipeline, seed=1, mask=MASK, **fields):
    fields = arguments(pipeline, seed, **{"mask_blur": BLUR, "settings": SMOOTH, **fields})
    return [np.asarray(image) for image in pipeline(fields.pop("prompt", "a"), IMAGE, mask, **fields).images]


def latent(pipeline, **fields):
    fields = arguments(pipeline, **{"mask_blur": BLUR, "settings": SMOOTH, "output_type": "latent", **fields})
    return pipeline("a", IMAGE, fields.pop("mask", MASK), **fields).images


def resized(image):
    return image.resize(WORKING.width_height, Image.Resampling.LANCZOS)


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
    original = encoded(pipeline, resized(IMAGE))
    assert (strong - original).abs().mean() < 0.9 * (weak - original).abs().mean()


def test_grey_is_repainted_less(pipeline):
    masks, original = (MASK, Image.fromarray(np.asarray(MASK) // 4)), encoded(pipeline, resized(IMAGE))
    for mix in (0.0, 1.0):
        settings = Settings(enabled=True, threshold_mix=mix, preservation_strength=4.0)
        fully, partly = ((latent(pipeline, mask=each, settings=settings) - original).abs().mean() for each in masks)
        assert partly < 0.8 * fully, mix


def test_threshold_mix_changes_the_feather(pipeline):
    blend, threshold = (latent(pipeline, mask_blur=8, settings=Settings(enabled=True, threshold_mix=each)) for each in (0, 1))
    assert (blend - threshold).abs().max() > 0.1


def test_only_masked_repaints_a_crop(pipeline):
    image, = inpaint(pipeline, padding_mask_crop=8, height=48, width=48)
    far = DISTANCE > 16
    np.testing.assert_array_equal(image[far], ORIGINAL[far])
    assert change(image, PAINTED) > 10


def test_masked_content_changes_the_start(pipeline):
    images = [inpaint(pipeline, masked_content=content, strength=0.5)[0] for content in MASKED_CONTENTS]
    for number, image in enumerate(images):
        np.testing.assert_array_equal(image[OUTSIDE], ORIGINAL[OUTSIDE])
        assert all((image != other).any() for other in images[:number])


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


def test_the_first_step_of_a_full_run_is_pure_noise(pipeline, monkeypatch):
    ratios, level = [], noise_levels.noise_level
    monkeypatch.setattr("lib_softinpaint.hosts.diffusers.scheduler.noise_level",
                        lambda *given: ratios.append(level(*given)) or ratios[-1])
    latent(pipeline, strength=1.0)
    ratios = ratios[-4:]  # those before are asked for once, to find steps that can be skipped
    assert ratios[0].signal == 0 and ratios[0].ratio == schedule.NOISE_RATIO_LIMIT
    assert all(one.sigma > other.sigma for one, other in zip(ratios, ratios[1:]))
    assert pipeline.scheduler.step_index is None  # the run had its own


def parent_of(pipeline):
    """The diffusers pipeline that ours extends, with the same models."""
    return quiet(getattr(diffusers, family_of(pipeline).parent)(**pipeline.components, **(
        {"is_distilled": pipeline.config.is_distilled} if "is_distilled" in pipeline.config else {})))


def test_a_white_mask_equals_diffusers_own_image_to_image(pipeline, monkeypatch):
    """So the family's normalisation and packing are diffusers' own, and the wrapped scheduler changes nothing by itself."""
    grey = np.full((1, *WORKING, 3), 0.5, np.float32)  # what Fill is told is hidden, but not rounded to 8 bits
    monkeypatch.setattr("lib_softinpaint.hosts.diffusers.families.flux.masked", lambda view, settings: (view.mask, grey))
    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", lambda latent, generator=None: latent.mode())
    ours, small = latent(pipeline, mask=Image.new("L", IMAGE.size, 255)), resized(IMAGE)
    original = encoded(pipeline, small)
    seen = []  # the run's own copy of the pipeline
    latent(pipeline, mask=Image.new("L", IMAGE.size, 255), num_inference_steps=1,
           callback_on_step_end=lambda running, *given: seen.append(running) or {})
    parent, given = parent_of(pipeline), seen[0]._parent_arguments(
        original, WORKING, pipeline.guidance_for(1.0),
        {**arguments(pipeline), "prompt": "a", "strength": 0.75})
    starts, scale_noise = [], parent.scheduler.scale_noise
    monkeypatch.setattr(parent.scheduler, "scale_noise",
                        lambda start, *given: starts.append(start) or scale_noise(start, *given))
    packed, pixels = (parent(**{**given, "image": small, "generator": torch.Generator().manual_seed(1), "output_type": kind}
                             ).images for kind in ("latent", "pt"))
    torch.testing.assert_close(ours, pipeline.latents.sampled(pipeline.vae, packed, LATENT), rtol=0, atol=1e-4)
    start = starts[0] if starts[0].shape[-2:] == LATENT else torch.nn.functional.pixel_shuffle(starts[0], 2)
    torch.testing.assert_close(original, start.view_as(original), rtol=0, atol=1e-4)
    shown = parent.image_processor.postprocess(decoded(pipeline, ours), "pt")
    torch.testing.assert_close(shown, pixels, rtol=0, atol=1e-4)
    assert torch.equal(pipeline.latents.unpacked(pipeline.latents.packed(ours), LATENT), ours)


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
    masks = [MASK, drawn_disc(112, 88, 10, x=0.8)]
    prompts = ["a", "b"]
    images = pipeline(prompts, [IMAGE, other], masks, **arguments(pipeline, mask_blur=BLUR, settings=SMOOTH)).images
    assert prompts == ["a", "b"]
    np.testing.assert_array_equal(np.asarray(images[0])[OUTSIDE], ORIGINAL[OUTSIDE])
    far = distance_transform_edt(np.asarray(masks[1]) == 0) > default_reach(BLUR) * 88 / 80
    np.testing.assert_array_equal(np.asarray(images[1])[far], 255 - ORIGINAL[far])


def test_guidance(pipeline, family):
    negative = {} if family in WITHOUT_NEGATIVE else {"negative_prompt": "b"}
    plain = latent(pipeline)
    if family in ("Flux.1", "Flux.1 Kontext"):
        assert (latent(pipeline, true_cfg_scale=4.0, **negative) != plain).any()
        negative = {}
    guided = latent(pipeline, guidance_scale=4.0)
    assert (guided != plain).any()
    if negative:
        assert (latent(pipeline, guidance_scale=4.0, **negative) != guided).any()


def test_coherence_rounds_are_left_out_and_noted(pipeline):
    rounds = Settings(enabled=True, coherence_rounds=2.0)
    output = pipeline("a", IMAGE, MASK, **arguments(pipeline, settings=rounds, num_inference_steps=1))
    assert output.notes == [f"Coherence rounds were left out: they do not work with {family_of(pipeline).label}."]


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


@pytest.mark.parametrize("name", ["Flux.1 Fill", "Flux.1 Kontext"])
def test_a_nested_run_changes_nothing(pipelines, name):
    """These two keep the run's start, or the mask, on the run's own copy of the pipeline."""
    pipeline, inner = pipelines(name), []

    def nested(running, step, timestep, tensors):
        inner.append(latent(pipeline, mask=drawn_disc(112, 88, 10, x=0.8), masked_content="fill"))
        return tensors
    assert torch.equal(latent(pipeline, callback_on_step_end=nested), latent(pipeline))
    assert all(torch.equal(each, inner[0]) for each in inner)


def test_bfloat16(family, tmp_path):
    half = quiet(SoftInpaintPipeline.from_pipe(tiny_flow_models.made(family, tmp_path), **{DTYPE: torch.bfloat16}))
    assert half.denoiser.dtype == torch.bfloat16
    image, = inpaint(half)
    np.testing.assert_array_equal(image[OUTSIDE], ORIGINAL[OUTSIDE])
    assert change(image, PAINTED) > 10
    sampled = latent(half)
    same = (sampled == encoded(half, resized(IMAGE)).to(sampled.dtype)).all(1)
    assert same.any() and not same.all()


def test_weights_in_8_bits_stay_so(family, tmp_path):
    model = tiny_flow_models.made(family, tmp_path).to(torch.bfloat16)
    model.transformer.enable_layerwise_casting(torch.float8_e4m3fn, torch.bfloat16)
    small = quiet(SoftInpaintPipeline.from_pipe(model))
    assert torch.float8_e4m3fn in {each.dtype for each in small.transformer.parameters()}
    image, = inpaint(small)
    np.testing.assert_array_equal(image[OUTSIDE], ORIGINAL[OUTSIDE])
    assert change(image, PAINTED) > 10


def test_offloading_changes_nothing(family, tmp_path):
    pipeline = quiet(SoftInpaintPipeline.from_pipe(tiny_flow_models.made(family, tmp_path)))
    plain = latent(pipeline)
    pipeline.transformer.enable_group_offload(
        onload_device=torch.device("cpu"), offload_device=torch.device("cpu"), offload_type="leaf_level")
    assert torch.equal(latent(pipeline), plain)
    pipeline = quiet(SoftInpaintPipeline.from_pipe(tiny_flow_models.made(family, tmp_path)))
    pipeline.enable_model_cpu_offload(device="cpu")
    assert torch.equal(latent(pipeline), plain)


def test_prompt_embeddings_in_a_list(pipelines):
    pipeline = pipelines("Z-Image")
    embeddings, _ = pipeline.encode_prompt(["a", "b"], do_classifier_free_guidance=False, max_sequence_length=16)
    fields = arguments(pipeline, mask_blur=BLUR, settings=SMOOTH, output_type="latent", guidance_scale=0.0)
    made = pipeline(image=IMAGE, mask_image=MASK, prompt_embeds=embeddings, **fields).images
    assert made.shape == (2, tiny_flow_models.CHANNELS, *LATENT)


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


@pytest.mark.parametrize(("name", "kind", "config"), [
    ("SD3", "FlowMatchEulerDiscreteScheduler", {"stochastic_sampling": True}),
    ("SD3", "FlowMatchEulerDiscreteScheduler", {"shift": 7.0}),
    ("SD3", "FlowMatchEulerDiscreteScheduler", {"use_karras_sigmas": True}),
    ("SD3", "FlowMatchHeunDiscreteScheduler", {}),
    *((name, "FlowMatchLCMScheduler", {}) for name in tiny_flow_models.FAMILIES)])
def test_other_flow_schedulers(pipelines, name, kind, config):
    pipeline = pipelines(name).with_scheduler(getattr(diffusers, kind)(**config))
    image, = inpaint(pipeline, num_inference_steps=6)
    np.testing.assert_array_equal(image[OUTSIDE], ORIGINAL[OUTSIDE])
    assert change(image, PAINTED) > 10


# Which model runs

def test_from_pretrained_chooses_the_family(pipeline, family, tmp_path):
    parent_of(pipeline).save_pretrained(tmp_path)
    loaded = SoftInpaintPipeline.from_pretrained(tmp_path, local_files_only=True)
    assert type(loaded) is type(pipeline)
    torch.testing.assert_close(latent(quiet(loaded)), latent(pipeline), rtol=0, atol=1e-4)


def test_the_noise_level_is_that_of_the_shifted_schedule():
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(sigmas=[1.0, 0.75, 0.5, 0.25])
    scheduler.set_begin_index(2)
    level = noise_levels.noise_level(scheduler, scheduler.timesteps[2])
    assert (level.sigma.item(), level.signal.item()) == (0.75, 0.25)  # 3 * 0.5 / (1 + 2 * 0.5)
    assert level.ratio.item() == 3.0


def test_every_family_is_tested():
    assert OUTSIDE.any()
    assert len(tiny_flow_models.FAMILIES) == len(FAMILIES)
    assert {family_named(name).label for each in FAMILIES for name in each.names} == {each.label for each in FAMILIES}
    if all(hasattr(diffusers, each.parent) for each in FAMILIES):  # older versions lack some
        assert all(hasattr(diffusers, name) for each in FAMILIES for name in each.names)


def test_a_diffusers_without_the_family_is_named():
    with pytest.raises(ImportError, match=rf"^New needs a diffusers that has Absent, got diffusers {diffusers.__version__}$"):
        Family("New", "flux", "SoftInpaintNew", "Absent", ()).pipeline_class()


def test_fill_is_told_the_mask_soft_or_hard(pipelines, monkeypatch):
    pipeline, seen = pipelines("Flux.1 Fill"), []
    forward = pipeline.transformer.forward
    monkeypatch.setattr(pipeline.transformer, "forward",
                        lambda hidden_states, **given: seen.append(hidden_states) or forward(hidden_states, **given))
    soft, hard = (latent(pipeline, settings=Settings(enabled=True, conditioning_mask=mask)) for mask in ("soft", "hard"))
    masks = [each[0, :, 8 * tiny_flow_models.CHANNELS:].unique() for each in (seen[0], seen[-1])]
    assert len(masks[0]) > 2
    assert masks[1].tolist() == [0, 1]
    assert (soft != hard).any()


@pytest.mark.parametrize("name", ["Flux.1 Kontext", "Flux.2 Klein"])
def test_edit_models_see_what_the_run_starts_from(pipelines, name, monkeypatch):
    pipeline, seen = pipelines(name), []
    forward = pipeline.transformer.forward
    monkeypatch.setattr(pipeline.transformer, "forward",
                        lambda hidden_states, **given: seen.append(hidden_states) or forward(hidden_states, **given))
    latent(pipeline)
    start = pipeline.latents.packed(encoded(pipeline, resized(IMAGE)))
    for each in seen:
        torch.testing.assert_close(each[:, start.shape[1]:], start, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["PixArtSigmaPipeline", "LuminaPipeline", "Flux2Pipeline", "QwenImageEditPipeline"])
def test_an_unknown_family_is_refused_by_name(name, tmp_path):
    (tmp_path / "model_index.json").write_text(f'{{"_class_name": "{name}", "transformer": ["diffusers", "X"]}}')
    with pytest.raises(ValueError, match=f"^the model must be one of Stable Diffusion 1, 2 and XL, .*Chroma, got {name}"):
        SoftInpaintPipeline.from_pretrained(tmp_path)


def test_a_family_is_refused_by_another_familys_pipeline(pipelines):
    chroma, flux = pipelines("Chroma"), pipelines("Flux.1")
    with pytest.raises(ValueError, match="^Chroma needs SoftInpaintPipeline or SoftInpaintChromaPipeline, got SoftInpaint"):
        type(flux).from_pipe(chroma)


def test_a_scheduler_of_stable_diffusion_is_refused(pipelines):
    with pytest.raises(ValueError, match=r"level is known \(FlowMatch.*\), got EulerDiscreteScheduler$"):
        inpaint(pipelines("SD3").with_scheduler(diffusers.EulerDiscreteScheduler()))


# Command line and page

@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("saved") / "tiny-flux"
    tiny_flow_models.made("Flux.1", tmp_path_factory.mktemp("tokens")).save_pretrained(made)
    return made


def test_a_request_runs_on_the_models_own_scheduler(folder):
    notes, request = [], Request(prompt="(a red house:1.2)", steps=3, seed=1, sampler="DPM++ 2M", clip_skip=2, mask_blur=BLUR)
    pipeline = models.load(str(folder), "cpu")
    image = np.asarray(models.inpaint(pipeline, request, IMAGE, MASK, on_note=notes.append))
    np.testing.assert_array_equal(image[OUTSIDE], ORIGINAL[OUTSIDE])
    assert not notes
    assert notes_on(pipeline, request) == [
        "Clip skip has no effect with Flux.1.",
        "Flux.1 runs with its own scheduler. Sampler and schedule type have no effect.",
        "Flux.1 is made for CFG scale 3.5; 7, the default of Stable Diffusion, was used.",
        "Flux.1 does not know weights and breaks in prompts, so they are read as text."]
    assert not notes_on(pipeline, Request(prompt="a red house", cfg_scale=3.5))
    params = infotext.parse(models.infotext_of(as_run(pipeline, request), Size.of(IMAGE), "x", step_px=pipeline.step_px))
    assert (params["Size"], params["Sampler"]) == ("112x80", "Euler")


def test_half_precision_of_a_transformer_is_bfloat16(folder):
    assert models._half_precision(str(folder)) == torch.bfloat16
    assert models._half_precision(str(models.SCENE_MODEL)) == torch.float16


def test_a_lora_in_the_prompt_is_refused(folder):
    with pytest.raises(BadInput, match="^<lora:style> needs Stable Diffusion 1, 2 or XL, but the model is Flux.1"):
        models.inpaint(models.load(str(folder), "cpu"), Request(prompt="a <lora:style:1>"), IMAGE, MASK)


def test_a_cfg_scale_of_1_is_no_guidance(pipelines):
    assert pipelines("Z-Image").guidance_for(1.0) == 0
    assert pipelines("SD3").guidance_for(1.0) == 1


def test_the_default_cfg_scale_of_another_model_is_noted(pipelines):
    assert notes_on(pipelines("Z-Image"), Request()) == [
        "Z-Image is made for CFG scale 6; 7, the default of Stable Diffusion, was used."]
    assert not notes_on(pipelines("SD3"), Request())


def test_a_negative_prompt_reaches_the_models_that_use_it(pipeline, family):
    request = Request(prompt="a", negative_prompt="b", cfg_scale=3)
    notes, (_, prompts) = notes_on(pipeline, request), prepared(pipeline, request)
    if family in ("SD3", "Qwen-Image", "Z-Image", "Chroma"):
        assert not notes
        assert prompts == {"prompt": "a", "negative_prompt": "b"}
    else:
        assert notes == [f"The negative prompt has no effect with {family}."]
        assert prompts == {"prompt": "a"}


def test_a_subclass_of_a_familys_pipeline_is_known(pipelines):
    class Own(diffusers.StableDiffusion3Pipeline):
        pass
    assert type(SoftInpaintPipeline.from_pipe(Own(**pipelines("SD3").components))) is type(pipelines("SD3"))
