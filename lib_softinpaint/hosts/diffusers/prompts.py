"""Turns the WebUI's prompts into embeddings for diffusers' pipelines: weights, prompts of any length, clip skip.

Source: AUTOMATIC1111 1.10.1, observed at its default settings. Weights multiply CLIP's output, whose mean is then restored
(emphasis mode "Original"). Each chunk is encoded on its own.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lib_softinpaint.errors import BadInput
from lib_softinpaint.hosts.diffusers.families import family_of
from lib_softinpaint.hosts.diffusers.lora import loras_of, with_loras
from lib_softinpaint.settings.prompt import (
    BREAK,
    CHUNK_TOKENS,
    LORA_FOLDER,
    chunks,
    demand_supported,
    networks,
    plain_text,
    weighted,
)
from lib_softinpaint.settings.request import AUTOMATIC, Request

COMMA = ",</w>"
"""The comma in the vocabulary of CLIP's tokenizers."""

LORA_PLACES = (LORA_FOLDER,)

OWN_SAMPLER = "Euler"
"""The WebUI's name for what the schedulers of flow models do."""

PENULTIMATE = 2
"""Layer that SDXL's UNet was trained on, counted from the last. Clip skip does not change it."""


def prepared(pipeline: Any, request: Request, places: Sequence[Path] = LORA_PLACES) -> tuple[Any, dict[str, Any]]:
    """The pipeline that runs a request, and its prompt arguments.

    If the prompt names LoRAs, the pipeline is a separate one with these LoRAs; otherwise it is the given one. Prompts that
    diffusers and the WebUI read alike stay text.

    Transformer models get the text as it is.

    Raises
    ------
    BadInput
        If the prompt needs the WebUI, if a LoRA is missing or does not fit the model, or if clip skip is too large.
    """
    demand_supported(request.prompt, request.negative_prompt)
    request = as_run(pipeline, request)
    prompt, named = networks(request.prompt)
    family = family_of(pipeline)
    if family is not None:
        if named:
            raise BadInput(f"<lora:{named[0].name}> needs Stable Diffusion 1, 2 or XL, but the model is {family.label}; in "
                           "Python, load it with load_lora_weights")
        return pipeline, {"prompt": prompt, **(
            {"negative_prompt": request.negative_prompt} if pipeline.has_negative_prompt else {})}
    running = with_loras(pipeline, loras_of(request.prompt, places))
    prompts = {"prompt": prompt, "negative_prompt": request.negative_prompt}
    texts = {name: plain_text(text) for name, text in prompts.items()}
    if request.clip_skip == 1 and all(text is not None and _fits(running, text) for text in texts.values()):
        return running, texts
    return running, _embeddings(running, prompt, request.negative_prompt, request.clip_skip)


def as_run(pipeline: Any, request: Request) -> Request:
    """The request with the fields that have an effect on this model; the others are set to what is run.

    The WebUI ignores clip skip with SDXL as well.
    """
    if family_of(pipeline) is not None:
        return replace(request, clip_skip=1, sampler=OWN_SAMPLER, schedule_type=AUTOMATIC)
    return replace(request, clip_skip=1) if _is_xl(pipeline) else request


def notes_on(pipeline: Any, request: Request) -> list[str]:
    """A sentence for each field that has no effect on this model, and on a CFG scale that is another model's default."""
    family, usual, notes = family_of(pipeline), Request(), []
    if as_run(pipeline, request).clip_skip != request.clip_skip:
        notes.append(f"Clip skip has no effect with {'SDXL, as in the WebUI' if family is None else family.label}.")
    if family is None:
        return notes
    if request.sampler not in (usual.sampler, OWN_SAMPLER) or request.schedule_type != AUTOMATIC:
        notes.append(f"{family.label} runs with its own scheduler. Sampler and schedule type have no effect.")
    if request.negative_prompt and not pipeline.has_negative_prompt:
        notes.append(f"The negative prompt has no effect with {family.label}.")
    made_for = pipeline.default_guidance - pipeline.guidance_for(0)
    if pipeline.takes_guidance and request.cfg_scale == usual.cfg_scale != made_for:
        notes.append(f"{family.label} is made for CFG scale {made_for:g}; {usual.cfg_scale:g}, the default of Stable "
                     "Diffusion, was used.")
    if any(plain_text(text) is None for text in (networks(request.prompt)[0], request.negative_prompt)):
        notes.append(f"{family.label} does not know weights and breaks in prompts, so they are read as text.")
    return notes


