"""Coherence rounds: their mathematics on a model with a known answer, and the diffusers pipelines that run them."""
import numpy as np
import pytest
import torch

from lib_softinpaint.generation.coherent import CoherentCalls
from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.hosts.diffusers.pipeline import SoftInpaintPipeline
from lib_softinpaint.method import coherence
from lib_softinpaint.settings.settings import Settings
from tests import tiny_models
from tests.test_diffusers_pipeline import IMAGE, MASK, OUTSIDE, PAINTED, SCHEDULERS, quiet

pytestmark = tiny_models.KNOWN_WARNINGS

CORRELATION, KNOWN = 0.8, 1.5
EXACT = CORRELATION * KNOWN
"""Mean of the unknown value, if the known one is taken into account."""
COPIES = 4000


def answer(ratio, rounds=120):
    """Mean of an unknown value after rounds beside a known one, with the exact model of both, and the known one's mean."""
    generator = torch.Generator().manual_seed(0)
    covariance = torch.tensor([[1, CORRELATION], [CORRELATION, 1]])
    exact = covariance @ torch.linalg.inv(covariance + ratio ** 2 * torch.eye(2))
    reference = torch.tensor([KNOWN, 0]).view(1, 1, 1, 2)
    share = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)
    noisy = reference + ratio * torch.randn(COPIES, 1, 1, 2, generator=generator)
    for _ in range(rounds):
        noise = torch.randn(noisy.shape, generator=generator)
        noisy = coherence.moved(noisy, noisy @ exact.T, reference, share, torch.tensor(ratio), noise)
    return (noisy @ exact.T)[..., 1].mean().item(), noisy[..., 0].mean().item()


def test_rounds_bring_the_unknown_near_the_exact_answer(monkeypatch):
    with_pull, known = answer(0.6)
    assert abs(with_pull - EXACT) < 0.09
    assert known > KNOWN + 0.2  # the surroundings overshoot, to make up for what the model takes away
    monkeypatch.setattr(coherence, "PULL", 0.0)
    without, known = answer(0.6)
    assert without < with_pull - 0.15
    assert abs(known - KNOWN) < 0.05


def test_where_everything_is_repainted_rounds_follow_the_prediction():
    generator, ratio = torch.Generator().manual_seed(0), torch.tensor(0.6)
    noisy, denoised = torch.randn(1, 4, 64, 64, generator=generator), torch.full((1, 4, 64, 64), 0.5)
    for _ in range(60):
        noise = torch.randn(noisy.shape, generator=generator)
        noisy = coherence.moved(noisy, denoised, torch.zeros(1, 4, 64, 64), torch.ones(1, 1, 64, 64), ratio, noise)
    assert abs(noisy.mean() - 0.5) < 0.03
    assert abs(noisy.std() - ratio) < 0.02


def small_job(**settings):
    """A job on a latent of one image whose middle is repainted."""
    repaint = torch.zeros(1, 1, 4, 6)
    repaint[..., 1:3, 2:4] = 0.6
    pixels = np.zeros((32, 48, 3), np.uint8)
    reference = torch.randn(1, 4, 4, 6, generator=torch.Generator().manual_seed(0))
    return SoftInpaintJob(Settings(enabled=True, **settings), repaint, reference, [pixels], [np.zeros((32, 48), np.float32)])


def test_the_rounds_of_a_step_draw_the_noise_of_its_number():
    job = small_job(coherence_rounds=1.0, agreement=0.0)
    calls, noisy, ratio = CoherentCalls(job, [7]), torch.full((1, 4, 4, 6), 2.0), torch.tensor([9.0])
    for step in range(2):
        got = calls.begin_step(noisy, torch.ones(1), ratio, ratio, lambda asked: asked / 2)
        wanted = coherence.moved(noisy, noisy / 2, job.reference, job.repaint_share(noisy, ratio), ratio.view(1, 1, 1, 1),
                                 coherence.noise_for([7], step, 0, noisy))
        torch.testing.assert_close(got, wanted)
        assert not torch.equal(got, noisy)


