"""The extension's section on the host's settings page."""
from __future__ import annotations

from modules import errors, shared

from lib_softinpaint.generation.history import USUAL_LIMIT_MB
from lib_softinpaint.generation.source import KEEP_ALPHA
from lib_softinpaint.hosts.webui.kept import history, history_mb
from lib_softinpaint.hosts.webui.names import DEFAULT_PRESET, HISTORY_MB, KEEP_BUILTIN, NOTES
from lib_softinpaint.hosts.webui.preset_file import own_presets
from lib_softinpaint.ui import presets


def add_options() -> None:
    place = {"section": ("softinpaint", "Soft inpainting"), "category_id": "sd"}
    shared.opts.add_option(KEEP_BUILTIN, shared.OptionInfo(
        False, "Keep the built-in soft inpainting and switch this extension off", **place).needs_reload_ui())
    shared.opts.add_option(DEFAULT_PRESET, shared.OptionInfo(
        "", "Preset to start with", presets.MENU, _preset_choices,
        **place).info("takes effect when the page is reloaded; if none is chosen, the sliders start with the values in "
                      "ui-config.json"))
    keep_size = shared.OptionHTML(
        "To keep width and height when an image is sent to another tab, switch off the WebUI's own setting Send size when "
        "sending prompt or image to another interface. The accordion has a checkbox that does this.")
    keep_size.section, keep_size.category_id = place.values()
    shared.opts.add_option("softinpaint_keep_size", keep_size)
    shared.opts.add_option(KEEP_ALPHA, shared.OptionInfo(
        False, "Keep transparency in soft-inpainted images", **place).info("otherwise they are put on a background colour"))
    shared.opts.add_option(HISTORY_MB, shared.OptionInfo(
        USUAL_LIMIT_MB, "Memory for results that can be re-composited, MB", **place).info(
            f"A 1024 x 1024 image takes 18 MB, each further image of its batch 3 MB. 0 keeps none, default {USUAL_LIMIT_MB}. "
            "On a shared WebUI, anyone with an exact copy of a result can re-composite it and read its prompt and settings, "
            "even if the copy contains no infotext."))
    shared.opts.add_option(NOTES, shared.OptionInfo(
        True, "Write soft inpainting's notes into the infotext", **place).info(
            "notes say what was skipped or changed; they are always shown under the image"))
    shared.opts.onchange(HISTORY_MB, lambda: history.shrink(history_mb()), call=False)


def _preset_choices() -> dict[str, list[str]]:
    """Never raises, because the WebUI does not start if an option's choices cannot be read."""
    try:
        return {"choices": ["", *own_presets().with_bundled()]}
    except Exception:
        errors.report("Soft inpainting could not read its presets", exc_info=True)
        return {"choices": [""]}
