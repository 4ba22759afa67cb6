"""The views of "Re-composite"."""
import dataclasses

import numpy as np
import pytest

from lib_softinpaint.generation import views
from tests.test_kept import RUN as SOFT
from tests.test_kept import kept


def test_opacity_is_what_the_composite_uses():
    image = kept()
    shown = views.opacity(image, SOFT)
    assert (shown == np.rint(255 * image.sampled.opacity_px(SOFT))).all()
    assert (shown[image.sampled.repaint_px == 0] == 0).all()


def test_the_difference_map_is_middle_grey_at_the_threshold():
    image = kept()
    even = dataclasses.replace(image, sampled=dataclasses.replace(
        image.sampled, distance=np.full_like(image.sampled.distance, SOFT.difference_threshold)))
    assert set(np.unique(views.difference(even, SOFT))) <= {127, 128}
    twice = dataclasses.replace(SOFT, difference_threshold=2 * SOFT.difference_threshold)
    assert set(np.unique(views.difference(even, twice))) <= {63, 64}
    assert (views.difference(even, dataclasses.replace(SOFT, difference_threshold=0.0)) == 255).all()


def test_the_difference_map_follows_the_automatic_threshold():
    image = kept()
    noisy = dataclasses.replace(image, sampled=dataclasses.replace(image.sampled, noise_floor=0.4))
    automatic = dataclasses.replace(SOFT, automatic_threshold=True)
    assert views.difference(noisy, automatic).mean() < views.difference(noisy, SOFT).mean()


def test_an_unknown_difference_raises():
    image = kept()
    unknown = dataclasses.replace(image, sampled=dataclasses.replace(image.sampled, distance=None))
    with pytest.raises(LookupError, match="^How much this image changed is unknown"):
        views.difference(unknown, SOFT)


def test_the_seam_view_amplifies_a_step_at_the_edge_and_dims_the_rest():
    image = kept()
    original = np.full_like(image.sampled.original, 100)
    decoded = np.full(original.shape, 104, np.float32)
    flat = dataclasses.replace(image, decoded=decoded, sampled=dataclasses.replace(image.sampled, original=original))
    settings = dataclasses.replace(SOFT, drift_correction=0.0, edge_taper_px=0.0)
    seam, result = views.seam(flat, settings).astype(int), flat.composited(settings).astype(int)
    assert np.ptp(seam[seam > 50]) > 3 * np.ptp(result)
    assert (seam[0, 0] == np.rint(views.DIMMED * result[0, 0])).all()


@pytest.mark.parametrize("name", views.VIEWS)
def test_every_view_has_the_size_of_the_result(name):
    image = kept()
    make, _ = views.VIEWS[name]
    made = make(image, SOFT)
    assert made.dtype == np.uint8
    assert made.shape[:2] == image.sampled.original.shape[:2]
