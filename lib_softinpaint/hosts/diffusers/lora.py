"""Adds LoRA files to the weights of one run's model.

Each run gets its own modules, which share all unchanged tensors with the loaded model. So the loaded model stays unchanged
for other runs. Weights are added once, as in the WebUI, not at each call of a layer.

diffusers' load_lora_weights is not used: it changes the modules it is given, and with peft 0.21 and transformers 5 it
cannot read a LoRA's text encoder weights.
"""
from __future__ import annotations

import copy
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open

from lib_softinpaint.errors import BadInput
from lib_softinpaint.settings.prompt import networks

SUFFIX = ".safetensors"
HASH_LETTERS = 12
METADATA_KEY = "lora_adapter_metadata"
"""Metadata key under which diffusers stores the LoRA's configuration."""

_PREFIXES = {"unet": "unet", "lora_unet": "unet", "text_encoder": "text_encoder", "lora_te": "text_encoder",
             "lora_te1": "text_encoder", "text_encoder_2": "text_encoder_2", "lora_te2": "text_encoder_2"}
_KEY = re.compile(rf"(?P<prefix>{'|'.join(sorted(_PREFIXES, key=len, reverse=True))})[._](?P<layer>.+?)"
                  r"\.(?:(?:lora_|lora\.|lora_linear_layer\.)(?P<part>A|B|up|down)\.weight|(?P<alpha>alpha))")
_OF_STABILITY = re.compile(r"(?P<way>input|output|middle)_blocks?_(?P<numbers>\d+(?:_\d+)?)(?:_(?P<rest>.+))?")
_IN_BLOCK = {"in_layers_2": "conv1", "out_layers_3": "conv2", "emb_layers_1": "time_emb_proj",
             "skip_connection": "conv_shortcut"}
_OUTSIDE = {"input_blocks_0_0": "conv_in", "out_2": "conv_out", "time_embed_0": "time_embedding_linear_1",
            "time_embed_2": "time_embedding_linear_2", "label_emb_0_0": "add_embedding_linear_1",
            "label_emb_0_2": "add_embedding_linear_2"}


@dataclass(frozen=True)
class Lora:
    """A LoRA file and its weights for the text encoders and the UNet."""

    path: Path
    text_encoder: float = 1.0
    unet: float = 1.0


def loras_of(prompt: str, places: Sequence[Path]) -> list[Lora]:
    """The LoRAs that a prompt names.

    Parameters
    ----------
    places
        Files and folders, searched recursively. The first file with the name is used.

    Raises
    ------
    BadInput
        If a named file is not found.
    """
    _, named = networks(prompt)
    return [Lora(_found(each.name, places), each.text_encoder, each.unet) for each in named]


def _found(name: str, places: Sequence[Path]) -> Path:
    for place in places:
        for path in sorted(place.rglob(f"*{SUFFIX}")) if place.is_dir() else [place]:
            if path.stem == name and path.is_file():
                return path
    raise BadInput(f"<lora:{name}> needs a file {name}{SUFFIX} in {' or '.join(map(str, places)) or 'a folder'}, "
                   "but there is none")


def infotext_hashes(prompt: str, places: Sequence[Path]) -> dict[str, str]:
    """The infotext entry "Lora hashes" for a prompt's LoRA files, empty if it names none."""
    paths = [each.path for each in loras_of(prompt, places)]
    hashes = {path.stem.replace(",", ""): _hash(path, path.stat().st_mtime_ns) for path in paths}
    return {"Lora hashes": ", ".join(f"{name}: {digits}" for name, digits in hashes.items())} if hashes else {}


@lru_cache
def _hash(path: Path, changed_ns: int) -> str:
    """First digits of the SHA-256 of the file's tensors, which the WebUI uses to identify a LoRA.

    Source: AUTOMATIC1111 1.10.1.
    """
    with open(path, "rb") as file:
        file.seek(int.from_bytes(file.read(8), "little"), 1)
        return hashlib.sha256(file.read()).hexdigest()[:HASH_LETTERS]


# Adding

def with_loras(pipeline: Any, loras: Sequence[Lora]) -> Any:
    """A pipeline with these LoRAs added. The given pipeline and its tensors stay unchanged.

    Raises BadInput if a file is not a LoRA, or is for another type of model.
    """
    if not loras:
        return pipeline
    running = copy.copy(pipeline)
    for name in ("unet", "text_encoder", "text_encoder_2"):
        if name in pipeline.components:
            setattr(running, name, _sharing_tensors(getattr(pipeline, name)))
    for lora in loras:
        _add(running, lora)
    return running


