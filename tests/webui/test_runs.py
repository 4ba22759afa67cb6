"""Runs are independent of each other if the host nests, repeats, interrupts or resizes them or passes several images."""
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageFilter, ImageOps
from scipy.ndimage import distance_transform_edt

from lib_softinpaint.settings.settings import saved_fields
from tests.tolerances import default_reach
from tests.webui.family import CLASSIC, NEO
from tests.webui.host import drawn_disc, drawn_image
from tests.webui.test_place import xyz_arguments, xyz_axes
from tests.webui.test_requests import same, soft_keys
from training.scenes import HELD_OUT, Scene

pytestmark = [pytest.mark.every_host, pytest.mark.usefixtures("clean_log")]

IMAGE, MASK = drawn_image(), drawn_disc()


def outside_of(mask, blur=4, padding=None):
    return distance_transform_edt(np.asarray(mask) == 0) > default_reach(blur, padding)


def assert_inpainted(result, original, mask, outside=None):
    original, painted = np.asarray(original), np.asarray(mask) == 255
    outside = outside_of(mask) if outside is None else outside
    assert result.shape == original.shape
    assert (result[outside] == original[outside]).all()
    assert np.abs(result.astype(float) - original)[painted].mean() > 20


def assert_alike(one, other):
    """Equal up to rounding, because the host does not fix the order of sums between runs."""
    difference = np.abs(one.images[0].astype(int) - other.images[0])
    assert difference.max() <= 1
    assert difference.mean() < 0.01


@pytest.mark.parametrize("only_masked", [False, True])
@pytest.mark.parametrize("outer_sampler", ["Euler a", "DDIM"])
def test_a_detailer_inside_a_run_does_not_affect_the_outer_run(webui, only_masked, outer_sampler):
    request = dict(sampler_name=outer_sampler, inpaint_full_res=only_masked, batch_size=2)
    nested = webui.inpaint(IMAGE, MASK, [True], others={"Nested runs": [True]}, **request)
    plain = webui.inpaint(IMAGE, MASK, [True], **request)
    assert len(nested.images) == 2
    for inside, alone in zip(nested.images, plain.images):
        # The detailer repaints a corner that lies outside the mask: the composite puts the original back there.
        assert_inpainted(inside, IMAGE, MASK, outside_of(MASK, padding=32 if only_masked else None))
        assert np.abs(inside.astype(float) - alone).mean() < 20
    assert soft_keys(nested.infotexts[0]) == soft_keys(plain.infotexts[0])


