"""Faults around a run on diffusers: NaN and infinity, concurrent runs, invalid arguments."""
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import distance_transform_edt

from lib_softinpaint.hosts.diffusers import models
from lib_softinpaint.hosts.diffusers.pipeline import SoftInpaintPipeline, SoftInpaintXLPipeline
from lib_softinpaint.hosts.diffusers.vae import decoded, encoded
from lib_softinpaint.settings.request import Request
from lib_softinpaint.settings.settings import Settings
from tests import tiny_models
from tests.tolerances import default_reach
from tests.webui.host import drawn_disc, drawn_image

pytestmark = tiny_models.KNOWN_WARNINGS

IMAGE, MASK, BLUR = drawn_image(96, 72), drawn_disc(96, 72, 10), 3
ORIGINAL, PAINTED = np.asarray(IMAGE), np.asarray(MASK) == 255
OUTSIDE = distance_transform_edt(np.asarray(MASK) == 0) > default_reach(BLUR)


@pytest.fixture
def model(tmp_path):
    return tiny_models.sd1(tmp_path)


@pytest.fixture
def pipeline(model):
    return quiet(SoftInpaintPipeline.from_pipe(model))


@pytest.fixture
def xl(tmp_path):
    return quiet(SoftInpaintPipeline.from_pipe(tiny_models.sdxl(tmp_path)))


def quiet(pipeline):
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def run(pipeline, seed=1, **fields):
    fields = {"mask_blur": BLUR, "num_inference_steps": 3, "generator": torch.Generator().manual_seed(seed), **fields}
    return pipeline("a", IMAGE, MASK, **fields)


# NaN and infinity

def broken_decoder(decode, value, where, dtypes=(torch.float32, torch.bfloat16, torch.float16)):
    """A decoder that gives this value, NaN or infinity, at these pixels."""
    def overflowing(latent, *args, **kwargs):
        decoded = decode(latent, *args, **kwargs)[0]
        if latent.dtype in dtypes:
            decoded[..., where[0], where[1]] = value
        return (decoded,)
    return overflowing


@pytest.mark.parametrize("settings", [Settings(enabled=True), Settings(enabled=True, grain=1.0, drift_correction=1.0),
                                      Settings(enabled=False)])
@pytest.mark.parametrize("padding", [None, 8])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_if_the_decoder_gives_nan_the_original_is_shown_and_noted(pipeline, value, padding, settings):
    pipeline.vae.decode = broken_decoder(pipeline.vae.decode, value, np.s_[:, :])
    output = run(pipeline, settings=settings, padding_mask_crop=padding, keep=True)
    result = np.asarray(output.images[0])
    assert (result[OUTSIDE] == ORIGINAL[OUTSIDE]).all()
    assert np.abs(result.astype(int) - ORIGINAL).max() < (40 if settings.grain else 1)
    assert output.notes == ["The VAE gave NaN or infinity for 100% of image 1, even in float32. The original is shown there."]
    for kept in output.kept:
        assert np.isfinite(kept.decoded).all()


def test_only_nan_pixels_show_the_original(pipeline):
    whole = np.asarray(run(pipeline, settings=Settings(enabled=True, drift_correction=0)).images[0])
    pipeline.vae.decode = broken_decoder(pipeline.vae.decode, np.nan, np.s_[30:32, 40:44])
    output = run(pipeline, settings=Settings(enabled=True, drift_correction=0))
    result = np.asarray(output.images[0])
    same = np.ones(MASK.size[::-1], bool)
    same[30:32, 40:44] = False
    assert (result[same] == whole[same]).all()
    assert (result[~same] == ORIGINAL[~same]).all()
    assert len(output.notes) == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_an_overflow_in_half_precision_is_decoded_in_float32(pipeline, dtype):
    pipeline.vae.to(dtype)
    decode = pipeline.vae.decode
    pipeline.vae.decode = broken_decoder(decode, np.inf, np.s_[:, :], [dtype])
    output = run(pipeline)
    assert np.abs(np.asarray(output.images[0]).astype(int) - ORIGINAL)[PAINTED].mean() > 10
    assert not output.notes
    assert pipeline.vae.dtype == dtype


def test_nan_from_the_encoder_is_reported_before_sampling(pipeline):
    with torch.no_grad():
        pipeline.vae.quant_conv.weight.fill_(np.nan)
    with pytest.raises(ValueError, match="VAE must encode the image to finite numbers, got NaN or infinity"):
        run(pipeline)


