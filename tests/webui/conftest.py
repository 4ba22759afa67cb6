import pytest

from tests.webui import host, record

if host.checkout() is None:
    collect_ignore_glob = ["test_*.py"]  # the last line of the test run says so


@pytest.fixture(scope="session")
def checkout():
    found = host.checkout()
    if found is None:
        pytest.skip("SOFTINPAINT_WEBUI names no WebUI checkout")
    return found


@pytest.fixture(scope="session")
def webui(checkout):
    """A warmed-up WebUI with page and API. The first image after a start may differ."""
    with host.WebUI(checkout, "main") as running:
        running.inpaint(host.drawn_image(), host.drawn_disc(), [True])
        yield running


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


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/webui/" in item.nodeid:
            item.add_marker(pytest.mark.webui)


def pytest_sessionfinish(session):
    options = session.config.option
    selected = (session.config.args_source is not pytest.Config.ArgsSource.TESTPATHS or options.keyword or options.markexpr
                or options.collectonly)
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if host.checkout() is None or session.shouldstop or session.shouldfail:
        return
    ours = {outcome: [report.nodeid for report in reporter.stats.get(outcome, []) if "tests/webui/" in report.nodeid]
            for outcome in ("passed", "failed", "error", "skipped")}
    failures = ours["failed"] + ours["error"]
    if selected:
        record.amend(ours["passed"], failures)
        return
    version = (host.checkout() / "CHANGELOG.md").read_text(encoding="utf8").split(maxsplit=2)[1]
    record.write(f"AUTOMATIC1111 {version}", len(ours["passed"]), len(ours["skipped"]), failures)
