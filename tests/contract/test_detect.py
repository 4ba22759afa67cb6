"""On which hosts the extension runs, judging by the names recorded from their sources."""
import json
import sys
import types
from pathlib import Path

import pytest
import torch
from PIL import Image

from lib_softinpaint.hosts.webui import detect

HOSTS = json.loads((Path(__file__).parent / "hosts.json").read_text())
"""For each host: the names in each module (functions and classes with their parameters), the attributes of two classes, and
the calls in the denoiser's file. Recorded by `python -m tests.contract.surface`."""

LACKING = {"AUTOMATIC1111 1.7.0": "scripts.MaskBlendArgs"}


def stand_in(package, recorded, folder):
    """Modules with the recorded names, and the denoiser's file."""
    modules = {package: types.ModuleType(package)}
    for name, names in recorded["modules"].items():
        module = modules[f"{package}.{name}"] = types.ModuleType(f"{package}.{name}")
        for each, parameters in names.items():
            scope = {}
            exec(f"def made({', '.join(parameters or [])}): pass", scope)
            setattr(module, each, scope["made"])
    for (module, name), attributes in zip((("scripts", "Script"), ("processing", "StableDiffusionProcessingImg2Img")),
                                          recorded["classes"]):
        setattr(modules[f"{package}.{module}"], name, type(name, (), dict.fromkeys(attributes)))
    denoiser = folder / "denoiser.py"
    denoiser.write_text("\n".join(recorded["denoiser_calls"]))
    modules[f"{package}.sd_samplers_cfg_denoiser"].__file__ = str(denoiser)
    return modules


@pytest.fixture
def use(monkeypatch, tmp_path):
    """Puts modules with a host's recorded names in place of the host's."""
    def put(host):
        modules = stand_in("stand_in", HOSTS[host], tmp_path)
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        return modules
    return put


@pytest.mark.parametrize("host", HOSTS)
def test_supported_hosts_pass_and_missing_names_are_reported(use, host):
    use(host)
    lacking = detect.missing("stand_in")
    if host in LACKING:
        assert LACKING[host] in lacking
    else:
        assert lacking == []


@pytest.mark.parametrize("host", sorted(HOSTS.keys() - LACKING))
def test_the_accordion_says_what_does_not_work(use, host):
    modules = use(host)
    black_and_white = [detect.BLACK_AND_WHITE] if host in ("Forge main", "Forge Neo 2.26") else []
    assert detect.limits("stand_in") == black_and_white
    del modules["stand_in.scripts"].Script.on_after_component
    del modules["stand_in.images"].save_image
    del modules["stand_in.infotext_utils"].parse_generation_parameters  # the same sentence, once
    assert detect.missing("stand_in") == []
    assert detect.limits("stand_in") == [
        "Presets only change the settings below, and results cannot be re-composited.",
        "Re-composited images cannot be saved.", *black_and_white]


class OneBlur:
    """Forge Neo's processing object."""

    mask_blur_x = mask_blur_y = property(lambda p: p.mask_blur)


class TwoBlurs:
    mask_blur_x = mask_blur_y = 4


def test_mask_blur_is_set_where_it_can_be():
    assert detect.blur_fields(OneBlur()) == ("mask_blur",)
    assert detect.blur_fields(TwoBlurs()) == ("mask_blur_x", "mask_blur_y")


@pytest.mark.parametrize(("model", "takes_the_mask"), [
    (types.SimpleNamespace(model=types.SimpleNamespace(conditioning_key="hybrid")), True),
    (types.SimpleNamespace(model=types.SimpleNamespace(conditioning_key="crossattn")), False),
    (types.SimpleNamespace(is_sdxl_inpaint=True), True), (types.SimpleNamespace(is_inpaint=True), True),
    (types.SimpleNamespace(is_inpaint=False, model=None), False)])
def test_inpainting_models_are_recognised(model, takes_the_mask):
    assert detect.is_inpainting_model(model) is takes_the_mask


@pytest.mark.parametrize("shape", [(1, 4, 64, 96), (1, 128, 32, 48), (1, 16, 1, 64, 96)])
def test_the_latent_scale_is_that_of_the_latent(shape):
    p = types.SimpleNamespace(width=768, height=512, init_latent=torch.zeros(shape))
    assert detect.latent_scale(p) == (16 if shape[1] == 128 else 8)


def test_gallery_entries_of_gradio_3_and_4():
    described, image = {"name": "images/one.png?123"}, Image.new("RGB", (2, 2))
    image.filename = "images/two.png"
    assert detect.gallery_file([described, "caption"]) == (described, "images/one.png")
    assert detect.gallery_file((image, None)) == (image, "images/two.png")
    assert detect.gallery_file((Image.new("RGB", (2, 2)), None))[1] == ""


def test_the_class_of_axes_is_found_where_the_plot_keeps_it():
    class Axis:
        is_img2img = True
    assert detect.axis_class(types.SimpleNamespace(axis_options=[object(), Axis()])) is Axis
    assert detect.axis_class(types.SimpleNamespace(axis_options=[object()], AxisOptionImg2Img=Axis)) is Axis
    assert detect.axis_class(types.SimpleNamespace(axis_options=[object()])) is None
    assert detect.axis_class(types.SimpleNamespace(other=1)) is None
