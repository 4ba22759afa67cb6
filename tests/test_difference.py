import numpy as np
import pytest
import torch

from benchmarks import reference
from lib_softinpaint.method.difference import difference_map, percentile_mean, window_weights


@pytest.mark.parametrize("shape", [(9, 12), (5, 5), (3, 4), (1, 7), (1, 1)])
@pytest.mark.parametrize("kind", ["noise", "ties", "zeros and a spot"])
def test_it_equals_the_definition_pixel_by_pixel(shape, kind):
    random = np.random.default_rng(0)
    distance = {"noise": random.random(shape) * 6, "ties": random.integers(0, 3, shape),
                "zeros and a spot": np.pad([[4.0]], [(0, shape[0] - 1), (0, shape[1] - 1)])}[kind].astype(np.float32)
    channels = torch.zeros(1, 4, *shape)
    channels[0, 0] = torch.from_numpy(distance)
    got = difference_map(torch.zeros_like(channels), channels)[0].numpy()
    assert np.abs(got - reference.difference_map(distance)).max() < 1e-5


def test_the_kernel_matches_the_definition():
    offsets, wanted = window_weights(), reference.kernel()
    assert len(offsets) == 25
    assert {weight for row, column, weight in offsets if row == column == 0} == {1.0}
    for row, column, weight in offsets:
        assert weight == pytest.approx(wanted[row + 2, column + 2])


def test_a_constant_map_stays_constant_up_to_the_border():
    constant = torch.full((1, 6, 7), 3.0)
    torch.testing.assert_close(percentile_mean(percentile_mean(constant, 0.9, 1.0), 0.25, 0.75), constant)


def test_the_first_filter_spreads_a_spot_and_the_second_drops_it():
    spot = torch.zeros(1, 9, 9)
    spot[0, 4, 4] = 1
    strongest = percentile_mean(spot, 0.9, 1.0)
    assert strongest[0, 4, 4] == pytest.approx(1)
    assert strongest[0, 4, 5] > 0.6
    assert percentile_mean(spot, 0.25, 0.75).max() == 0


def test_a_batch_equals_its_items_and_many_rows_equal_few(monkeypatch):
    latents = torch.randn(2, 3, 4, 16, 11, generator=torch.Generator().manual_seed(0))
    together = difference_map(*latents)
    assert together.dtype == torch.float32
    torch.testing.assert_close(together, torch.cat([difference_map(*latents[:, item:item + 1]) for item in range(3)]))
    monkeypatch.setattr("lib_softinpaint.method.difference.PIXELS_AT_ONCE", 1)
    torch.testing.assert_close(together, difference_map(*latents))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_dtype_is_measured_in_float32(dtype):
    latents = torch.randn(2, 1, 16, 6, 6, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert torch.equal(difference_map(*latents), difference_map(*latents.float()))
