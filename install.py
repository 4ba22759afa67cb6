"""Run by the WebUI at start. The extension needs nothing that the WebUI does not ship."""
