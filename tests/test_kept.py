import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

from lib_softinpaint.errors import BadInput
from lib_softinpaint.generation import score
from lib_softinpaint.generation.colours import Colours
from lib_softinpaint.generation.job import SoftInpaintJob
from lib_softinpaint.generation.kept import KeptImage
from lib_softinpaint.geometry import Size
from lib_softinpaint.images import job_file
from lib_softinpaint.method.composite import over_white
from lib_softinpaint.method.mask import Canvas, PaintedMask, to_latent
from lib_softinpaint.settings import infotext, settings
from lib_softinpaint.settings.settings import Settings, composite_fields

SIZE, SIDE = 64, 8
PAINTED = np.zeros((SIZE, SIZE), np.float32)
PAINTED[20:44, 20:44] = 1
RUN = Settings(enabled=True, feather_source="own", feather_width=12, edge_taper_px=4)
INFOTEXT = "a hill, red\nNegative prompt: rain\nSteps: 4, Lora hashes: \"a: b, c: d\", Size: 64x64, " + ", ".join(
    f"{key}: {value}" for key, value in settings.to_infotext(RUN).items()) + ", Version: v1"


def kept(run=RUN, text=INFOTEXT, **fields):
    over = PaintedMask(PAINTED, Canvas(4), Size.of(PAINTED))
    repaint_px = over.repaint_px(run)
    drawn = np.random.default_rng(0)
    original = drawn.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    decoded = drawn.uniform(0, 255, (SIZE, SIZE, 3)).astype(np.float32)
    reference = torch.randn(1, 4, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    job = SoftInpaintJob(run, torch.from_numpy(to_latent(repaint_px, SIDE, SIDE))[None], reference, [original], [repaint_px],
                         painted_px=[PAINTED])
    samples = job.finish(job.blend(reference + 0.4, torch.tensor([0.1])))
    sampled, = job.measure(samples, Size(SIZE, SIZE), [3])
    return KeptImage(run, sampled, decoded, over, text, **fields)


def test_a_kept_image_prints_as_a_few_words():
    assert repr(kept()) == "<KeptImage 64x64, seed 3>"


def changed(image, **changes):
    result = image.composited(image.settings_with(changes))
    return (result != image.sampled.original).any(axis=-1)


def test_the_runs_own_settings_give_its_result():
    image = kept()
    np.testing.assert_array_equal(image.composited(RUN), image.sampled.composited(RUN, image.decoded))
    assert image.infotext_with(RUN) == INFOTEXT


@pytest.mark.parametrize("changes", [
    {"difference_threshold": 8.0, "least_opacity": 0.0}, {"drift_correction": 0.0}, {"grain": 1.0}, {"edge_taper_px": 12.0},
    {"mask_influence": 1.0, "least_opacity": 0.0}, {"difference_contrast": 8.0},
    {"automatic_threshold": True, "least_opacity": 0.0}])
def test_other_composite_settings_equal_a_run_with_them(changes):
    image = kept()
    chosen = image.settings_with(changes)
    again = kept(dataclasses.replace(RUN, **changes))
    np.testing.assert_array_equal(image.composited(chosen), again.composited(again.settings))
    assert (image.composited(chosen) != image.composited(RUN)).any()
    params, original = infotext.parse(image.infotext_with(chosen)), infotext.parse(INFOTEXT)
    assert {key for key in params if params[key] != original[key]} == {
        settings.infotext_key(field) for field in composite_fields() if field.name in changes}


def test_the_infotext_says_how_much_of_the_drift_was_removed():
    image = kept()
    image = dataclasses.replace(image, decoded=image.sampled.original + np.float32(4))
    assert image.measurements(RUN) == {"Soft inpainting drift applied": "1.00"}
    half, off = (image.settings_with({"drift_correction": strength}) for strength in (0.5, 0))
    assert image.measurements(off) == {}
    assert infotext.parse(image.infotext_with(half))["Soft inpainting drift applied"] == "0.50"
    assert "Soft inpainting drift applied" not in image.infotext_with(off)
    written = dataclasses.replace(image, infotext=f"{INFOTEXT}, Soft inpainting drift applied: 1.00")
    assert infotext.parse(written.infotext_with(off))["Soft inpainting drift applied"] == "0"


def test_another_feather_shows_less_and_is_noted():
    image = kept()
    assert changed(image, feather_width=2.0).sum() < changed(image).sum()
    assert changed(image, grow_px=-6.0).sum() < changed(image).sum()
    np.testing.assert_array_equal(changed(image, feather_width=100.0) & ~changed(image), False)
    params = infotext.parse(image.infotext_with(image.settings_with({"feather_width": 2.0, "grain": 0.5})))
    assert params.pop("Soft inpainting note") == "Re-composited with Feather width 2."
    noted = kept(text=f"{INFOTEXT}, Soft inpainting note: One step failed.")
    again = infotext.parse(noted.infotext_with(noted.settings_with({"feather_width": 2.0})))
    assert again["Soft inpainting note"] == "One step failed. Re-composited with Feather width 2."
    assert params.pop("Soft inpainting grain") == "0.5"
    original = infotext.parse(INFOTEXT)
    del original["Soft inpainting grain"]
    assert params == original


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"schedule_bias": 1.0}, "a re-composite can change mask_influence, .* got 'schedule_bias'"),
    ({"seed": 1}, "got 'seed'"), ({"grain": 2}, "grain must be a number from 0 to 1, got 2"),
    ({"grain": float("nan")}, "got nan"), ({"feather_source": "soft"}, "feather_source must be one of .* got 'soft'")])
