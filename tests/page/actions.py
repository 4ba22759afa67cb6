"""Actions on the stand-alone page."""
import numpy as np
from PIL import Image

from tests.browser import set_number
from tests.page.serving import ROOT

IMAGE, MASK = ROOT / "demo" / "image.png", ROOT / "demo" / "mask.png"
GENERATION_MS = 120_000
CANVAS, PREVIEW, CARDS = "#softinpaint_paint canvas", "#softinpaint_preview .mask", "#softinpaint_candidates .card"
STEPS = 6


def generate(page, count):
    """Adds this many candidates. Each may take GENERATION_MS: a busy machine needs minutes for nine."""
    before = page.locator(CARDS).count()
    set_number(page, "img2img_batch_count", count)
    page.click("#img2img_generate")
    for number in range(before + 1, before + count + 1):
        page.locator(CARDS).nth(number - 1).wait_for(timeout=GENERATION_MS)
    wait_for_candidates(page, before + count)


def stop(page):
    page.click("#img2img_interrupt")
    page.wait_for_function("!document.querySelector('#softinpaint_live progress')", timeout=GENERATION_MS)


def wait_for_candidates(page, count):
    page.wait_for_function(
        "([cards, count]) => document.querySelectorAll(cards).length === count "
        "&& document.querySelector('#softinpaint_results [data-state=complete]') "
        "&& !document.querySelector('#softinpaint_live progress')", arg=[CARDS, count], timeout=GENERATION_MS)


def captions(page):
    """Blend score and seed of each candidate as shown."""
    texts = page.locator(f"{CARDS} .caption").all_inner_texts()
    return [(float(score), int(seed)) for score, seed in (text.split("seed") for text in texts)]


def scores_best_first(page):
    """Blend scores as shown. They are sorted, but those of unchanged candidates come last."""
    shown = [("unchanged" in card.locator(".mark").all_inner_texts(), -score)
             for card, (score, _) in zip(page.locator(CARDS).all(), captions(page))]
    assert shown == sorted(shown)
    return [-score for _, score in shown]


def wait_for_status(page, sentence):
    page.wait_for_function("sentence => document.querySelector('#softinpaint_paint .status').innerText.includes(sentence)",
                           arg=sentence)


def saved(served):
    return sorted(served[1].glob("*.png"))


def read(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int), image.info["parameters"]


def shown_infotext(page):
    return page.locator("#softinpaint_infotext").text_content()
