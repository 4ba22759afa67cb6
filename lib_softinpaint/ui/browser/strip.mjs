// The strip of steps below the canvas.
import {element, find} from "./elements.mjs";
import {following, session, step} from "./steps.mjs";

/** Draws one button for each step, and enables what is possible. */
export function drawSteps() {
    find(".steps ol").replaceChildren(...session.steps.map(({image, name, from}, number) => {
        const button = element("button", {type: "button", title: name},
            element("img", {src: image, alt: ""}), `${number + 1}`);
        button.dataset.step = number;
        if (number === session.at) button.ariaCurrent = "step";
        button.ariaLabel = `Step ${number + 1}: ${name}`;
        if (from !== null && from !== number - 1) button.append(element("small", {}, `from ${from + 1}`));
        return element("li", {}, button);
    }));
    find("[aria-current=step]").scrollIntoView({block: "nearest", inline: "nearest"});
    find("[data-action=step-back]").disabled = step().from === null;
    find("[data-action=step-forward]").disabled = following() < 0;
    find("[data-action=resume]").hidden = !session.previous;
}
