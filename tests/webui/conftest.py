import json
import os

import numpy as np
import pytest

from tests.webui import family, host, record


class WithoutHost(pytest.Module):
    """A file of tests that is not imported, and counts as one skip."""

    def collect(self):
        pytest.skip("SOFTINPAINT_WEBUI names no WebUI checkout", allow_module_level=True)


def pytest_pycollect_makemodule(module_path, parent):
    return None if family.hosts() else WithoutHost.from_parent(parent, path=module_path)


SAMPLERS = json.loads((host.ROOT / "tests/webui/samplers.json").read_text())
"""The samplers of each host."""

HOSTS_OF = {}  # the host of each collected test; filled while tests are collected


@pytest.fixture(scope="session", params=family.hosts(), ids=lambda member: member.folder)
def member(request):
    """Each WebUI in turn."""
    return request.param


@pytest.fixture(scope="session")
def webui(member):
    """A warmed-up WebUI with page and API. The first image after a start may differ."""
    with host.WebUI(member, "main") as running:
        running.inpaint(host.drawn_image(), host.drawn_disc(), [True])
        running.rounding = own_rounding(running)
        yield running


def own_rounding(running):
    """Largest difference, in levels of 255, between identical plain requests with other requests in between."""
    def made(sampler, **fields):
        return running.inpaint(host.drawn_image(), host.drawn_disc(), sampler_name=sampler, **fields).images[0].astype(int)
    largest = 0
    for sampler in ("Euler a", "DDIM"):
        first = made(sampler)
        for others in ({"width": 320, "inpaint_full_res": True}, {"seed": 2}):
            made(sampler, **others)
            largest = max(largest, int(np.abs(made(sampler) - first).max()))
    return largest


@pytest.fixture
def clean_log(webui):
    """A test adds no hook errors to the log, and no run outlives its request."""
    before = len(webui.log)
    yield
    added = webui.log[before:]
    assert "Error running" not in added
    assert "Soft inpainting failed" not in added
    assert "Traceback" not in added
    assert webui.get("/companion/runs") == 0


MARKERS = ("every_host: runs in each WebUI of SOFTINPAINT_WEBUI, not only in AUTOMATIC1111",
           "automatic1111: overrides every_host; runs only in AUTOMATIC1111",
           "gradio_canvas: runs only in hosts with Gradio's canvas",
           "forge_canvas: runs only in hosts with Forge's canvas")


def pytest_configure(config):
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Keeps the tests that apply to each host, grouped by host so that its main WebUI starts once."""
    ours = [item for item in items if "tests/webui/" in item.nodeid]
    done = record.passed() if os.environ.get("SOFTINPAINT_WEBUI_RESUME") else set()
    for item in ours:
        item.add_marker(pytest.mark.webui)
        HOSTS_OF[item.nodeid] = str(member_of(item))
    left_out = [item for item in ours if item.nodeid in done or not applies(item)]
    config.hook.pytest_deselected(items=left_out)
    order, gone = [None, *family.hosts()], set(map(id, left_out))
    items[:] = sorted((item for item in items if id(item) not in gone), key=lambda item: order.index(member_of(item)))


def member_of(item):
    return item.callspec.params.get("member") if hasattr(item, "callspec") else None


def applies(item):
    member = member_of(item)
    if member is None:
        return True
    marked = {mark.name for mark in item.iter_markers()}
    everywhere = "every_host" in marked and "automatic1111" not in marked
    wrong_canvas = "gradio_canvas" if member.has_forge_canvas else "forge_canvas"
    sampler = item.callspec.params.get("sampler")
    return ((member.name == family.AUTOMATIC1111 or everywhere) and wrong_canvas not in marked
            and (sampler is None or sampler in SAMPLERS[member.name]))


def pytest_runtest_logreport(report):
    if "tests/webui/" in report.nodeid and report.when == "call" and report.passed:
        record.note_passed(report.nodeid)


def pytest_sessionfinish(session):
    options = session.config.option
    selected = (session.config.args_source is not pytest.Config.ArgsSource.TESTPATHS or options.keyword or options.markexpr
                or options.collectonly)
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not family.hosts() or session.shouldstop or session.shouldfail:
        return
    done = record.passed()
    for member in map(str, family.hosts()):
        ran = {outcome: {report.nodeid for report in reporter.stats.get(outcome, [])
                         if HOSTS_OF.get(getattr(report, "nodeid", "")) == member}
               for outcome in ("passed", "failed", "error", "skipped")}
        failures = ran["failed"] | ran["error"]
        if selected:
            record.amend(member, ran["passed"], failures)
        else:  # what passed before is not run again with SOFTINPAINT_WEBUI_RESUME
            passed = {nodeid for nodeid, of_host in HOSTS_OF.items() if of_host == member and nodeid in done} - failures
            record.write(member, len(passed), len(ran["skipped"]), sorted(failures))
