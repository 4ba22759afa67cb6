"""Peak and mean of the latent mask in painted discs, under each Mask blur: the feather outward, and the plain blur.

    .venv/bin/python -m benchmarks.masks
"""
from __future__ import annotations

import numpy as np

from lib_softinpaint.mask import host_blur, repaint_mask, to_latent
from lib_softinpaint.request import LATENT_PX
from lib_softinpaint.settings import Settings

RADII_PX, BLURS_PX, SIDE = (16, 32, 64, 128), (4, 8, 16, 32, 64), 768


def table() -> str:
    """Markdown: for each radius and blur the peak and mean over the latent pixels that the disc touches, ours / plain."""
    lines = ["| disc radius | " + " | ".join(f"blur {blur}" for blur in BLURS_PX) + " |", "|---" * (len(BLURS_PX) + 1) + "|"]
    rows, columns = np.ogrid[:SIDE, :SIDE]
    for radius in RADII_PX:
        disc = ((rows - SIDE // 2) ** 2 + (columns - SIDE // 2) ** 2 < radius ** 2).astype(np.float32)
        touched = to_latent(disc, SIDE // LATENT_PX, SIDE // LATENT_PX) > 0
        cells = []
        for blur in BLURS_PX:
            latents = [to_latent(mask, SIDE // LATENT_PX, SIDE // LATENT_PX)[touched]
                       for mask in (repaint_mask(disc, Settings(enabled=True), blur), host_blur(disc, blur))]
            cells.append(" / ".join(f"{latent.max():.2f}, {latent.mean():.2f}" for latent in latents))
        lines.append(f"| {radius} px | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
