"""Requests as other people's clients send them, built by their own code in the versions that SOFTINPAINT_EXTENSIONS holds."""
import ast
import json
import os
import re
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.webui import extensions
from tests.webui.host import drawn_disc, drawn_image
from tests.webui.test_requests import same, soft_keys
from tests.webui.test_runs import assert_inpainted, outside_of

pytestmark = [pytest.mark.every_host, pytest.mark.usefixtures("clean_log")]

IMAGE, MASK = drawn_image(), drawn_disc()

WEBUIAPI = """
import json, sys
import webuiapi
from PIL import Image
port, image, mask, arguments, made = sys.argv[1:]
api = webuiapi.WebUIApi(port=int(port), sampler="Euler a", steps=6)
result = api.img2img(images=[Image.open(image)], mask_image=Image.open(mask), prompt="a house on a hill", seed=1, width=256,
                     height=256, inpainting_fill=1, inpaint_full_res=False, inpaint_full_res_padding=32,
                     alwayson_scripts={"Soft Inpainting": {"args": json.loads(arguments)}})
result.image.save(made)
print(result.info["infotexts"][0])
"""


@pytest.mark.parametrize("arguments", [[True], [{"preservation_strength": 0.1}], [True, 1, 0.1, 4, 0, 0.5, 2]])
def test_webuiapi(webui, tmp_path, arguments):
    if not list((extensions.folder() or tmp_path).glob(f"{extensions.PACKAGES}/webuiapi")):
        pytest.skip(f"SOFTINPAINT_EXTENSIONS has no {extensions.PACKAGES}/webuiapi")
    IMAGE.save(tmp_path / "image.png")
    MASK.save(tmp_path / "mask.png")
    files = [str(tmp_path / name) for name in ("image.png", "mask.png", "made.png")]
    printed = subprocess.run([webui.host.python, "-c", WEBUIAPI, str(webui.port), *files[:2], json.dumps(arguments), files[2]],
                             env={**os.environ, "PYTHONPATH": extensions.python_path()}, check=True, capture_output=True,
                             text=True).stdout
    ours = webui.inpaint(IMAGE, MASK, arguments, denoising_strength=0.75)
    made = np.asarray(Image.open(files[2]).convert("RGB"))
    assert_inpainted(made, IMAGE, MASK)
    assert np.abs(made.astype(int) - ours.images[0]).max() <= webui.rounding
    assert soft_keys(printed.strip()) == soft_keys(ours.infotexts[0])


def test_a_krita_client_sends_seven_arguments(webui):
    """cyanic-sd-krita."""
    source = (extensions.checkout(extensions.CYANIC) / "cyanic/widgets/soft_inpaint.py").read_text(encoding="utf8")
    built = next(node for node in ast.walk(ast.parse(source))
                 if isinstance(node, ast.FunctionDef) and node.name == "get_generation_data")
    names = {}
    exec(compile(ast.Module([built], []), "soft_inpaint.py", "exec"), names)
    values = {"schedule_bias": 1.5, "preservation_strength": 0.25, "transition_contrast_boost": 3, "mask_influence": 0.1,
              "difference_threshold": 1, "difference_contrast": 1.5}
    widget = SimpleNamespace(enabled=True, variables=values, save_settings=lambda: None)
    (title, script), = names["get_generation_data"](widget)["alwayson_scripts"].items()
    result = webui.inpaint(IMAGE, MASK, script["args"], title=title)
    assert_inpainted(result.images[0], IMAGE, MASK)
    keys = soft_keys(result.infotexts[0])
    assert {name: float(keys[name.replace("_", " ")]) for name in values} == values


OPENOUTPAINT = """
const extensions = {alwaysOnScripts: true};
%s
const state = JSON.parse(process.argv[1]);
buildAlwaysOnScripts(state);
addSoftInpaintingToAlwaysOnScripts(state);
console.log(JSON.stringify({...stableDiffusionData, alwayson_scripts: state.alwayson_scripts}));
"""


@pytest.mark.parametrize("sliders", [{}, {"softInpaintTransitionContrastBoost": 0, "softInpaintPreservationStrength": 0}])
def test_openoutpaint_extends_an_image(webui, sliders):
    """Its request is for DDIM and latent noise without Mask blur. A slider that was never moved is null, and the contrast
    boost may be 0, which is out of range."""
    if shutil.which("node") is None:
        pytest.skip("node is not on the PATH")
    folder = extensions.checkout(extensions.OPENOUTPAINT) / "js"
    dream, index = ((folder / name).read_text(encoding="utf8") for name in ("ui/tool/dream.js", "index.js"))
    parts = [re.search(r"^var stableDiffusionData = \{.*?^\};", index, re.DOTALL | re.MULTILINE)[0],
             *(re.search(rf"^function {name}\(.*?^\}}", dream, re.DOTALL | re.MULTILINE)[0]
               for name in ("buildAlwaysOnScripts", "addSoftInpaintingToAlwaysOnScripts"))]
    state = json.dumps({"softInpaint": True, **sliders})
    code = OPENOUTPAINT % "\n".join(parts)
    body = json.loads(subprocess.run(["node", "-e", code, state], check=True, capture_output=True, text=True).stdout)
    args = body["alwayson_scripts"]["Soft Inpainting"]["args"]
    assert args[0] is True
    assert args.count(None) == 6 - len(sliders)
    canvas, mask = (Image.new("RGBA", IMAGE.size, (0, 0, 0, 255)) for _ in range(2))
    canvas.paste(IMAGE.crop((0, 0, 192, 256)))
    mask.paste((255, 255, 255, 255), (192, 0, 256, 256))
    fields = {name: body[name] for name in ("denoising_strength", "mask_blur", "inpaint_full_res", "sampler_index")}
    result = webui.inpaint(canvas, mask, args, sampler_name=body["sampler_index"], inpainting_fill=body["outpainting_fill"],
                           **fields)
    assert len(result.images) == 1
    assert_inpainted(result.images[0], canvas.convert("RGB"), mask.convert("L"), outside_of(mask.convert("L")))
    assert result.images[0][:, 208:].mean() > 40
    assert "NaN" not in result.infotexts[0]
    if sliders:
        assert "Transition contrast boost must be from 1 to 32, got 0; 1 is used instead." in result.infotexts[0]
    else:
        assert same(result, webui.inpaint(canvas, mask, [True], sampler_name="DDIM", inpainting_fill=2, denoising_strength=1,
                                          mask_blur=0))
