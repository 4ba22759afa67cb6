"""Compares the images of two checkouts byte for byte, from the command line, the pipeline and a real WebUI.

    python tests/same_pixels.py BEFORE AFTER

Each is a checkout of this repository. SOFTINPAINT_WEBUI names the WebUI, as for tests/webui; without it, that part is
skipped. Exits with 1 if any image differs.
"""
from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

COMMANDS = {
    "usual": ["--seed", "5", "--steps", "4"],
    "hard": ["--seed", "5", "--steps", "4", "--no-enabled"],
    "only masked": ["--seed", "5", "--steps", "4", "--inpaint-area", "Only masked", "--masked-area-padding", "16"],
    "kept": ["--seed", "5", "--steps", "4", "--keep", "--mask-blur", "12"],
}
"""Options of the inpaint command."""

RECOMPOSITES = (["--edge-taper-px", "4"], ["--least-opacity", "0", "--mask-influence", "0.5"], ["--grain", "1"],
                ["--feather-source", "own", "--feather-width", "9"], ["--grow-px", "-6", "--drift-correction", "0"])
"""Options of the recomposite command, for the kept image."""

PIPELINE = """
import hashlib, json, sys, warnings
warnings.simplefilter("ignore")
import numpy as np
from PIL import Image
from pathlib import Path
from lib_softinpaint import Settings, soft_inpaint
place = next(each for each in (Path("demo/image.png"), Path("demo/picture.png")) if each.exists())  # the old name
image, mask = Image.open(place), Image.open("demo/mask.png")
clear = image.convert("RGBA")
clear.putalpha(Image.fromarray(np.uint8(np.indices((image.height, image.width)).sum(0) % 256)))
cases = {f"settings {soft}": dict(settings=Settings(enabled=True, **soft)) for soft in (
    {}, {"schedule_bias": 3.0, "preservation_strength": 1.5}, {"threshold_mix": 1.0}, {"threshold_mix": 0.5},
    {"feather_source": "own", "feather_width": 20.0}, {"feather_source": "own", "feather_unit": "% of the mask"},
    {"feather_source": "host"}, {"grow_px": 9.0}, {"grow_px": -5.0}, {"automatic_threshold": True, "least_opacity": 0.0},
    {"grain": 1.0, "drift_correction": 0.5}, {"conditioning_mask": "hard"}, {"edge_taper_px": 0.0})}
cases |= {f"sampler {name}": dict(sampler=name) for name in (
    "Euler", "DPM++ 2M", "DPM++ 2M SDE", "Heun", "LMS", "DPM2", "DPM2 a", "DDIM", "UniPC", "LCM", "PLMS")}
cases |= {f"content {name}": dict(masked_content=name) for name in ("fill", "latent noise", "latent nothing")}
cases |= {"only masked": dict(inpaint_area="Only masked"), "wide": dict(width=320, height=192),
          "not masked": dict(mask_mode="Inpaint not masked"), "noisy mask": dict(), "transparent": dict()}
found = {}
for name, changes in cases.items():
    start = clear if name == "transparent" else image
    painted = mask
    if name == "noisy mask":
        grey = np.asarray(mask.convert("L")).astype(int) + np.random.default_rng(0).integers(0, 8, mask.size[::-1])
        painted = Image.fromarray(np.uint8(grey.clip(0, 255)))
    made = soft_inpaint(start, painted, "a house", seed=3, steps=4, **{"sampler": "Euler a", **changes})
    found[name] = hashlib.sha256(repr(made.size).encode() + made.mode.encode() + made.tobytes()).hexdigest()[:16]
print(json.dumps(found))
"""

WEBUI = """
import hashlib, json
from tests.webui import family, host
# Older checkouts say drawn_picture and result.pictures.
drawn_image = getattr(host, "drawn_image", None) or host.drawn_picture
image, mask = drawn_image(), host.drawn_disc()
found = {}
with host.WebUI(family.a1111(), "same_pixels") as running:
    running.inpaint(image, mask, [True])
    for name, soft, fields in [
            ("usual", [True], {}), ("only masked", [True], {"inpaint_full_res": True}), ("off", None, {}),
            ("timesteps", [True], {"sampler_name": "DDIM"}), ("UniPC", [True], {"sampler_name": "UniPC"}),
            ("LCM", [True], {"sampler_name": "LCM"}), ("2M", [True], {"sampler_name": "DPM++ 2M", "mask_blur": 16}),
            ("fill", [True], {"inpainting_fill": 0}), ("noise", [True], {"inpainting_fill": 2, "denoising_strength": 1}),
            ("batch", [True], {"batch_size": 2}), ("host", [{"feather_source": "host"}], {"mask_blur": 12}),
            ("own", [{"feather_source": "own", "feather_width": 30}], {}), ("grown", [{"grow_px": 8}], {}),
            ("threshold", [{"threshold_mix": 1}], {"sampler_name": "Euler"}), ("grain", [{"grain": 1}], {}),
            ("crop and resize", [True], {"width": 192, "height": 320, "resize_mode": 1}),
            ("latent upscale", [True], {"width": 320, "height": 320, "resize_mode": 3}),
            ("not masked", [True], {"inpainting_mask_invert": 1})]:
        result = running.inpaint(image, mask, soft, steps=4, **fields)
        images = result.images if hasattr(result, "images") else result.pictures
        for number, made in enumerate(images):
            found[f"{name} {number}"] = hashlib.sha256(repr(made.shape).encode() + made.tobytes()).hexdigest()[:16]
print(json.dumps(found))
"""


def made_by(checkout: Path) -> dict[str, str]:
    """Name and hash of each image."""
    found = {f"command line, {name}": value for name, value in _commands(checkout).items()}
    found |= {f"pipeline, {name}": value for name, value in _printed(checkout, PIPELINE).items()}
    if os.environ.get("SOFTINPAINT_WEBUI"):
        found |= {f"WebUI, {name}": value for name, value in _printed(checkout, WEBUI).items()}
    return found


def _printed(checkout: Path, code: str) -> dict[str, str]:
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout, stdout=subprocess.PIPE, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": f"{checkout}{os.pathsep}{checkout / 'demo'}"})
    return json.loads(done.stdout.splitlines()[-1])


def _commands(checkout: Path) -> dict[str, str]:
    found = {}

    def run(name: str, *words: object) -> None:
        target = Path(folder) / f"{name}.png"
        subprocess.run([sys.executable, checkout / "softinpaint.py", *map(str, words), "-o", target, "--force"], cwd=folder,
                       check=True, capture_output=True)
        found[name] = hashlib.sha256(target.read_bytes()).hexdigest()[:16]  # with its infotext
    image = next(each for each in (checkout / "demo/image.png", checkout / "demo/picture.png") if each.exists())
    with tempfile.TemporaryDirectory() as folder:
        for name, options in COMMANDS.items():
            run(name, "inpaint", image, checkout / "demo/mask.png", "--prompt", "a house", *options)
        for options in RECOMPOSITES:
            run(f"recomposite {' '.join(options)}", "recomposite", Path(folder) / "kept.npz", *options)
    return found


def main() -> int:
    before, after = (made_by(Path(each).resolve()) for each in sys.argv[1:3])
    differing = [name for name in before | after if before.get(name) != after.get(name)]
    for name in differing:
        print(f"differs: {name}")
    print(f"{len(before)} images, {len(differing)} differ")
    return bool(differing)


if __name__ == "__main__":
    sys.exit(main())
