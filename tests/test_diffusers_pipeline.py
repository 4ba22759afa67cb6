"""The pipelines on random models of a few thousand parameters. These properties hold for every model."""
import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import distance_transform_edt

from lib_softinpaint.hosts.diffusers.pipeline import DTYPE, SoftInpaintPipeline, SoftInpaintXLPipeline
from lib_softinpaint.settings.request import MASKED_CONTENTS
from lib_softinpaint.settings.settings import Settings
from tests import tiny_models
from tests.tolerances import default_reach
from tests.webui.host import drawn_disc, drawn_image

pytestmark = tiny_models.KNOWN_WARNINGS


IMAGE, MASK, BLUR = drawn_image(96, 72), drawn_disc(96, 72, 10), 3
DISTANCE = distance_transform_edt(np.asarray(MASK) == 0)
OUTSIDE = default_reach(BLUR) < DISTANCE
PAINTED = np.asarray(MASK) == 255
SCHEDULERS = {
    "Euler": (diffusers.EulerDiscreteScheduler, {}),
    "Euler ancestral": (diffusers.EulerAncestralDiscreteScheduler, {}),
    "DPM++ 2M": (diffusers.DPMSolverMultistepScheduler, {}),
    "DPM++ 2M SDE Karras": (diffusers.DPMSolverMultistepScheduler,
                            {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True}),
    "Heun": (diffusers.HeunDiscreteScheduler, {}),
    "DDIM": (diffusers.DDIMScheduler, {"clip_sample": False}),
    "PNDM": (diffusers.PNDMScheduler, {"skip_prk_steps": True}),
    "UniPC": (diffusers.UniPCMultistepScheduler, {}),
    "LCM": (diffusers.LCMScheduler, {"clip_sample": False}),
    "DDIM, v": (diffusers.DDIMScheduler, {"clip_sample": False, "prediction_type": "v_prediction"}),
    "Euler, v": (diffusers.EulerDiscreteScheduler, {"prediction_type": "v_prediction"}),
    "UniPC, flow": (diffusers.UniPCMultistepScheduler, {"prediction_type": "flow_prediction", "use_flow_sigmas": True})}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {"SD1": tiny_models.sd1(folder), "SD1 inpainting": tiny_models.sd1(folder, 9), "SDXL": tiny_models.sdxl(folder)}


@pytest.fixture(params=["SD1", "SD1 inpainting", "SDXL"])
def pipeline(models, request):
    return quiet(SoftInpaintPipeline.from_pipe(models[request.param]))


@pytest.fixture
def small(models):
    return quiet(SoftInpaintPipeline.from_pipe(models["SD1"]))


def quiet(pipeline):
    pipeline.scheduler = tiny_models.scheduler()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize("fields", [{}, {"padding_mask_crop": 8}, {"num_images_per_prompt": 2}])
def test_kept_images_recomposite_to_the_same_result(small, fields):
    output = small("a", IMAGE, MASK, mask_blur=BLUR, num_inference_steps=3, keep=True,
                   generator=torch.Generator().manual_seed(1), **fields)
    assert len(output.kept) == len(output.images)
    for image, kept in zip(output.images, output.kept):
        np.testing.assert_array_equal(kept.composited(kept.settings), np.asarray(image))
        thin = kept.composited(kept.settings_with({"feather_source": "own", "feather_width": 0.0}))
        np.testing.assert_array_equal(thin[~PAINTED], np.asarray(IMAGE)[~PAINTED])
    assert not small("a", IMAGE, MASK, num_inference_steps=3).kept
    assert not small("a", IMAGE, MASK, num_inference_steps=3, keep=True, settings=Settings(enabled=False)).kept


def inpaint(pipeline, seed=1, **fields):
    fields = {"mask_blur": BLUR, "num_inference_steps": 4, "output_type": "np", **fields}
    result = pipeline("a", IMAGE, MASK, **{"generator": torch.Generator().manual_seed(seed), **fields})
    return np.rint(result.images * 255).astype(np.uint8) if fields["output_type"] == "np" else result.images