def test_settings_that_cannot_be_changed_raise_one_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        kept().settings_with(changes)


@pytest.mark.parametrize(("automatic", "floor", "threshold"), [
    (True, 0.1, 1.5), (True, 0.4, 6), (True, None, 1.5), (False, 0.4, 1.5)])
def test_an_automatic_threshold_is_scaled_to_the_noise_floor(automatic, floor, threshold):
    sampled = dataclasses.replace(kept().sampled, noise_floor=floor)
    chosen = Settings(enabled=True, difference_threshold=1.5, automatic_threshold=automatic)
    assert sampled.threshold(chosen) == pytest.approx(threshold)


@pytest.mark.parametrize("transparent", [False, True])
def test_a_job_file_makes_the_round_trip(tmp_path, transparent):
    source = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 4), dtype=np.uint8) if transparent else None
    image = kept(source=source, colours=Colours(b"profile", ((b"gAMA", b"\0\1\x86\xa0"),)) if transparent else Colours())
    job_file.save(image, tmp_path / "job.npz")
    back = job_file.load(tmp_path / "job.npz")
    assert (back.settings, back.infotext, back.colours) == (RUN, INFOTEXT, image.colours)
    for chosen in (RUN, image.settings_with({"grain": 1.0, "feather_width": 3.0, "automatic_threshold": True})):
        np.testing.assert_array_equal(back.composited(chosen), image.composited(chosen))


