import numpy as np
import pytest
import torch

from lib_softinpaint.method.cielab import lab
from lib_softinpaint.method.content import prepared, with_extra_noise, without_chroma

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
MASK = np.zeros((24, 32), np.float32)
MASK[6:18, 8:24] = 1


def test_recolour_keeps_lightness_drops_chroma_and_leaves_the_rest():
    grey = without_chroma(IMAGE, MASK)
    assert grey.dtype == np.uint8
    np.testing.assert_array_equal(grey[MASK == 0], IMAGE[MASK == 0])
    before, after = (lab(image)[:, MASK == 1].numpy() for image in (IMAGE, grey))
    assert np.abs(after[1:]).max() < 0.1
    assert np.abs(after[0] - before[0]).max() < 0.3  # rounding to 8 bits
    half = without_chroma(IMAGE, MASK / 2).astype(float)
    assert np.abs(half - (IMAGE.astype(float) + grey) / 2).max() <= 1


@pytest.mark.parametrize("content", ["local fill", "recolour"])
def test_prepared_content_replaces_only_the_masked_area(content):
    changed = (prepared(IMAGE, MASK, content) != IMAGE).any(-1)
    assert not changed[MASK == 0].any()
    assert changed[MASK == 1].mean() > 0.9


def test_the_hosts_content_is_left_to_the_host():
    assert prepared(IMAGE, MASK, "host's") is IMAGE


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_extra_noise_is_as_strong_as_the_mask(dtype):
    latent = torch.zeros(1, 4, 64, 96, dtype=dtype)
    repaint = torch.linspace(0, 1, 3).repeat_interleave(32).view(1, 1, 1, 96).expand(1, 1, 64, 96)
    noisy = with_extra_noise(latent, repaint, 0.4, [1, 2])
    assert noisy.shape == (2, 4, 64, 96)
    assert noisy.dtype == dtype
    deviations = noisy.float().view(2, 4, 64, 3, 32).std((0, 1, 2, 4))
    torch.testing.assert_close(deviations, torch.tensor([0, 0.2, 0.4]), atol=0.01, rtol=0)
    assert not latent.any()


def test_extra_noise_depends_on_the_seed_alone_and_is_not_the_samplers():
    latent, repaint = torch.zeros(1, 4, 8, 8), torch.ones(1, 1, 8, 8)
    both = with_extra_noise(latent, repaint, 1, [1, 2])
    assert torch.equal(with_extra_noise(latent, repaint, 1, [2])[0], both[1])
    drawn = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(1))
    assert abs(float((both[0] * drawn).mean())) < 0.2
