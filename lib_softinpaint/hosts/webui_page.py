"""The WebUI's page and routes: the built-in's place, options, axes, the accordion, and composites that are made again."""
from __future__ import annotations

import dataclasses
import functools
import json
import os
import types
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import HTTPException
from modules import errors, images, infotext_utils, paths, script_callbacks, scripts, shared, ui_components
from PIL import Image

from lib_softinpaint.encoded import encoded
from lib_softinpaint.history import USUAL_LIMIT_MB
from lib_softinpaint.hosts.webui import (
    HISTORY_MB,
    NOTES,
    history,
    history_mb,
    on_cfg_after_cfg,
    on_cfg_denoiser,
)
from lib_softinpaint.kept import KeptPicture
from lib_softinpaint.presets import PRESETS_FILE, REQUEST_FIELDS, PresetFile
from lib_softinpaint.recompositing import Busy, recomposites
from lib_softinpaint.settings import Settings, composite_fields, from_infotext, infotext_key, saved_fields
from lib_softinpaint.source import KEEP_ALPHA
from lib_softinpaint.ui import accordion, presets, recomposite
from lib_softinpaint.ui.elements import GALLERY, GENERATION_INFO, REQUEST, SIZES
from lib_softinpaint.ui.events import redraw_on_change

TITLE = "Soft Inpainting"
BUILTIN_SCRIPT = os.path.join("extensions-builtin", "soft-inpainting", "scripts", "soft_inpainting.py")
KEEP_BUILTIN, DEFAULT_PRESET = "softinpaint_keep_builtin", "softinpaint_default_preset"

REQUEST_ATTRIBUTES = {
    "denoising_strength": "denoising_strength", "mask_blur": "mask_blur", "mask_mode": "inpainting_mask_invert",
    "masked_content": "inpainting_fill", "inpaint_area": "inpaint_full_res",
    "masked_area_padding": "inpaint_full_res_padding", "sampler": "sampler_name", "schedule_type": "scheduler",
    "steps": "steps", "cfg_scale": "cfg_scale"}
"""What the processing object calls them; choices are numbers there."""

_pages: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()
"""Components of the page by elem_id, for the script that is being set up."""

ANSWER_FORMATS = {"png": {"compress_level": 1}, "jpeg": {"quality": 90}, "webp": {"quality": 90}}
"""Of a composite that is made again, and how they are written: fast."""

RECOMPOSITE_ROUTE, ROUTE_OF_THE_HOST = "/softinpaint/recomposite", "/sdapi/v1/options"


# Taking the built-in's place

def register(script_class: type) -> type | None:
    """Puts the script into the host's list, and answers what the host's loader should still append.

    The built-in's entry is replaced where it stands: other scripts read the mask in the same hooks, so the place
    matters, and later than while scripts load is too late where there is no page. Called on each load, also after
    "Reload UI", which clears all callbacks.
    """
    script_callbacks.on_ui_settings(_add_options)
    builtin = next((place for place, entry in enumerate(scripts.scripts_data)
                    if os.path.normpath(entry.path).endswith(BUILTIN_SCRIPT)), None)
    if builtin is not None and shared.opts.data.get(KEEP_BUILTIN, False):
        return None
    script_callbacks.on_cfg_denoiser(on_cfg_denoiser)
    script_callbacks.on_cfg_after_cfg(on_cfg_after_cfg)
    script_callbacks.on_before_ui(_add_axes)
    script_callbacks.on_app_started(_keep_floats)
    script_callbacks.on_app_started(_add_route)
    _add_axes()
    script_class.title, script_class.section = lambda script: TITLE, "inpaint"
    if builtin is None:
        return script_class
    module = types.ModuleType(script_class.__module__)  # the loader's own module object cannot be reached while it loads
    vars(module).update(script_class.ui.__globals__)
    scripts.scripts_data[builtin] = scripts.ScriptClassData(script_class, module.__file__, scripts.basedir(), module)
    return None


def _add_options() -> None:
    about = {"section": ("softinpaint", "Soft inpainting"), "category_id": "sd"}
    shared.opts.add_option(KEEP_BUILTIN, shared.OptionInfo(
        False, "Keep the built-in soft inpainting and switch this extension off", **about).needs_reload_ui())
    shared.opts.add_option(DEFAULT_PRESET, shared.OptionInfo(
        "", "Preset that the accordion starts with", presets.MENU, _preset_choices,
        **about).info("once the page is loaded again; without one the sliders start as ui-config.json says"))
    keep_size = shared.OptionHTML(
        "Keeping width and height when a picture is sent to another tab is the WebUI's own setting <i>Send size when sending "
        "prompt or image to another interface</i>, which the accordion's checkbox also switches.")
    keep_size.section, keep_size.category_id = about.values()
    shared.opts.add_option("softinpaint_keep_size", keep_size)
    shared.opts.add_option(KEEP_ALPHA, shared.OptionInfo(
        False, "Keep the transparency of pictures that are inpainted softly", **about).info("else they get a background"))
    shared.opts.add_option(HISTORY_MB, shared.OptionInfo(
        USUAL_LIMIT_MB, "Memory for finished pictures that can be composited again, MB", **about).info(
            f"a picture of 1024 x 1024 takes 18, each other of its batch 3; 0 keeps none; {USUAL_LIMIT_MB} by default; "
            "on a shared WebUI, anyone who has an exact copy of a result can re-composite it, and gets its prompt and "
            "settings back even if they were removed from that copy"))
    shared.opts.add_option(NOTES, shared.OptionInfo(
        True, "Write what soft inpainting had to leave out or change into the infotext", **about).info(
            "it always stands under the picture"))
    shared.opts.onchange(HISTORY_MB, lambda: history.shrink(history_mb()), call=False)


