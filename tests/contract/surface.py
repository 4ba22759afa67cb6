"""The part of the host that our adapter relies on, read from its source. No host code is run.

    python -m tests.contract.surface CHECKOUT               updates the record
    python -m tests.contract.surface NAME=CHECKOUT ...      records the names that hosts.webui.detect looks for
"""
from __future__ import annotations

import ast
import json
import re
import sys
import warnings
from collections import defaultdict
from pathlib import Path

from lib_softinpaint.hosts.webui import detect

ROOT = Path(__file__).parents[2]
ADAPTER = sorted((ROOT / "lib_softinpaint/hosts/webui").glob("*.py"))
SCRIPT = ROOT / "scripts/soft_inpainting.py"
HOSTS = Path(__file__).parent / "hosts.json"
RECORD = Path(__file__).parent / "automatic1111_1_10_1.json"

FUTURE = "from __future__ import annotations\n"

PARAMETERS = {
    "p": [("processing", "StableDiffusionProcessing"), ("processing", "StableDiffusionProcessingImg2Img")],
    "mba": [("scripts", "MaskBlendArgs")],
    "ps": [("scripts", "PostSampleArgs")],
    "pp": [("scripts", "PostprocessImageArgs"), ("scripts", "PostprocessBatchListArgs")],
    "ppmo": [("scripts", "PostProcessMaskOverlayArgs")],
    "denoiser": [("sd_samplers_cfg_denoiser", "CFGDenoiser"), ("sd_samplers_timesteps", "CFGDenoiserTimesteps"),
                 ("sd_samplers_kdiffusion", "CFGDenoiserKDiffusion")],
    "params": [("script_callbacks", "CFGDenoiserParams"), ("script_callbacks", "AfterCFGCallbackParams")],
    "script": [("scripts", "Script")]}
"""Classes of our hooks' and callbacks' parameters in the host: module and class, base first."""


def adapter() -> ast.Module:
    return ast.parse("\n".join(path.read_text(encoding="utf8") for path in ADAPTER).replace(FUTURE, ""))


def used_by_the_adapter() -> dict[str, set[str]]:
    """Attributes that the adapter uses of each host module and of each hook parameter."""
    tree = adapter()
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "modules"
               for alias in node.names}
    used = defaultdict(set)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules | set(PARAMETERS):
            used[node.value.id].add(node.attr)
    return dict(used)


def options_used_by_the_adapter() -> set[str]:
    """Host settings that the adapter reads."""
    own = {"data", "add_option", "onchange", "set", "save"}
    direct = {node.attr for node in ast.walk(adapter())
              if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "shared.opts"}
    return (direct | {node.args[1].value for node in ast.walk(adapter()) if isinstance(node, ast.Call)
                     and ast.unparse(node).startswith("getattr(shared.opts, '")}) - own


def hooks_of_the_script() -> dict[str, list[str]]:
    """Names and parameters of the script's methods."""
    tree = ast.walk(ast.parse(SCRIPT.read_text(encoding="utf8")))
    methods = next(node for node in tree if isinstance(node, ast.ClassDef)).body
    return {method.name: parameters(method) for method in methods if isinstance(method, ast.FunctionDef)}


def parameters(function: ast.FunctionDef) -> list[str]:
    return [argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)]


def source(checkout: Path, module: str) -> ast.Module:
    with warnings.catch_warnings():  # about escapes in the host's strings
        warnings.simplefilter("ignore")
        return ast.parse((checkout / "modules" / f"{module}.py").read_text(encoding="utf8"))


def of_module(checkout: Path, module: str) -> dict[str, list[str] | None]:
    """Names that a host module defines or imports, with the parameters of functions and classes."""
    found: dict[str, list[str] | None] = {}
    for node in ast.walk(source(checkout, module)):
        if isinstance(node, ast.FunctionDef):
            found.setdefault(node.name, parameters(node))
        elif isinstance(node, ast.ClassDef):
            constructor = next((item for item in node.body if getattr(item, "name", None) == "__init__"), None)
            found[node.name] = parameters(constructor)[1:] if constructor else None
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            arguments = node.value.args[1:] if isinstance(node.value, ast.Call) else []
            is_tuple = node.value is not None and ast.unparse(node.value).startswith("namedtuple(")
            tuple_fields = [ast.literal_eval(field) for field in arguments if is_tuple]
            for target in getattr(node, "targets", [getattr(node, "target", None)]):
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, tuple_fields[0] if tuple_fields else None)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                found.setdefault(alias.asname or alias.name, None)
    return found


def of_class(checkout: Path, module: str, name: str) -> set[str]:
    """Fields, methods, properties and attributes set on self."""
    tree = source(checkout, module)
    body = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name)
    found = {item.name for item in body.body if isinstance(item, ast.FunctionDef)}
    for node in ast.walk(body):
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            found |= {target.id for target in getattr(node, "targets", [getattr(node, "target", None)])
                      if isinstance(target, ast.Name)}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self" \
                and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
    return found


def read(checkout: Path) -> dict:
    """The names that the adapter uses and the checkout has."""
    surface: dict = {"modules": {}, "parameters": {}, "hooks": {}}
    for owner, names in used_by_the_adapter().items():
        if owner in PARAMETERS:
            present = set().union(*(of_class(checkout, *where) for where in PARAMETERS[owner]))
            surface["parameters"][owner] = sorted(names & present)
        else:
            defined = of_module(checkout, owner)
            surface["modules"][owner] = {name: defined[name] for name in sorted(names) if name in defined}
    options = (checkout / "modules" / "shared_options.py").read_text(encoding="utf8")
    surface["options"] = sorted(name for name in options_used_by_the_adapter()
                                if re.search(rf"""["']{name}["']: OptionInfo\(""", options))
    methods = of_module(checkout, "scripts")
    surface["hooks"] = {name: methods[name] for name in hooks_of_the_script() if name in methods}
    return surface


def detectable(checkout: Path) -> dict:
    """The names that `hosts.webui.detect` looks for and the checkout has."""
    modules = {}
    for name in dict.fromkeys([*detect.NEEDED, *(module for module, *_ in detect.LIMITS), "ui"]):
        wanted = {*detect.NEEDED.get(name, ()), *(each for module, each in detect.ARGUMENTS if module == name),
                  *(path[0] for module, *path in detect.LIMITS if module == name), "ForgeCanvas"}
        if (checkout / "modules" / f"{name}.py").exists():
            modules[name] = {each: arguments if (name, each) in detect.ARGUMENTS else None
                             for each, arguments in of_module(checkout, name).items() if each in wanted}
    script = of_class(checkout, "scripts", "Script") & {*detect.HOOKS, *(path[-1] for path in detect.LIMITS)}
    fields = {name for where in PARAMETERS["p"] for name in of_class(checkout, *where)} & set(detect.PROCESSING_FIELDS)
    denoiser = (checkout / "modules" / "sd_samplers_cfg_denoiser.py").read_text(encoding="utf8")
    return {"modules": modules, "classes": [sorted(script), sorted(fields)],
            "denoiser_calls": [name for name in detect.CALLED_IN_EACH_STEP if name in denoiser]}


if __name__ == "__main__":
    if "=" in sys.argv[1]:
        named = dict(argument.split("=", 1) for argument in sys.argv[1:])
        HOSTS.write_text(json.dumps({name: detectable(Path(path)) for name, path in named.items()}, sort_keys=True) + "\n")
    else:
        RECORD.write_text(json.dumps(read(Path(sys.argv[1])), indent=1, sort_keys=True) + "\n")
