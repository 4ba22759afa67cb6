"""Starts a real WebUI, with its own data folder and port, and requests images."""
from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from tests.webui import checkpoints, extensions
from tests.webui.family import NEO, Host

ROOT = Path(__file__).parents[2]
WORK = Path(__file__).parent / "work"  # no dot: Gradio shows no files from hidden folders
COMPANION = Path(__file__).parent / "companion"
EXTENSION_FILES = ("docs", "scripts", "lib_softinpaint", "metadata.ini", "style.css", "javascript", "localizations")
START_SECONDS = 300


def quiet_environment() -> dict[str, str]:
    """On the CPU, offline, and with rounding independent of memory addresses, so that images can be compared by byte.

    Threads that wait give up the processor. Otherwise, on few cores, the pools of several libraries block one another.
    """
    return {**os.environ, "SOFTINPAINT_TEST_MODELS": str(checkpoints.FOLDER), "CUDA_VISIBLE_DEVICES": "",
            "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False",
            "PYTHONUNBUFFERED": "1", "MKL_CBWR": "AVX2,STRICT", "KMP_BLOCKTIME": "0"}


@dataclass
class Result:
    """The result of one request."""
    images: list[np.ndarray]
    """Each (H, W, 3) uint8."""
    infotexts: list[str]
    seconds: float
    profiles: list[bytes | None]
    """ICC profile of each."""
    rounding: int
    """Levels of 255 by which two equal requests to the host itself differ."""


