"""Likely problems with a request, in one sentence each."""
from __future__ import annotations

from lib_softinpaint.geometry import Size

LEAST_STRENGTH = 0.1
"""Denoising strength below which the image comes back unchanged."""

LEAST_STRENGTH_OF_NOISE = 0.7
"""Denoising strength below which a latent fill still shows: as noise, or as flat brown."""

LEAST_CONTEXT_PX, HIGH_STRENGTH = 16, 0.8
"""With Only masked: below this padding and above this denoising strength, the model cannot tell what surrounds the mask."""

LARGEST_STRETCH = 0.02
"""Relative change of the aspect ratio below which the eye does not notice."""

EMPTY = "The mask is empty: nothing is inpainted."
EMPTY_OF_ALL = "The mask is empty: the WebUI repaints the whole image."


def advice(denoising_strength: float, masked_content: str, padding_px: int | None, image: Size, working: Size) -> list[str]:
    """Sentences about a request; most requests get none.

    Parameters
    ----------
    masked_content
        "fill", "original", "latent noise" or "latent nothing".
    padding_px
        Only masked padding; None if the whole image is inpainted.
    image, working
        Size of the image, and the size to which it is stretched for the model.
    """
    sentences = []
    if denoising_strength < LEAST_STRENGTH:
        sentences.append(f"Denoising strength {denoising_strength:g} changes almost nothing; new content needs 0.4 or more.")
    elif masked_content.startswith("latent") and denoising_strength < LEAST_STRENGTH_OF_NOISE:
        sentences.append(f"Masked content {masked_content} needs a denoising strength of {LEAST_STRENGTH_OF_NOISE} or more, "
                         f"got {denoising_strength:g}; the fill will show through.")
    if padding_px is None:
        stretch = working.width * image.height / (working.height * image.width)
        if abs(stretch - 1) > LARGEST_STRETCH:
            sentences.append(f"Width and height {working} stretch the image, which is {image}.")
    elif padding_px < LEAST_CONTEXT_PX and denoising_strength > HIGH_STRENGTH:
        sentences.append(f"Only masked with padding {padding_px} shows the model too little around the mask; at denoising "
                         f"strength {denoising_strength:g}, new content may not fit in.")
    return sentences