def test_a_mask_changed_in_place_between_two_runs_on_one_p(webui):
    result = webui.inpaint(IMAGE, MASK, [True], script_name="mask changed in place", script_args=[])
    moved = ImageChops.offset(MASK, MASK.width // 3, 0)
    assert_inpainted(result.images[0], IMAGE, MASK)
    assert_inpainted(result.images[1], IMAGE, moved)


def test_loopback_shapes_its_mask_in_each_loop(webui):
    result = webui.inpaint(IMAGE, MASK, [True], script_name="loopback", script_args=[3, 0.75, "Linear", "None"],
                           mask_blur=8)
    assert len(result.images) == 3
    for image in result.images:
        assert_inpainted(image, IMAGE, MASK, outside_of(MASK, blur=8))


def test_an_xyz_plot_overrides_each_setting_and_each_cell_has_its_own_infotext(webui):
    axes = xyz_axes(webui)
    own_axes = [axis for axis in axes if axis.startswith("[Soft inpainting] ")]
    assert len(own_axes) == len(set(own_axes)) == len(saved_fields()) + 3  # Mask blur, padding and preset
    arguments = xyz_arguments(webui, ("[Soft inpainting] Preservation strength", "0.1, 4", []),
                              ("[Soft inpainting] Soft inpainting", "", ["True", "False"]))
    result = webui.inpaint(IMAGE, MASK, [True], script_name="x/y/z plot", script_args=arguments)
    grids, cells = result.images[:-4], result.images[-4:]
    assert len(grids) <= 1
    keys = [soft_keys(infotext) for infotext in result.infotexts[-4:]]
    assert [key.get("preservation strength") for key in keys] == ["0.1", "4", None, None]
    assert (cells[0] != cells[1]).any()
    for hard in (cells[3], webui.inpaint(IMAGE, MASK).images[0]):
        assert np.abs(cells[2].astype(int) - hard).max() <= webui.rounding


def test_an_xyz_plot_has_axes_for_the_mask_and_for_presets(webui):
    for axis, values, wanted in (
            ("Mask blur", "3, 9", ["Mask blur: 3", "Mask blur: 9"]),
            ("Only masked padding", "8, 40", ["Masked area padding: 8", "Masked area padding: 40"]),
            ("Preset", "Light touch, Built-in defaults", ["preservation strength: 1,", "feather source: host"])):
        arguments = xyz_arguments(webui, (f"[Soft inpainting] {axis}", values, values.split(", ")))
        result = webui.inpaint(IMAGE, MASK, [True], script_name="x/y/z plot", script_args=arguments, steps=3,
                               inpaint_full_res=axis == "Only masked padding")
        cells = result.infotexts[-2:]
        assert [pair in infotext for pair, infotext in zip(wanted, cells)] == [True, True], result.infotexts
    assert "Denoising strength: 0.35" in cells[0]  # the preset's own


def test_an_xyz_plot_overrides_a_setting_sent_in_a_dict(webui):
    arguments = xyz_arguments(webui, ("[Soft inpainting] Preservation strength", "0.1, 4", []))
    result = webui.inpaint(IMAGE, MASK, [{"schedule_bias": 0.2}], script_name="x/y/z plot", script_args=arguments)
    keys = [soft_keys(infotext) for infotext in result.infotexts[-2:]]
    assert [(key["preservation strength"], key["schedule bias"]) for key in keys] == [("0.1", "0.2"), ("4", "0.2")]


def test_batch_size_and_count(webui):
    result = webui.inpaint(IMAGE, MASK, [True], batch_size=2, n_iter=2)
    assert len(result.images) == 4
    for image in result.images:
        assert_inpainted(image, IMAGE, MASK)
    assert len({image.tobytes() for image in result.images}) == 4


def test_six_concurrent_requests_equal_single_requests(webui):
    requests = [dict(seed=number, mask_blur=4 + number, inpaint_full_res=bool(number % 2),
                     sampler_name="DDIM" if number == 3 else "Euler a") for number in range(6)]
    alone = [webui.inpaint(IMAGE, MASK, [True], steps=3, **request) for request in requests]
    with ThreadPoolExecutor(len(requests)) as callers:
        together = list(callers.map(lambda request: webui.inpaint(IMAGE, MASK, [True], steps=3, **request), requests))
    for one, other in zip(alone, together):
        assert_alike(one, other)
        assert soft_keys(one.infotexts[0]) == soft_keys(other.infotexts[0])


@pytest.mark.parametrize("feather", ["Mask blur", "host"])
@pytest.mark.parametrize("only_masked", [False, True])
@pytest.mark.parametrize("content", [0, 1])
def test_several_init_images_of_different_sizes(webui, only_masked, content, feather):
    if feather == "host" and only_masked:
        pytest.skip("the host itself resizes its mask to each image, but not the crop's place")
    if only_masked and webui.host.name == CLASSIC:
        pytest.skip("Forge Classic itself fails on images of different sizes")
    images = [drawn_image(), drawn_image(300, 280, 2)]
    result = webui.inpaint(images, MASK, [{"feather_source": feather}], batch_size=2, inpaint_full_res=only_masked,
                           inpainting_fill=content)
    resized = images if only_masked else [images[0], images[1].resize((256, 256), Image.Resampling.LANCZOS)]
    for got, original in zip(result.images, resized):
        mask = Image.new("L", original.size)
        mask.paste(MASK)
        blur = 5 if feather == "host" else 4  # the host's own tail is a little longer
        assert_inpainted(got, original, mask, outside_of(mask, blur, 32 if only_masked else None))


def interrupted(webui, run):
    """The result of a run that is interrupted after a few steps."""
    def interrupt():
        while webui.get("/sdapi/v1/progress?skip_current_image=true")["state"]["sampling_step"] < 3:
            time.sleep(0.02)
        webui.post("/sdapi/v1/interrupt", {})
    waiting = threading.Thread(target=interrupt)
    waiting.start()
    result = run()
    waiting.join()
    return result


@pytest.mark.parametrize("sampler", ["Euler a", "DDIM", "LCM"])
def test_an_interrupted_run_keeps_the_outside(webui, sampler):
    result = interrupted(webui, lambda: webui.inpaint(IMAGE, MASK, [True], steps=150, denoising_strength=1,
                                                      sampler_name=sampler, n_iter=3))
    assert len(result.images) < 3
    assert_inpainted(result.images[0], IMAGE, MASK)


@pytest.mark.parametrize("only_masked", [False, True])
def test_a_blank_mask_after_another_job(webui, only_masked):
    if only_masked and webui.host.name == CLASSIC:
        pytest.skip("Forge Classic itself fails on an empty mask")
    blank = Image.new("L", IMAGE.size)
    webui.inpaint(drawn_image(seed=4), MASK, [True])
    result = webui.inpaint(IMAGE, blank, [True], inpaint_full_res=only_masked)
    assert same(result, webui.inpaint(IMAGE, blank, inpaint_full_res=only_masked))
    assert "Soft inpainting" not in result.infotexts[0]


@pytest.mark.parametrize("sampler", ["Euler a", "DDIM", "UniPC"])
@pytest.mark.parametrize("content", [0, 1, 2])
def test_a_full_mask_gives_the_hosts_own_image(webui, sampler, content):
    # This also tests that our VAE encode does not advance the random stream, which would change the noise.
    request = dict(sampler_name=sampler, inpainting_fill=content, options={"overlay_inpaint": False})
    full = Image.new("L", IMAGE.size, 255)
    assert_alike(webui.inpaint(IMAGE, full, [True], **request), webui.inpaint(IMAGE, full, **request))


@pytest.mark.parametrize("only_masked", [False, True])
def test_sizes_that_8_does_not_divide(webui, only_masked):
    image, mask = drawn_image(250, 203), drawn_disc(250, 203)
    result = webui.inpaint(image, mask, [True], width=250, height=203, inpaint_full_res=only_masked, inpainting_fill=0)
    outside = outside_of(mask, padding=32 if only_masked else None)
    if not only_masked and webui.host.name == NEO:  # it rounds to multiples of 64
        image, mask = image.resize((256, 192), Image.Resampling.LANCZOS), mask.resize((256, 192))
        outside = outside_of(mask, blur=5)
    elif not only_masked:  # the VAE decodes whole latent pixels
        image, mask, outside = (image.crop((0, 0, 248, 200)), mask.crop((0, 0, 248, 200)), outside[:200, :248])
    assert_inpainted(result.images[0], image, mask, outside)


# "Just resize (latent upscale)" with any other masked content fails in the host itself.
@pytest.mark.parametrize(("mode", "content"), [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 1)])
def test_resize_modes(webui, mode, content):
    if mode == 3 and webui.host.name == CLASSIC:
        pytest.skip("Forge Classic itself fails in this mode")
    image, mask = drawn_image(320, 200), drawn_disc(320, 200, 40)
    unpainted = webui.inpaint(image, Image.new("L", mask.size), resize_mode=mode, width=256, height=256)
    result = webui.inpaint(image, mask, [True], resize_mode=mode, width=256, height=256, inpainting_fill=content)
    # In mode 3, the host overlays the image in its old size.
    resized = np.asarray(image.resize((256, 256), Image.Resampling.LANCZOS)) if mode == 3 else unpainted.images[0]
    got = result.images[0]
    assert got.shape == (256, 256, 3)
    corner = (slice(0, 40), slice(0, 30))
    assert (got[corner] == resized[corner]).all()
    assert np.abs(got[108:148, 108:148].astype(float) - resized[108:148, 108:148]).mean() > 20


