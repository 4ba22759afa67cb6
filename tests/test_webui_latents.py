"""Latents of other shapes and scales through the WebUI's hooks, with stand-ins for the host's modules."""
import contextlib
import importlib
import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.method.mask import resized, to_latent
from lib_softinpaint.settings.settings import FIELDS, Settings

SIDE, STEPS = 256, 4
SIGMAS = torch.tensor([1.0, 0.9, 0.75, 0.5])
"""Of a flow model in four steps: the first step is pure noise."""
SHAPES = {"Stable Diffusion": (4, 32, 32), "Flux": (16, 32, 32), "Flux.2, 16 pixels": (128, 16, 16),
          "Wan and Qwen, one frame": (16, 1, 32, 32)}
NEEDED = {
    "devices": {"dtype_vae": torch.float32, "autocast": contextlib.nullcontext},
    "errors": {"report": None}, "sd_samplers_common": {"approximation_indexes": {}}, "masking": {}, "processing": {},
    "infotext_utils": {}, "paths": {},
    "images": {"flatten": lambda image, colour: image.convert("RGB"),
               "resize_image": lambda mode, image, width, height, *upscaler: image.resize((width, height))},
    "shared": {"opts": types.SimpleNamespace(
        data={}, softinpaint_notes=True, softinpaint_keep_alpha=False, upscaler_for_img2img=None,
        img2img_background_color="#ffffff", live_preview_content="Prompt"),
        "state": types.SimpleNamespace(current_latent=None), "device": torch.device("cpu")}}
FAULTS = []


@pytest.fixture
def hooks(monkeypatch, tmp_path):
    """The hooks module, loaded with stand-ins. Any fault is kept in FAULTS."""
    FAULTS.clear()
    host = types.ModuleType("modules")
    monkeypatch.setitem(sys.modules, "modules", host)
    for name, content in NEEDED.items():
        module = types.ModuleType(f"modules.{name}")
        vars(module).update(content)
        setattr(host, name, module)
        monkeypatch.setitem(sys.modules, f"modules.{name}", module)
    host.paths.data_path = tmp_path
    host.errors.report = lambda sentence, exc_info: FAULTS.append(str(sys.exc_info()[1]))
    ours = "lib_softinpaint.hosts.webui"
    for name in [name for name in sys.modules if name.startswith(ours)]:  # loaded by other tests, with other stand-ins
        monkeypatch.delitem(sys.modules, name)
    yield importlib.import_module(f"{ours}.hooks")
    for name in [name for name in sys.modules if name.startswith(ours)]:
        monkeypatch.delitem(sys.modules, name)


class Processing(types.SimpleNamespace):
    """The fields of the host's img2img that the hooks use."""

    def comment(self, sentence):
        pass


def processing(shape):
    image, mask = Image.new("RGB", (SIDE, SIDE), (90, 120, 60)), Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).ellipse((96, 96, 160, 160), fill=255)
    return Processing(
        extra_generation_params={}, image_mask=mask, latent_mask=None, init_images=[image], width=SIDE, height=SIDE,
        inpaint_full_res=False, inpaint_full_res_padding=32, inpainting_fill=1, inpainting_mask_invert=0, resize_mode=0,
        mask_blur=8, mask_blur_x=8, mask_blur_y=8, mask_round=True, denoising_strength=1.0, steps=STEPS, cfg_scale=7,
        sampler_name="Euler", batch_size=1, n_iter=1,
        sd_model=None, seeds=[1], prompts=["a house"], negative_prompts=[""], mask_for_overlay=None, overlay_images=[],
        paste_to=None, s_churn=0, s_min_uncond=0, sampler=types.SimpleNamespace(config=types.SimpleNamespace(name="Euler")),
        init_latent=torch.randn((1, *shape), generator=torch.Generator().manual_seed(0)))


def host_init(p):
    """What the host's `init` makes of the shaped mask."""
    p.mask_for_overlay = p.image_mask
    size = p.init_latent.shape[-2:]
    mask = torch.from_numpy(to_latent(np.asarray(p.image_mask, np.float32) / 255, *size))
    p.nmask = mask.expand(p.init_latent.shape if p.init_latent.ndim == 5 else p.init_latent.shape[1:]).clone()
    p.mask = 1 - p.nmask


