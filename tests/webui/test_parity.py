"""With our later options off, results match the built-in's in the same host.

Deliberate differences, each bounded here:
- Pixels outside the mask are not compared: the built-in's opacity spills over the mask's edge, ours ends there.
- Rounding: the built-in truncates opacity to 8 bits and composites premultiplied. This alone moves pixels by up to 2
  levels, less than 1 on average. With the same rounding of our decoded image and mask, the average falls below 0.5.
- Mask values of exactly 0 and 1 are not compared, nor is the reference with a masked content other than "original".
"""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy.ndimage import distance_transform_edt

from benchmarks import peers
from benchmarks.tasks import WHOLE, as_a_fresh_webui_is_set, make_task
from benchmarks.webui import builtin
from lib_softinpaint.method.cielab import lab
from lib_softinpaint.settings.settings import FIELDS
from tests import tiny_models
from tests.webui.host import drawn_disc, drawn_image
from tests.webui.test_requests import GUIDE

pytestmark = [pytest.mark.usefixtures("clean_log"), *tiny_models.KNOWN_WARNINGS]

IMAGE, MASK = drawn_image(), drawn_disc(radius=40)
AS_BUILTIN = [field.builtin for field in FIELDS.values()][7:]
LARGEST, MEAN, MEAN_UNROUNDED = 2, 0.5, 1.0


def composited_as_builtin(decoded, shown):
    """Our decoded image below the original, composited by the host's own 8-bit overlay."""
    overlay = Image.new("RGBa", IMAGE.size)
    overlay.paste(IMAGE.convert("RGBA").convert("RGBa"), mask=ImageOps.invert(Image.fromarray(shown)))
    below = Image.fromarray(decoded).convert("RGBA")
    below.alpha_composite(overlay.convert("RGBA"))
    return np.asarray(below.convert("RGB"))


@pytest.mark.parametrize("soft", [[1, 0.5, 4, 0, 0.5, 2], GUIDE], ids=["defaults", "guide"])
@pytest.mark.parametrize("denoising", [0.5, 0.75, 1.0])
@pytest.mark.parametrize("sampler", ["Euler a", "Euler", "DPM++ 2M", "DPM++ 2M SDE"])
def test_results_match_the_builtin(webui, sampler, denoising, soft):
    request = dict(sampler_name=sampler, denoising_strength=denoising, mask_blur=16, steps=8)
    with_mask, raw = {"return_mask": True}, {"overlay_inpaint": False}
    builtin, builtin_mask = webui.inpaint(
        IMAGE, MASK, [True, *soft], title="Built-in soft inpainting", options=with_mask, **request).images
    ours, mask = webui.inpaint(IMAGE, MASK, [True, *soft, *AS_BUILTIN], options=with_mask, **request).images
    decoded = webui.inpaint(IMAGE, MASK, [True, *soft, *AS_BUILTIN], options=raw, **request).images[0]
    inside = mask[..., 0] > 0
    assert inside.sum() > 10_000
    difference = np.abs(ours.astype(int) - builtin)[inside]
    assert difference.max() <= LARGEST
    assert difference.mean() < MEAN_UNROUNDED
    assert np.abs(mask.astype(int) - builtin_mask)[inside].max() <= 3
    truncated = np.maximum(mask[..., 0], 1) - 1
    rounded_alike = composited_as_builtin(decoded, truncated)
    assert np.abs(rounded_alike.astype(int) - builtin)[inside].mean() < MEAN


def change(one, other, where):
    """Mean CIE76 distance."""
    return np.linalg.norm((lab(one) - lab(other)).numpy(), axis=0)[where].mean()


@pytest.mark.parametrize("content", ["original", "fill"])
@pytest.mark.parametrize(("sampler", "apart"), [("Euler", 2), ("Euler a", 2.5), ("DPM++ 2M", 2), ("DDIM", 15), ("UniPC", 15)])
def test_the_benchmarks_built_in_paints_what_the_real_one_paints(webui, sampler, apart, content):
    """With the same noise. On timestep samplers, both destroy the image."""
    task = replace(make_task("yellow house", "ground"), masked_content=content)
    run = peers.Run(task, WHOLE, sampler, 20, (1,), guidance=7.0)
    (real, paint), = ((names[0], paint) for names, paint in builtin(webui).items())
    theirs = paint(run)[real].results[0]
    ours = peers.PAINTERS[(peers.BUILTIN,)](run)[peers.BUILTIN].results[0]
    assert change(theirs, ours, task.painted) < apart
    for where in (task.painted, ~task.painted):
        assert change(ours, task.image, where) == pytest.approx(change(theirs, task.image, where), rel=0.1, abs=0.15)


def test_the_masked_content_matters_to_the_built_in(webui, monkeypatch):
    """Both blend with it. With the original instead, the images differ more."""
    task = replace(make_task("yellow house", "ground"), masked_content="latent nothing")
    run = peers.Run(task, WHOLE, "Euler", 20, (1,), guidance=7.0)
    (real, paint), = ((names[0], paint) for names, paint in builtin(webui).items())
    theirs = paint(run)[real].results[0]
    near = peers.PAINTERS[(peers.BUILTIN,)](run)[peers.BUILTIN].results[0]
    monkeypatch.setattr(peers.BuiltInPipeline, "_prepared", peers.RecordingPipeline._prepared)
    far = peers.PAINTERS[(peers.BUILTIN,)](run)[peers.BUILTIN].results[0]
    assert change(theirs, far, task.painted) > 3 * change(theirs, near, task.painted)


def test_the_benchmark_sees_what_the_built_in_decodes(webui):
    """Not its composite: the decoded image differs from the original everywhere, and shows in the result's core."""
    task = as_a_fresh_webui_is_set(make_task("yellow house", "replace"))
    run = peers.Run(task, WHOLE, "Euler a", 20, (1,), guidance=7.0)
    outcome, = next(iter(builtin(webui).values()))(run).values()
    result, decoded = outcome.results[0], outcome.decoded[0]
    core = distance_transform_edt(task.painted) > 16
    far = distance_transform_edt(~task.painted) > 40
    assert change(result, decoded, core) < 2 < change(result, task.image, core)
    assert change(result, task.image, far) < 0.1
    assert change(decoded, task.image, far) > 1