@pytest.mark.parametrize("size", [(128, 128), (1024, 1024)])
def test_a_thin_stroke_without_blur_survives_any_resize(webui, size):
    image, mask = drawn_image(*size), Image.new("L", size)
    column = size[0] // 2
    mask.paste(255, (column, size[1] // 4, column + 2, size[1] * 3 // 4))
    by_mask = [{"mask_influence": 1}]  # otherwise the opacity depends on the model's change
    result = webui.inpaint(image, mask, by_mask, mask_blur=0, options={"return_mask": True})
    resized, shown = np.asarray(image.resize((256, 256), Image.Resampling.LANCZOS)), result.images[1][..., 0]
    assert (result.images[0][:, :124] == resized[:, :124]).all()
    assert shown[80:176, 126:132].max(axis=1).min() > 128


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (1.0, 0.5), (0.5, 1.0)])
@pytest.mark.parametrize("size", [(256, 256), (384, 192)])
def test_only_masked_at_the_border(webui, x, y, size):
    image, mask = drawn_image(*size), drawn_disc(*size, 30, x, y)
    result = webui.inpaint(image, mask, [True], inpaint_full_res=True, mask_blur=16)
    assert_inpainted(result.images[0], image, mask, outside_of(mask, 16, 32))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("content", range(4))
