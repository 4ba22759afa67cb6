"""Evaluates the scene model: the autoencoder's round trip, and objects recognised in inpainted images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from PIL import Image, ImageDraw
from scipy import ndimage

from lib_softinpaint.method.cielab import lab
from training.fit import HALF
from training.judge import JUDGED, recognised
from training.networks import to_images, to_tensor, tokenize
from training.scenes import HELD_OUT, PALETTE, SIZE, Scene, Thing

STEPS = 20  # as in the demo
GUIDANCE = 5.0
PSNR_SCENES = 64
TRIALS = 24  # inpainted images per kind of object
LARGER = (384, 512)  # sides in pixels at which fewer objects are requested, too
LARGER_TRIALS = 12
ROOM = 0.05  # the repainted area is wider than the object by this share of the image side
SHEET_PROMPTS = (
    "a red house",
    "two green trees",
    "a person in blue",
    "purple mountains, sunset",
    "a sun, white clouds",
    "night, a moon",
    "a lake, a yellow house",
    "",
)


def evaluate(model: Path, sheets: Path) -> None:
    """Prints round-trip PSNR and the share of recognised objects, and writes contact sheets to the folder `sheets`."""
    pipeline = StableDiffusionPipeline.from_pretrained(model).to(torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    psnr, sharpness = round_trip_quality(pipeline.vae)
    print(f"VAE round trip on {PSNR_SCENES} held-out scenes: {psnr:.2f} dB, edge sharpness {sharpness:.2f}")
    with torch.no_grad():
        tokens = tokenize(pipeline.tokenizer, ["", "a red house", Scene.from_seed(HELD_OUT).caption()])
        means = pipeline.text_encoder(tokens).last_hidden_state.mean((1, 2))
    print("text embedding means:", ", ".join(f"{mean:.3f}" for mean in means.tolist()))
    Image.fromarray(sheet_of_prompts(pipeline)).save(sheets / "prompts.png")
    sheet, every_kind = [], []
    for kind in JUDGED:
        trials = list(find_trials(kind, TRIALS))
        results = inpaint(pipeline, trials)
        answers = round_trip(pipeline.vae, np.stack([trial.answer for trial in trials]))
        sets = {"painted": results, "drawn": answers, "other": [with_other_kind(trial) for trial in trials]}
        seen = {(name, rivals): [recognised(image, trial.thing, trial.scene, trial.repaint, rivals)
                                 for trial, image in zip(trials, images)]
                for name, images in sets.items() for rivals in (True, False)}
        print(f"{kind}: {_sentence([seen])}", flush=True)
        sheet.append(_sheet_row(trials, results, seen["painted", True]))
        every_kind.append(seen)
    print(f"all: {_sentence(every_kind)}")
    for side in LARGER:
        print(f"{side} px: recognised {recognised_share(pipeline, side):.0%}", flush=True)
    Image.fromarray(np.concatenate(sheet)).save(sheets / "inpaintings.png")


def recognised_share(pipeline: StableDiffusionPipeline, side: int) -> float:
    """Share of requested objects of all kinds that are recognised in images of another size, after reducing them."""
    hits = []
    for kind in JUDGED:
        trials = list(find_trials(kind, LARGER_TRIALS))
        hits += [recognised(image, trial.thing, trial.scene, trial.repaint)
                 for trial, image in zip(trials, inpaint(pipeline, trials, side))]
    return float(np.mean(hits))


def _sentence(seen: list[dict[tuple[str, bool], list[bool]]]) -> str:
    """Shares of recognised objects; in brackets those without rivals, as version 0.1 judged."""
    share = {key: np.mean([hit for each in seen for hit in each[key]]) for key in seen[0]}
    painted, drawn, other = (f"{share[name, True]:.0%} ({share[name, False]:.0%})" for name in ("painted", "drawn", "other"))
    return f"recognised {painted}; judge: drawn and autoencoded objects {drawn}, other objects {other}"


@dataclass(frozen=True)
class Trial:
    """One inpainting task: an object is requested where the scene has none.

    scene : image to inpaint; thing : requested object; answer : the scene drawn with it,
    (H, W, 3) uint8; repaint : (H, W) bool, True = repaint, aligned to latent pixels.
    """

    scene: Scene
    thing: Thing
    answer: np.ndarray
    repaint: np.ndarray


def find_trials(kind: str, count: int) -> Iterator[Trial]:
    """Held-out scenes from which one fully visible thing of this kind was removed."""
    seed = HELD_OUT
    while count:
        seed += 1
        full = Scene.from_seed(seed)
        for thing in full.things:
            left, top, right, bottom = thing.box
            alone = [other.kind for other in full.things].count(kind) == 1
            inside = left > 0.02 and right < 0.98 and top > 0.02
            if thing.kind != kind or not alone or not inside:
                continue
            without = replace(full, things=tuple(other for other in full.things if other != thing))
            silhouette = replace(full, things=(thing,)).mask(thing)
            seen = full.mask(thing).sum() / silhouette.sum()
            if seen < (0.6 if kind == "mountain" else 0.95):
                continue
            yield Trial(without, thing, full.draw(), _roomy_box(full.mask(thing)))
            count -= 1
            break


def _roomy_box(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool: the mask's bounding box with a margin, aligned to latent pixels."""
    box = np.zeros_like(mask)
    spans = []
    for hits in np.nonzero(mask):
        first, last = hits.min() - ROOM * SIZE, hits.max() + ROOM * SIZE
        spans.append(slice(max(int(first // 8) * 8, 0), int(last // 8) * 8 + 8))
    box[tuple(spans)] = True
    return box


def with_other_kind(trial: Trial) -> np.ndarray:
    """(H, W, 3) uint8: the scene with a thing of another kind in place of the requested one."""
    discs = ("sun", "moon")
    kinds = [kind for kind in JUDGED if kind != trial.thing.kind and not (kind in discs and trial.thing.kind in discs)]
    kind = kinds[trial.scene.seed % len(kinds)]
    colour = trial.thing.colour if trial.thing.colour in PALETTE[kind] else PALETTE[kind][0]
    return replace(trial.scene, things=(*trial.scene.things, replace(trial.thing, kind=kind, colour=colour))).draw()


@torch.no_grad()
def inpaint(pipeline: StableDiffusionPipeline, trials: list[Trial], side: int = SIZE) -> list[np.ndarray]:
    """Results (SIZE, SIZE, 3) uint8 of hard inpainting at full denoising, with the original outside the mask.

    They are painted at `side` pixels.
    """
    vae, scheduler = pipeline.vae, pipeline.scheduler
    originals = np.stack([trial.scene.draw(side) for trial in trials])
    boxes = np.stack([trial.repaint if side == SIZE else scaled_box(trial.repaint, side) for trial in trials])
    repaint_latent = torch.from_numpy(boxes)[:, None, ::8, ::8].float()
    init = vae.encode(to_tensor(originals)).latent_dist.mean * vae.config.scaling_factor
    embedding = embed(pipeline, [trial.thing.phrase() for trial in trials])
    scheduler.set_timesteps(STEPS)
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(init.shape, generator=generator)
    latent = noise
    for index, timestep in enumerate(scheduler.timesteps):
        latent = _guided_step(pipeline, latent, timestep, embedding)
        rest = scheduler.timesteps[index + 1 : index + 2]
        known = scheduler.add_noise(init, noise, rest.expand(len(init))) if len(rest) else init
        latent = repaint_latent * latent + (1 - repaint_latent) * known
    decoded = to_images(vae.decode(latent / vae.config.scaling_factor).sample)
    results = np.where(boxes[..., None], decoded, originals)
    return [np.asarray(Image.fromarray(result).resize((SIZE, SIZE), Image.Resampling.BOX)) for result in results]


def scaled_box(box: np.ndarray, side: int) -> np.ndarray:
    """(side, side) bool: the box, (SIZE, SIZE) bool, in an image of another size, aligned outward to latent pixels."""
    scaled = np.zeros((side, side), bool)
    first, last = (np.array([end(hits) for hits in np.nonzero(box)]) for end in (np.min, np.max))
    starts, stops = (first * side / SIZE) // 8 * 8, -(-(last + 1) * side / SIZE // 8) * 8
    rows, columns = (slice(int(start), int(stop)) for start, stop in zip(starts, stops))
    scaled[rows, columns] = True
    return scaled


def embed(pipeline: StableDiffusionPipeline, prompts: list[str]) -> torch.Tensor:
    """(2 B, 77, C) embeddings: empty prompts first, for guidance."""
    return pipeline.text_encoder(tokenize(pipeline.tokenizer, [""] * len(prompts) + prompts)).last_hidden_state


def _guided_step(
    pipeline: StableDiffusionPipeline, latent: torch.Tensor, timestep: torch.Tensor, embedding: torch.Tensor
) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=HALF):
        unconditional, conditional = pipeline.unet(torch.cat([latent] * 2), timestep, embedding).sample.float().chunk(2)
    return pipeline.scheduler.step(unconditional + GUIDANCE * (conditional - unconditional), timestep, latent).prev_sample


@torch.no_grad()
def round_trip(vae: AutoencoderKL, images: np.ndarray) -> np.ndarray:
    """(B, H, W, 3) uint8: the images encoded and decoded."""
    return to_images(vae.decode(vae.encode(to_tensor(images)).latent_dist.mean).sample)


def round_trip_quality(vae: AutoencoderKL) -> tuple[float, float]:
    """Mean PSNR in dB of encoding and decoding held-out scenes, and the sharpness of their edges."""
    ratios, steepness = [], []
    for seed in range(HELD_OUT, HELD_OUT + PSNR_SCENES):
        scene = Scene.from_seed(seed)
        image = scene.draw()
        decoded = round_trip(vae, image[None])[0]
        ratios.append(20 * np.log10(255) - 10 * np.log10(np.mean((decoded.astype(float) - image) ** 2)))
        steepness.append([edge_steepness(picture, scene) for picture in (decoded, image)])
    decoded_steepness, drawn_steepness = np.mean(steepness, 0)
    return float(np.mean(ratios)), float(decoded_steepness / drawn_steepness)


def edge_steepness(image: np.ndarray, scene: Scene) -> float:
    """Mean gradient of lightness along the outlines of the scene's things, in L* per pixel; the largest within a pixel."""
    outlines = np.zeros(image.shape[:2], bool)
    for thing in scene.things:
        visible = scene.mask(thing)
        outlines |= visible & ~ndimage.binary_erosion(visible, border_value=1)
    gradient = np.hypot(*np.gradient(lab(image)[0].numpy()))
    return float(ndimage.maximum_filter(gradient, 3)[outlines].mean())


@torch.no_grad()
def sheet_of_prompts(pipeline: StableDiffusionPipeline) -> np.ndarray:
    """(H, W, 3) uint8 rows: scenes, their round trips, images painted from their captions and from SHEET_PROMPTS."""
    scenes = [Scene.from_seed(HELD_OUT + 500 + index) for index in range(len(SHEET_PROMPTS))]
    originals = np.stack([scene.draw() for scene in scenes])
    vae = pipeline.vae
    rows = [originals, round_trip(vae, originals)]
    for prompts in ([scene.caption() for scene in scenes], list(SHEET_PROMPTS)):
        latent = torch.randn((len(prompts), 4, SIZE // 8, SIZE // 8), generator=torch.Generator().manual_seed(2))
        embedding = embed(pipeline, prompts)
        pipeline.scheduler.set_timesteps(STEPS)
        for timestep in pipeline.scheduler.timesteps:
            latent = _guided_step(pipeline, latent, timestep, embedding)
        rows.append(to_images(vae.decode(latent / vae.config.scaling_factor).sample))
    return np.concatenate([np.concatenate(list(row), 1) for row in rows])


def _sheet_row(trials: list[Trial], results: list[np.ndarray], seen: list[bool]) -> np.ndarray:
    """Eight results side by side. The frame of the repainted area is green if the object was recognised."""
    tiles = []
    for trial, result, hit in list(zip(trials, results, seen))[:8]:
        tile = Image.fromarray(result)
        rows, columns = np.nonzero(trial.repaint)
        pen = ImageDraw.Draw(tile)
        frame = [columns.min(), rows.min(), columns.max(), rows.max()]
        pen.rectangle(frame, outline=(0, 255, 0) if hit else (255, 0, 0))
        pen.text((4, SIZE - 16), trial.thing.phrase(), fill=(255, 255, 255))
        tiles.append(np.asarray(tile))
    return np.concatenate(tiles, 1)
