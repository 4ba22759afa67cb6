// Starts the accordion's live preview in the WebUI, which loads the files of this folder but none of its subfolders.
import "./softInpainting/events.mjs";
