// The candidates: results of the step on the canvas, best blend score first, and what can be done with one.
import {CANDIDATES, dataUrlOf, element, findCandidates} from "./elements.mjs";
import {discard, shownCandidates, step} from "./steps.mjs";
import {translated, translatedText} from "../../../javascript/softInpainting/translation.mjs";

/** The name of the candidate that the user has chosen, or "": then the first one counts as selected. */
let selected = "";

export const resultAddress = (name) => `softinpaint/results/${encodeURIComponent(name)}`;
export const maskAddress = (name) => `softinpaint/masks/${encodeURIComponent(name)}`;

export function selectedCandidate() {
    const shown = shownCandidates();
    return shown.find(({name}) => name === selected) ?? shown[0];
}

/** A file of the server. Rejects with a sentence if it is gone. */
export async function fileAt(address, what) {
    const answer = await fetch(address, {cache: "no-cache"});  // the file may have been deleted since it was shown
    if (!answer.ok) throw new Error(translated("{file} is no longer in the output folder.", {file: what}));
    return answer.blob();
}

export async function resultOf({name}) {
    return dataUrlOf(await fileAt(resultAddress(name), name));
}

export const titleOf = ({seed, score}) =>
    [...score === null ? [] : [Math.round(score)], translated("seed {seed}", {seed})].join(", ");

export function select(name) {
    selected = name;
    drawCandidates();
}

/** Selects the candidate before or after the selected one. */
export function selectBeside(offset) {
    const shown = shownCandidates(), place = shown.indexOf(selectedCandidate());
    const chosen = shown[Math.min(Math.max(place + offset, 0), shown.length - 1)];
    if (chosen) select(chosen.name);
    findCandidates("[aria-pressed=true]")?.scrollIntoView({block: "nearest"});
}

/** Discards the selected candidate and selects the next one. */
export function discardSelected() {
    const candidate = selectedCandidate(), shown = shownCandidates(), place = shown.indexOf(candidate);
    if (!candidate) return;
    selected = (shown[place + 1] ?? shown[place - 1])?.name ?? "";
    discard(candidate);
}

/** Draws the candidates. One is always selected, so that every action has a target. */
export function drawCandidates() {
    const shown = shownCandidates(), discarded = step().candidates.length - shown.length;
    const focused = document.activeElement?.matches(`${CANDIDATES} .card`);
    findCandidates(".cards").replaceChildren(...shown.map(card));
    if (focused) findCandidates(".card[aria-pressed=true]")?.focus();
    findCandidates(".empty").hidden = shown.length > 0;
    findCandidates(".actions").hidden = findCandidates(".infotext").hidden = !shown.length;
    const bring = findCandidates("[data-action=bring-back]");
    bring.hidden = !discarded;
    bring.textContent = translated("Bring back {count} discarded", {count: discarded});
    findCandidates(".infotext pre").textContent = selectedCandidate()?.infotext ?? "";
}

function card(candidate) {
    const {name, score, seed} = candidate, mark = translatedText(candidate.mark ?? "");
    const button = element("button", {type: "button", className: "card", title: name},
        element("img", {src: resultAddress(name), loading: "lazy",
            alt: translated("{file} is no longer in the output folder.", {file: name})}),
        element("span", {className: "caption"},
            element("b", {}, score === null ? "" : `${Math.round(score)}`), translated("seed {seed}", {seed})));
    if (mark) button.append(element("span", {className: "mark"}, mark));
    button.dataset.name = name;
    const title = titleOf(candidate);
    button.ariaLabel = [score === null ? translated("Candidate: {title}", {title})
        : translated("Candidate: blend score {title}", {title}), ...mark ? [mark] : []].join(", ");
    button.ariaPressed = String(candidate === selectedCandidate());
    return button;
}
