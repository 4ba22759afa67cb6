"""Axes for the host's X/Y/Z plot."""
from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from modules import scripts

from lib_softinpaint.hosts.webui import detect
from lib_softinpaint.hosts.webui.names import TITLE
from lib_softinpaint.hosts.webui.preset_file import own_presets
from lib_softinpaint.settings.presets import REQUEST_FIELDS
from lib_softinpaint.settings.settings import FIELDS, saved_fields

REQUEST_ATTRIBUTES = {
    "denoising_strength": "denoising_strength", "mask_blur": "mask_blur", "mask_mode": "inpainting_mask_invert",
    "masked_content": "inpainting_fill", "inpaint_area": "inpaint_full_res",
    "masked_area_padding": "inpaint_full_res_padding", "sampler": "sampler_name", "schedule_type": "scheduler",
    "steps": "steps", "cfg_scale": "cfg_scale"}
"""Attribute names on the processing object, which stores choices as numbers."""


def add_axes() -> None:
    for entry in scripts.scripts_data:
        axis_option = detect.axis_class(entry.module)
        if axis_option is not None:
            known = {option.label for option in entry.module.axis_options}
            entry.module.axis_options.extend(axis for axis in _axes(axis_option) if axis.label not in known)


def _axes(axis_option: type) -> list[Any]:
    axes = []
    for setting in saved_fields():
        choices = ("True", "False") if isinstance(setting.default, bool) else setting.choices
        axes.append(axis_option(
            f"[Soft inpainting] {setting.label}", str if choices or isinstance(setting.default, str) else float,
            functools.partial(_apply_axis, setting.name), choices=functools.partial(list, choices) if choices else None))
    for label, name, kind in (("Mask blur", "mask_blur", int), ("Only masked padding", "masked_area_padding", int)):
        axes.append(axis_option(f"[Soft inpainting] {label}", kind, functools.partial(_apply_request_axis, name)))
    axes.append(axis_option("[Soft inpainting] Preset", str, _apply_preset,
                            choices=lambda: list(own_presets().with_bundled())))
    return axes


def _apply_preset(p: Any, name: str, values: list[str]) -> None:
    preset = own_presets().with_bundled()[name]
    settings = preset.all_settings()
    for field in saved_fields():
        _apply_axis(field.name, p, getattr(settings, field.name), values)
    for field_name, value in preset.request.items():
        if field_name in REQUEST_ATTRIBUTES:  # the others, such as the batch size, do not fit a cell of one image
            _apply_request_axis(field_name, p, value, values)


def _apply_request_axis(name: str, p: Any, value: Any, values: list[Any]) -> None:
    choices = REQUEST_FIELDS[name].choices
    setattr(p, REQUEST_ATTRIBUTES[name], choices.index(value) if choices else value)


def _apply_axis(name: str, p: Any, value: Any, values: list[Any]) -> None:
    script = next(script for script in p.scripts.alwayson_scripts if script.name == TITLE.lower())
    script_args = list(p.script_args)
    if isinstance(script_args[script.args_from], Mapping):
        script_args[script.args_from] = {**script_args[script.args_from], name: value}
    else:
        script_args[script.args_from + list(FIELDS).index(name)] = value
    p.script_args = script_args
