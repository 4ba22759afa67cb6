"""What the extension costs in each host: the seconds that its hooks take, because whole requests vary by more than that.

    SOFTINPAINT_WEBUI=CHECKOUT python -m pytest tests/webui/test_speed.py -s      also prints the times
"""
import pytest

from tests.tolerances import slowness
from tests.webui.host import drawn_disc, drawn_image

pytestmark = [pytest.mark.every_host, pytest.mark.usefixtures("clean_log")]

ROUNDS = 3
STEPS = 2
SAMPLED_STEPS = 20
"""Model calls of a usual generation. The hooks take equally long at each."""
GOALS_S = {512: 0.1, 1024: 0.15}
OFF_S = 0.005
TOLERATED = 1.5
"""Up to this many times the goal is accepted, because hosts differ."""


def taken(webui, soft, size):
    """Seconds that the hooks take in a generation of 20 steps, and that one of STEPS takes without them."""
    image, mask = drawn_image(size, size), drawn_disc(size, size, size // 8)
    webui.get("/companion/stopwatch")
    result = webui.inpaint(image, mask, soft, width=size, height=size, steps=STEPS, denoising_strength=1, sampler_name="Euler")
    measured = webui.get("/companion/stopwatch")
    added = measured["other"] + measured["at_calls"] * SAMPLED_STEPS / measured["calls"]
    return added, result.seconds - measured["other"] - measured["at_calls"]


@pytest.mark.parametrize("size", GOALS_S)
def test_soft_inpainting_adds_little_and_nothing_when_off(webui, size):
    taken(webui, [True], size)
    soft, slow = zip(*((taken(webui, [True], size), slowness()) for _ in range(ROUNDS)))
    added, added_off = min(soft)[0], taken(webui, [False], size)[0]  # other programs only make it slower
    print(f"\n{webui.host}, {size} px, {STEPS} steps take {min(each for _, each in soft):.2f} s; in {SAMPLED_STEPS} steps, "
          f"soft adds {added:.3f} s, off {added_off:.4f} s")
    assert added < TOLERATED * GOALS_S[size] * min(slow)
    assert added_off < OFF_S * min(slow)
