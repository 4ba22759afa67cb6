// What would otherwise be a surprise: changed settings that are out of sight, and settings that have no effect.
// lib_softinpaint/ui/accordion.py builds their elements.
import {MASK_FILE} from "./scene.mjs";
import {translated} from "./translation.mjs";

/** Fills in both notes. `find` is that of readControls. */
export function writeNotes(find) {
    const changed = find("#softinpaint_preview .changed"), withoutEffect = find("#softinpaint_without_effect");
    changed.textContent = changedLine(JSON.parse(changed.dataset.fields), find);
    if (withoutEffect) withoutEffect.textContent = withoutEffectLine(find);
    find("#softinpaint_automatic_threshold")?.classList.toggle("softinpaint_without_effect", automaticHasNoEffect(find));
}

/** The fields that differ from their defaults, with their values, or "" if there are none. */
export function changedLine(fields, find) {
    const found = fields.map((field) => ({...field, value: valueOf(field, find) ?? field.default}))
        .filter(({value, default: usual}) => value !== usual)
        .map(({label, value}) => [nameOf(label), ...value === true ? [] : [translated(String(value))]].join(" "));
    return found.length ? translated("Changed under Advanced: {settings}.", {settings: found.join(", ")}) : "";
}

/** A label without its unit. */
const nameOf = (label) => translated(label).split(/[,、，]/)[0];

/** A control's value, of its default's type. Undefined if it is not on the page. */
function valueOf({id, isText, default: usual}, find) {
    if (isText) return find(`#${id} textarea, #${id} input`)?.value;
    if (usual === "") return find(`${MASK_FILE} .file-preview`) ? true : "";
    if (typeof usual === "boolean") return find(`#${id} input`)?.checked;
    if (typeof usual === "string") return find(`#${id} input:checked`)?.value;
    const text = find(`#${id} input[type=number]`)?.value;
    return text ? Number(text) : undefined;
}

function showsAll(find) {
    return valueOf({id: "softinpaint_least_opacity", default: 1}, find) === 1;
}

function withoutEffectLine(find) {
    return showsAll(find)
        ? translated("At Least opacity 1, everything you paint is shown. Mask influence, Difference threshold and " +
                     "Difference contrast then only act in the feather, and with Seam search only where it fades.")
        : "";
}

/** Whether to hide the automatic threshold. It stays in sight while it is on. */
function automaticHasNoEffect(find) {
    return showsAll(find) && valueOf({id: "softinpaint_automatic_threshold", default: false}, find) === false;
}
