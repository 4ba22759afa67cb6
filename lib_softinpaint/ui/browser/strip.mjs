// The strip of steps below the canvas.
import {element, find} from "./elements.mjs";
import {following, session, step} from "./steps.mjs";
import {translated} from "../../../javascript/softInpainting/translation.mjs";

/** Draws one button for each step, and enables what is possible. */
export function drawSteps() {
    const focused = find(".steps ol").contains(document.activeElement);
    find(".steps ol").replaceChildren(...session.steps.map(({image, name, from}, number) => {
        const button = element("button", {type: "button", title: name},
            element("img", {src: image, alt: ""}), `${number + 1}`);
        button.dataset.step = number;
        if (number === session.at) button.ariaCurrent = "step";
        button.ariaLabel = translated("Step {number}: {name}", {number: number + 1, name});
        if (from !== null && from !== number - 1) {
            button.append(element("small", {}, translated("from {step}", {step: from + 1})));
        }
        return element("li", {}, button);
    }));
    const current = find("[aria-current=step]"), strip = find(".steps ol");
    strip.scrollLeft = current.offsetLeft - strip.offsetLeft - strip.clientWidth / 2;
    if (focused) current.focus({preventScroll: true});
    find("[data-action=step-back]").disabled = step().from === null;
    find("[data-action=step-forward]").disabled = following() < 0;
    find("[data-action=resume]").hidden = !session.previous;
}
