"""Trains, exports and evaluates the scene model.

    python -m training.train vae --minutes 25         # autoencoder on drawn scenes
    python -m training.train text --minutes 3         # text encoder alone, to recognise a caption's words
    python -m training.train unet --minutes 60        # text encoder and UNet on encoded scenes
    python -m training.train decoder --minutes 10     # decoder alone, for fixed latents
    python -m training.train inpainting --minutes 20  # variant: a UNet that also sees the mask
    python -m training.train few-steps --minutes 20   # variant: a UNet for 4 steps without guidance
    python -m training.train export                   # checkpoints -> demo/model and demo/variants, fp16
    python -m training.train evaluate                 # prints scores, writes contact sheets to training/runs

`--minutes` is a stage's total in processor time per thread, so other programs only delay it. To resume after an
interruption, use the same number; to train longer, a larger one.
Checkpoints are saved in training/runs, which git ignores. A stage without a checkpoint starts from the weights in
demo/model, so `unet` and `decoder` can be trained on directly. To train from scratch, first remove demo/model.
With a GPU, batches and the set of scenes are larger. The scenes are drawn once, to training/runs: 4 GB, with a GPU 16 GB.
"""

from __future__ import annotations

import argparse
import shutil

import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file

from training.autoencoder import train_decoder, train_vae, trained_vae
from training.evaluation import evaluate
from training.fit import DEVICE, RUNS, averaged
from training.networks import new_scheduler, new_tokenizer, new_unet
from training.painter import train_text, train_unet, trained_painter
from training.sd1_checkpoint import MODEL, VARIANTS, text_weights
from training.variants import train_few_steps, train_inpainting, with_mask_channels

THREADS = 2  # more threads gain little at these sizes

STAGES = {"vae": train_vae, "text": train_text, "unet": train_unet, "decoder": train_decoder,
          "inpainting": train_inpainting, "few-steps": train_few_steps}


def export() -> None:
    """Writes the averaged weights as a diffusers pipeline in fp16, and each variant's UNet."""
    for name, unet in (("inpainting", with_mask_channels(new_unet())), ("few-steps", new_unet())):
        if (weights := averaged(name)) is not None:
            unet.load_state_dict(weights)
            unet.to(torch.float16).save_pretrained(VARIANTS / name)
    painter = trained_painter()
    pipeline = StableDiffusionPipeline(
        vae=trained_vae(),
        text_encoder=painter["text"],
        tokenizer=new_tokenizer(RUNS / "tokenizer"),
        unet=painter["unet"],
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    shutil.rmtree(MODEL, ignore_errors=True)
    pipeline.to(torch.float16).save_pretrained(MODEL)
    save_file(dict(text_weights(pipeline.text_encoder)), MODEL / "text_encoder" / "model.safetensors", {"format": "pt"})
    new_tokenizer(MODEL / "tokenizer")  # also vocab.json and merges.txt, which transformers before 5 reads
    for folder in (MODEL, VARIANTS):
        files = [path for path in folder.rglob("*") if path.is_file()]
        for path in files:
            path.chmod(0o644)
        print(f"{folder}: {sum(path.stat().st_size for path in files) / 1e6:.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=(*STAGES, "export", "evaluate"))
    parser.add_argument("--minutes", type=float, default=25)
    options = parser.parse_args()
    if DEVICE.type == "cpu":
        torch.set_num_threads(THREADS)
    RUNS.mkdir(exist_ok=True)
    if options.stage == "export":
        export()
    elif options.stage == "evaluate":
        evaluate(MODEL, RUNS)
    else:
        STAGES[options.stage](options.minutes)


if __name__ == "__main__":
    main()