def build_ui(script: Any) -> list[Any]:
    """The script's Gradio components; sets what the host pastes from infotext."""
    own_presets = _own_presets()
    built = accordion.build(ui_components.InputAccordion, own_presets, accordion.KeepSize(_keeps_size, _set_keep_size))
    components = built.settings
    saved = saved_fields()
    script.infotext_fields = [(components[field.name], functools.partial(from_infotext, field)) for field in saved]
    script.paste_field_names = [infotext_key(field) for field in saved]

    def connect(created: Any) -> None:
        page = _pages[script]
        again = {field.name: components[field.name] for field in composite_fields()}
        recomposite.connect(built.panel, again, page[GALLERY], page[GENERATION_INFO],
                            recomposite.Host(_find, _kept, _save, "selected_gallery_index()"))
        request = {name: page[elem_id] for name, elem_id in REQUEST.items() if elem_id in page}
        presets.connect(built.chooser, components, request, own_presets, lambda: shared.opts.data.get(DEFAULT_PRESET) or "")
        redraw_on_change([*components.values(), *request.values(), *(page[elem_id] for elem_id in SIZES if elem_id in page)])
    script.on_after_component(connect, elem_id=GENERATION_INFO)
    return list(components.values())


def _preset_choices() -> dict[str, list[str]]:
    """Raises nothing: the WebUI does not start if an option's choices cannot be made."""
    try:
        return {"choices": ["", *_own_presets().with_bundled()]}
    except Exception:
        errors.report("Soft inpainting could not read its presets", exc_info=True)
        return {"choices": [""]}


def _own_presets() -> PresetFile:
    return PresetFile(Path(paths.data_path) / PRESETS_FILE)


def _keeps_size() -> bool:
    return not shared.opts.send_size


def _set_keep_size(keep: bool) -> None:
    if shared.opts.send_size == keep:
        shared.opts.set("send_size", not keep)
        shared.opts.save(shared.config_filename)


def show(script: Any, is_img2img: bool) -> Any:
    """Where the script stands; has the host hand over the components of the page that it works with, while they are made."""
    page = _pages[script] = {}
    for elem_id in (GALLERY, GENERATION_INFO, *SIZES, *REQUEST.values()):
        script.on_after_component(lambda created: page.update({created.component.elem_id: created.component}), elem_id=elem_id)
    return scripts.AlwaysVisible if is_img2img else False


def _keep_floats(demo: Any, app: Any) -> None:
    # A ui-config.json that the built-in wrote holds 1 and 4 for floats; the host converts pasted values to the type
    # that it finds here, and int("0.2") answers 500.
    for script in scripts.scripts_img2img.alwayson_scripts:
        if getattr(script, "name", None) == TITLE.lower():
            for component, setting in zip(script.controls, dataclasses.fields(Settings)):
                if isinstance(setting.default, float):
                    component.value = float(component.value)


def _add_axes() -> None:
    for entry in scripts.scripts_data:
        options, axis_option = getattr(entry.module, "axis_options", None), getattr(entry.module, "AxisOptionImg2Img", None)
        if options is not None and axis_option is not None:
            known = {option.label for option in options}
            options.extend(axis for axis in _axes(axis_option) if axis.label not in known)


def _axes(axis_option: type) -> list[Any]:
    axes = []
    for setting in saved_fields():
        choices = ("True", "False") if isinstance(setting.default, bool) else setting.metadata.get("choices")
        axes.append(axis_option(
            f"[Soft inpainting] {setting.metadata['label']}", str if choices else float,
            functools.partial(_apply_axis, setting.name), choices=functools.partial(list, choices) if choices else None))
    for label, name, kind in (("Mask blur", "mask_blur", int), ("Only masked padding", "masked_area_padding", int)):
        axes.append(axis_option(f"[Soft inpainting] {label}", kind, functools.partial(_apply_request_axis, name)))
    axes.append(axis_option("[Soft inpainting] Preset", str, _apply_preset,
                            choices=lambda: list(_own_presets().with_bundled())))
    return axes


def _apply_preset(p: Any, name: str, values: list[str]) -> None:
    preset = _own_presets().with_bundled()[name]
    settings = preset.all_settings()
    for field in saved_fields():
        _apply_axis(field.name, p, getattr(settings, field.name), values)
    for field_name, value in preset.request.items():
        if field_name in REQUEST_ATTRIBUTES:  # a cell is one picture
            _apply_request_axis(field_name, p, value, values)


