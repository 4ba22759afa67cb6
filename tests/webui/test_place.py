"""Taking the built-in's place, for every way to start a WebUI and with files left by the built-in."""
import json
from pathlib import Path

import numpy as np
import pytest

from lib_softinpaint import __version__
from lib_softinpaint.generation.history import identify
from tests.test_version import checked_in
from tests.webui import host
from tests.webui.test_requests import GUIDE, IMAGE, MASK, soft_keys

# Written by AUTOMATIC1111 1.10.1 with its built-in: integers for floats, and a saved preservation strength of 2.
BUILTIN_UI_CONFIG = (Path(__file__).parent / "builtin_ui_config.json").read_text()


def owner_and_place(webui):
    """Whose script has the title, its place in the loading order, and the paths of all scripts."""
    paths = [path.replace("\\", "/") for path, _ in webui.get("/companion/loaded")]
    places = [place for place, path in enumerate(paths) if path.endswith("soft_inpainting.py")]
    assert len(places) == 1
    return ("built-in" if "extensions-builtin" in paths[places[0]] else "ours"), places[0], paths


def works(webui, args=(True,)):
    return soft_keys(webui.inpaint(IMAGE, MASK, list(args), steps=4).infotexts[0])


@pytest.mark.every_host
def test_the_script_has_the_builtins_place(webui):
    owner, place, paths = owner_and_place(webui)
    assert owner == "ours"
    builtin = [index for index, path in enumerate(paths) if "extensions-builtin" in path]
    assert builtin[0] < place < builtin[-1] or place < min(
        index for index, path in enumerate(paths) if "/extensions/" in path and index != place)


def test_without_a_page_and_with_an_old_ui_config(member):
    with host.WebUI(member, "nowebui", ("--nowebui",), {"ui-config.json": BUILTIN_UI_CONFIG}) as webui:
        assert owner_and_place(webui)[0] == "ours"
        assert "version" in works(webui)
        assert "Error" not in webui.log


def test_an_old_ui_config_keeps_its_defaults_and_pasting_works(member):
    with host.WebUI(member, "old-config", (), {"ui-config.json": BUILTIN_UI_CONFIG}) as webui:
        sliders = [component["props"] for component in webui.get("/config")["components"]]
        strength = next(slider for slider in sliders if slider.get("elem_id") == "mask_blend_scale")
        assert strength["value"] == 2
        old = webui.inpaint(IMAGE, MASK, [True, *GUIDE], title="Built-in soft inpainting").infotexts[0]
        pasted = soft_keys(webui.inpaint(IMAGE, MASK, infotext=old).infotexts[0])
        assert pasted["schedule bias"] == "0.2"
        assert pasted["feather source"] == "host"


def test_the_builtin_disabled(member):
    with host.WebUI(member, "disabled", ("--nowebui",), options={"disabled_extensions": ["soft-inpainting"]}) as webui:
        assert owner_and_place(webui)[0] == "ours"
        assert "version" in works(webui)


@pytest.mark.every_host
def test_the_builtin_kept_by_the_option(member):
    with host.WebUI(member, "kept", options={"softinpaint_keep_builtin": True}) as webui:
        assert owner_and_place(webui)[0] == "built-in"
        assert "version" not in works(webui)
        assert works(webui)["enabled"] == "True"
        assert "Keep the built-in soft inpainting" in json.dumps(webui.get("/config"))  # it can be undone


@pytest.mark.every_host
@pytest.mark.usefixtures("clean_log")
def test_after_reload_ui(webui):
    axes_before = xyz_axes(webui)
    webui.post("/companion/reload", {})
    webui.wait()
    assert owner_and_place(webui)[0] == "ours"
    assert "version" in works(webui)
    assert xyz_axes(webui) == axes_before


LACKING = """
from modules import script_callbacks
del script_callbacks.on_cfg_after_cfg
"""


def test_an_unsupported_host_keeps_its_builtin_and_a_message_says_why(member):
    with host.WebUI(member, "lacking", (), {"extensions/aa-lacking/scripts/lacking.py": LACKING}) as webui:
        reason = "The soft inpainting extension is off because this WebUI lacks script_callbacks.on_cfg_after_cfg."
        assert owner_and_place(webui)[0] == "built-in"
        assert reason in webui.log
        assert reason in json.dumps(webui.get("/config"))  # on the settings page
        assert "softinpaint_recomposite" not in json.dumps(webui.get("/config"))
        assert works(webui)["enabled"] == "True"
        assert "version" not in works(webui)
        assert "Error" not in webui.log


@pytest.mark.every_host
def test_infotext_names_the_commit_of_a_checkout(member):
    installed = host.WebUI(member, "checkout")
    commit = checked_in(installed.data / "extensions" / "sd-webui-softinpaint")
    with installed as webui:
        assert works(webui)["version"] == f"{__version__}+{commit}"


@pytest.mark.usefixtures("clean_log")
def test_reload_ui_after_an_update_loads_the_new_library_and_keeps_the_history(webui):
    result = webui.inpaint(IMAGE, MASK, [True], steps=4)
    identity = identify(result.images[0])
    library = webui.data / "extensions" / "sd-webui-softinpaint" / "lib_softinpaint"
    old = {path: path.read_text(encoding="utf8") for path in (library / "__init__.py", library / "settings" / "settings.py")}
    try:
        for path, before, after in ((library / "__init__.py", f'"{__version__}"', '"9.9.9"'),
                                    (library / "settings" / "settings.py", '"Mask grow, pixels"', '"Mask grow, new"')):
            assert before in old[path]
            path.write_text(old[path].replace(before, after), encoding="utf8")
        webui.post("/companion/reload", {})
        webui.wait()
        assert works(webui)["version"] == "9.9.9"
        listed = next(each for each in webui.get("/sdapi/v1/script-info") if each["name"] == "soft inpainting")
        assert "Mask grow, new" in [argument["label"] for argument in listed["args"]]
        again = webui.post("/softinpaint/recomposite", {"id": identity})
        np.testing.assert_array_equal(host.decoded(again["image"]), result.images[0])
    finally:
        for path, text in old.items():
            path.write_text(text, encoding="utf8")
        webui.post("/companion/reload", {})
        webui.wait()
    assert works(webui)["version"] == __version__


def xyz_axes(webui):
    return xyz_plot(webui)[0]["choices"]


def xyz_plot(webui):
    """The arguments of the host's X/Y/Z plot, as its API describes them."""
    return next(script["args"] for script in webui.get("/sdapi/v1/script-info")
                if script["name"] == "x/y/z plot" and script["is_img2img"])


def xyz_arguments(webui, *axes):
    """Values of these arguments. Each axis is the name of one, its values as text and as a list of choices."""
    arguments = xyz_plot(webui)
    chosen = [(arguments[0]["choices"].index(name), values, choices) for name, values, choices in axes]
    chosen += [(0, "", [])] * (3 - len(axes))
    rest = [argument["label"] == "Include Sub Images" if isinstance(argument["value"], bool) else argument["value"]
            for argument in arguments[9:]]
    return [*sum(map(list, chosen), []), *rest]
