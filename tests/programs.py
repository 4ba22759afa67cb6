"""Opens layer files in programs for the desktop, if they are installed."""
import os
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image


def program(name):
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


def in_home(folder, *command):
    """Runs a program for the desktop without one."""
    environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "QT_QPA_PLATFORM": "offscreen",
                   "XDG_RUNTIME_DIR": str(folder), "XDG_CACHE_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=600)


def in_krita(folder, path):
    """The image that Krita makes of a file's layers, (H, W, 3)."""
    done = in_home(folder, program("xvfb-run"), "-a", program("krita"), "--export", "--export-filename",
                   str(folder / "krita.png"), str(path))
    assert (folder / "krita.png").exists(), done.stdout + done.stderr
    return np.asarray(Image.open(folder / "krita.png").convert("RGB")).astype(int)


def in_gimp(folder, path):
    """Names of the layers in a file, top first, and the image that GIMP shows, (H, W, 3)."""
    script = (f'(let* ((image (car (gimp-file-load RUN-NONINTERACTIVE "{path}" "{path}")))'
              ' (layers (gimp-image-get-layers image)))'
              ' (for-each (lambda (layer) (gimp-message (string-append "layer " (car (gimp-item-get-name layer)))))'
              ' (vector->list (cadr layers))) (file-png-save RUN-NONINTERACTIVE image (car (gimp-image-flatten image))'
              f' "{folder}/gimp.png" "gimp.png" 0 9 0 0 0 0 0))')
    done = in_home(folder, program("gimp"), "-i", "-d", "-f", "-s", "-c", "-b", script, "-b", "(gimp-quit 0)")
    assert (folder / "gimp.png").exists(), done.stdout + done.stderr
    names = [line.rpartition("layer ")[2] for line in (done.stdout + done.stderr).splitlines() if ": layer " in line]
    return names, np.asarray(Image.open(folder / "gimp.png").convert("RGB")).astype(int)