def _is_xl(pipeline: Any) -> bool:
    return "text_encoder_2" in pipeline.components


def _encoders(pipeline: Any) -> list[tuple[Any, Any]]:
    """Pairs of tokenizer and text encoder."""
    names = ["", "_2"] if _is_xl(pipeline) else [""]
    return [(getattr(pipeline, f"tokenizer{name}"), getattr(pipeline, f"text_encoder{name}")) for name in names
            if getattr(pipeline, f"text_encoder{name}") is not None]


def _fits(pipeline: Any, text: str) -> bool:
    return all(len(_tokens(tokenizer, text)) <= CHUNK_TOKENS for tokenizer, _ in _encoders(pipeline))


def _tokens(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, truncation=False, add_special_tokens=False, verbose=False)["input_ids"]


@torch.no_grad()
def _embeddings(pipeline: Any, prompt: str, negative_prompt: str, clip_skip: int) -> dict[str, torch.Tensor]:
    """The pipeline's embedding arguments, each (1, T, C). T is 77 times the number of chunks in the longer prompt."""
    encoders = _encoders(pipeline)
    split = [[_chunks(tokenizer, text) for text in (prompt, negative_prompt)] for tokenizer, _ in encoders]
    count = max(len(each) for of_encoder in split for each in of_encoder)
    encoded = [[_encoded(tokenizer, encoder, each + [[]] * (count - len(each)), clip_skip, _is_xl(pipeline))
                for each in of_encoder] for (tokenizer, encoder), of_encoder in zip(encoders, split)]
    arguments = {}
    for kind, of_prompt in zip(("", "negative_"), zip(*encoded)):
        arguments[f"{kind}prompt_embeds"] = torch.cat([embedding for embedding, _ in of_prompt], dim=-1)
        if _is_xl(pipeline):
            arguments[f"{kind}pooled_prompt_embeds"] = of_prompt[-1][1]
    return arguments


def _chunks(tokenizer: Any, prompt: str) -> list[list[tuple[int, float]]]:
    pieces = [None if piece == BREAK else (_tokens(tokenizer, piece[0]), piece[1]) for piece in weighted(prompt)]
    return chunks(pieces, tokenizer.get_vocab().get(COMMA))


def _encoded(tokenizer: Any, encoder: Any, of_prompt: list[list[tuple[int, float]]], clip_skip: int,
             large: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Embedding (1, T, C) of all chunks, and SDXL's pooled embedding (1, P) of the first chunk."""
    embeddings, pooled = [], None
    for chunk in of_prompt:
        rest = CHUNK_TOKENS - len(chunk)
        tokens = [tokenizer.bos_token_id, *(token for token, _ in chunk), tokenizer.eos_token_id]
        ids = torch.tensor([tokens + [tokenizer.pad_token_id] * rest], device=encoder.device)
        weights = torch.tensor([1.0, *(weight for _, weight in chunk), *[1.0] * (rest + 1)], device=encoder.device)
        output = encoder(ids, output_hidden_states=True)
        pooled = output[0] if pooled is None else pooled
        embeddings.append(_emphasised(_layer(encoder, output, clip_skip, large), weights))
    assert pooled is not None, "a prompt has at least one chunk"
    return torch.cat(embeddings, dim=1), pooled


def _layer(encoder: Any, output: Any, clip_skip: int, large: bool) -> torch.Tensor:
    """Encoder output for the UNet: the last layer, or an earlier one with the final layer norm applied."""
    if large:
        return output.hidden_states[-PENULTIMATE]
    if clip_skip == 1:
        return output.last_hidden_state
    layers = len(output.hidden_states) - 1
    if clip_skip > layers:
        raise BadInput(f"Clip skip must be at most {layers}, the layers of this model's text encoder, got {clip_skip}")
    return getattr(encoder, "text_model", encoder).final_layer_norm(output.hidden_states[-clip_skip])


def _emphasised(embedding: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The embedding (1, T, C) with each token multiplied by its weight. The mean stays the same."""
    if (weights == 1).all():
        return embedding
    heavy = embedding.float() * weights[None, :, None]
    return (heavy * (embedding.float().mean() / heavy.mean())).to(embedding.dtype)
