"""The command batch on two running WebUIs, one of which dies or stops answering on the way."""
import re
import signal
from pathlib import Path

import numpy as np
import pytest

from lib_softinpaint.batch import manifest
from tests.test_batch import lines, single, started, wait_for, write_images
from tests.test_cli import pixels
from tests.webui import host

WORDS = ("--prompt", "an orange tree", "--sampler", "Euler", "--steps", "3", "--seed", "5")
IMAGES = 60
TIMEOUT_SECONDS = 25


@pytest.fixture(scope="module")
def other(member):
    """A second WebUI of the same kind, which the tests may kill."""
    with host.WebUI(member, "other") as running:
        running.inpaint(host.drawn_image(), host.drawn_disc(), [True])
        yield running


def finished(folder, webui, other, when, *words, count=IMAGES):
    """The lines of a run, during which `when` is called after some images, and what it printed."""
    command = started(folder, "images", "--mask", "mask.png", *WORDS, "--webui", webui.url, "--webui", other.url, "-o", "made",
                      *words)
    wait_for(lambda: len(lines(folder / "made")) >= 2 or command.poll() is not None)
    assert command.poll() is None, "ended too early"
    when()
    _, message = command.communicate(timeout=500)
    assert command.returncode == 0, message
    found = lines(folder / "made")
    assert sorted(entry["result"] for entry in found) == sorted(f"{number}.png" for number in range(count))
    assert all(entry["status"] == "done" for entry in found)
    return found, message


def name_of(webui):
    return f"the WebUI at {webui.url}"


def test_webuis_share_the_images_and_one_that_stops_or_dies_is_left_out(webui, other, tmp_path):
    write_images(tmp_path / "shared", 6)
    found, message = finished(tmp_path / "shared", webui, other, lambda: None, count=6)
    assert message == ""
    assert {entry["worker"] for entry in found} == {name_of(webui), name_of(other)}
    assert all(entry["seed"] == 5 and 0 < entry["score"] <= 100 for entry in found)
    for entry in found:  # results as from one
        name = entry["result"]
        single(tmp_path / "shared", Path(name).stem, f"single-{name}", *WORDS, "--webui", webui.url)
        difference = np.abs(pixels(tmp_path / "shared/made" / name) - pixels(tmp_path / f"shared/single-{name}"))
        assert difference.max() <= webui.rounding

    write_images(tmp_path / "stopped", IMAGES)
    found, message = finished(tmp_path / "stopped", webui, other, lambda: other._process.send_signal(signal.SIGSTOP),
                              "--timeout", TIMEOUT_SECONDS)
    other._process.send_signal(signal.SIGCONT)
    late = f"it took longer than {TIMEOUT_SECONDS} s for |.*timed out"
    assert re.search(f"{name_of(other)} is left out: ({late})", message), message
    assert sum(entry["tries"] == 2 for entry in found) == 1, found

    write_images(tmp_path / "dead", IMAGES)
    found, message = finished(tmp_path / "dead", webui, other, other._process.kill)
    assert f"{name_of(other)} is left out: no WebUI answers at {other.url}" in message
    assert sum(entry["tries"] == 2 for entry in found) <= 1
    assert found[-1]["worker"] == name_of(webui)
    assert {path.suffix for path in (tmp_path / "dead/made").iterdir()} == {".png", Path(manifest.NAME).suffix, ".lock"}