def _apply_request_axis(name: str, p: Any, value: Any, values: list[Any]) -> None:
    choices = REQUEST_FIELDS[name].metadata.get("choices")
    setattr(p, REQUEST_ATTRIBUTES[name], choices.index(value) if choices else value)


def _apply_axis(name: str, p: Any, value: Any, values: list[Any]) -> None:
    script = next(script for script in p.scripts.alwayson_scripts if script.name == TITLE.lower())
    script_args = list(p.script_args)
    if isinstance(script_args[script.args_from], Mapping):
        script_args[script.args_from] = {**script_args[script.args_from], name: value}
    else:
        script_args[script.args_from + [setting.name for setting in dataclasses.fields(Settings)].index(name)] = value
    p.script_args = script_args


# Composites made again

def _find(pictures: Any, index: int) -> str:
    """Id of the gallery's picture of this index; LookupError with a sentence where it is not kept."""
    if not pictures:
        raise LookupError("The gallery is empty: generate a picture first.")
    shown = _shown(pictures[max(0, index)])
    identity = history.find(shown.already_saved_as) or history.find(result=np.asarray(shown))
    if identity is None:
        raise LookupError("This picture is not kept: it was not inpainted softly, or newer ones have taken its place "
                          "(Settings > Soft inpainting).")
    return identity


def _shown(entry: Any) -> Image.Image:
    """A gallery's picture, with the file that it stands in as the host's own saved pictures have it."""
    file = entry[0] if isinstance(entry, (list, tuple)) else entry
    picture = infotext_utils.image_from_url_text([file])
    picture.already_saved_as = file["name"].partition("?")[0]
    return picture


def _kept(identity: str) -> KeptPicture:
    try:
        picture = history.get(identity)
        history.shrink(history_mb())  # what re-rendering has added since the last time
        return picture
    except KeyError as missing:
        raise LookupError(f"id must be that of a picture that is kept, got {identity!r}.") from missing


def _saved(result: Image.Image, about: str) -> str:
    """Path of a result that is written where the host writes its own."""
    told = infotext_utils.parse_generation_parameters(about, [])
    folder = shared.opts.outdir_samples or shared.opts.outdir_img2img_samples
    path, _ = images.save_image(result, folder, "", told.get("Seed"), told.get("Prompt"), shared.opts.samples_format,
                                info=about)
    return path


def _save(result: Image.Image, about: str, pictures: Any, generation_info: str) -> tuple[str, Any, str]:
    """Name of the written file, and the gallery and its infotexts with it."""
    path = _saved(result, about)
    shown = [_shown(picture) for picture in pictures or []]
    told = json.loads(generation_info or "{}")
    texts = (told.get("infotexts", []) + [""] * len(shown))[:len(shown)]
    return os.path.basename(path), [*shown, result], json.dumps({**told, "infotexts": [*texts, about]})


def _add_route(demo: Any, app: Any) -> None:
    """POST a kept picture's id and settings, beside the host's own routes and behind the same lock."""
    host = next((route for route in app.routes if getattr(route, "path", None) == ROUTE_OF_THE_HOST), None)
    if host is not None:
        app.add_api_route(RECOMPOSITE_ROUTE, _recomposite, methods=["POST"], dependencies=host.dependencies,
                          summary="Composite a finished picture again")


def _recomposite(body: dict[str, Any]) -> dict[str, str]:
    """A composite made again, of `id` (from `info` of the img2img answer, "extra_generation_params", "Soft inpainting kept").

    `settings` are the composite's, by API name; those that are left out stay the run's. `format` is png, jpeg or webp;
    `save` writes the result where the WebUI writes its own. One is made at a time, and few may wait: others get a 429.
    """
    try:
        unknown = body.keys() - {"id", "settings", "format", "save"}
        kind, changes = body.get("format", "png"), body.get("settings", {})
        if unknown:
            raise ValueError(f"the body takes id, settings, format and save, got {', '.join(sorted(unknown))}.")
        if kind not in ANSWER_FORMATS:
            raise ValueError(f"format must be one of {', '.join(ANSWER_FORMATS)}, got {kind!r}.")
        if not isinstance(changes, dict) or not isinstance(body.get("save", False), bool):
            raise ValueError("settings must be an object and save true or false.")
        picture = _kept(body.get("id", ""))
        settings = picture.settings_with(changes)
    except (LookupError, ValueError) as refused:
        raise HTTPException(422, str(refused.args[0])) from refused
    try:
        with recomposites.turn():
            result, about = Image.fromarray(picture.composited(settings)), picture.infotext_with(settings)
            shown = result.convert("RGB") if kind == "jpeg" else result
            answer = {"image": encoded(shown, kind, **ANSWER_FORMATS[kind]), "infotext": about}
            if body.get("save"):
                answer["saved_as"] = os.path.basename(_saved(result, about))
    except Busy as busy:
        raise HTTPException(429, str(busy)) from busy
    finally:
        history.shrink(history_mb())
    return answer
