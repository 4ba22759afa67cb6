import pytest
import torch

from lib_softinpaint.method import schedule


def sd1_alphas_cumprod():
    betas = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0).float()


def test_the_ratio_of_k_diffusion_is_sigma_up_to_the_limit():
    assert schedule.ratio_from_sigma(torch.tensor([0.03, 14.6146, 4000.0])).tolist() == pytest.approx([0.03, 14.6146, 14.6146])


def test_sd1s_last_timestep_is_its_largest_sigma():
    ratio = schedule.ratio_from_alpha_bar(schedule.alpha_bar_at(torch.tensor([0, 999]), sd1_alphas_cumprod()))
    assert ratio.tolist() == pytest.approx([0.0292, 14.6146], abs=2e-4)


def test_a_timestep_between_two_has_the_mean_logarithm():
    alphas = sd1_alphas_cumprod()
    below, above = alphas[399:401].tolist()
    between = schedule.alpha_bar_at(torch.tensor([399.0, 399.5, 400.0]), alphas)
    assert between.tolist() == pytest.approx([below, (below * above) ** 0.5, above], rel=1e-5)


def test_float64_is_not_needed(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "double", None)  # Apple's GPUs have no float64
    got = schedule.alpha_bar_at(torch.tensor([399.5]), sd1_alphas_cumprod())
    assert got.dtype == torch.float32


def test_flow_models_reach_the_limit_and_not_infinity():
    ratio = schedule.ratio_from_flow(torch.tensor([0.0, 0.5, 0.75, 1.0]))
    assert ratio.tolist() == pytest.approx([0, 1, 3, 14.6146])


def test_pure_noise_at_the_end_of_a_schedule_stays_finite():
    assert schedule.ratio_from_alpha_bar(torch.tensor([0.0])).item() == pytest.approx(14.6146)


@pytest.mark.parametrize("strength", [0.0, 0.05, 0.5, 8.0])
@pytest.mark.parametrize("bias", [0.0, 0.2, 1.0, 8.0])
@pytest.mark.parametrize("ratio", [0.0, 0.03, 1.0, 14.6146])
def test_the_ends_of_the_mask_are_exact_and_the_middle_ordered(strength, bias, ratio):
    mask = torch.linspace(0, 1, 11).view(1, 1, 1, 11)
    share = schedule.repaint_share(mask.log(), torch.tensor([ratio]), bias, strength).flatten()
    assert share[0] == 0
    assert share[-1] == 1
    assert torch.isfinite(share).all()
    assert (share.diff()[1:] >= 0).all()


def test_the_share_is_the_mask_to_the_power_of_strength_times_ratio_to_the_bias():
    share = schedule.repaint_share(torch.tensor([[[[0.01]]]]).log(), torch.tensor([14.6146]), 0.2, 0.05)
    assert share.item() == pytest.approx(0.01 ** (0.05 * 14.6146 ** 0.2))
    assert share.item() == pytest.approx(0.67, abs=0.01)


def test_each_item_of_a_batch_has_its_own_ratio():
    log_repaint = torch.full((1, 1, 2, 2), 0.5).log()
    both = schedule.repaint_share(log_repaint, torch.tensor([1.0, 4.0]), 1.0, 0.5)
    assert both.shape == (2, 1, 2, 2)
    assert both[:, 0, 0, 0].tolist() == pytest.approx([0.5 ** 0.5, 0.25])


def test_training_time_matches_stable_diffusion():
    alphas = sd1_alphas_cumprod()
    steps = torch.tensor([0, 1, 499, 750, 999])
    time = schedule.training_time(((1 - alphas[steps]) / alphas[steps]).sqrt())
    assert time.tolist() == pytest.approx([0.001, 0.002, 0.5, 0.751, 1], abs=1e-4)
    assert schedule.training_time(torch.tensor([0.0, 0.01, 1000.0])).tolist() == [0, 0, 1]


def test_a_pixel_is_unlocked_when_the_time_left_has_fallen_to_its_mask_value():
    mask = torch.tensor([0, 0.25, 0.5, 1]).view(1, 1, 1, 4)
    unlocked = [schedule.unlocked_share(mask, torch.tensor([time])).flatten().tolist() for time in (1, 0.6, 0.5, 0.1, 0)]
    assert unlocked == [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1]]
    assert schedule.unlocked_share(mask, torch.tensor([1.0, 0.0])).shape == (2, 1, 1, 4)


SGM_UNIFORM_4 = (1 / sd1_alphas_cumprod()[[999, 749, 499, 249]] - 1).sqrt()
"""Noise levels of Stable Diffusion in 4 steps, with the schedule type SGM Uniform."""


def test_in_few_steps_greys_unlock_one_after_the_other():
    time = schedule.training_time(schedule.ratio_from_sigma(SGM_UNIFORM_4))
    greys = torch.tensor([0.25, 0.5, 0.75, 1]).view(1, 1, 1, 4)
    unlocked = torch.stack([schedule.unlocked_share(greys, each[None]).flatten() for each in time / time[0]])
    assert unlocked.sum(0).tolist() == [1, 2, 3, 4]