def test_if_the_model_gives_nan_the_original_is_shown_and_noted(pipeline):
    with torch.no_grad():
        pipeline.unet.conv_out.bias.fill_(np.nan)
    output = run(pipeline, num_images_per_prompt=2)
    assert output.notes[0].startswith("The model gave NaN or infinity for ")
    for image in output.images:
        assert (np.asarray(image)[OUTSIDE] == ORIGINAL[OUTSIDE]).all()


# Safety checker and watermark

class Checker(torch.nn.Module):
    """Flags images by their number."""

    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, flagged):
        super().__init__()
        self.flagged, self.seen = flagged, []

    def forward(self, images, clip_input):
        self.seen.append(images.clone())
        flags = [self.flagged[len(self.seen) - 1] for _ in images]
        for image, flag in zip(images, flags):
            image *= not flag
        return images, flags


def features(images, return_tensors):
    assert all(isinstance(each, Image.Image) for each in images)
    assert return_tensors == "pt"
    from transformers import BatchFeature
    return BatchFeature({"pixel_values": torch.zeros(len(images), 3, 8, 8)})


@pytest.mark.parametrize("padding", [None, 8])
def test_images_flagged_by_the_safety_checker_are_black(pipeline, padding):
    plain = run(pipeline, num_images_per_prompt=2, padding_mask_crop=padding)
    pipeline.safety_checker, pipeline.feature_extractor = Checker([False, True]), features
    output = run(pipeline, num_images_per_prompt=2, padding_mask_crop=padding, keep=True)
    assert len(pipeline.safety_checker.seen) == 2
    assert plain.nsfw_content_detected is None
    assert output.nsfw_content_detected == [False, True]
    np.testing.assert_array_equal(np.asarray(output.images[0]), np.asarray(plain.images[0]))
    assert not np.asarray(output.images[1]).any()
    assert output.kept[0] is not None
    assert output.kept[1] is None
    assert output.notes == ["The model's safety checker flagged image 2, so it was replaced by black."]


def test_a_flagged_request_is_black_and_noted(pipeline):
    pipeline.safety_checker, pipeline.feature_extractor = Checker([True]), features
    notes, kept, measured = [], [], {}
    request = Request(prompt="a", steps=2, seed=1)
    made = models.inpaint(pipeline, request, IMAGE, MASK, keep=kept.append, on_note=notes.append, on_measured=measured.update)
    assert not np.asarray(made).any()
    assert notes == ["The model's safety checker flagged image 1, so it was replaced by black."]
    assert not kept
    assert not measured


@pytest.mark.parametrize(("strength", "keys"), [(1.0, ["Soft inpainting drift applied"]), (0.0, [])])
def test_each_image_comes_with_what_its_composite_measured(pipeline, strength, keys):
    output = run(pipeline, num_images_per_prompt=2, settings=Settings(enabled=True, drift_correction=strength))
    assert [list(each) for each in output.measurements] == [keys] * 2
    hard = run(pipeline, settings=Settings(enabled=False))
    assert hard.measurements == [{}]


def test_the_watermark_is_applied_to_the_decoded_image(xl):
    class Watermark:
        def apply_watermark(self, images):
            return torch.ones_like(images)
    xl.watermark = Watermark()
    result = np.asarray(run(xl, settings=Settings(enabled=True, drift_correction=0)).images[0])
    assert (result[PAINTED] > ORIGINAL[PAINTED]).all()
    assert (result[OUTSIDE] == ORIGINAL[OUTSIDE]).all()


# Other runs

def test_two_concurrent_runs_equal_single_runs(pipeline):
    requests = [Request(prompt="a", steps=3, seed=1, sampler="DPM++ 2M", schedule_type="Karras", mask_blur=BLUR),
                Request(prompt="b", steps=4, seed=2, sampler="Euler a", mask_blur=BLUR)]
    scheduler = pipeline.scheduler
    alone = [np.asarray(models.inpaint(pipeline, each, IMAGE, MASK)) for each in requests]
    together = threading.Barrier(2)

    def paint(request):
        together.wait()
        return np.asarray(models.inpaint(pipeline, request, IMAGE, MASK))
    with ThreadPoolExecutor(2) as threads:
        for _ in range(3):
            for one, other in zip(alone, threads.map(paint, requests)):
                np.testing.assert_array_equal(one, other)
    assert pipeline.scheduler is scheduler
    assert "step" not in vars(scheduler)


