"""Makes the images of docs/tutorial.md: draws the masks, and runs the page's commands.

Run `python -m docs.scripts.tutorial [FOLDER]`, then look at all. The commands' own results stay in the folder, by default a
temporary one.
"""
from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from PIL import Image, ImageDraw

from docs.scripts.pages import ROOT, blocks_of
from lib_softinpaint.cli import main as cli
from lib_softinpaint.images.sheet import side_by_side

IMAGES = ROOT / "docs" / "images" / "tutorial"

STROKES = {
    "squiggle": (18, [(330, 270), (350, 300), (325, 330), (352, 360), (330, 395)]),
    "cloud": (76, [(390, 128), (425, 118), (475, 98), (511, 105), (511, 142), (392, 142)]),
    "house": (112, [(195, 330), (295, 335)]),
    "detail": (44, [(205, 272), (250, 268), (300, 275)])}
"""Brush width and points of each mask, in pixels of the image."""

SIDE, TILE_PX, MARK = 512, 300, (255, 60, 60)


def mask(name: str) -> Image.Image:
    width, points = STROKES[name]
    drawn = Image.new("L", (SIDE, SIDE))
    pen = ImageDraw.Draw(drawn)
    pen.line(points, fill=255, width=width, joint="curve")
    for x, y in points:
        pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
    return drawn


def marked(image: Image.Image, painted: Image.Image) -> Image.Image:
    """The image with what was painted in one colour."""
    return Image.composite(Image.new("RGB", image.size, MARK), image.convert("RGB"), painted.convert("L"))


def tile(image: Image.Image) -> Image.Image:
    return image.convert("RGB").resize((TILE_PX, TILE_PX), Image.Resampling.LANCZOS)


def run(folder: Path) -> None:
    """Runs the page's commands in a folder with what they need."""
    for name in ("demo/image.png", "demo/mask.png", *(f"docs/images/tutorial/{name}.png" for name in STROKES)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    os.chdir(folder)
    for block in blocks_of((ROOT / "docs" / "tutorial.md").read_text(encoding="utf8"), "sh"):
        words = shlex.split(block.replace("\\\n", " "))[2:]
        print(shlex.join(words), flush=True)
        if code := cli.main(words):
            sys.exit(code)


def figures(folder: Path) -> dict[str, Image.Image]:
    def made(name: str) -> Image.Image:
        return Image.open(folder / name)
    original = made("demo/image.png")
    sheet = made("squiggle/image-sheet.png").convert("RGB")
    sheet_size = 3 * TILE_PX, round(sheet.height * 3 * TILE_PX / sheet.width)
    return {
        "painted": side_by_side({"original": tile(original), "what was painted": tile(marked(original, mask("squiggle")))}),
        "squiggle": sheet.resize(sheet_size, Image.Resampling.LANCZOS),
        "recomposite": side_by_side({"the best candidate": tile(made("squiggle/image-1.png")),
                                     "only what changed much": tile(made("clearer.png"))}),
        "edits": side_by_side({
            "original, painted": tile(marked(original, made("demo/mask.png"))),
            "added; next: the cloud": tile(marked(made("added.png"), mask("cloud"))),
            "removed; next: the house": tile(marked(made("removed.png"), mask("house"))),
            "recoloured; next: the roof": tile(marked(made("recoloured.png"), mask("detail"))),
            "retouched": tile(made("repaired.png"))}, 3)}


def main(folder: str | None = None) -> None:
    place = Path(folder or mkdtemp()).absolute()
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name in STROKES:
        mask(name).convert("1").save(IMAGES / f"{name}.png")
    run(place)
    for name, figure in figures(place).items():
        figure.save(IMAGES / f"{name}.webp", quality=90, method=6)
        print(IMAGES / f"{name}.webp", np.prod(figure.size), (IMAGES / f"{name}.webp").stat().st_size)


if __name__ == "__main__":
    main(*sys.argv[1:])