@pytest.mark.parametrize("size", [(4, 6), (2, 3)])
@pytest.mark.parametrize("ratio", [0.04, 0.06, 2.9, 3.1])
def test_agreement_needs_a_last_call_of_the_same_size_and_a_middling_noise(size, ratio):
    changes = size == (4, 6) and 0.05 < ratio < 3
    job, sigma = small_job(agreement=1.0), torch.tensor([ratio])
    calls, noisy = CoherentCalls(job, [7]), torch.full((1, 4, 4, 6), 2.0)
    job.predicted = torch.zeros_like(noisy)
    calls.ask(noisy[..., :size[0], :size[1]], torch.ones(1), sigma)
    assert torch.equal(calls.begin_step(noisy, torch.ones(1), sigma, sigma, lambda asked: asked), noisy) is not changes


def test_rounds_fade_out_with_the_noise():
    assert [coherence.rounds_at(5, ratio) for ratio in (14.0, 2.0, 1.0, 0.6, 0.5)] == [5, 4, 2, 1, 0]
    assert coherence.rounds_at(0, 14.0) == 0
    assert coherence.rounds_at(5, float("inf")) == 0


def test_noise_is_the_images_own():
    like = torch.zeros(2, 4, 8, 8)
    both, alone = coherence.noise_for([7, 8], 3, 1, like), coherence.noise_for([8], 3, 1, like[:1])
    assert (both[1] == alone[0]).all()
    others = [coherence.noise_for([8], step, number, like[:1]) for step, number in ((3, 0), (4, 1), (1, 3))]
    assert all((other != alone).any() for other in others)
    assert (both[0] != both[1]).any()


@pytest.fixture
def calls():
    repaint = torch.zeros(1, 1, 8, 8)
    repaint[..., 2:6, 2:6] = 1
    job = SoftInpaintJob(Settings(enabled=True, coherence_rounds=5, agreement=0), repaint, torch.randn(1, 4, 8, 8), [], [])
    return CoherentCalls(job, [1])


def begun(calls, predict, ratio=10.0):
    """The noisy latent before and after what is done to it."""
    one = torch.ones(1)
    noisy = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)) * ratio
    return noisy, calls.begin_step(noisy, one, ratio * one, ratio * one, predict)


def test_rounds_stop_when_the_prediction_has_settled(calls):
    asked = []

    def settled(noisy):
        asked.append(noisy)
        return torch.ones_like(noisy)
    begun(calls, settled)
    assert len(asked) == 2
    asked.clear()
    begun(calls, lambda noisy: asked.append(noisy) or noisy)
    assert len(asked) == 5


def test_where_nothing_is_done_the_latent_is_the_same_object(calls):
    def predict(noisy):
        raise AssertionError("the model was called")
    before, after = begun(calls, predict, 0.1)
    assert after is before
    calls.job.repaint = torch.zeros_like(calls.job.repaint)
    before, after = begun(calls, predict)
    assert after is before


def test_agreement_gives_the_outside_the_noise_that_the_model_saw():
    repaint = torch.zeros(1, 1, 8, 8)
    repaint[..., 2:6, 2:6] = 1
    reference = torch.randn(1, 4, 8, 8)
    job = SoftInpaintJob(Settings(enabled=True, agreement=1), repaint, reference, [], [])
    calls, outside = CoherentCalls(job, [1]), (repaint == 0).expand(1, 4, 8, 8)
    for signal, sigma in ((torch.ones(1), torch.full((1,), 3.0)), (torch.full((1,), 0.3), torch.full((1,), 0.7)),
                          (torch.zeros(1), torch.ones(1))):
        noise, noisy = 0.9 * torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
        calls.ask(signal * reference + sigma * noise, signal, sigma)
        job.predicted = reference
        one, two = torch.ones(1), torch.full((1,), 2.0)
        changed = calls.begin_step(noisy, one, two, two, lambda noisy: noisy)
        torch.testing.assert_close(changed[outside], (reference + 2 * noise)[outside])
        assert (changed[~outside] == noisy[~outside]).all()


def test_agreement_never_makes_the_noise_stronger_than_it_is():
    reference, noisy, repaint = torch.zeros(1, 4, 64, 64), torch.zeros(1, 4, 64, 64), torch.zeros(1, 1, 64, 64)
    changed = coherence.agreed(noisy, 3 * torch.randn(1, 4, 64, 64), reference, repaint, repaint, torch.tensor(2.0), 1.0)
    assert abs(changed.std() - 2) < 0.01


# Pipelines

@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {"SD1": tiny_models.sd1(folder), "SD1 inpainting": tiny_models.sd1(folder, 9), "SDXL": tiny_models.sdxl(folder)}


