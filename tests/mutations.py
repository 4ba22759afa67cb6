"""Which tests belong to a module, and which changes to it make no difference. For `mutate.py`."""

MUTATED = ("lib_softinpaint/geometry.py", "lib_softinpaint/atomic_file.py", "lib_softinpaint/method",
           "lib_softinpaint/generation", "lib_softinpaint/images", "lib_softinpaint/settings",
           *(f"lib_softinpaint/hosts/webui/{name}.py" for name in ("job", "masks", "run", "run_table", "sampling")))
"""What is changed unless files are named: what tests without a host reach. tests/webui tests the other hooks."""

TWINS = tuple(f"javascript/softInpainting/{name}.mjs" for name in (
    "advice", "crop", "distance", "gaussian", "mask", "maskTools", "painted", "samplers", "schedule", "scheduleTypes"))
"""The JavaScript that computes what Python computes too, or the host."""

TESTS = {
    "geometry": "geometry mask cut", "atomic_file": "atomic",
    "method/blend": "blend job", "method/cielab": "content drift score mask_tools", "method/coherence": "coherence",
    "method/composite": "composite kept", "method/content": "content", "method/cut": "cut", "method/difference": "difference",
    "method/distance": "mask surroundings mask_tools", "method/drift": "drift kept", "method/fill": "fill content",
    "method/grain": "grain", "method/layer": "export", "method/mask": "mask job",
    "method/mask_tools": "mask_tools", "method/regions": "regions", "method/schedule": "schedule job",
    "method/smootherstep": "smootherstep", "method/surroundings": "surroundings detours",
    "generation/candidates": "candidates", "generation/coherent": "coherence", "generation/colours": "image_files export kept",
    "generation/ghosts": "score", "generation/history": "history", "generation/job": "job", "generation/kept": "kept export",
    "generation/layers": "export", "generation/neighbours": "neighbours", "generation/sampled": "job kept cut",
    "generation/score": "score",
    "generation/seams": "score", "generation/source": "source image_files", "generation/turns": "recompositing",
    "generation/views": "views",
    "images/encoded": "painted webui_api", "images/export": "export", "images/files": "image_files",
    "images/infotext_files": "infotext", "images/job_file": "kept", "images/openraster": "export", "images/painted": "painted",
    "images/painted_masks": "steps", "images/photoshop": "export", "images/read": "image_files", "images/sheet": "sheet",
    "images/steps": "steps",
    "settings/advice": "advice", "settings/infotext": "infotext", "settings/mask_tools": "mask_tools",
    "settings/presets": "presets", "settings/prompt": "prompt", "settings/request": "request",
    "hosts/webui/run_table": "runs", "hosts/webui/run": "runs webui_latents random_runs",
}
"""Unit tests by module; of a folder's other modules, those below. The names leave out `tests/test_` and `.py`."""
OF_FOLDERS = {"settings": "settings presets request", "hosts/webui": "webui_latents random_runs", "images": "painted",
              "generation": "job kept", "method": "mask job"}

AFTERWARDS = tuple(f"tests/test_{name}.py" for name in ("job", "kept", "webui_latents"))
"""Run where the module's own tests pass."""

WITHOUT_EFFECT: dict[tuple[str, str, str], str] = {}
"""Changes that no test can notice, with the reason: path, line before and line after."""


def tests_of(path: str) -> tuple[str, ...]:
    """Unit tests of a module, the quickest first."""
    module = path.removeprefix("lib_softinpaint/").removesuffix(".py")
    folder = next((name for name in OF_FOLDERS if module.startswith(name + "/")), "method")
    names = TESTS.get(module, OF_FOLDERS[folder]).split()
    first = ["recorded"] if folder in ("method", "generation") else []
    return tuple(f"tests/test_{name}.py" for name in (*first, *names))
