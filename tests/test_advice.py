import pytest

from lib_softinpaint.geometry import Size
from lib_softinpaint.settings.advice import advice

QUIET = {"denoising_strength": 0.75, "masked_content": "original", "padding_px": None, "image": Size(512, 512),
         "working": Size(512, 512)}


def test_an_ordinary_request_gets_no_advice():
    assert advice(**QUIET) == []
    assert advice(**{**QUIET, "denoising_strength": 1.0, "masked_content": "latent noise"}) == []
    assert advice(**{**QUIET, "padding_px": 32, "working": Size(768, 512), "denoising_strength": 1.0}) == []
    assert advice(**{**QUIET, "image": Size(512, 515)}) == []


def test_at_each_limit_there_is_none_and_just_beyond_it_one():
    def count(**changes):
        return len(advice(**{**QUIET, **changes}))
    assert [count(denoising_strength=strength) for strength in (0.09, 0.1)] == [1, 0]
    assert [count(masked_content="latent nothing", denoising_strength=strength) for strength in (0.69, 0.7)] == [1, 0]
    assert [count(padding_px=padding, denoising_strength=0.9) for padding in (15, 16)] == [1, 0]
    assert [count(padding_px=0, denoising_strength=strength) for strength in (0.8, 0.81)] == [0, 1]
    assert [count(image=Size(1000, 1000), working=Size(1000, width)) for width in (979, 981, 1019, 1021)] == [1, 0, 0, 1]


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"denoising_strength": 0.05}, "Denoising strength 0.05 changes almost nothing; new content needs 0.4 or more."),
    ({"masked_content": "latent noise", "denoising_strength": 0.5},
     "Masked content latent noise needs denoising strength 0.7 or more. At 0.5 the fill will show through."),
    ({"working": Size(768, 512)}, "Width and height (512x768) stretch the image (512x512)."),
    ({"padding_px": 0, "denoising_strength": 0.9},
     "With padding 0, the model sees too little around the mask. At denoising strength 0.9, new content may "
     "not fit in.")])
def test_each_likely_problem_gets_one_sentence(changes, sentence):
    assert advice(**{**QUIET, **changes}) == [sentence]
