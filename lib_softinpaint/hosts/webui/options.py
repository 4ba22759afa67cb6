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
    about = {"section": ("softinpaint", "Soft inpainting"), "category_id": "sd"}
    shared.opts.add_option(KEEP_BUILTIN, shared.OptionInfo(
        False, "Keep the built-in soft inpainting and switch this extension off", **about).needs_reload_ui())
    shared.opts.add_option(DEFAULT_PRESET, shared.OptionInfo(
        "", "Preset that the accordion starts with", presets.MENU, _preset_choices,
        **about).info("once the page is loaded again; without one the sliders start as ui-config.json says"))
    keep_size = shared.OptionHTML(
        "Keeping width and height when a picture is sent to another tab is the WebUI's own setting <i>Send size when sending "
        "prompt or image to another interface</i>, which the accordion's checkbox also switches.")
    keep_size.section, keep_size.category_id = about.values()
    shared.opts.add_option("softinpaint_keep_size", keep_size)
    shared.opts.add_option(KEEP_ALPHA, shared.OptionInfo(
        False, "Keep the transparency of pictures that are inpainted softly", **about).info("else they get a background"))
    shared.opts.add_option(HISTORY_MB, shared.OptionInfo(
        USUAL_LIMIT_MB, "Memory for finished pictures that can be composited again, MB", **about).info(
            f"a picture of 1024 x 1024 takes 18, each other of its batch 3; 0 keeps none; {USUAL_LIMIT_MB} by default; "
            "on a shared WebUI, anyone who has an exact copy of a result can re-composite it, and gets its prompt and "
            "settings back even if they were removed from that copy"))
    shared.opts.add_option(NOTES, shared.OptionInfo(
        True, "Write what soft inpainting had to leave out or change into the infotext", **about).info(
            "it always stands under the picture"))
    shared.opts.onchange(HISTORY_MB, lambda: history.shrink(history_mb()), call=False)


def _preset_choices() -> dict[str, list[str]]:
    """Raises nothing: the WebUI does not start if an option's choices cannot be made."""
    try:
        return {"choices": ["", *own_presets().with_bundled()]}
    except Exception:
        errors.report("Soft inpainting could not read its presets", exc_info=True)
        return {"choices": [""]}