def test_an_invalid_job_file_raises_one_sentence(tmp_path):
    job_file.save(kept(), tmp_path / "whole.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:5000])
    (tmp_path / "text.npz").write_text("text")
    np.savez(tmp_path / "other.npz", about=np.array('{"kind": "other", "format": 1}'))
    np.savez(tmp_path / "bare.npz", image=np.zeros(3))
    for name, reason in (("missing.npz", "it does not exist"), ("cut.npz", "it is not an archive"),
                         ("text.npz", "it is not an archive"), ("other.npz", "."), ("bare.npz", ".")):
        with pytest.raises(ValueError, match=f"a job file must be from inpaint --keep, .*{name} is not: {reason}"):
            job_file.load(tmp_path / name)


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_job_file_runs_no_code(tmp_path):
    np.savez(tmp_path / "hostile.npz", about=np.array(Hostile(tmp_path / "run"), dtype=object))
    with pytest.raises(BadInput, match="a job file must be from inpaint --keep"):
        job_file.load(tmp_path / "hostile.npz")
    assert not (tmp_path / "run").exists()


def written(path, left_out=(), sampled=None, settings=None, **arrays):
    """A job file with some of its arrays or metadata changed. Settings that are None are left out."""
    job_file.save(kept(), path)
    with np.load(path) as file:
        held = {name: file[name] for name in file.files if name not in left_out}
    metadata = json.loads(str(held["about"]))
    metadata["sampled"] |= sampled or {}
    metadata["settings"] = {name: value for name, value in {**metadata["settings"], **(settings or {})}.items()
                            if value is not None}
    np.savez(path, **{**held, **arrays, "about": np.array(json.dumps(metadata))})
    return path


def test_arrays_of_a_later_version_are_ignored(tmp_path):
    back = job_file.load(written(tmp_path / "later.npz", layer=np.zeros((3, 3), np.float32)))
    np.testing.assert_array_equal(back.composited(RUN), kept().composited(RUN))


def test_settings_that_an_earlier_version_lacked_give_its_results(tmp_path):
    path = written(tmp_path / "earlier.npz", settings={"seam_search": None, "extra_noise": None})
    assert job_file.load(path).settings == dataclasses.replace(RUN, seam_search=0.0)


@pytest.mark.parametrize(("changed", "sentence"), [
    ({"settings": {"shine": 1, "seam_search": None}}, "a later version wrote its settings shine"),
    ({"repaint_px": np.zeros((5, 5), np.float32)}, r"its repaint_px must be of shape \(64, 64\), got \(5, 5\)"),
    ({"decoded": np.zeros((SIZE, SIZE), np.float32)}, "its decoded must have 3 dimensions of uint8 or float32, got 2"),
    ({"decoded": np.zeros((SIZE, SIZE, 4), np.float32)}, r"its decoded must be of shape \(64, 64, 3\), got \(64, 64, 4\)"),
    ({"original": np.zeros((SIZE, SIZE, 3))}, "its original must have 3 dimensions of uint8, got 3 of float64"),
    ({"original": np.zeros((9, 9, 3), np.uint8)}, "its .* must be of shape"), ({"left_out": ["repaint"]}, "'repaint'"),
    ({"distance": np.zeros((2, 2), np.float32)}, "its distance must be of shape"),
    ({"strengths": np.zeros((0, 3), np.float32)}, "its strengths must have 2 dimensions of float32"),
    ({"source": np.zeros((SIZE, SIZE, 3), np.uint8)}, "its source must be of shape"),
    ({"sampled": {"box": [60, 0, 8, 8]}}, r"its box must lie within 64x64 pixels, got \[60, 0, 8, 8\]")])
def test_arrays_of_the_wrong_shape_raise_one_sentence(tmp_path, changed, sentence):
    with pytest.raises(BadInput, match=f"a job file must be from inpaint --keep, .* is not: {sentence}"):
        job_file.load(written(tmp_path / "odd.npz", **changed))


def test_a_failed_save_keeps_the_existing_job_file(tmp_path, monkeypatch):
    path = written(tmp_path / "job.npz")
    before = path.read_bytes()

    def interrupted(file, **arrays):
        file.write(b"half")
        raise OSError("No space left on device")
    monkeypatch.setattr(np, "savez_compressed", interrupted)
    with pytest.raises(OSError):
        job_file.save(kept(), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_noise_floor_is_measured_outside_the_mask():
    assert kept().sampled.noise_floor == pytest.approx(0.8)  # 0.4 in each of four channels
    job = SoftInpaintJob(RUN, torch.zeros(1, SIDE, SIDE), torch.zeros(2, 4, SIDE, SIDE), [], [])
    assert job.noise_floors(2) == [None, None]


def test_the_new_content_is_scored_as_a_decoder_s_values_are_shown(monkeypatch):
    handed, scored = [], score.score
    monkeypatch.setattr(score, "score", lambda *given: handed.append(given[-1]) or scored(*given))
    image = kept(dataclasses.replace(RUN, drift_correction=0.0))
    image.decoded[0, :5] = np.float32([-3, -0.4, 0.6, 254.6, 258])[:, None]
    image.scores(image.settings)
    assert handed[0][0, :5, 0].tolist() == [0, 0, 1, 255, 255]


def test_the_blend_score_ignores_transparency():
    image = kept()
    opaque = image.blend_score(RUN)
    assert 0 <= opaque <= 100
    source = np.dstack([image.sampled.original, np.full((SIZE, SIZE), 128, np.uint8)])
    assert dataclasses.replace(image, source=source).blend_score(RUN) == opaque
    unseen = image.settings_with({"least_opacity": 0.0, "difference_threshold": 8.0, "difference_contrast": 8.0})
    assert image.blend_score(unseen) < opaque  # hidden content has no seam, but was asked for


def test_a_region_lies_over_the_region_before_it_as_the_settings_show_that_one():
    """Where the region before is unchanged, the original keeps the colours in which the host showed its transparent pixels."""
    source = np.dstack([kept().sampled.original, np.full((SIZE, SIZE), 128, np.uint8)])
    first = kept(source=source)
    flat = np.full((SIZE, SIZE, 3), (10, 20, 200), np.uint8)  # on the host's own background
    sampled = dataclasses.replace(first.sampled, original=flat, repaint_px=np.zeros_like(PAINTED))
    second = dataclasses.replace(first, sampled=sampled, source=first.composited(RUN), before=first)
    weak = second.settings_with({"mask_influence": 1.0, "least_opacity": 0.0, "difference_threshold": 8.0})
    below, source = second._over_regions_before(weak)
    np.testing.assert_array_equal(source, first.composited(weak))
    same = (source == first.composited(RUN)).all(-1)
    assert 0.1 < same.mean() < 0.9
    np.testing.assert_array_equal(below.original[same], flat[same])
    np.testing.assert_array_equal(below.original[~same], np.asarray(over_white(Image.fromarray(source)))[~same])
    assert {id(each) for each in first.arrays()} < {id(each) for each in second.arrays()}
    shown, source = second._over_regions_before(RUN)
    assert (shown is sampled, source is second.source) == (True, True)