def _sharing_tensors(module: torch.nn.Module) -> torch.nn.Module:
    """A copy of the module with the same tensors. Replacing one in the copy does not change the original module."""
    return copy.deepcopy(module, {id(each): each for each in (*module.parameters(), *module.buffers())})


def _add(pipeline: Any, lora: Lora) -> None:
    try:
        with safe_open(lora.path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
            of_diffusers = json.loads((file.metadata() or {}).get(METADATA_KEY, "{}"))
        for component, layer, change in _changes(tensors, of_diffusers):
            module = _module(pipeline, component, layer)
            weight = cast(torch.Tensor, module.weight)
            if change.numel() != weight.numel() or len(change) != len(weight):
                raise ValueError(f"its layer {layer} does not fit the model's size {tuple(weight.shape)}")
            change = change.to(weight.device) * (lora.unet if component == "unet" else lora.text_encoder)
            added = (weight.float() + change.reshape(weight.shape)).to(weight.dtype)
            module.weight = torch.nn.Parameter(added, requires_grad=False)
    except (OSError, SafetensorError, KeyError, ValueError) as fault:
        raise BadInput(f"{lora.path} cannot be used as a LoRA with the loaded model: {fault}") from fault


def _changes(tensors: Mapping[str, torch.Tensor], of_diffusers: Mapping[str, Any]) -> Iterator[
        tuple[str, str, torch.Tensor]]:
    """Component, layer and change of the layer's weights, float32: `(out, in)` or the flat kernel of a convolution.

    Raises ValueError if the tensors are not those of a LoRA.
    """
    layers: dict[tuple[str, str], dict[str, torch.Tensor]] = defaultdict(dict)
    for key, tensor in tensors.items():
        read = _KEY.fullmatch(key)
        if read is None:
            raise ValueError(f"it contains {key}, which is not part of a LoRA")
        part = {"A": "down", "B": "up"}.get(read["part"], read["part"] or "alpha")
        layers[_PREFIXES[read["prefix"]], read["layer"]][part] = tensor
    for (component, layer), parts in layers.items():
        if not {"up", "down"} <= parts.keys():
            raise ValueError(f"its layer {layer} is incomplete")
        up, down = parts["up"].float().flatten(1), parts["down"].float().flatten(1)
        if up.shape[1] != len(down):
            raise ValueError(f"its layer {layer} has two different ranks, {up.shape[1]} and {len(down)}")
        alpha = float(parts["alpha"]) if "alpha" in parts else of_diffusers.get(
            f"{component}.alpha_pattern", {}).get(layer, of_diffusers.get(f"{component}.lora_alpha", len(down)))
        yield component, layer, up @ down * (alpha / len(down))


def _module(pipeline: Any, component: str, layer: str) -> torch.nn.Module:
    if component not in pipeline.components:
        raise ValueError(f"the model has no {component}")
    by_name = {name.replace(".", "_").removeprefix("text_model_"): module
               for name, module in getattr(pipeline, component).named_modules() if hasattr(module, "weight")}
    name = layer.replace(".", "_").removeprefix("text_model_")
    for spelling in (name, *([_name_in_diffusers(name)] if component == "unet" else [])):
        if spelling in by_name:
            return by_name[spelling]
    raise ValueError(f"the model has no layer {layer}")


def _name_in_diffusers(layer: str) -> str:
    """The diffusers name of a layer in the UNet of SD1 or SDXL, given its name in Stability's code.

    Source: the two layouts, with two blocks and a resampling layer per level.
    """
    read = _OF_STABILITY.fullmatch(layer)
    if layer in _OUTSIDE or read is None:
        return _OUTSIDE.get(layer, layer)
    first, *inner = map(int, read["numbers"].split("_"))
    rest = _IN_BLOCK.get(read["rest"] or "", read["rest"])
    if read["way"] == "middle":
        return f"mid_block_{('resnets_0', 'attentions_0', 'resnets_1')[first]}_{rest}"
    way, (level, place) = ("down", divmod(first - 1, 3)) if read["way"] == "input" else ("up", divmod(first, 3))
    if rest in ("op", "conv"):
        return f"{way}_blocks_{level}_{way}samplers_0_conv"
    return f"{way}_blocks_{level}_{'attentions' if inner[0] else 'resnets'}_{place}_{rest}"