class WebUI:
    """A running WebUI, stopped on exit.

    Parameters
    ----------
    name
        Name of its data folder, which is created anew.
    flags
        Added to the command line.
    files
        Path and text of files in the data folder, written before the start.
    user
        Name and password for its requests, "user:password".
    options
        Settings of the host, beside those that it needs in the tests.
    others
        Names of other extensions that it loads, from `tests.webui.extensions`.
    has_ours
        Whether it loads this project's extension. If not, it loads only the part of the companion that adds small models.
    """

    def __init__(self, host: Host, name: str, flags: tuple[str, ...] = (), files: dict[str, str] | None = None,
                 user: str = "", options: dict[str, Any] | None = None, others: tuple[str, ...] = (),
                 has_ours: bool = True):
        self.headers = {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()} if user else {}
        self.host = host
        self.data = WORK / host.folder / name
        self.starts = self.rounding = 0
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True)
        for source in EXTENSION_FILES if has_ours else ():
            target = self.data / "extensions" / "sd-webui-softinpaint" / source
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (ROOT / source).is_dir() else shutil.copy)(ROOT / source, target)
        shutil.copytree(COMPANION, self.data / "extensions" / "zz-companion",
                        ignore=None if has_ours else shutil.ignore_patterns("companion.py", "stand_ins.py"))
        for name in others:
            shutil.copytree(extensions.checkout(name), self.data / "extensions" / name)
        self._environment = {**quiet_environment(), **({"PYTHONPATH": extensions.python_path()} if others else {})}
        settings = {**host.options, **(options or {})}
        for path, text in {**({"config.json": json.dumps(settings)} if settings else {}), **(files or {})}.items():
            (self.data / path).parent.mkdir(parents=True, exist_ok=True)
            (self.data / path).write_text(text)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        model = checkpoints.write_all()
        self._command = [host.python, "launch.py", *host.flags, "--server-name", "127.0.0.1", "--port", str(self.port),
                         "--data-dir", self.data, *host.models(model), *flags]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def outputs(self) -> Path:
        """Where the host saves its images."""
        return next((folder for folder in (self.data / "output", self.data / "outputs") if folder.exists()), self.data)

    @property
    def log(self) -> str:
        return (self.data / "log.txt").read_text(errors="replace")

    def __enter__(self) -> WebUI:
        with open(self.data / "log.txt", "w") as log:
            self._process = subprocess.Popen(self._command, cwd=self.host.checkout, env=self._environment, stdout=log,
                                             stderr=subprocess.STDOUT)
        try:
            self.wait()
            if self.host.name == NEO:  # it starts with any of them
                self.post("/sdapi/v1/options", {"sd_model_checkpoint": checkpoints.SCENES})
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *fault: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait(self) -> None:
        """Waits until the WebUI has started. A request before that would break its start."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            assert self._process.poll() is None, self.log[-3000:]
            if self.log.count("Startup time:") > self.starts:
                with contextlib.suppress(urllib.error.URLError):  # without a page, it listens a moment later
                    self.get("/sdapi/v1/samplers")
                    self.starts += 1
                    return
            time.sleep(0.2)
        raise TimeoutError(f"the WebUI did not start within {START_SECONDS} s:\n{self.log[-3000:]}")

    def get(self, route: str) -> Any:
        with urllib.request.urlopen(urllib.request.Request(self.url + route, headers=self.headers), timeout=60) as answer:
            return json.load(answer)

    def post(self, route: str, body: dict) -> Any:
        headers = {**self.headers, "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + route, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.load(answer)

    def inpaint(self, images: Image.Image | bytes | list[Image.Image], mask: Image.Image | None, soft: list | None = None,
                title: str = "Soft Inpainting", options: dict | None = None, others: dict | None = None,
                **fields: Any) -> Result:
        """One request to the img2img API.

        Parameters
        ----------
        soft
            Arguments of the always-on script `title`; None leaves it out.
        options
            Override settings. Those that affect the tests are always sent, because the host keeps them between calls.
        others
            Title and arguments of more always-on scripts.
        """
        arguments = {**(others or {}), **({title: soft} if soft is not None else {})}
        scripts = {name: {"args": args} for name, args in arguments.items()}
        body = {
            "init_images": [encoded(image) for image in (images if isinstance(images, list) else [images])],
            "prompt": "a house on a hill", "seed": 1, "steps": 6, "width": 256, "height": 256, "cfg_scale": 7,
            "sampler_name": "Euler a", "denoising_strength": 0.75, "mask_blur": 4, "inpainting_fill": 1,
            "inpaint_full_res": False, "inpaint_full_res_padding": 32, "alwayson_scripts": scripts,
            "override_settings": {"overlay_inpaint": True, "return_mask": False, "return_mask_composite": False,
                                  "img2img_color_correction": False, "return_grid": False, **(options or {})}, **fields}
        if mask is not None:
            body["mask"] = encoded(mask)
        start = time.perf_counter()
        answer = self.post("/sdapi/v1/img2img", body)
        seconds, made = time.perf_counter() - start, [opened(image) for image in answer["images"]]
        return Result([np.asarray(each.convert("RGB")) for each in made], json.loads(answer["info"])["infotexts"], seconds,
                      [each.info.get("icc_profile") for each in made], self.rounding)


def encoded(image: Image.Image | bytes) -> str:
    """Base64 of an image or of a file's bytes."""
    if isinstance(image, bytes):
        return base64.b64encode(image).decode()
    buffer = io.BytesIO()
    # PNG has no CMYK. Pillow saves the image's profile, if any.
    image.save(buffer, "TIFF" if image.mode == "CMYK" else "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def decoded(image: str) -> np.ndarray:
    """(H, W, 3) uint8."""
    return np.asarray(opened(image).convert("RGB"))


def opened(image: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(image)))


def drawn_image(width: int = 256, height: int = 256, seed: int = 0) -> Image.Image:
    """Gradients, grain and two shapes: every pixel differs from its neighbours."""
    row, column = np.mgrid[:height, :width]
    waves = np.stack([128 + 90 * np.sin(column / 37 + seed) + 0 * row, 128 + 80 * np.cos(row / 29 + seed) + 0 * column,
                      100 + 60 * np.sin((column + row) / 53)], axis=-1)
    grain = np.random.default_rng(seed).normal(0, 6, (height, width, 3))
    image = Image.fromarray(np.clip(waves + grain, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.rectangle((width // 5, height // 5, width // 3, height // 2), fill=(200, 40, 40))
    draw.ellipse((width // 2, height // 2, width * 3 // 4, height * 3 // 4), fill=(20, 160, 60))
    return image


def drawn_disc(width: int = 256, height: int = 256, radius: int = 32, x: float = 0.5, y: float = 0.5) -> Image.Image:
    """White disc on black. x and y are shares of the width and height."""
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).ellipse((width * x - radius, height * y - radius, width * x + radius, height * y + radius), fill=255)
    return mask