def test_a_nested_run_in_the_same_thread_works(pipeline):
    inner = []

    def nested(running, step, timestep, tensors):
        if not inner:
            inner.append(run(pipeline, seed=2).images[0])
        return tensors
    outer = run(pipeline, callback_on_step_end=nested).images[0]
    np.testing.assert_array_equal(np.asarray(outer), np.asarray(run(pipeline).images[0]))
    np.testing.assert_array_equal(np.asarray(inner[0]), np.asarray(run(pipeline, seed=2).images[0]))


class Cancelled(Exception):
    pass


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_cancelled_run_restores_the_pipeline(pipeline, dtype):
    pipeline.to(dtype)
    before = np.asarray(run(pipeline).images[0])
    state = dict(vars(pipeline)), dict(vars(pipeline.scheduler))

    def cancel(running, step, timestep, tensors):
        raise Cancelled
    with pytest.raises(Cancelled):
        run(pipeline, callback_on_step_end=cancel)
    with pytest.raises(Cancelled):
        models.inpaint(pipeline, Request(prompt="a", sampler="DPM2", steps=3), IMAGE, MASK,
                       on_running=lambda running: cancel(running, 0, 0, {}))
    assert vars(pipeline) == state[0]
    assert vars(pipeline.scheduler).keys() == state[1].keys()
    assert all(vars(pipeline.scheduler)[name] is value for name, value in state[1].items())
    assert pipeline.vae.dtype == dtype
    np.testing.assert_array_equal(np.asarray(run(pipeline).images[0]), before)


def test_the_owners_own_step_is_called_in_each_run(pipeline):
    calls, step = [], pipeline.scheduler.step

    def own_step(*args, **kwargs):
        calls.append(1)
        return step(*args, **kwargs)
    plain = np.asarray(run(pipeline).images[0])
    pipeline.scheduler.step = own_step
    for count in (1, 2):
        np.testing.assert_array_equal(np.asarray(run(pipeline).images[0]), plain)
        assert len(calls) == 2 * count
    assert pipeline.scheduler.step is own_step


def test_a_callback_gets_the_running_pipeline(pipeline):
    sizes = []
    models.inpaint(pipeline, Request(prompt="a", sampler="Euler", steps=3, seed=1), IMAGE, MASK,
                   on_running=lambda running: sizes.append(running.preview().size))
    assert sizes == [IMAGE.size] * 2
    with pytest.raises(RuntimeError, match="preview needs a run in progress"):
        pipeline.preview()


# Arguments

@pytest.mark.parametrize(("name", "sentence"), [
    ("mask_blurr", "mask_blurr is not an argument of this pipeline, did you mean mask_blur?"),
    ("denoising_strength", "denoising_strength is not an argument of this pipeline, did you mean strength?"),
    ("negativ_prompt", "negativ_prompt is not an argument of this pipeline, did you mean negative_prompt?"),
    ("xyzzy", "xyzzy is not an argument of this pipeline"),
    ("control_image", "control_image belongs to ControlNet"),
    ("controlnet_conditioning_scale", "controlnet_conditioning_scale belongs to ControlNet"),
    ("adapter_conditioning_scale", "adapter_conditioning_scale belongs to ControlNet or a T2I-Adapter")])
def test_an_unknown_argument_is_rejected_with_a_suggestion(pipeline, name, sentence):
    with pytest.raises(TypeError) as fault:
        run(pipeline, **{name: 1})
    assert str(fault.value).startswith(sentence)