def test_the_original_is_encoded_at_most_once_more(webui, content, batch):
    webui.inpaint(IMAGE, MASK, [True], inpainting_fill=content, batch_size=batch, n_iter=2)
    assert webui.get("/companion/witness")["encodes"] == (0 if content == 1 else 1)


OUTPAINTING = {"poor man's outpainting": lambda blur: [64, blur, 0, ["left", "right"]],
               "outpainting mk2": lambda blur: ["", 64, blur, ["left"], 1, 0.05]}


@pytest.mark.parametrize("blur", [8, 16])
@pytest.mark.parametrize("script", OUTPAINTING)
def test_outpainting_changes_no_more_of_the_original_than_the_host(webui, script, blur):
    if script not in webui.get("/sdapi/v1/scripts")["img2img"]:
        pytest.skip(f"{webui.host} has no script {script}")
    image = Image.fromarray(Scene.from_seed(HELD_OUT + 11).draw(256))
    original = np.asarray(image).astype(float)
    request = dict(script_name=script, script_args=OUTPAINTING[script](blur), inpainting_fill=0, denoising_strength=0.9)
    soft, plain = (webui.inpaint(image, None, args, **request) for args in ([True], None))
    assert soft_keys(soft.infotexts[0])["enabled"] == "True"
    changes, edges = [], []
    for result in (soft, plain):
        wide = result.images[-1].astype(float)
        assert wide.shape == (256, 384 if "poor" in script else 320, 3)
        changes.append(np.abs(wide[:, 64:320] - original).mean(-1)[:, :128])
        steps = np.abs(np.diff(wide.mean(-1), axis=1)).mean(0)  # of neighbouring columns
        edges.append(steps[56:64 + 5 * blur].max())
    ours, theirs = changes
    assert (ours > 16).sum() <= 1.05 * (theirs > 16).sum()
    assert ours.mean() <= theirs.mean()
    assert (ours > 0).sum() <= (theirs > 0).sum()
    assert not ours[:, 80 if blur == 8 else 120:].any()
    assert edges[0] <= 1.1 * edges[1] + 1


