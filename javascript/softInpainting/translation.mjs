// Texts in the user's language. The English text is the key, as in the WebUI's localization, which is in window.localization.
// The stand-alone page puts the same files there. Texts with values are templates: "{steps} steps".

const VALUE = /\{(\w+)\}/g, ESCAPED_VALUE = /\\\{(\w+)\\\}/g, LETTER = /[a-z]/i, SENTENCES = /.+?[.!?](?= |$)|.+$/g;
const WORDS = ["title", "placeholder", "aria-label", "alt"];  // attributes that users see or hear
const ACCORDION = "#soft_inpainting_enabled", PAGE = "[data-softinpaint=page]";  // ui/languages.py marks the page
const DATA = "textarea, pre, script, style, [role=listbox]";

/** Templates that the server fills, with the pattern of the filled text. No value goes beyond its sentence. Made at the first
 *  use. */
let patterns = null;

const dictionary = () => globalThis.localization ?? {};

/** A text in the user's language, with its values filled in. */
export function translated(template, values = {}) {
    return (dictionary()[template] ?? template).replace(VALUE, (_, name) => values[name]);
}

/** A text that may have been made from templates, such as a message of the server. What is not known stays as it is. */
export function translatedText(text) {
    const straight = text.replaceAll(/[‘’]/g, "'").replaceAll(/[“”]/g, '"');  // Gradio's Markdown bends them
    return whole(straight) ?? sentenceBySentence(text);
}

/** The translation of a text that is one key or one filled template. Otherwise undefined. */
function whole(text) {
    if (Object.hasOwn(dictionary(), text)) return dictionary()[text];
    for (const {template, pattern} of patterns ??= filledTemplates()) {
        const found = pattern.exec(text);
        if (found) return translated(template, Object.fromEntries(Object.entries(found.groups).map(listed)));
    }
    return undefined;
}

function filledTemplates() {
    return Object.keys(dictionary()).filter((key) => key.includes("{") && (!key.startsWith("{") || key.endsWith(".")))
        .flatMap((template) => {
            const source = template.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")
                .replaceAll(ESCAPED_VALUE, "(?<$1>(?:(?![.!?] ).)+?)");
            try {
                return {template, pattern: new RegExp(`^${source}$`, "s")};
            } catch {
                return [];  // another extension's text in braces
            }
        });
}

/** The longest known parts, in order. */
function sentenceBySentence(text) {
    const left = text.match(SENTENCES)?.map((sentence) => sentence.trim()) ?? [text], done = [];
    while (left.length) {
        let count = left.length, found;
        while (count && (found = whole(left.slice(0, count).join(" "))) === undefined) count--;
        done.push(found ?? left[0]);
        left.splice(0, count || 1);
    }
    return done.join(" ");
}

/** A template's value. One whose name is a plural lists names and values, such as "Mask blur 8, Masked content fill". */
function listed([name, value]) {
    const words = value.split(" "), done = [];
    if (whole(value) !== undefined || !name.endsWith("s")) return [name, whole(value) ?? value];
    while (words.length) {
        let count = words.length, found;
        while (count && !(found = dictionary()[words.slice(0, count).join(" ").replace(/,$/, "")])) count--;
        const comma = found && words[count - 1].endsWith(",") ? "," : "";
        done.push(found ? found + comma : words[0]);
        words.splice(0, count || 1);
    }
    return [name, done.join(" ")];
}

/** Translates an element's texts, or a text. */
function translateTree(root) {
    if (root.nodeType === Node.TEXT_NODE) return translateNode(root);
    if (root.nodeType !== Node.ELEMENT_NODE) return undefined;
    for (const name of WORDS) translateWords(root, name);
    return root.matches(DATA) ? undefined : root.childNodes.forEach(translateTree);
}

function translateNode(node) {
    const text = node.data.trim().replaceAll(/\s+/g, " "), found = LETTER.test(text) ? translatedText(text) : text;
    if (found !== text) node.data = node.data.replace(/\S.*\S|\S/s, () => found);
}

function translateWords(element, name) {
    const text = element.getAttribute(name), found = text && translatedText(text);
    if (found !== text) element.setAttribute(name, found);
}

/** Keeps the accordion, or on the stand-alone page all of it, in the user's language. Does nothing in English. */
export function watchTexts() {
    if (!Object.keys(dictionary()).length) return;
    const isOurs = (node) => (node.nodeType === Node.TEXT_NODE ? node.parentElement : node)?.closest(`${PAGE}, ${ACCORDION}`);
    const isData = (node) => node.parentElement?.closest(DATA);
    const translate = (node) => {
        if (!isData(node)) translateTree(node);
    };
    new MutationObserver((changes) => {
        for (const {type, target, attributeName, addedNodes} of changes) {
            if (!isOurs(target)) for (const node of addedNodes) node.querySelectorAll?.(ACCORDION).forEach(translate);
            else if (type === "attributes") translateWords(target, attributeName);
            else if (type === "characterData") translate(target);
            else addedNodes.forEach(translate);
        }
    }).observe(document.documentElement, {childList: true, subtree: true, characterData: true, attributeFilter: WORDS});
    const root = document.querySelector(PAGE) ?? document.querySelector(ACCORDION);
    if (root) translate(root);
}
