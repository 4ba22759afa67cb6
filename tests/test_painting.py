"""Painting in threads: taking turns, stopping, and with the bundled model the same results as single requests."""
import html
import itertools
import json
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageCms

from lib_softinpaint.generation.colours import with_colours
from lib_softinpaint.hosts.placement import Placement
from lib_softinpaint.images.painted import strengths
from lib_softinpaint.settings import infotext
from lib_softinpaint.settings.request import from_infotext
from lib_softinpaint.settings.settings import Settings
from lib_softinpaint.ui.page_host import MASKS
from lib_softinpaint.ui.painting import Line, streamed
from tests.test_fence import ROOT
from tests.tiny_models import KNOWN_WARNINGS

pytestmark = KNOWN_WARNINGS

DEMO = ROOT / "demo"
LONG_S = 60


def demo(name):
    with Image.open(DEMO / name) as stored:
        return stored.copy()


def held(release, began, log, name):
    """A painter whose step blocks until `release` is set."""
    def paint(step):
        log.append(f"{name} begins")
        try:
            began.set()
            assert release.wait(LONG_S)
            step(0.5, None)
            log.append(f"{name} goes on")
            yield name
        finally:
            log.append(f"{name} ends")
    return paint


def test_a_closed_request_keeps_its_turn_until_its_step_ends():
    line, log, release, began = Line(), [], threading.Event(), threading.Event()
    closed = streamed(held(release, began, log, "closed"), line, threading.Event())
    assert next(closed) == (0, None)
    assert began.wait(LONG_S)
    closed.close()  # at once, because the web server closes it in its event loop
    assert log == ["closed begins"]
    following = streamed(held(release, threading.Event(), log, "following"), line, threading.Event())
    taken = []
    follows = threading.Thread(target=lambda: taken.extend(following))
    follows.start()
    time.sleep(0.2)
    assert log == ["closed begins"]
    release.set()
    follows.join(LONG_S)
    assert log == ["closed begins", "closed ends", "following begins", "following goes on", "following ends"]
    assert taken == [(0, None), (0.5, None), "following"]


def test_requests_run_in_turn_and_a_stopped_one_leaves_at_once():
    line, log, release, began = Line(), [], threading.Event(), threading.Event()
    stops = [threading.Event() for _ in range(4)]
    taken = [[] for _ in stops]

    def ask(number):
        for event in streamed(held(release, began, log, number), line, stops[number]):
            taken[number].append(event)
    asking = []
    for number in range(4):
        asking.append(threading.Thread(target=ask, args=[number]))
        asking[-1].start()
        while len(line._requests) <= number:
            time.sleep(0.001)
    assert began.wait(LONG_S)
    stops[2].set()
    asking[2].join(LONG_S)
    assert taken[2] == [] and asking[0].is_alive()
    release.set()
    for each in asking:
        each.join(LONG_S)
    assert log == [f"{number} {what}" for number in (0, 1, 3) for what in ("begins", "goes on", "ends")]
    assert [each[-1] for each in taken if each] == [0, 1, 3]
    assert line._requests == []


def test_an_exception_reaches_its_caller_and_frees_the_queue():
    def broken(step):
        yield 1
        raise MemoryError("none left")
    line = Line()
    events = streamed(broken, line, threading.Event())
    assert list(itertools.islice(events, 2)) == [(0, None), 1]
    with pytest.raises(MemoryError, match="none left"):
        next(events)
    assert list(streamed(lambda step: iter([2]), line, threading.Event())) == [(0, None), 2]


# With the bundled model

@pytest.fixture(scope="module")
def painter(tmp_path_factory):
    pytest.importorskip("gradio", reason="gradio is not installed", exc_type=ImportError)
    from lib_softinpaint.hosts.diffusers.painter import Painter
    return Painter(tmp_path_factory.mktemp("painted"), Placement("cpu"))


@pytest.fixture(scope="module")
def asked():
    """Two requests that share a model but use different samplers, whose configurations must stay separate."""
    start, _ = from_infotext(infotext.parse((DEMO / "infotext.txt").read_text(encoding="utf8")))
    assert start.settings == Settings(enabled=True), "the demo shows the defaults"
    return [replace(start, steps=4, seed=5, sampler=sampler, schedule_type=schedule)
            for sampler, schedule in (("Euler a", "Uniform"), ("DPM++ 2M", "Karras"))]


def painting(painter, request, count=1):
    image, mask = demo("image.png"), demo("mask.png")
    return lambda step: painter.paint(request, image, mask, count, "", step)


def made(events):
    results = []
    for event in events:
        if not isinstance(event, tuple):
            with Image.open(event.path) as image:
                results.append(np.asarray(image).tobytes())
    return results


def alone(painter, requests):
    return [made(streamed(painting(painter, each), Line(), threading.Event())) for each in requests]


def test_a_request_after_a_closed_one_equals_a_single_request(painter, asked):
    wanted = alone(painter, asked)
    line = Line()
    closed = streamed(painting(painter, replace(asked[1], steps=150), 9), line, threading.Event())
    assert sum(1 for _ in itertools.takewhile(lambda event: event[0] == 0, closed)) >= 1
    closed.close()
    assert [made(streamed(painting(painter, each), line, threading.Event())) for each in asked] == wanted



def test_concurrent_requests_equal_single_requests(painter, asked):
    wanted = alone(painter, asked)
    line, found = Line(), [[], []]

    def ask(number):
        found[number] += made(streamed(painting(painter, asked[number]), line, threading.Event()))
    both = [threading.Thread(target=ask, args=[number]) for number in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert found == wanted



def test_a_stop_during_model_loading_takes_effect_after_it(painter, asked, monkeypatch):
    from lib_softinpaint.hosts.diffusers import models as diffusers_models
    loading, loaded, load = threading.Event(), threading.Event(), diffusers_models.load

    def slow(*args):
        loading.set()
        assert loaded.wait(LONG_S)
        return load(*args)
    monkeypatch.setattr(diffusers_models, "load", slow)
    monkeypatch.setattr(diffusers_models, "inpaint", lambda *args, **kwargs: pytest.fail("it was stopped"))
    stopped = threading.Event()
    events = streamed(painting(painter, asked[0]), Line(), stopped)
    next(events)
    assert loading.wait(LONG_S)
    stopped.set()
    loaded.set()
    assert list(events) == []


def test_a_recomposite_keeps_its_colour_profile(painter, asked):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = demo("image.png").convert("RGB")
    image.info["icc_profile"] = profile
    finished, = painter.paint(asked[0], image, demo("mask.png"), 1, "", lambda *_: None)
    host = painter.host().recomposite
    name = host.find(None, finished.path.name)
    kept = host.get(name)
    again = with_colours(Image.fromarray(kept.composited(kept.settings_with({"grain": 0.5}))), kept.colours)
    new_name, shown, _ = host.save(again, kept.infotext, None, name)
    assert html.escape(json.dumps(new_name)) in shown and "re-composited" in shown
    for path in (finished.path, finished.path.with_name(new_name)):
        with Image.open(path) as saved:
            assert saved.info["icc_profile"] == profile
        with Image.open(path.parent / MASKS / path.name) as mask:
            assert (strengths(mask) == strengths(demo("mask.png"))).all()


@pytest.mark.parametrize(("name", "sentence"), [
    ("", "No candidate is selected"), ("00001-none.png", "cannot be re-composited")])
def test_what_cannot_be_recomposited_is_reported(painter, name, sentence):
    with pytest.raises(LookupError, match=sentence):
        painter.host().recomposite.find(None, name)