@pytest.mark.parametrize("only_masked", [False, True])
def test_an_inverted_mask(webui, only_masked):
    result = webui.inpaint(IMAGE, ImageOps.invert(MASK), [True], inpainting_mask_invert=1, inpaint_full_res=only_masked)
    straight = webui.inpaint(IMAGE, MASK, [True], inpaint_full_res=only_masked)
    assert_alike(result, straight)


def test_an_alpha_mask_keeps_its_greys(webui):
    grey = MASK.point(lambda value: value // 2)
    alpha = Image.merge("RGBA", (*[Image.new("L", MASK.size, 255)] * 3, grey))
    assert same(webui.inpaint(IMAGE, alpha, [True]), webui.inpaint(IMAGE, grey, [True]))
    assert not same(webui.inpaint(IMAGE, alpha, [True]), webui.inpaint(IMAGE, MASK, [True]))


def test_without_the_overlay_the_decoded_image_is_returned(webui):
    raw = webui.inpaint(IMAGE, MASK, [True], options={"overlay_inpaint": False})
    changed = (raw.images[0] != np.asarray(IMAGE)).any(axis=-1)
    assert changed[outside_of(MASK)].mean() > 0.5  # the VAE's own loss


@pytest.mark.parametrize("only_masked", [False, True])
def test_colour_correction_keeps_the_outside(webui, only_masked):
    result = webui.inpaint(IMAGE, MASK, [True], inpaint_full_res=only_masked, options={"img2img_color_correction": True})
    assert_inpainted(result.images[0], IMAGE, MASK, outside_of(MASK, padding=32 if only_masked else None))


def test_the_image_saved_before_colour_correction_is_not_black(webui):
    webui.inpaint(IMAGE, MASK, [True], inpaint_full_res=True, save_images=True, inpaint_full_res_padding=0, options={
        "img2img_color_correction": True, "save_images_before_color_correction": True})
    saved = np.asarray(Image.open(next(webui.data.rglob("*-before-color-correction.png"))).convert("RGB"))
    around = outside_of(MASK.filter(ImageFilter.MaxFilter(41)), padding=0)  # there the decoded image is shown unchanged
    assert (saved[around] == np.asarray(IMAGE)[around]).all()
    assert (saved > 0).any(-1).mean() > 0.95


@pytest.mark.parametrize("only_masked", [False, True])
def test_returned_masks_are_the_pixels_shown(webui, only_masked):
    result = webui.inpaint(IMAGE, MASK, [True], inpaint_full_res=only_masked,
                           options={"return_mask": True, "return_mask_composite": True})
    inpainted, mask, masked = result.images
    outside = outside_of(MASK, padding=32 if only_masked else None)
    assert (mask[outside] == 0).all()
    assert mask[np.asarray(MASK) == 255].mean() > 200
    assert (masked[outside] == 0).all()
    assert_inpainted(inpainted, IMAGE, MASK, outside)


@pytest.mark.parametrize("only_masked", [False, True])
def test_ten_rounds_keep_pixels_that_no_mask_reached(webui, only_masked):
    """Each result is the start of the next run with a moved mask. Any decay elsewhere would grow with every round."""
    image = original = drawn_image()
    untouched = np.ones(np.asarray(original).shape[:2], bool)
    for number in range(10):
        mask = drawn_disc(radius=14, x=0.15 + 0.07 * number, y=0.25 + 0.05 * (number % 3))
        untouched &= distance_transform_edt(np.asarray(mask) == 0) > 2.4 * 4
        result = webui.inpaint(image, mask, [{"feather_source": "Mask blur"}], inpaint_full_res=only_masked, steps=4,
                               seed=number)
        image = Image.fromarray(result.images[0])
    assert untouched.mean() > 0.5
    assert (np.asarray(image)[untouched] == np.asarray(original)[untouched]).all()
    assert (np.asarray(image)[~untouched] != np.asarray(original)[~untouched]).mean() > 0.5
