"""Training loop for all stages: resumable, on a GPU if there is one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from training.sd1_checkpoint import MODEL

Function = TypeVar("Function", bound=Callable)

RUNS = Path(__file__).parent / "runs"

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
BATCHES = 32 if DEVICE.type == "cuda" else 1  # batches are this many times larger on a GPU
# Without the processor's own bfloat16 arithmetic, autocast makes training slower. Before PyTorch 2.4 nothing tells.
HALF = DEVICE.type == "cuda" or any(
    getattr(torch.cpu, name, bool)() for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))

SAVE_SECONDS = 180  # an interruption costs at most this much
LOG_STEPS = 50
WARM_UP_STEPS = 100
LEAST_RATE = 0.02  # share of the learning rate at the end of a stage
EMA_DECAY = 0.999  # averages about the last thousand steps of a few thousand


def autocast() -> torch.autocast:
    """Bfloat16 where it is fast."""
    return torch.autocast(DEVICE.type, torch.bfloat16, enabled=HALF)


def compiled(function: Function) -> Function:
    """The function or network, compiled if there is a GPU."""
    return torch.compile(function, dynamic=False) if DEVICE.type == "cuda" else function


def with_bundled_weights(network: torch.nn.Module, part: str) -> torch.nn.Module:
    """The network with its weights from demo/model, if they exist and fit."""
    if (MODEL / part).exists():
        bundled = type(network).from_pretrained(MODEL / part).float().state_dict()
        shapes = {key: value.shape for key, value in bundled.items()}
        if shapes == {key: value.shape for key, value in network.state_dict().items()}:
            network.load_state_dict(bundled)
    return network.to(DEVICE)


def averaged(name: str) -> dict[str, torch.Tensor] | None:
    """The averaged weights of a stage's checkpoint, if it has one."""
    path = RUNS / f"{name}.pt"
    return torch.load(path, map_location=DEVICE)["average"] if path.exists() else None


def fit(
    name: str,
    model: torch.nn.Module,
    loss: Callable[[float, np.random.Generator], torch.Tensor],
    minutes: float,
    rate: float,
) -> None:
    """Trains `model` until the stage's total time is reached, starting from its checkpoint if there is one.

    Parameters
    ----------
    loss : callable
        Takes the share of the stage that is done, 0 to 1, and a random generator. Returns the scalar loss of a new batch.
    """
    path = RUNS / f"{name}.pt"
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, rate, betas=(0.9, 0.99), weight_decay=1e-4, fused=DEVICE.type == "cuda")
    average = {key: value.detach().clone() for key, value in model.state_dict().items()}
    step, seconds = 0, 0.0
    if path.exists():
        state = torch.load(path, map_location=DEVICE)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        average, step, seconds = state["average"], state["step"], state["seconds"]
    rng = np.random.default_rng(step + 1)
    torch.manual_seed(step + 1)
    last, saved, mean = _clock(), seconds, None
    model.train()
    while seconds < minutes * 60:
        share = seconds / (minutes * 60)
        for group in optimizer.param_groups:
            cosine = 0.5 * (1 + math.cos(math.pi * share))
            group["lr"] = rate * min(1.0, (step + 1) / WARM_UP_STEPS) * (LEAST_RATE + (1 - LEAST_RATE) * cosine)
        value = loss(share, rng)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        step += 1
        _add_to_average(average, model, min(EMA_DECAY, step / (step + 10)))
        mean = value.detach() if mean is None else mean.lerp(value.detach(), 0.02)
        now = _clock()
        seconds, last = seconds + now - last, now
        if step % LOG_STEPS == 0:
            print(f"{name} step {step}, {seconds / 60:.1f} of {minutes:g} min, loss {mean:.4f}", flush=True)
        if seconds - saved > SAVE_SECONDS or seconds >= minutes * 60:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "average": average}
            torch.save({**state, "step": step, "seconds": seconds}, path.with_suffix(".new"))
            path.with_suffix(".new").replace(path)
            saved = seconds


def _clock() -> float:
    """Seconds; on a CPU, this program's own per thread, so that a stage does not end early where other programs run, too."""
    return time.monotonic() if DEVICE.type == "cuda" else time.process_time() / torch.get_num_threads()


@torch.no_grad()
def _add_to_average(average: dict[str, torch.Tensor], model: torch.nn.Module, decay: float) -> None:
    state = model.state_dict()
    floats = [key for key, value in state.items() if value.is_floating_point()]
    torch._foreach_lerp_([average[key] for key in floats], [state[key] for key in floats], 1 - decay)
    for key in state.keys() - set(floats):
        average[key].copy_(state[key])
