"""Exported layers and masks: they give the result, and other programs open them."""
import dataclasses
import io
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageCms

from lib_softinpaint.generation import layers
from lib_softinpaint.generation.colours import Colours
from lib_softinpaint.images import export, openraster
from lib_softinpaint.images.openraster import Layer
from lib_softinpaint.method.layer import layer_between
from tests.programs import in_gimp, in_krita
from tests.test_kept import PAINTED, RUN, SIZE, kept

RNG = np.random.default_rng(5)


def over(below, layer):
    """Porter and Duff's "over" in float, (H, W, 4)."""
    below, layer = (np.dstack([each[..., :3], each[..., 3:] if each.shape[2] == 4 else np.full(each.shape[:2], 255)])
                    .astype(float) for each in (below, layer))
    alpha = layer[..., 3:] / 255
    under = below[..., 3:] / 255 * (1 - alpha)
    total = alpha + under
    return np.dstack([(layer[..., :3] * alpha + below[..., :3] * under) / np.maximum(total, 1e-9), 255 * total])


@pytest.mark.parametrize("strength", [0.004, 0.03, 0.5, 1])
def test_a_layer_over_the_original_gives_the_result(strength):
    original, new = (RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8) for _ in range(2))
    opacity = (RNG.random((40, 40)) * strength).astype(np.float32)
    opacity[:10] = 0
    result = np.rint(original + (new.astype(float) - original) * opacity[..., None]).astype(np.uint8)
    layer = layer_between(original, result, opacity)
    assert (layer[:10] == 0).all()
    assert np.abs(np.rint(over(original, layer)[..., :3]) - result).max() <= 1
    assert (layer[10:, :, 3] >= 255 * opacity[10:]).all()


@pytest.fixture(params=["opaque", "transparent"])
def image(request):
    source = RNG.integers(0, 256, (SIZE, SIZE, 4), dtype=np.uint8) if request.param == "transparent" else None
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return kept(source=source, colours=Colours(profile))


@pytest.mark.parametrize("changes", [{}, {"least_opacity": 0.3, "feather_width": 6.0, "grain": 0.5}])
def test_the_change_over_the_original_gives_the_result(changes, image):
    if image.source is not None:  # over a clear original, no layer holds colours that drift correction moved out of range
        changes = {**changes, "drift_correction": 0.0, "grain": 0.0}
    settings = image.settings_with(changes)
    result, change = image.composited(settings), layers.change(image, settings)
    shown = over(layers.background(image), change)
    visible = shown[..., 3] >= 64  # colours of nearly clear pixels have few bits
    assert np.abs(shown[..., :3] - result[..., :3])[visible].max() <= (1 if image.source is None else 4)
    assert (change[image.opacity_px(settings) == 0] == 0).all()
    one, = layers.layers(image, settings)
    np.testing.assert_array_equal(one, change)


def test_where_the_result_is_larger_the_background_is_the_enlarged_original():
    made = kept()
    assert layers.background(made) is made.sampled.original
    larger = dataclasses.replace(made, decoded=made.decoded.repeat(2, 0).repeat(2, 1))
    background = layers.background(larger)
    assert background.shape == (2 * SIZE, 2 * SIZE, 3)
    halved = np.asarray(Image.fromarray(background).reduce(2), np.float32)
    assert np.abs(halved - made.sampled.original).mean() < 20  # two random colours are 85 apart


def test_the_files(image):
    files = export.files_of(image, RUN)
    assert tuple(files) == export.NAMES
    masks = {name: np.asarray(Image.open(io.BytesIO(files[f"{name}.png"]))) for name in export.MASKS}
    assert {mask.dtype for mask in masks.values()} <= {np.dtype(np.uint16), np.dtype(np.int32)}
    np.testing.assert_array_equal(masks["painted"], 65535 * PAINTED.astype(int))
    np.testing.assert_allclose(masks["repaint"] / 65535, image.sampled.repaint_px, atol=1e-5)
    np.testing.assert_allclose(masks["opacity"] / 65535, image.opacity_px(RUN), atol=1e-5)
    assert len(np.unique(masks["opacity"])) > 256
    assert masks["difference"].max() > 0
    assert Image.open(io.BytesIO(files["change.png"])).info["icc_profile"] == image.colours.icc_profile


def test_an_unknown_difference_is_left_out():
    unknown = dataclasses.replace(kept(), sampled=dataclasses.replace(kept().sampled, distance=None))
    assert set(export.NAMES) - set(export.files_of(unknown, RUN)) == {"difference.png"}


