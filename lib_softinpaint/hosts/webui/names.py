"""The script's title, and the keys of its options in config.json."""
from __future__ import annotations

TITLE = "Soft Inpainting"
KEEP_BUILTIN, DEFAULT_PRESET = "softinpaint_keep_builtin", "softinpaint_default_preset"
HISTORY_MB, NOTES = "softinpaint_history_mb", "softinpaint_notes"