def test_all_arguments_of_the_parent_pipelines_are_accepted(pipeline, xl):
    for each in (pipeline, xl):
        parent = diffusers.StableDiffusionXLImg2ImgPipeline if each is xl else diffusers.StableDiffusionImg2ImgPipeline
        defaults = {name: parameter.default for name, parameter in inspect.signature(parent.__call__).parameters.items()
                    if parameter.default is not inspect.Parameter.empty
                    and name not in ("prompt", "image", "strength", "num_inference_steps", "generator")}
        assert run(each, **defaults).images


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"output_type": "bogus"}, r"output_type must be one of \('pil', 'np', 'pt', 'latent'\), got 'bogus'"),
    ({"prompt": None}, "one of prompt and prompt_embeds must be given, got none"),
    ({"prompt_embeds": torch.zeros(1, 77, 32)}, "one of prompt and prompt_embeds must be given, got both"),
    ({"prompt": []}, "prompt must be a string or a list of strings"),
    ({"prompt": 3}, "prompt must be a string or a list of strings"),
    ({"generator": [torch.Generator()], "num_images_per_prompt": 2}, r"with one per image \(2\), got 1$"),
    ({"generator": 3}, "generator must be a torch.Generator or a list of them, got 3"),
    ({"masked_content": "noise"}, "masked_content must be one of"),
    ({"num_inference_steps": 0}, "num_inference_steps must be an integer of at least 1, got 0"),
    ({"num_images_per_prompt": 1.5}, "num_images_per_prompt must be an integer of at least 1, got 1.5"),
    ({"strength": 1.5}, "strength must be a number from 0 to 1, got 1.5"),
    ({"strength": float("nan")}, "strength must be a number from 0 to 1, got nan"),
    ({"guidance_scale": "7"}, "guidance_scale must be a number from 0 to inf, got '7'"),
    ({"mask_blur": -1}, "mask_blur must be a number from 0 to inf, got -1"),
    ({"padding_mask_crop": -8}, "padding_mask_crop must be a number from 0 to inf, got -8"),
    ({"settings": {"enabled": True}}, "settings must be lib_softinpaint.Settings, got dict"),
    ({"width": 4, "height": 4}, "height and width must be 8 pixels or more for this model, got 4 and 4"),
    ({"width": 4, "padding_mask_crop": 8}, "height and width must be 8 pixels or more"),
    ({"image": IMAGE.resize((4, 4)), "mask_image": MASK.resize((4, 4))}, "height and width must be 8 pixels or more"),
    ({"image": [IMAGE, IMAGE]}, r"image must be one image or a list with one per prompt \(1\), got 2"),
    ({"image": [IMAGE, IMAGE.resize((64, 64))], "prompt": ["a", "b"]}, "images in a list must have the same size"),
    ({"mask_image": [MASK, MASK], "prompt": ["a", "b"], "padding_mask_crop": 8}, "padding_mask_crop needs one image and one"),
    ({"ip_adapter_image": IMAGE}, "ip_adapter_image needs an IP-Adapter in the model, got none")])
def test_invalid_arguments_are_rejected_before_anything_runs(pipeline, monkeypatch, changes, sentence):
    monkeypatch.setattr(pipeline.vae, "encode", None)
    monkeypatch.setattr(pipeline.unet, "forward", None)
    with pytest.raises(ValueError, match=sentence):
        pipeline(**{"prompt": "a", "image": IMAGE, "mask_image": MASK, **changes})


@pytest.mark.parametrize("each", [1, 2])
@pytest.mark.parametrize("content", ["original", "fill", "latent noise", "latent nothing"])
@pytest.mark.parametrize("channels", [4, 9])
def test_lists_of_images_and_masks_equal_single_runs(tmp_path, channels, content, each):
    pipeline = quiet(SoftInpaintPipeline.from_pipe(tiny_models.sd1(tmp_path, channels)))
    images = [IMAGE, Image.fromarray(ORIGINAL[:, ::-1].copy())]
    masks = [MASK, drawn_disc(96, 72, 12, x=0.3)]

    def inpaint(prompts, images, masks, seeds):
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        return pipeline(prompts, images, masks, mask_blur=BLUR, num_inference_steps=3, num_images_per_prompt=each, keep=True,
                        masked_content=content, generator=generators)
    together = inpaint(["a", "b"], images, masks, range(2 * each))
    apart = [inpaint(prompt, [image], [mask], range(number * each, (number + 1) * each))
             for number, (prompt, image, mask) in enumerate(zip("ab", images, masks))]
    for one, other in zip(together.images, [image for output in apart for image in output.images]):
        assert np.abs(np.asarray(one).astype(int) - np.asarray(other)).max() <= 1
    for image, kept in zip(together.images, together.kept):
        np.testing.assert_array_equal(kept.composited(kept.settings), np.asarray(image))


