"""The accordion of sliders in img2img's inpaint tab."""
from __future__ import annotations

import dataclasses
from contextlib import AbstractContextManager
from typing import Any

import gradio as gr

from lib_softinpaint.settings import Settings

INTRODUCTION = ("What you paint is repainted in full; around it the picture changes gradually, over 2.4 times _Mask blur_. "
                "Pixels outside that reach stay as they are.")


def build(input_accordion: type[AbstractContextManager]) -> list[Any]:
    """Gradio components, one for each setting, in the settings' order.

    Parameters
    ----------
    input_accordion
        The host's accordion that is also a checkbox.
    """
    switch, *settings = dataclasses.fields(Settings)
    components = {}
    with input_accordion(switch.default, label=switch.metadata["label"], elem_id=switch.metadata["elem_id"]) as enabled:
        components[switch.name] = enabled
        gr.Markdown(INTRODUCTION)
        for group in ("Mask", "Sampling", "Composite"):
            gr.Markdown(f"### {group}")
            for field in settings:
                if field.metadata["group"] == group:
                    components[field.name] = _component(field)
    return [components[field.name] for field in (switch, *settings)]


def _component(field: dataclasses.Field) -> Any:
    about = field.metadata
    common = {"label": about["label"], "info": about["help"], "value": field.default, "elem_id": about["elem_id"]}
    if "choices" in about:
        return gr.Radio(choices=list(about["choices"]), **common)
    return gr.Slider(minimum=about["low"], maximum=about["high"], step=about["step"], **common)
