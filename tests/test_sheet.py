import numpy as np
from PIL import Image

from lib_softinpaint.images.sheet import GAP_PX, LABEL_PX, TILE_PX, contact_sheet, side_by_side, stacked


def test_tiles_are_side_by_side_with_labels():
    red, grey = Image.new("RGB", (60, 40), (255, 0, 0)), Image.new("L", (60, 40), 99)
    sheet = np.asarray(side_by_side({"red": red, "grey": grey}))
    assert sheet.shape == (40 + LABEL_PX, 2 * 60 + GAP_PX, 3)
    assert (sheet[LABEL_PX:, :60] == (255, 0, 0)).all()
    assert (sheet[LABEL_PX:, 60 + GAP_PX:] == 99).all()
    assert (sheet[:LABEL_PX, :60] < 128).any()
    assert (sheet[:LABEL_PX, 60 + GAP_PX:] < 128).any()
    rows, columns = np.nonzero((sheet[:LABEL_PX, :60] < 128).any(-1))
    assert abs(rows.mean() - LABEL_PX / 2) < 3 and abs(columns.mean() - 30) < 3


def test_strips_are_stacked_from_the_left_edge():
    sheet = np.asarray(stacked([Image.new("RGB", (30, 5), (1, 2, 3)), Image.new("RGB", (40, 7), (4, 5, 6))]))
    assert sheet.shape == (12, 40, 3)
    assert (sheet[:5, :30] == (1, 2, 3)).all() and (sheet[:5, 30:] == 0).all() and (sheet[5:] == (4, 5, 6)).all()


def test_a_name_fits_its_tile_and_may_be_empty():
    tile = Image.new("RGB", (60, 40), (255, 255, 255))
    sheet = np.asarray(side_by_side({"longer than its tile": tile, "": tile})) < 200
    assert sheet[:LABEL_PX, 1:59].any()
    assert not sheet[:, 60:].any()


def test_tiles_of_a_contact_sheet_are_reduced_and_in_about_as_many_rows_as_columns():
    tiles = {f"{number}": Image.new("RGB", (TILE_PX * 2, TILE_PX), (40 * number, 0, 0)) for number in range(5)}
    sheet = np.asarray(contact_sheet(tiles))
    assert sheet.shape == (2 * (TILE_PX // 2 + LABEL_PX), 3 * TILE_PX + 2 * GAP_PX, 3)
    for number in range(5):
        top, left = number // 3 * (TILE_PX // 2 + LABEL_PX), number % 3 * (TILE_PX + GAP_PX)
        assert (sheet[top + LABEL_PX:top + LABEL_PX + TILE_PX // 2, left:left + TILE_PX] == (40 * number, 0, 0)).all()