@pytest.mark.parametrize("keep", [False, True])
def test_a_tuple_has_every_field_of_the_output(pipeline, xl, keep):
    for each in (pipeline, xl):
        output, given = run(each, keep=keep), run(each, keep=keep, return_dict=False)
        np.testing.assert_array_equal(np.asarray(given[0][0]), np.asarray(output.images[0]))
        assert given[1] is None
        assert len(given) == 2 + keep
        if keep:
            np.testing.assert_array_equal(given[2][0].decoded, output.kept[0].decoded)


def test_an_ip_adapter_works_as_in_the_parent_pipelines(pipeline):
    tiny_models.add_ip_adapter(pipeline.unet)
    embeds = torch.randn(2, 1, tiny_models.WIDTH, generator=torch.Generator().manual_seed(0))
    images = [np.asarray(run(pipeline, ip_adapter_image_embeds=[factor * embeds[:, None]]).images[0]) for factor in (1, -1)]
    assert (images[0] != images[1]).any()
    assert (images[0][OUTSIDE] == ORIGINAL[OUTSIDE]).all()
    with pytest.raises(ValueError, match="a model with an IP-Adapter needs ip_adapter_image or ip_adapter_image_embeds"):
        run(pipeline)


# Models

def test_latents_are_normalised_by_the_vaes_statistics(xl):
    plain = encoded(xl, IMAGE)
    xl.vae.register_to_config(latents_mean=[0.1, -0.2, 0.3, 0.4], latents_std=[2.0, 3.0, 4.0, 5.0], scaling_factor=0.5)
    latent = encoded(xl, IMAGE)
    parent = super(SoftInpaintXLPipeline, xl).prepare_latents
    torch.manual_seed(0)
    pixels = xl.image_processor.preprocess(IMAGE)
    wanted = [parent(pixels, None, 1, 1, torch.float32, "cpu", add_noise=False) for _ in range(20)]
    assert (latent != plain).any()
    torch.testing.assert_close(latent, torch.cat(wanted).mean(0, keepdim=True), atol=0.2, rtol=0)
    new = decoded(xl, latent)
    raw = latent * torch.tensor([2.0, 3, 4, 5]).view(1, 4, 1, 1) / 0.5 + torch.tensor([0.1, -0.2, 0.3, 0.4]).view(1, 4, 1, 1)
    torch.testing.assert_close(new, xl.vae.decode(raw).sample)


@pytest.mark.parametrize(("part", "kind"), [("controlnet", "StableDiffusionControlNetImg2ImgPipeline"),
                                            ("transformer", "PixArtSigmaPipeline")])
def test_models_of_other_kinds_are_rejected_by_name(model, tmp_path, part, kind):
    other = type(kind, (), {"components": {**model.components, part: object()}})()
    sentence = f"^the model must be one of Stable Diffusion 1, 2 and XL, and their .*, got {kind}: it has {part}$"
    with pytest.raises(ValueError, match=sentence):
        SoftInpaintPipeline.from_pipe(other)
    model.save_pretrained(tmp_path / "model")
    index = tmp_path / "model" / "model_index.json"
    index.write_text(index.read_text().replace('"_class_name": "StableDiffusionPipeline"',
                                               f'"_class_name": "{kind}", "{part}": ["diffusers", "{kind}"]'))
    for family in (SoftInpaintPipeline, SoftInpaintXLPipeline):
        with pytest.raises(ValueError, match=sentence):
            family.from_pretrained(tmp_path / "model", local_files_only=True)


def test_a_model_with_eight_channels_is_rejected(tmp_path):
    with pytest.raises(ValueError, match="whose UNet has 4 or 9 input channels, got 8"):
        run(quiet(SoftInpaintPipeline.from_pipe(tiny_models.sd1(tmp_path, 8))))


def test_a_half_precision_model_runs_without_an_explicit_dtype(model, tmp_path):
    model.text_encoder.half()
    model.save_pretrained(tmp_path / "half")
    loaded = quiet(SoftInpaintPipeline.from_pretrained(tmp_path / "half", local_files_only=True))
    assert {loaded.text_encoder.dtype, loaded.unet.dtype, loaded.vae.dtype} == {torch.float32}
    assert np.asarray(run(loaded).images[0]).shape == ORIGINAL.shape


def test_sharing_models_does_not_change_their_precision(model):
    model.to(torch.bfloat16)
    assert SoftInpaintPipeline.from_pipe(model).unet.dtype == torch.bfloat16
    assert model.unet.dtype == torch.bfloat16