def assert_inpainted(images, outside=OUTSIDE):
    original = np.asarray(IMAGE)
    for image in images:
        assert image.shape == original.shape
        assert (image[outside] == original[outside]).all()
        assert np.abs(image.astype(float) - original)[PAINTED].mean() > 10


def test_edge_awareness_can_be_raised_after_a_run_without_it(small):
    image = np.asarray(IMAGE).copy()
    image[20:52, 66:90] = 220, 40, 40
    kept, = small("a", Image.fromarray(image), MASK, mask_blur=16, num_inference_steps=2, keep=True,
                  settings=Settings(enabled=True, edge_awareness=0.0)).kept
    assert any(array is kept.painted.canvas.edges for array in kept.arrays())
    raised = kept.composited(kept.settings_with({"edge_awareness": 1.0}))
    assert (raised != kept.composited(kept.settings)).any()


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_keeps_the_outside_and_repaints_the_core(pipeline, name):
    scheduler, changes = SCHEDULERS[name]
    pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config, **changes)
    assert_inpainted(inpaint(pipeline))


@pytest.mark.parametrize("padding", [None, 0, 12])
@pytest.mark.parametrize("content", MASKED_CONTENTS)
def test_every_masked_content_in_both_areas(small, content, padding):
    result = small("a", IMAGE, MASK, mask_blur=BLUR, num_inference_steps=3, masked_content=content,
                   padding_mask_crop=padding, height=64, width=64, generator=torch.Generator().manual_seed(1))
    reach = 4 * 12 if padding is None else max(padding, 16)  # four latent pixels, each 12 pixels of the image wide
    assert_inpainted([np.asarray(result.images[0])], reach < DISTANCE)


@pytest.mark.parametrize("padding", [None, 12])
@pytest.mark.parametrize("changes", [{"own_masked_content": "local fill"}, {"own_masked_content": "recolour"},
                                     {"extra_noise": 0.5}])
