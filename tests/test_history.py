import threading

import numpy as np

from lib_softinpaint.generation.history import History, identify
from tests.test_kept import RUN, kept

LIMIT_MB = 8


def test_an_image_is_found_by_its_result():
    history, image = History(), kept()
    result = image.composited(RUN)
    identity = history.put(image, result, LIMIT_MB)
    assert history.get(identity) is image
    assert history.find(result=result.copy()) == identity == identify(result)
    assert history.find(result=result[::-1]) is None
    assert history.find(result=result.reshape(32, 128, 3)) is None


def test_an_image_is_found_by_its_file_name():
    history, image = History(), kept()
    identity = history.put(image, image.composited(RUN), LIMIT_MB)
    history.set_file(identity, "lossy.jpg")
    history.set_file("unknown", "other.jpg")
    assert history.find("lossy.jpg") == identity
    assert history.find("other.jpg") is None
    assert history.find(None) is None


def test_the_oldest_go_first_and_shared_arrays_count_once():
    history, shared = History(), kept()
    size_mb = sum(array.nbytes for array in shared.arrays()) / 2 ** 20
    results = [np.full((2, 2, 3), level, np.uint8) for level in range(4)]
    for result in results[:2]:
        history.put(shared, result, 1.5 * size_mb)  # the same arrays twice
    assert len(history) == 2
    history.put(kept(), results[2], 2.5 * size_mb)
    assert len(history) == 3
    history.put(kept(), results[3], 2.5 * size_mb)
    assert [history.find(result=result) is not None for result in results] == [False, False, True, True]
    history.shrink(0)
    assert len(history) == 0


def test_an_image_larger_than_the_limit_is_not_kept():
    history, image = History(), kept()
    history.put(image, image.composited(RUN), 0.01)
    assert len(history) == 0


def test_threads_do_not_disturb_each_other():
    """Re-composites share the cached taper and mask of one image."""
    image = kept()
    wanted = {taper: image.composited(image.settings_with({"edge_taper_px": taper, "grow_px": -taper}))
              for taper in (2.0, 5.0, 9.0)}
    faults = []

    def render(taper):
        for _ in range(40):
            result = image.composited(image.settings_with({"edge_taper_px": taper, "grow_px": -taper}))
            if (result != wanted[taper]).any():
                faults.append(taper)
    threads = [threading.Thread(target=render, args=(taper,)) for taper in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


def test_cached_masks_count_and_are_dropped_before_any_image():
    history, first, second = History(), kept(), kept()
    size_mb = sum(array.nbytes for array in first.arrays()) / 2 ** 20
    limit_mb = 2.05 * size_mb
    for image, level in ((first, 1), (second, 2)):
        history.put(image, np.full((2, 2, 3), level, np.uint8), limit_mb)
    for image in (first, second):
        image.composited(image.settings_with({"grow_px": -2.0}))
        assert sum(array.nbytes for array in image.arrays()) > 1.05 * size_mb * 2 ** 20
    history.shrink(limit_mb)
    assert len(history) == 2
    assert history._bytes() <= limit_mb * 2 ** 20
    assert first.reshaped == {}
    history.shrink(0.9 * size_mb)
    assert len(history) == 0


def test_the_most_recently_used_image_goes_last():
    history, images = History(), [kept(), kept()]
    size_mb = sum(array.nbytes for array in images[0].arrays()) / 2 ** 20
    one, other = (history.put(image, np.full((2, 2, 3), level, np.uint8), 9) for level, image in enumerate(images))
    history.get(one)
    history.shrink(1.5 * size_mb)
    assert history.get(one) is images[0]
    assert history.find(result=np.full((2, 2, 3), 1, np.uint8)) is None
    assert other not in history._images


def test_a_history_takes_over_the_images_of_another():
    before, after, image = History(), History(), kept()
    identity = before.put(image, image.composited(RUN), LIMIT_MB)
    before.set_file(identity, "result.jpg")
    after.take_over(before)
    assert after.get(identity) is image
    assert after.find("result.jpg") == identity
