import pytest
import torch

from benchmarks import reference
from lib_softinpaint.method.blend import blend, channel_norm
from tests.tolerances import TOLERANCE


def latents(seed=0, shape=(2, 4, 5, 6)):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)


def share_of(shape=(1, 1, 5, 6)):
    return torch.linspace(0, 1, 30).view(shape)


@pytest.mark.parametrize("boost", [1.0, 1.5, 4.0, 8.0])
def test_it_equals_the_float64_definition(boost):
    original, denoised = latents()
    share = share_of()
    grey = (share > 0) & (share < 1)
    wanted = reference.blend(original.double(), denoised.double(), share, boost).float()
    got = blend(original, channel_norm(original), denoised, share, boost)
    torch.testing.assert_close(torch.where(grey, got, 0), torch.where(grey, wanted, 0),
                               atol=TOLERANCE[torch.float32], rtol=TOLERANCE[torch.float32])


def test_the_ends_are_bit_exact():
    original, denoised = latents()
    ends = torch.tensor([0.0, 1.0]).repeat(15).view(1, 1, 5, 6)
    got = blend(original, channel_norm(original), denoised, ends, 4.0)
    assert torch.equal(got, torch.where(ends == 1, denoised, original))


def test_large_latents_and_the_largest_boost_do_not_overflow():
    original, denoised = latents()
    got = blend(1e3 * original, channel_norm(1e3 * original), 50 * denoised, share_of(), 32.0)
    assert torch.isfinite(got).all()


def test_zero_latents_give_zero():
    nothing = torch.zeros(1, 4, 5, 6)
    assert torch.equal(blend(nothing, channel_norm(nothing), nothing, share_of(), 4.0), nothing)


def test_orthogonal_vectors_keep_their_length():
    original, denoised = torch.zeros(1, 4, 1, 1), torch.zeros(1, 4, 1, 1)
    original[0, 0], denoised[0, 1] = 2, 2
    got = blend(original, channel_norm(original), denoised, torch.full((1, 1, 1, 1), 0.5), 4.0)
    assert channel_norm(got).item() == pytest.approx(2, rel=1e-4)  # lerp alone gives 1.41
    assert torch.lerp(original, denoised, 0.5).norm().item() == pytest.approx(2 ** 0.5)


def test_blend_does_not_modify_its_arguments():
    original, denoised = latents()
    copies = original.clone(), denoised.clone()
    norm = channel_norm(original)
    got = blend(original, norm, denoised, share_of(), 4.0)
    got.add_(1)  # LCM writes into its argument
    assert torch.equal(original, copies[0])
    assert torch.equal(denoised, copies[1])
    assert torch.equal(norm, channel_norm(original))


def test_a_batch_equals_its_items():
    original, denoised = latents()
    together = blend(original, channel_norm(original), denoised, share_of(), 4.0)
    apart = [blend(one, channel_norm(one), other, share_of(), 4.0) for one, other in zip(original[:, None], denoised[:, None])]
    assert torch.equal(together, torch.cat(apart))
