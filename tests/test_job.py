"""One job without a host, in the order in which hosts drive it."""
import numpy as np
import pytest
import torch

from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.geometry import Box, Size
from lib_softinpaint.method import schedule
from lib_softinpaint.method.mask import feather_outward, to_latent
from lib_softinpaint.settings.settings import Settings
from tests.tolerances import TOLERANCE

SIZE = 64
SEEDS = 1, 2


def make_job(batch=2, channels=4, frames=None, dtype=torch.float32, box=None, **settings):
    generator = torch.Generator().manual_seed(0)
    painted = np.zeros((SIZE, SIZE), np.float32)
    painted[24:40, 24:40] = 1
    repaint_px = feather_outward(painted, 16)
    shape = (batch, channels, *([frames] if frames else []), SIZE // 8, SIZE // 8)
    reference = torch.randn(shape, generator=generator).to(dtype)
    original = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    mask = torch.from_numpy(to_latent(repaint_px, SIZE // 8, SIZE // 8))[None]
    return SoftInpaintJob(Settings(enabled=True, **settings), mask, reference, [original] * batch, [repaint_px] * batch, box)


@pytest.mark.parametrize("channels", [4, 16, 32])
@pytest.mark.parametrize("frames", [None, 1, 3])
def test_a_step_keeps_the_outside_and_leaves_the_core(channels, frames):
    job = make_job(channels=channels, frames=frames)
    denoised = torch.randn(job.reference.shape, generator=torch.Generator().manual_seed(1))
    blended = job.blend(denoised, torch.tensor([3.0]))
    outside, core = (job.repaint == 0).expand_as(denoised), (job.repaint == 1).expand_as(denoised)
    assert outside.any()
    assert core.any()
    assert torch.equal(blended[outside], job.reference[outside])
    assert torch.equal(blended[core], denoised[core])
    assert blended.data_ptr() != denoised.data_ptr()


@pytest.mark.parametrize("frames", [None, 2])
@pytest.mark.parametrize("mix", [0.0, 0.5])
@pytest.mark.parametrize("size", [4, 10])
def test_a_step_at_another_size_is_blended_with_the_nearest_latent_pixels(size, mix, frames):
    """Samplers such as reForge's Euler Dy and Euler SMEA Dy call the model at half or 1.25 times the latent's size."""
    job = make_job(frames=frames, threshold_mix=mix)
    ratio = torch.tensor([3.0])
    job.predicted = before = torch.zeros_like(job.reference)
    nearest = (torch.arange(size) * 2 + 1) * (SIZE // 8) // (2 * size)
    denoised = torch.randn((*job.reference.shape[:-2], size, size), generator=torch.Generator().manual_seed(1))
    blended = job.blend(denoised, ratio)
    repaint, reference = (latent[..., nearest, :][..., nearest] for latent in (job.repaint, job.reference))
    outside, core = (repaint == 0).expand_as(denoised), (repaint == 1).expand_as(denoised)
    assert torch.equal(blended[outside], reference[outside])
    assert torch.equal(blended[core], denoised[core])
    assert job.predicted is before  # the noise floor is measured at the latent's own size
    if size < SIZE // 8:  # each pixel is one of the latent's own, so it is blended as there
        whole = job.reference.clone()
        whole[..., nearest[:, None], nearest] = denoised
        torch.testing.assert_close(blended, job.blend(whole, ratio)[..., nearest, :][..., nearest])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_dtype_is_blended_in_float32_and_returned_in_its_own(dtype):
    job = make_job()
    denoised = torch.randn(job.reference.shape, generator=torch.Generator().manual_seed(1))
    blended = job.blend(denoised.to(dtype), torch.tensor([3.0]))
    assert blended.dtype == dtype
    torch.testing.assert_close(blended.double(), job.blend(denoised, torch.tensor([3.0])).double(),
                               atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


def test_blending_noise_is_blending_the_denoised_it_implies():
    job = make_job()
    generator = torch.Generator().manual_seed(1)
    noisy, noise = torch.randn(2, *job.reference.shape, generator=generator)
    alpha_bar = torch.tensor([0.3, 0.3])
    blended_noise, blended = job.blend_noise(noisy, noise, alpha_bar)
    denoised = (noisy - 0.7 ** 0.5 * noise) / 0.3 ** 0.5
    torch.testing.assert_close(blended, job.blend(denoised, schedule.ratio_from_alpha_bar(alpha_bar)))
    torch.testing.assert_close((noisy - 0.7 ** 0.5 * blended_noise) / 0.3 ** 0.5, blended, atol=1e-5, rtol=1e-5)
    core = (job.repaint == 1).expand_as(noise)
    assert torch.equal(blended_noise[core], noise[core])


@pytest.mark.parametrize("alpha_bar", [0.0, 1.0])
def test_noise_stays_finite_at_both_ends_of_a_schedule(alpha_bar):
    job = make_job()
    noisy = torch.randn(job.reference.shape, generator=torch.Generator().manual_seed(1))
    assert torch.isfinite(job.blend_noise(noisy, noisy, torch.tensor([alpha_bar]))[0]).all()


def test_the_finish_sets_the_outside_and_nothing_else():
    job = make_job()
    samples = torch.randn(job.reference.shape, generator=torch.Generator().manual_seed(1))
    finished = job.finish(samples)
    assert torch.equal(finished, torch.where(job.repaint == 0, job.reference, samples))


@pytest.mark.parametrize("box", [None, Box(8, 4, 40, 40)])
def test_the_outside_is_never_shown_and_the_core_in_full(box):
    job = make_job(box=box)
    sampled = job.measure(job.finish(job.reference + 5), Size(SIZE, SIZE), SEEDS)
    for index in range(2):
        shown = sampled[index].opacity_px(job.settings)
        assert shown.shape == (SIZE, SIZE)
        assert (shown[job.repaint_px[index] == 0] == 0).all()
    if box is None:
        assert shown[32, 32] > 0.99


@pytest.mark.parametrize(("batch", "frames"), [(2, None), (2, 3), (1, 4)])
def test_each_frame_of_a_video_has_its_videos_original(batch, frames):
    job = make_job(batch=batch, frames=frames)
    job.originals = [original + number for number, original in enumerate(job.originals)]
    sampled = job.measure(job.reference + 5, Size(SIZE, SIZE), SEEDS)
    assert [(image.original[0, 0, 0] - sampled[0].original[0, 0, 0], image.seed) for image in sampled] == [
        (number, SEEDS[number]) for number in range(batch) for _ in range(frames or 1)]


def test_nothing_is_shown_where_nothing_changed():
    job = make_job(least_opacity=0)
    assert job.measure(job.reference, Size(SIZE, SIZE), SEEDS)[0].opacity_px(job.settings).max() == 0


def test_least_opacity_shows_the_mask_even_without_a_change():
    job = make_job(least_opacity=0.5)
    shown = job.measure(job.reference, Size(SIZE, SIZE), SEEDS)[0].opacity_px(job.settings)
    np.testing.assert_array_equal(shown, job.repaint_px[0] / 2)


@pytest.mark.parametrize(("batch", "frames"), [(3, None), (1, 3)])
def test_each_image_has_the_noise_floor_of_a_single_run(batch, frames):
    job = make_job(batch=batch, frames=frames)
    noise = torch.randn(job.reference.shape, generator=torch.Generator().manual_seed(1))
    scale = torch.tensor([1.0, 2.0, 4.0]).view(*((-1, 1, 1, 1) if frames is None else (1, 1, -1, 1, 1)))
    job.blend(job.reference + noise * scale, torch.tensor([0.1]))
    together = job.noise_floors(3)
    for number, floor in enumerate(together):
        alone = make_job(batch=1)
        one = (noise * scale)[number] if frames is None else (noise * scale)[0, :, number]
        alone.blend(alone.reference + one, torch.tensor([0.1]))
        assert alone.noise_floors(1)[0] == pytest.approx(floor, rel=1e-5)
    assert together[2] > 3 * together[0]
    everywhere = make_job(batch=1)
    everywhere.repaint = torch.ones_like(everywhere.repaint)
    everywhere.blend(everywhere.reference, torch.tensor([0.1]))
    assert everywhere.noise_floors(1) == [None]


def test_the_noise_floor_ignores_nan():
    job = make_job(batch=1)
    noise = torch.randn(job.reference.shape, generator=torch.Generator().manual_seed(1))
    job.predicted = job.reference + noise
    distance = job.predicted.sub(job.reference).square().sum(1, keepdim=True).sqrt()[job.repaint == 0]
    assert job.noise_floors(1) == [pytest.approx(distance.median().item(), rel=1e-5)]
    job.predicted[0, 0, 0, 0] = torch.nan
    assert job.noise_floors(1) == [pytest.approx(distance[1:].median().item(), rel=1e-5)]
    job.predicted.fill_(torch.nan)
    assert job.noise_floors(1) == [None]


def test_images_without_a_latent_are_shown_by_the_mask():
    job = make_job()
    shown = job.measure_by_mask(2, Size(SIZE, SIZE), SEEDS)[1].opacity_px(job.settings)
    assert shown[32, 32] > 0.95
    assert (shown[job.repaint_px[1] == 0] == 0).all()


def test_each_frame_is_measured_on_its_own():
    job = make_job(batch=1, frames=3)
    samples = job.reference.clone()
    samples[:, :, 1] += 5
    sampled = job.measure(samples, Size(SIZE, SIZE), SEEDS)
    assert [image.opacity_latent(job.settings).max() > 0.9 for image in sampled] == [False, True, False]


def test_threshold_mix_goes_from_the_blend_to_nested_masks():
    start, late = torch.tensor([14.6146]), torch.tensor([0.5])

    def share(mix):
        job = make_job(batch=1, threshold_mix=mix, transition_contrast_boost=1)
        denoised = 3 * job.reference  # parallel to the original, so that lengths blend like values
        at_start = job.blend(denoised, start)
        return job, (at_start / job.reference - 1) / 2, (job.blend(denoised, late) / job.reference - 1) / 2
    (_, _, classic), (_, _, mixed), (job, at_start, nested) = (share(mix) for mix in (0, 0.5, 1))
    unlocked = (job.repaint >= schedule.training_time(late).item()) & (job.repaint > 0)
    assert unlocked.any()
    assert ((job.repaint > 0) & ~unlocked).any()
    torch.testing.assert_close(at_start, (job.repaint == 1).float().expand_as(at_start), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(nested, unlocked.float().expand_as(nested), atol=1e-4, rtol=1e-4)
    classic_share = schedule.repaint_share(job.repaint.log(), late, 1.0, 0.5)
    torch.testing.assert_close(classic, classic_share.expand_as(classic), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(mixed, (classic + nested) / 2, atol=1e-3, rtol=1e-3)


def test_nested_masks_count_from_where_the_run_starts():
    """At a denoising strength below 1, the first step is not pure noise, but still only the core is unlocked."""
    job = make_job(batch=1, threshold_mix=1)
    denoised = torch.full_like(job.reference, 5.0)
    assert torch.equal(job.blend(denoised, torch.tensor([0.6])), torch.where(job.repaint == 1, 5.0, job.reference))


def ratios_at(*times):
    """Noise ratios at shares of the training time."""
    return torch.stack([schedule._log_ratios()[round(1000 * time) - 1] for time in times]).exp()


def grey_job(strength, **settings):
    """A job whose mask is at most this strong."""
    job = make_job(batch=1, **{"threshold_mix": 1, "agreement": 0.0, **settings})
    job.repaint = job.repaint * strength
    return job


@pytest.mark.parametrize(("strength", "order", "settings", "skipped"), [
    (0.5, 1, {}, 3), (0.5, 2, {}, 2), (0.5, 1, {"agreement": 0.1}, 2), (0.5, 2, {"agreement": 1.0}, 1), (0.75, 1, {}, 1),
    (0.76, 2, {}, 0), (0.99, 2, {"agreement": 1.0}, 0), (0.01, 1, {}, 4), (1, 1, {}, 0), (0, 1, {}, 0),
    (0.5, 1, {"threshold_mix": 0.9}, 0)])
def test_steps_before_the_first_pixel_unlocks_are_skipped(strength, order, settings, skipped):
    """A step also unlocks at exactly its strength, and the last step is never skipped."""
    assert grey_job(strength, **settings).locked_steps(ratios_at(0.8, 0.6, 0.5, 0.3, 0.1), order) == skipped


def test_after_skipped_steps_masks_still_count_from_the_runs_start():
    ratios = ratios_at(0.8, 0.6, 0.5, 0.3, 0.1)
    skipping, whole = grey_job(0.5), grey_job(0.5)
    denoised = torch.full_like(whole.reference, 5.0)
    steps = [whole.blend(denoised, ratio[None]) for ratio in ratios]
    skipped = skipping.locked_steps(ratios)
    for step, ratio in list(zip(steps, ratios))[skipped:]:
        assert torch.equal(skipping.blend(denoised, ratio[None]), step)
    assert [torch.equal(step, whole.reference) for step in steps] == [True] * skipped + [False] * 2


@pytest.mark.parametrize("frames", [None, 3])
@pytest.mark.parametrize("batch", [2, 5])
def test_each_image_is_measured_with_its_own_mask(batch, frames):
    job = make_job(batch=batch, frames=frames)
    masks = torch.linspace(0.2, 0.9, batch).view(-1, 1, 1, 1)
    job.repaint = (job.repaint[:, :, 0] if frames else job.repaint) * masks
    job.repaint = job.repaint.unsqueeze(2) if frames else job.repaint
    found = job.measure(job.reference + 0.1, Size(SIZE, SIZE), list(range(batch)))
    assert len(found) == batch * (frames or 1)
    assert frames or [each.seed for each in found] == list(range(batch))
    wanted = masks.flatten().repeat_interleave(frames or 1).tolist()
    assert [float(each.repaint.max()) for each in found] == pytest.approx(wanted)