def test_content_of_our_own_changes_only_what_is_painted(pipeline, changes, padding):
    image = Image.fromarray(np.asarray(IMAGE) // 2 + np.array([90, 0, 0], np.uint8))

    def made(settings, content="original"):
        return np.asarray(pipeline("a", image, MASK, mask_blur=BLUR, num_inference_steps=3, strength=0.6, settings=settings,
                                   masked_content=content, padding_mask_crop=padding, height=64, width=64,
                                   generator=torch.Generator().manual_seed(1)).images[0]).astype(int)
    plain, changed = made(Settings(enabled=True)), made(Settings(enabled=True, **changes))
    reach = 4 * 12 if padding is None else max(padding, 16)
    assert np.abs(changed - plain)[PAINTED].mean() > 1
    assert (changed == np.asarray(image))[reach + 2 < DISTANCE].all()
    if "extra_noise" not in changes:  # it stands in for the host's
        assert (made(Settings(enabled=True, **changes), "fill") == changed).all()
    assert (made(Settings(enabled=False, **changes)) == made(Settings(enabled=False))).all()


def test_extra_noise_of_a_batch_is_that_of_its_singles(small):
    settings = Settings(enabled=True, extra_noise=0.5)
    both = inpaint(small, generator=[torch.Generator().manual_seed(seed) for seed in (1, 2)], num_images_per_prompt=2,
                   settings=settings)
    for image, seed in zip(both, (1, 2)):
        assert np.abs(image.astype(int) - inpaint(small, seed, settings=settings)[0]).max() <= 1


def test_mask_tools_make_and_edit_masks(small):
    image = np.asarray(IMAGE).copy()
    image[PAINTED] = 250, 0, 250

    def made(mask, tools):
        return np.asarray(small("a", Image.fromarray(image), mask, mask_blur=BLUR, num_inference_steps=2,
                                settings=Settings(enabled=True, mask_tools=tools),
                                generator=torch.Generator().manual_seed(1)).images[0])
    by_colour = made(None, "colour #fa00fa 5")
    assert (by_colour == made(MASK, "")).all()
    assert (made(MASK, "grow 50 %") != by_colour).any()
    assert (made(np.zeros((72, 96), np.float32), "colour #fa00fa 5") == by_colour).all()
    with pytest.raises(ValueError, match="^mask_image must have a pixel to repaint, got an empty mask$"):
        made(None, "colour #00ff00 5")
    with pytest.raises(ValueError, match="^mask_image must be a PIL image"):
        made(None, "grow 5 %")


def test_the_family_decides_the_class(models, tmp_path):
    assert isinstance(SoftInpaintPipeline.from_pipe(models["SDXL"]), SoftInpaintXLPipeline)
    for family, wanted in (("SD1", SoftInpaintPipeline), ("SDXL", SoftInpaintXLPipeline)):
        models[family].save_pretrained(tmp_path / family)
        assert isinstance(SoftInpaintPipeline.from_pretrained(tmp_path / family, local_files_only=True), wanted)


def test_the_seed_decides_the_image(small):
    first, again, other = inpaint(small), inpaint(small), inpaint(small, seed=2)
    assert (first == again).all()
    assert (first != other).any()


def test_a_batch_equals_its_singles(small):
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    together = small("a", IMAGE, MASK, mask_blur=BLUR, num_inference_steps=3, num_images_per_prompt=2,
                     generator=generators, output_type="np").images
    apart = [inpaint(small, seed, num_inference_steps=3)[0] for seed in (1, 2)]
    assert np.abs(np.rint(together * 255) - np.stack(apart)).max() <= 1


def test_full_strength_and_no_guidance_and_prompts_in_a_list(small):
    result = small(["a", "b"], IMAGE, MASK, mask_blur=BLUR, num_inference_steps=3, strength=1.0, guidance_scale=1.0,
                   output_type="np", negative_prompt=None)
    assert len(result.images) == 2


def test_with_soft_inpainting_off_the_run_is_hard_inpainting(small):
    hard = inpaint(small, settings=Settings(enabled=False))
    assert (hard[0] != inpaint(small)[0]).any()
    far = distance_transform_edt(~PAINTED) > 3 * BLUR
    assert (hard[0][far] == np.asarray(IMAGE)[far]).all()


def test_a_callback_sees_each_step_and_the_scheduler_is_unchanged(small):
    steps = []
    step = small.scheduler.step.__func__
    inpaint(small, callback_on_step_end=lambda pipeline, step, timestep, tensors: steps.append(step) or tensors)
    assert steps == [0, 1, 2]
    assert small.scheduler.step.__func__ is step


def test_a_preview_shows_the_last_steps_prediction(small):
    seen = []

    def look(pipeline, step, timestep, tensors):
        seen.append(np.asarray(pipeline.preview()))
        return tensors
    inpaint(small, callback_on_step_end=look, num_inference_steps=4, strength=1.0)
    assert {image.shape for image in seen} == {np.asarray(IMAGE).shape}
    assert all((one != other).any() for one, other in zip(seen, seen[1:]))
    with pytest.raises(RuntimeError, match="^preview needs a run in progress"):
        small.preview()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(models, dtype):
    try:
        torch.nn.functional.layer_norm(torch.ones(2, dtype=dtype), [2])
    except RuntimeError:
        pytest.skip("this PyTorch lacks half precision on CPUs")
    pipeline = quiet(SoftInpaintPipeline.from_pipe(models["SD1"], **{DTYPE: dtype}))
    try:
        assert_inpainted(inpaint(pipeline))
    finally:
        pipeline.to(torch.float32)


@pytest.mark.parametrize("kind", ["pil", "uint8", "float", "tensor"])
def test_images_may_be_pil_arrays_or_tensors(small, kind):
    image, mask = {
        "pil": (IMAGE, MASK), "uint8": (np.asarray(IMAGE), np.asarray(MASK)),
        "float": (np.asarray(IMAGE) / np.float32(255), np.asarray(MASK) / np.float32(255)),
        "tensor": (torch.from_numpy(np.asarray(IMAGE) / np.float32(255)).permute(2, 0, 1)[None],
                   torch.from_numpy(np.asarray(MASK) / np.float32(255))[None, None])}[kind]
    result = small("a", image, mask, mask_blur=BLUR, num_inference_steps=2, generator=torch.Generator().manual_seed(1))
    wanted = small("a", IMAGE, MASK, mask_blur=BLUR, num_inference_steps=2, generator=torch.Generator().manual_seed(1))
    assert (np.asarray(result.images[0]) == np.asarray(wanted.images[0])).all()


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"mask_image": drawn_disc(64, 64)}, "mask_image must have the aspect ratio of its image, 96x72, got 64x64"),
    ({"mask_image": Image.new("L", IMAGE.size)}, "mask_image must have a pixel to repaint"),
    ({"image": None}, "image must be a PIL image, an array or a tensor, got NoneType"),
    ({"image": np.full((72, 96, 3), 2.0)}, r"image as floats must be in \[0, 1\]"),
    ({"masked_content": "noise"}, "masked_content must be one of"),
    ({"strength": 0}, "strength must be above 0")])