def test_the_openraster_file_follows_the_specification(image):
    content = export.files_of(image, RUN)["layers.ora"]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        first = archive.infolist()[0]
        assert (first.filename, first.compress_type, archive.read(first)) == ("mimetype", 0, b"image/openraster")
        assert content[30:54] == b"mimetypeimage/openraster"
        assert archive.read("stack.xml").startswith(b"<?xml version='1.0' encoding='UTF-8'?>")
        root = ElementTree.fromstring(archive.read("stack.xml"))
        assert (root.attrib["w"], root.attrib["h"], root.attrib["version"]) == (str(SIZE), str(SIZE), "0.0.6")
        found = root.findall("./stack/layer")
        assert [layer.attrib["name"] for layer in found] == ["New content", "Original"]  # top first
        merged = Image.open(io.BytesIO(archive.read("mergedimage.png")))
        np.testing.assert_array_equal(np.asarray(merged), image.composited(RUN))
        assert max(Image.open(io.BytesIO(archive.read("Thumbnails/thumbnail.png"))).size) <= 256
        top = Image.open(io.BytesIO(archive.read(found[0].attrib["src"])))
        placed = Image.new("RGBA", (SIZE, SIZE))
        placed.paste(top, (int(found[0].attrib["x"]), int(found[0].attrib["y"])))
        np.testing.assert_array_equal(np.asarray(placed), layers.change(image, RUN))


@pytest.mark.parametrize(("size", "thumbnail"), [((300, 512), (256, 150)), ((512, 200), (100, 256)), ((256, 40), (40, 256))])
def test_a_layered_file_has_a_small_thumbnail_and_layers_without_empty_margins(tmp_path, size, thumbnail):
    image, layer = RNG.integers(0, 256, (*size, 3), dtype=np.uint8), np.zeros((*size, 4), np.uint8)
    layer[20:31, 7:12] = 200
    layer[25, 9, 3] = 1
    with open(tmp_path / "layers.ora", "wb") as file:
        openraster.write(file, [Layer("Original", image), Layer("New", layer)], image)
    with zipfile.ZipFile(tmp_path / "layers.ora") as archive:
        assert Image.open(io.BytesIO(archive.read("Thumbnails/thumbnail.png"))).size == thumbnail
        new, original = ElementTree.fromstring(archive.read("stack.xml")).findall("./stack/layer")
        assert (new.attrib["x"], new.attrib["y"], original.attrib["x"], original.attrib["y"]) == ("7", "20", "0", "0")
        assert Image.open(io.BytesIO(archive.read(new.attrib["src"]))).size == (5, 11)
        assert Image.open(io.BytesIO(archive.read(original.attrib["src"]))).size == size[::-1]


def test_saving_writes_all_files_or_says_why(tmp_path):
    paths = export.save(kept(), RUN, tmp_path / "made", "house")
    assert sorted(paths) == sorted((tmp_path / "made").iterdir()) == sorted(export.targets(tmp_path / "made", "house"))
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        export.save(kept(), RUN, tmp_path / "file", "house")


# Other programs

def scene():
    """A photo-like original, two half-transparent layers over it, and what they give."""
    row, column = np.mgrid[:90, :130]
    original = np.stack([row * 2, column, 255 - row], axis=-1).astype(np.uint8)
    stack, shown = [Layer("Original", original)], original
    for number, (left, colour) in enumerate(((10, (255, 0, 0)), (40, (0, 40, 255))), start=1):
        opacity = np.zeros((90, 130), np.float32)
        opacity[20:70, left:left + 60] = np.linspace(0, 1, 60)
        result = np.rint(shown + (np.array(colour) - shown.astype(float)) * opacity[..., None]).astype(np.uint8)
        stack.append(Layer(f"Region {number}", layer_between(shown, result, opacity)))
        shown = result
    return stack, shown


@pytest.fixture
def ora(tmp_path):
    """An OpenRaster file whose merged image is wrong, so that a program cannot get the result from there."""
    stack, shown = scene()
    with open(tmp_path / "layers.ora", "wb") as file:
        openraster.write(file, stack, np.zeros_like(shown))
    return tmp_path / "layers.ora", shown


def test_krita_opens_the_layers(ora, tmp_path):
    path, shown = ora
    assert np.abs(in_krita(tmp_path, path) - shown).max() <= 1


def test_gimp_opens_the_photoshop_file(tmp_path):
    pytest.importorskip("psd_tools", reason="psd-tools is not installed")
    from lib_softinpaint.images import photoshop

    stack, shown = scene()
    (tmp_path / "layers.psd").write_bytes(photoshop.written(stack, shown))
    names, back = in_gimp(tmp_path, tmp_path / "layers.psd")
    assert names == ["Region 2", "Region 1", "Original"]
    assert np.abs(back - shown).max() <= 1


def test_the_photoshop_file_has_the_layers_and_the_profile(image):
    psd_tools = pytest.importorskip("psd_tools", reason="psd-tools is not installed")
    files = export.files_of(image, RUN, photoshop=True)
    assert tuple(files) == (*export.NAMES, "layers.psd")
    document = psd_tools.PSDImage.open(io.BytesIO(files["layers.psd"]))
    assert [layer.name for layer in document] == ["Original", "New content"]
    top = Image.new("RGBA", (SIZE, SIZE))
    top.paste(document[1].topil(apply_icc=False), document[1].offset)
    np.testing.assert_array_equal(np.asarray(top), layers.change(image, RUN))
    with Image.open(io.BytesIO(files["layers.psd"])) as merged:
        assert merged.info["icc_profile"] == image.colours.icc_profile