def sampled(hooks, p):
    """The latent after four steps of a sampler whose model returns random denoised predictions."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(p.init_latent.shape, generator=generator)
    latent, seen = noise.clone(), []
    denoiser = types.SimpleNamespace(p=p, inner_model=types.SimpleNamespace(sigmas=SIGMAS), sampler=p.sampler)
    for sigma, following in zip(SIGMAS, [*SIGMAS[1:], torch.tensor(0.0)]):
        seen.append(latent)
        predicted = torch.randn(p.init_latent.shape, generator=generator)
        call = types.SimpleNamespace(current_latent=predicted, denoiser=denoiser, sigma=sigma[None], is_final_blend=False)
        hooks.on_mask_blend(p, call)
        direction = (latent - call.blended_latent) / sigma
        latent = call.blended_latent + following * direction
    final = types.SimpleNamespace(current_latent=latent, denoiser=None, sigma=None, is_final_blend=True)
    hooks.on_mask_blend(p, final)
    return final.blended_latent, seen, noise


@pytest.mark.parametrize("name", SHAPES)
def test_the_surroundings_stay_and_the_core_is_free(hooks, name):
    p = processing(SHAPES[name])
    original = p.init_latent.clone()
    hooks.process(p, (True, *[None] * (len(FIELDS) - 1)))
    host_init(p)
    hooks.process_batch(p)
    assert not p.mask.any()  # neutral while sampling
    latent, seen, noise = sampled(hooks, p)
    hooks.post_sample(p, types.SimpleNamespace(samples=latent))
    assert FAULTS == []
    assert p.extra_generation_params["Soft inpainting enabled"] is True
    repaint = p.nmask.expand_as(original)
    outside, core = repaint == 0, repaint == 1
    assert outside.any()
    assert core.any()
    assert torch.equal(latent[outside], original[outside])
    assert (latent[core] - original[core]).abs().mean() > 0.5
    for level, model_input in zip(SIGMAS[1:], seen[1:]):  # each call sees the original under its own noise
        wanted = (1 - level) * original + level * noise
        torch.testing.assert_close(model_input[outside], wanted[outside], rtol=1e-4, atol=1e-4)
    assert latent.isfinite().all()
    run = sys.modules["lib_softinpaint.hosts.webui.run"].runs.get(p)
    assert run.sampled.images[0].decoded_size == (SIDE, SIDE)
    hooks.postprocess(p, types.SimpleNamespace(extra_generation_params={}))
    assert not sys.modules["lib_softinpaint.hosts.webui.run"].runs.get(p)


@pytest.mark.parametrize(("grow_px", "shown", "sampled"), [
    (0, (180, 192), (187, 188)), (5, (175, 187), (182, 183)), (-5, (185, 197), (192, 193))])
@pytest.mark.parametrize("is_below", [False, True])
def test_an_outpainted_side_fades_into_the_original_and_its_latent_mask_stays_as_wide(hooks, grow_px, shown, sampled,
                                                                                     is_below):
    """With Mask blur 8: the fade is 12.8 pixels wide, and the latent mask fades over its outer 2 pixels."""
    p = processing(SHAPES["Stable Diffusion"])
    across = np.mgrid[:SIDE, :SIDE][0 if is_below else 1]
    p.image_mask, p.latent_mask = (Image.fromarray(np.uint8(255 * (across >= first))) for first in (192, 186))
    hooks.process(p, ({"grow_px": grow_px},))
    assert FAULTS == []
    for mask, (first, white_from) in ((p.image_mask, shown), (p.latent_mask, sampled)):
        row = np.asarray(mask)[:, SIDE // 2] if is_below else np.asarray(mask)[SIDE // 2]
        assert (np.flatnonzero(row)[0], np.flatnonzero(row == 255)[0]) == (first, white_from)
        assert (np.diff(row.astype(int)) >= 0).all()


@pytest.mark.parametrize(("changes", "known"), [
    ({}, True), ({"latent_mask": "an outpainting script's"}, False), ({"init_images": 2}, False),
    ({"painted": np.zeros((SIDE, SIDE + 8), np.float32)}, False)])
def test_outlines_count_for_the_one_image_that_was_painted_on(hooks, changes, known):
    p, painted = processing(SHAPES["Stable Diffusion"]), changes.pop("painted", np.ones((SIDE, SIDE), np.float32))
    if "init_images" in changes:
        changes = {"init_images": p.init_images * changes["init_images"]}
    vars(p).update(changes)
    masks = importlib.import_module("lib_softinpaint.hosts.webui.masks")
    assert (masks.canvas_of(p, painted).edges is not None) is known


def test_mask_tools_see_the_alpha_channel(hooks):
    p, masks = processing(SHAPES["Stable Diffusion"]), importlib.import_module("lib_softinpaint.hosts.webui.masks")
    clear = Image.new("L", (SIDE, SIDE), 255)
    clear.paste(0, (0, 0, 40, 40))
    p.image_mask = None
    p.init_images[0].putalpha(clear)
    painted, _ = masks.painted_mask(p, Settings(enabled=True, mask_tools="transparency"), [])
    assert (painted[:40, :40] == 1).all()
    assert not painted[200:, 200:].any()


@pytest.mark.parametrize("name", SHAPES)
def test_without_a_hook_in_the_steps_the_callback_after_cfg_blends(hooks, name):
    """As in Forge Classic."""
    p, sampling = processing(SHAPES[name]), importlib.import_module("lib_softinpaint.hosts.webui.sampling")
    hooks.process(p, (True, *[None] * (len(FIELDS) - 1)))
    host_init(p)
    outside = p.nmask.expand_as(p.init_latent) == 0
    hooks.process_batch(p)
    denoiser = types.SimpleNamespace(p=p, inner_model=types.SimpleNamespace(sigmas=SIGMAS), sampler=p.sampler)
    for sigma in SIGMAS:
        predicted = torch.randn(p.init_latent.shape, generator=torch.Generator().manual_seed(1))
        sampling.on_cfg_denoiser(types.SimpleNamespace(denoiser=denoiser, x=predicted, sigma=sigma[None]))
        after = types.SimpleNamespace(x=predicted)
        sampling.on_cfg_after_cfg(after)
        torch.testing.assert_close(after.x[outside], p.init_latent[outside], rtol=1e-4, atol=1e-4)
        assert torch.equal(p.sampler.last_latent, after.x)
    assert FAULTS == []


def test_what_the_hook_has_blended_is_not_blended_again(hooks):
    p, sampling = processing(SHAPES["Stable Diffusion"]), importlib.import_module("lib_softinpaint.hosts.webui.sampling")
    hooks.process(p, (True, *[None] * (len(FIELDS) - 1)))
    host_init(p)
    hooks.process_batch(p)
    denoiser = types.SimpleNamespace(p=p, inner_model=types.SimpleNamespace(sigmas=SIGMAS), sampler=p.sampler)
    predicted = torch.randn(p.init_latent.shape, generator=torch.Generator().manual_seed(1))
    for sigma in SIGMAS[:2]:
        call = types.SimpleNamespace(current_latent=predicted, denoiser=denoiser, sigma=sigma[None], is_final_blend=False)
        sampling.on_cfg_denoiser(types.SimpleNamespace(denoiser=denoiser, x=predicted, sigma=sigma[None]))
        hooks.on_mask_blend(p, call)
        assert not torch.equal(call.blended_latent, predicted)
        after = types.SimpleNamespace(x=call.blended_latent)
        sampling.on_cfg_after_cfg(after)
        assert torch.equal(after.x, call.blended_latent)
    assert FAULTS == []


@pytest.mark.parametrize("shape", ["Stable Diffusion", "Wan and Qwen, one frame"])
def test_a_sampler_that_steps_along_the_unconditional_noise_keeps_the_surroundings(hooks, shape):
    """As DDIM CFG++ in Forge: of the noise and the noisy latent, the original remains outside the mask."""
    p, sampling = processing(SHAPES[shape]), importlib.import_module("lib_softinpaint.hosts.webui.sampling")
    p.init_latent = p.init_latent.repeat_interleave(2, 0)
    hooks.process(p, (True, *[None] * (len(FIELDS) - 1)))
    host_init(p)
    outside = p.nmask.expand_as(p.init_latent) == 0
    hooks.process_batch(p)
    noisy, denoised, uncond = torch.randn((3, *p.init_latent.shape), generator=torch.Generator().manual_seed(1))
    denoiser = types.SimpleNamespace(p=p, inner_model=types.SimpleNamespace(sigmas=SIGMAS), sampler=p.sampler,
                                     need_last_noise_uncond=True, last_noise_uncond=uncond)
    sigma = SIGMAS[2].repeat(2)
    sampling.on_cfg_denoiser(types.SimpleNamespace(denoiser=denoiser, x=noisy, sigma=sigma))
    sampling.on_cfg_after_cfg(types.SimpleNamespace(x=denoised))
    kept = noisy - SIGMAS[2] * denoiser.last_noise_uncond
    torch.testing.assert_close(kept[outside], p.init_latent[outside], rtol=1e-4, atol=1e-4)
    assert not torch.equal(kept[~outside], p.init_latent[~outside])
    assert FAULTS == []


@pytest.mark.parametrize("name", SHAPES)
def test_where_the_sampler_gives_nan_the_original_is_shown(hooks, name):
    p = processing(SHAPES[name])
    hooks.process(p, (True, *[None] * (len(FIELDS) - 1)))
    host_init(p)
    hooks.process_batch(p)
    latent, _, _ = sampled(hooks, p)
    broken = latent.clone()
    broken[:, 0, ..., :4] = torch.nan
    after = types.SimpleNamespace(samples=broken)
    hooks.post_sample(p, after)
    lost = broken.isnan().any(1, keepdim=True).expand_as(broken)
    assert torch.equal(after.samples[lost], p.init_latent[lost])
    assert torch.equal(after.samples[~lost], latent[~lost])
    share = lost.float().mean()
    assert f"The sampler failed on {share:.0%} of the latents" in p.extra_generation_params["Soft inpainting note"]
    assert FAULTS == []


@pytest.mark.parametrize(("excess", "is_cut"), [
    ((0, 0), True), ((0, 7), True), ((7, 0), True), ((8, 0), False), ((0, 8), False), ((-1, 3), False)])
def test_an_overlay_is_larger_by_less_than_a_latent_pixel_or_of_another_scale(hooks, excess, is_cut):
    p, masks = processing(SHAPES["Stable Diffusion"]), importlib.import_module("lib_softinpaint.hosts.webui.masks")
    precise = np.random.default_rng(0).random((40 + excess[0], 56 + excess[1])).astype(np.float32)
    image = Image.fromarray(np.zeros((*precise.shape, 4), np.uint8))
    image.putalpha(Image.fromarray(np.uint8(255 * precise)))
    for overlay, whole in (((image, precise), precise), (image, 1 - np.float32(np.uint8(255 * precise)) / 255)):
        mask = masks.overlay_mask(p, overlay, Size(40, 56))
        wanted = whole[:40, :56] if is_cut else resized(whole, Size(40, 56))
        np.testing.assert_allclose(mask, wanted, atol=1e-6)


@pytest.mark.parametrize(("stage", "ready"), [("process", 0), ("process_batch", 1)])
def test_after_a_fault_the_host_makes_its_masks_again_if_it_has_made_any(hooks, stage, ready):
    p, asked = processing(SHAPES["Stable Diffusion"]), []
    p.init, p.all_prompts, p.all_seeds, p.all_subseeds = (lambda *args: asked.append(args)), ["a house"], [1], [2]
    mask = p.image_mask
    if stage == "process":
        del p.mask_round
    hooks.process(p, (True, *[None] * (len(FIELDS) - 1)))
    if stage == "process_batch":
        host_init(p)
        p.init_latent = None
        hooks.process_batch(p)
    assert len(FAULTS) == 1
    assert asked == [(["a house"], [1], [2])] * ready
    assert p.image_mask is mask


@pytest.mark.parametrize(("mode", "how"), [(0, "stretch"), (1, "cover"), (2, "contain"), (3, "stretch")])
@pytest.mark.parametrize("size", [(100, 180), (180, 100)])
def test_a_latent_mask_is_resized_as_the_image_is(hooks, mode, how, size):
    p, masks = processing(SHAPES["Stable Diffusion"]), importlib.import_module("lib_softinpaint.hosts.webui.masks")
    p.resize_mode, mask = mode, np.random.default_rng(0).random(size).astype(np.float32)
    found = masks.latent_mask_of(p, mask, None)[0].numpy()
    np.testing.assert_array_equal(found, to_latent(resized(mask, Size(SIDE, SIDE), how), 32, 32))
    of_crop = masks.latent_mask_of(p, mask, Box(10, 20, 60, 70))[0].numpy()
    np.testing.assert_array_equal(of_crop, to_latent(resized(mask[20:90, 10:70], Size(SIDE, SIDE), "contain"), 32, 32))


@pytest.mark.parametrize(("images", "batch"), [(1, 1), (1, 2), (2, 2)])
def test_each_image_of_a_batch_has_its_mask_and_its_transparency(hooks, images, batch):
    p = processing(SHAPES["Stable Diffusion"])
    p.init_images, p.batch_size, p.seeds = p.init_images * images, batch, [1, 2][:batch]
    p.init_latent = p.init_latent.repeat(batch, 1, 1, 1)
    hooks.process(p, (True, *[None] * (len(FIELDS) - 1)))
    host_init(p)
    hooks.process_batch(p)
    assert FAULTS == []
    sampling = sys.modules["lib_softinpaint.hosts.webui.run"].runs.get(p).sampling
    job = sampling.job
    of_each = job.originals, job.repaint_px, job.painted_px, sampling.painted, sampling.sources
    assert [len(each) for each in of_each] == [batch] * 5
    assert all(mask is job.repaint_px[0] or images > 1 for mask in job.repaint_px)


@pytest.mark.parametrize("invert", [0, 1])
def test_an_inverted_mask_repaints_what_was_not_painted(hooks, invert):
    p, masks = processing(SHAPES["Stable Diffusion"]), importlib.import_module("lib_softinpaint.hosts.webui.masks")
    p.inpainting_mask_invert, drawn = invert, np.asarray(p.image_mask) / np.float32(255)
    painted, is_sent = masks.painted_mask(p, Settings(enabled=True), [])
    np.testing.assert_array_equal(painted, 1 - drawn if invert else drawn)
    assert not is_sent
    hooks.process(p, (True, *[None] * (len(FIELDS) - 1)))
    assert p.inpainting_mask_invert == 0
    assert (p.extra_generation_params.get("Mask mode") == "Inpaint not masked") is bool(invert)
    assert np.asarray(p.image_mask)[128, 128] == 255 * (1 - invert)