def inpainted(pipeline, rounds, seeds=(1,), scheduler=None, agreement=0.0, **fields):
    if scheduler is not None:
        kind, changes = SCHEDULERS[scheduler]
        pipeline.scheduler = kind.from_config(pipeline.scheduler.config, **changes)
    calls = []
    handle = pipeline.unet.register_forward_hook(lambda *_: calls.append(1))
    output = pipeline("a", IMAGE, MASK, mask_blur=3, num_images_per_prompt=len(seeds), strength=1.0,
                      generator=[torch.Generator().manual_seed(seed) for seed in seeds],
                      settings=Settings(enabled=True, coherence_rounds=rounds, agreement=agreement),
                      **{"num_inference_steps": 8, **fields})
    handle.remove()
    return [np.asarray(image) for image in output.images], output.notes, len(calls)


WITH_ROUNDS = [name for name in SCHEDULERS if not name.startswith("UniPC")]


@pytest.mark.parametrize("scheduler", WITH_ROUNDS)
@pytest.mark.parametrize("family", ["SD1", "SD1 inpainting", "SDXL"])
def test_rounds_call_the_model_more_often_and_change_the_result(models, family, scheduler):
    pipeline = quiet(SoftInpaintPipeline.from_pipe(models[family]))
    before = pipeline.unet
    (without,), _, fewer = inpainted(pipeline, 0, scheduler=scheduler)
    (result,), notes, more = inpainted(pipeline, 2, scheduler=scheduler)
    assert not notes
    assert more > fewer + 4
    assert (result != without)[PAINTED].mean() > 0.5
    assert (result[OUTSIDE] == np.asarray(IMAGE)[OUTSIDE]).all()
    assert pipeline.unet is before
    assert (inpainted(pipeline, 0, scheduler=scheduler)[0][0] == without).all()


@pytest.mark.parametrize("scheduler", WITH_ROUNDS)
def test_agreement_changes_the_result_without_another_call(models, scheduler):
    pipeline = quiet(SoftInpaintPipeline.from_pipe(models["SD1"]))
    (without,), _, calls = inpainted(pipeline, 0, scheduler=scheduler)
    (result,), notes, as_many = inpainted(pipeline, 0, scheduler=scheduler, agreement=1)
    assert not notes
    assert calls == as_many
    assert (result != without)[PAINTED].mean() > 0.2
    assert (result[OUTSIDE] == np.asarray(IMAGE)[OUTSIDE]).all()


def test_rounds_keep_the_latent_outside_at_every_step(models):
    pipeline, seen = quiet(SoftInpaintPipeline.from_pipe(models["SD1"])), []

    def look(running, step, timestep, tensors):
        seen.append((running.scheduler.predicted - running.scheduler.job.reference)[running.scheduler.job.repaint.expand(
            tensors["latents"].shape) == 0].abs().max())
        return tensors
    inpainted(pipeline, 2, agreement=1, callback_on_step_end=look)
    assert len(seen) == 8
    assert max(seen) == 0


def test_a_batch_with_rounds_equals_its_singles(models):
    pipeline = quiet(SoftInpaintPipeline.from_pipe(models["SD1"]))
    both, _, _ = inpainted(pipeline, 2, (1, 5), agreement=0.5)
    for seed, image in zip((1, 5), both):
        alone, = inpainted(pipeline, 2, (seed,), agreement=0.5)[0]
        assert np.abs(image.astype(int) - alone).max() <= 1


@pytest.mark.parametrize(("fields", "sentence"), [
    ({"scheduler": "UniPC"}, "Coherence rounds were left out: they do not work with UniPCMultistepScheduler."),
    ({"guidance_scale": 1.0}, "Coherence rounds were left out: they need a CFG scale above 1, and it is 1."),
    ({"num_inference_steps": 5}, "Coherence rounds were left out: they need at least 6 steps to run, and there are 5.")])
def test_where_rounds_do_not_work_they_are_left_out_with_a_sentence(models, fields, sentence):
    pipeline = quiet(SoftInpaintPipeline.from_pipe(models["SD1"]))
    (result,), notes, calls = inpainted(pipeline, 2, **fields)
    (without,), none, as_many = inpainted(pipeline, 0, **fields)
    assert notes == [sentence]
    assert not none
    assert calls == as_many
    assert (result == without).all()