def test_bad_input_gets_one_sentence(small, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        small(**{"prompt": "a", "image": IMAGE, "mask_image": MASK, **changes})


NESTED = Settings(enabled=True, threshold_mix=1)


@pytest.mark.parametrize("scheduler", ["Euler", "Heun", "DDIM"])
def test_steps_before_the_first_unlocked_pixel_are_skipped(small, scheduler, monkeypatch):
    kind, changes = SCHEDULERS[scheduler]
    small.scheduler = kind.from_config(small.scheduler.config, **changes)
    grey = Image.fromarray(np.asarray(MASK) // 2)
    counts = []

    def paint():
        steps = []
        result = small("a", IMAGE, grey, mask_blur=BLUR, num_inference_steps=12, strength=0.9, settings=NESTED,
                       output_type="np", generator=torch.Generator().manual_seed(1),
                       callback_on_step_end=lambda pipeline, step, timestep, tensors: steps.append(step) or tensors)
        counts.append(len(steps))
        return np.rint(result.images * 255)
    shortened = paint()
    monkeypatch.setattr("lib_softinpaint.generation.job.SoftInpaintJob.locked_steps", lambda job, ratios, order=1: 0)
    assert np.abs(paint() - shortened).max() <= 1
    assert counts[0] < 0.75 * counts[1]


@pytest.mark.parametrize(("changes", "scheduler"), [
    ({"masked_content": "fill"}, "Euler"), ({}, "DPM++ 2M"), ({}, "Euler ancestral"),
    ({"settings": Settings(enabled=True, threshold_mix=0.95)}, "Euler")])
def test_no_step_is_skipped_if_that_would_change_the_result(small, changes, scheduler):
    kind, config = SCHEDULERS[scheduler]
    small.scheduler = kind.from_config(small.scheduler.config, **config)
    steps = []
    small("a", IMAGE, Image.fromarray(np.asarray(MASK) // 2), num_inference_steps=6, strength=1, output_type="latent",
          callback_on_step_end=lambda pipeline, step, timestep, tensors: steps.append(step) or tensors,
          **{"settings": NESTED, **changes})
    assert len(steps) == 6


def test_an_inpainting_model_gets_the_mask_soft_or_hard(models):
    pipeline = quiet(SoftInpaintPipeline.from_pipe(models["SD1 inpainting"]))
    seen_masks = []
    forward = pipeline.unet.forward

    def recording(sample, *args, **kwargs):
        seen_masks.append(sample[0, 4].unique().tolist())
        return forward(sample, *args, **kwargs)
    pipeline.unet.forward = recording
    try:
        soft, hard = (inpaint(pipeline, num_inference_steps=2, settings=Settings(enabled=True, conditioning_mask=mask))
                      for mask in ("soft", "hard"))
    finally:
        del pipeline.unet.forward
    assert len(seen_masks[0]) > 2
    assert seen_masks[-1] == [0, 1]
    assert (soft != hard).any()


def test_16_bit_and_alpha_masks_repaint_by_their_strength(small):
    fine = np.asarray(MASK).astype(np.uint16) // 255 * 30011
    alpha = Image.new("RGBA", IMAGE.size)
    alpha.putalpha(Image.fromarray(np.asarray(MASK) // 2))
    for mask, wanted in ((Image.fromarray(fine), fine / np.float32(65535)), (fine, fine / np.float32(65535)),
                         (alpha, np.asarray(MASK) // 2 / np.float32(255))):
        results = [small("a", IMAGE, each, mask_blur=0, num_inference_steps=2, output_type="np",
                         generator=torch.Generator().manual_seed(1)).images for each in (mask, wanted)]
        np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("padding", [None, 8])
def test_ten_rounds_keep_pixels_that_no_mask_reached(small, padding):
    image, untouched = IMAGE, np.ones(IMAGE.size[::-1], bool)
    by_blur = Settings(enabled=True, feather_source="Mask blur")
    for number in range(10):
        mask = drawn_disc(96, 72, 6, x=0.1 + 0.08 * number)
        untouched &= distance_transform_edt(np.asarray(mask) == 0) > (2.4 * BLUR if padding is None else 8)
        image = small("a", image, mask, mask_blur=BLUR, num_inference_steps=2, padding_mask_crop=padding, settings=by_blur,
                      generator=torch.Generator().manual_seed(number)).images[0]
    assert untouched.any()
    assert (np.asarray(image)[untouched] == np.asarray(IMAGE)[untouched]).all()


@pytest.mark.parametrize("settings", [Settings(enabled=True), Settings(enabled=False)])
def test_a_transparent_image_gives_a_transparent_result_whose_holes_are_filled(pipeline, settings):
    clear = IMAGE.convert("RGBA")
    alpha = np.full(MASK.size[::-1], 255, np.uint8)
    alpha[:, ::2] = 0
    clear.putalpha(Image.fromarray(alpha))
    made = pipeline("a", clear, MASK, num_inference_steps=2, settings=settings).images[0]
    result, painted = np.asarray(made), np.asarray(MASK) == 255
    assert made.mode == "RGBA" and result[painted][:, 3].mean() > 245  # a hard mask is blurred across its rim
    outside = distance_transform_edt(~painted) > default_reach(4)
    np.testing.assert_array_equal(result[outside], np.asarray(clear)[outside])
    opaque = pipeline("a", clear, MASK, num_inference_steps=2, settings=settings, output_type="np").images
    assert opaque.shape == (1, *MASK.size[::-1], 3)


@pytest.mark.parametrize("as_kind", [
    lambda image: Image.fromarray(np.uint16(image.convert("L")) * 257), lambda image: image.convert("L"),
    lambda image: np.uint16(image.convert("RGB")) * 257])
def test_images_of_every_kind_keep_their_brightness(pipeline, as_kind):
    grey = IMAGE.convert("L").convert("RGB")
    one, other = (np.asarray(pipeline("a", image, MASK, num_inference_steps=1, generator=torch.manual_seed(0)).images[0])
                  for image in (grey, as_kind(grey)))
    np.testing.assert_array_equal(one, other)


def test_notes_on_reading_the_image_and_mask_are_returned(pipeline):
    result = pipeline("a", IMAGE.convert("CMYK"), MASK.point(lambda level: level // 255), num_inference_steps=1)
    assert result.notes == ["The image is CMYK without a colour profile, so its colours were converted approximately.",
                            "The mask's values are 0 and 1; 1 was read as white."]
