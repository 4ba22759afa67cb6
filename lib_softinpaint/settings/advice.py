"""Likely problems with a request, in one sentence each."""
from __future__ import annotations

from lib_softinpaint.geometry import Size

LEAST_STRENGTH = 0.1
"""Denoising strength below which the image comes back unchanged."""

LEAST_STRENGTH_OF_NOISE = 0.7
"""Denoising strength below which a latent fill still shows: as noise, or as flat brown."""

LEAST_CONTEXT_PX, HIGH_STRENGTH = 16, 0.8
"""With Only masked, below this padding and above this denoising strength, the model cannot see what surrounds the mask."""

LARGEST_STRETCH = 0.02
"""Relative change of the aspect ratio below which the eye does not notice."""

EMPTY = "The mask is empty, so nothing will be inpainted."
EMPTY_OF_ALL = "The mask is empty, so the WebUI will repaint the whole image."


def advice(denoising_strength: float, masked_content: str, padding_px: int | None, image: Size, working: Size) -> list[str]:
    """Sentences about a request; most requests get none.

    Parameters
    ----------
    masked_content
        "fill", "original", "latent noise" or "latent nothing", or one of our own.
    padding_px
        Only masked padding; None if the whole image is inpainted.
    image, working
        Size of the image, and the size to which it is stretched for the model.
    """
    sentences = []
    if denoising_strength < LEAST_STRENGTH:
        sentences.append(f"Denoising strength {denoising_strength:g} changes almost nothing; new content needs 0.4 or more.")
    elif masked_content.startswith("latent") and denoising_strength < LEAST_STRENGTH_OF_NOISE:
        sentences.append(f"Masked content {masked_content} needs denoising strength {LEAST_STRENGTH_OF_NOISE} or more. At "
                         f"{denoising_strength:g} the fill will show through.")
    if padding_px is None:
        stretch = working.width * image.height / (working.height * image.width)
        if abs(stretch - 1) > LARGEST_STRETCH:
            sentences.append(f"Width and height ({working}) stretch the image ({image}).")
    elif padding_px < LEAST_CONTEXT_PX and denoising_strength > HIGH_STRENGTH:
        sentences.append(f"With padding {padding_px}, the model sees too little around the mask. At denoising strength "
                         f"{denoising_strength:g}, new content may not fit in.")
    return sentences
