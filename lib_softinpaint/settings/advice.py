"""What is likely to disappoint about a request, in one sentence each."""
from __future__ import annotations

from lib_softinpaint.geometry import Size

LEAST_STRENGTH = 0.1
"""Denoising strength below which the picture comes back as it was."""

LEAST_STRENGTH_OF_NOISE = 0.7
"""Denoising strength below which what a latent fill put there is still seen: noise, or a brown flat."""

LEAST_CONTEXT_PX, HIGH_STRENGTH = 16, 0.8
"""With Only masked: less around the mask, at a higher denoising strength, and the model cannot know where it paints."""

LARGEST_STRETCH = 0.02
"""Share by which width to height may differ from the picture's before the eye sees it."""

EMPTY = "The mask is empty: nothing is inpainted."
EMPTY_OF_ALL = "The mask is empty: the WebUI repaints the whole picture."


def advice(denoising_strength: float, masked_content: str, padding_px: int | None, picture: Size, working: Size) -> list[str]:
    """Sentences about a request, none for most.

    Parameters
    ----------
    masked_content
        "fill", "original", "latent noise" or "latent nothing".
    padding_px
        Only masked padding; None where the whole picture is inpainted.
    picture, working
        Size of the picture, and the one at which the model works where it stretches the picture to that.
    """
    sentences = []
    if denoising_strength < LEAST_STRENGTH:
        sentences.append(f"Denoising strength {denoising_strength:g} changes next to nothing; new content needs 0.4 and more.")
    elif masked_content.startswith("latent") and denoising_strength < LEAST_STRENGTH_OF_NOISE:
        sentences.append(f"Masked content {masked_content} needs a denoising strength of {LEAST_STRENGTH_OF_NOISE} or more, "
                         f"got {denoising_strength:g}: what it fills in will show.")
    if padding_px is None:
        stretch = working.width * picture.height / (working.height * picture.width)
        if abs(stretch - 1) > LARGEST_STRETCH:
            sentences.append(f"Width and height {working} stretch the picture, which is {picture}.")
    elif padding_px < LEAST_CONTEXT_PX and denoising_strength > HIGH_STRENGTH:
        sentences.append(f"Only masked with a padding of {padding_px} shows the model little around the mask; at denoising "
                         f"strength {denoising_strength:g} what it paints may not belong there.")
    return sentences
