// Run by `python3 softinpaint.py test` where npx is installed.
const BROWSER = ["document", "window", "getComputedStyle", "requestAnimationFrame", "OffscreenCanvas", "ResizeObserver",
    "Event", "Element", "FileReader", "HTMLTextAreaElement", "Image", "URL", "createImageBitmap", "fetch",
    "setTimeout", "clearTimeout", "FormData", "MutationObserver", "Node", "indexedDB", "IDBKeyRange"];

export default [{
    files: ["**/*.mjs"],
    languageOptions: {globals: Object.fromEntries(BROWSER.map((name) => [name, "readonly"]))},
    rules: {
        "eqeqeq": "error", "no-undef": "error", "no-unused-vars": "error", "no-implicit-globals": "error", "no-var": "error",
        "prefer-const": "error", "no-shadow": "error", "no-unreachable": "error", "no-constant-condition": "error",
        "max-len": ["error", 127],
    },
}];
