"""The page's preview is computed in JavaScript: both languages agree on the same masks and schedules.

    python -m tests.test_preview    records what Python computes, for node
"""
import dataclasses
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from lib_softinpaint import schedule
from lib_softinpaint.advice import advice
from lib_softinpaint.mask import repaint_mask
from lib_softinpaint.settings import Settings

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "tests" / "javascript" / "recorded.json"
WIDTH, HEIGHT = 36, 28
WHOLE = 10_000
"""What 1 is recorded as."""

SHAPES = [
    {"feather_source": "Mask blur"}, {"feather_source": "Mask blur", "grow_px": 3.0}, {"grow_px": -2.0},
    {"feather_source": "own", "feather_width": 9.0},
    {"feather_source": "own", "feather_width": 60.0, "feather_unit": "% of the mask"},
    {"feather_source": "own", "feather_width": 0.0}, {"feather_source": "host"}, {"feather_source": "host", "grow_px": 2.0}]
SCHEDULES = [("Uniform", 20, 1.0), ("Karras", 12, 0.75), ("Exponential", 8, 0.5), ("SGM Uniform", 10, 1.0), ("DDIM", 20, 0.6),
             ("Uniform", 1, 0.9)]
SHARES = [{}, {"schedule_bias": 0.2, "preservation_strength": 0.05}, {"threshold_mix": 1.0}, {"threshold_mix": 0.5},
          {"preservation_strength": 0.0}, {"preservation_strength": 8.0}]


REQUESTS = [(0.75, "original", None, [512, 512], [512, 512]), (0.05, "latent noise", None, [512, 512], [512, 512]),
            (0.5, "latent nothing", None, [512, 768], [512, 512]), (0.9, "fill", 4, [512, 768], [512, 512]),
            (0.9, "fill", 32, [512, 768], [512, 512]), (0.7, "latent noise", 0, [512, 512], [512, 512]),
            (1.0, "original", None, [640, 512], [648, 512])]


def painted():
    """A block, a diagonal of one pixel's width, a dot, and something at the border."""
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[6:13, 8:17] = 1
    for step in range(9):
        mask[10 + step, 22 + step] = 1
    mask[24, 5] = 1
    mask[20:, 33:] = 1
    return mask


def sigmas(name, steps):
    """Noise-to-signal ratios as Stable Diffusion has them, noisiest first. Source: as AUTOMATIC1111 1.10.1 takes them."""
    table = schedule._log_ratios().double().numpy()
    least, most = np.exp(table[[0, -1]])

    def at(times):
        return np.exp(np.interp(times, np.arange(len(table)), table))
    along = np.linspace(0, 1, steps)
    return {"Karras": lambda: (most ** (1 / 7) + along * (least ** (1 / 7) - most ** (1 / 7))) ** 7,
            "Exponential": lambda: np.exp(np.log(most) + along * (np.log(least) - np.log(most))),
            "SGM Uniform": lambda: at(np.linspace(999, 0, steps + 1)[:-1]),
            "DDIM": lambda: at(np.arange(0, 1000, 1000 // steps)[:steps][::-1] + 1),
            "Uniform": lambda: at(np.linspace(999, 0, steps))}[name]()


def recorded():
    masks = []
    for changes in SHAPES:
        for blur, padding in ((2, None), (5, None), (5, 8)):
            mask = repaint_mask(painted(), Settings(enabled=True, **changes), blur, padding)
            masks.append({"settings": changes, "blur": blur, "padding": padding, "mask": whole(mask.ravel())})
    curves = []
    for name, steps, strength in SCHEDULES:
        encoded = int(min(strength, 0.999) * steps)
        ratios = sigmas(name, steps)[steps - encoded - 1:]
        times = schedule.training_time(torch.tensor(ratios))
        for changes in SHARES:
            chosen = Settings(enabled=True, **changes)
            values = torch.tensor([0.25, 0.5, 0.75]).view(1, 1, 1, 3)
            shares = []
            for ratio, time in zip(torch.tensor(ratios).float(), times):
                blended = schedule.repaint_share(
                    values.log(), schedule.ratio_from_sigma(ratio[None]), chosen.schedule_bias, chosen.preservation_strength)
                nested = schedule.unlocked_share(values, (time / times[0])[None])
                shares.append(torch.lerp(blended, nested, chosen.threshold_mix).flatten().tolist())
            curves.append({"schedule": name, "steps": steps, "strength": strength, "settings": changes,
                           "shares": [whole(row) for row in np.transpose(shares)]})
    told = [{"request": dict(zip(("strength", "content", "paddingPx", "picture", "working"), asked)),
             "sentences": advice(*asked)} for asked in REQUESTS]
    return {"advice": told, "width": WIDTH, "height": HEIGHT, "painted": painted().astype(int).ravel().tolist(),
            "defaults": dataclasses.asdict(Settings()), "whole": WHOLE, "masks": masks, "curves": curves}


def whole(values):
    return np.rint(WHOLE * np.asarray(values)).astype(int).tolist()


def test_what_is_recorded_is_what_python_computes():
    stored, fresh = json.loads(RECORD.read_text()), recorded()
    assert stored.keys() == fresh.keys()
    for name, key in (("masks", "mask"), ("curves", "shares")):
        assert len(stored[name]) == len(fresh[name])
        for one, other in zip(stored[name], fresh[name]):
            np.testing.assert_allclose(one.pop(key), other.pop(key), atol=2)
            assert one == other


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on the PATH")
def test_javascript_agrees():
    done = subprocess.run(["node", "--test", "tests/javascript/"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


if __name__ == "__main__":
    RECORD.write_text(json.dumps(recorded()) + "\n")
