"""On which hosts the extension runs, judging by the names recorded from their sources."""
import json
import sys
import types
from pathlib import Path

import pytest

from lib_softinpaint.hosts.webui import detect

HOSTS = json.loads((Path(__file__).parent / "hosts.json").read_text())
"""For each host: the names in each module (functions and classes with their parameters), the attributes of two classes, and
the calls in the denoiser's file. Recorded by `python -m tests.contract.surface`."""

LACKING = {"AUTOMATIC1111 1.7.0": "scripts.MaskBlendArgs", "Forge Classic": "a call to on_mask_blend in each sampling step"}


def stand_in(package, recorded, folder):
    """Modules with the recorded names, and the denoiser's file."""
    modules = {package: types.ModuleType(package)}
    for name, names in recorded["modules"].items():
        module = modules[f"{package}.{name}"] = types.ModuleType(f"{package}.{name}")
        for each, parameters in names.items():
            scope = {}
            exec(f"def made({', '.join(parameters or [])}): pass", scope)
            setattr(module, each, scope["made"])
    for (module, name), attributes in zip((("scripts", "Script"), ("processing", "StableDiffusionProcessingImg2Img")),
                                          recorded["classes"]):
        setattr(modules[f"{package}.{module}"], name, type(name, (), dict.fromkeys(attributes)))
    denoiser = folder / "denoiser.py"
    denoiser.write_text("\n".join(recorded["denoiser_calls"]))
    modules[f"{package}.sd_samplers_cfg_denoiser"].__file__ = str(denoiser)
    return modules


@pytest.mark.parametrize("host", HOSTS)
def test_supported_hosts_pass_and_missing_names_are_reported(monkeypatch, tmp_path, host):
    for name, module in stand_in("stand_in", HOSTS[host], tmp_path).items():
        monkeypatch.setitem(sys.modules, name, module)
    lacking = detect.missing("stand_in")
    if host in LACKING:
        assert LACKING[host] in lacking
    else:
        assert lacking == []
