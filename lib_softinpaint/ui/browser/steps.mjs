// The session: a chain of input images, each with its mask and its candidates. It is kept in the browser over a reload.
import {announce, find, ROOT, showStatus} from "./elements.mjs";
import {forgetSession, keep, keptKeys, keptValue} from "./storage.mjs";
import {translated} from "../../../javascript/softInpainting/translation.mjs";

const MOST_SESSIONS = 8;  // in the browser: each holds its input images
const SESSION = "session";  // the key of a session's own record

/** Fields that are kept with the session. ui/kept_fields.py keeps the others. */
export const FIELDS = ["#img2img_prompt textarea", "#img2img_neg_prompt textarea", `${ROOT} .brush`, `${ROOT} .strength`];

/** Steps are never removed: going back and accepting another candidate adds a step whose `from` is the earlier one.
 *
 *  A step holds `image` and `mask`, data URLs, where no mask is ""; `name`; `from`, the step it follows, or null; and
 *  `candidates` with `name`, `seed`, `score` or null, `mark`, `unchanged`, `infotext` and `discarded`. `running` is the
 *  step that is being generated from, `previous` the id of the last session in another tab. */
export const session = {id: "", start: "", at: 0, steps: [], running: 0, previous: ""};

export const step = () => session.steps[session.at];

/** Opens the session of this tab or, if it has none with the page's first image, a new one. */
export async function openSession(start, image, mask) {
    const id = window.sessionStorage.getItem(SESSION);
    const known = id && await keptValue([id, SESSION]).catch(() => null);
    if (known?.start === start && await restore(id)) return;
    session.id = window.crypto.randomUUID?.() ?? `${Date.now()} ${Math.random()}`;
    window.sessionStorage.setItem(SESSION, session.id);
    Object.assign(session, {start, steps: [], previous: await lastSession()});
    addStep({image, mask, name: translated("Start"), from: null});
}

/** Goes on with a copy of the last session of another tab, which may still be open. */
export async function resume() {
    const {id, start} = session;
    if (!await restore(session.previous)) return;
    Object.assign(session, {id, start});
    for (const number of session.steps.keys()) await keepStep(number);
}

async function restore(id) {
    const known = await keptValue([id, SESSION]);
    const steps = await Promise.all(Array.from({length: known.count}, (_, number) => keptValue([id, number])));
    if (!steps.length || steps.includes(undefined)) return false;
    Object.assign(session, {id, start: known.start, steps, previous: "", running: known.at});
    FIELDS.forEach((selector, number) => {
        const field = document.querySelector(selector), value = known.fields?.[number];
        if (!field || value === undefined) return;
        field.value = value;
        field.dispatchEvent(new Event("input", {bubbles: true}));
    });
    goTo(known.at);
    return true;
}

/** The id of the last session with a result. Forgets the oldest sessions. */
async function lastSession() {
    try {
        const ids = (await keptKeys()).filter(([, key]) => key === SESSION).map(([id]) => id);
        const known = await Promise.all(ids.map(async (id) => ({id, ...await keptValue([id, SESSION])})));
        known.sort((one, other) => other.changed - one.changed);
        await Promise.all(known.slice(MOST_SESSIONS).map(({id}) => forgetSession(id)));
        return known.slice(0, MOST_SESSIONS).find(({worthwhile}) => worthwhile)?.id ?? "";
    } catch {
        return "";
    }
}

/** Keeps a step, and where the session is. */
export async function keepStep(number = session.at) {
    const {id, start, at, steps} = session;
    try {
        await keep([id, number], steps[number]);
        await keep([id, SESSION], {
            start, at, count: steps.length, changed: Date.now(),
            worthwhile: steps.length > 1 || steps[0].candidates.length > 0,
            fields: FIELDS.map((selector) => document.querySelector(selector)?.value),
        });
    } catch (fault) {
        showStatus(translated("This browser does not keep the steps over a reload: {fault}", {fault: fault.message}));
    }
}

/** Keeps the painted mask with its step. */
export function keepMask() {
    step().mask = find("canvas").toDataURL();
    keepStep();
}

// --- Steps ----------------------------------------------------------------------------------------------------------

/** Adds a step after this one and goes to it. */
export function addStep({image, mask = "", name, from = session.at}) {
    session.steps.push({image, mask, name, from, candidates: []});
    goTo(session.steps.length - 1);
}

export function goTo(number) {
    session.at = number;
    announce("softinpaint-step");
    keepStep();
}

/** Goes to the step that this one follows. */
export function stepBack() {
    if (step().from !== null) goTo(step().from);
}

/** The last step that follows this one, or -1. */
export const following = () => session.steps.findLastIndex(({from}) => from === session.at);

export function stepForward() {
    if (following() >= 0) goTo(following());
}

// --- Candidates -----------------------------------------------------------------------------------------------------

/** Adds candidates that no step has yet to a step, updates the others, and sorts its candidates once all are there. */
export function addCandidates(found, complete, number = session.running) {
    const {candidates} = session.steps[number], known = session.steps.flatMap((each) => each.candidates);
    for (const candidate of found) {
        const same = known.find(({name}) => name === candidate.name);
        if (same) Object.assign(same, candidate);
        else candidates.push(candidate);
    }
    // An unchanged image has no seam and would win.
    if (complete) candidates.sort((one, other) => (one.unchanged ?? false) - (other.unchanged ?? false)
        || (other.score ?? 0) - (one.score ?? 0));
    keepStep(number);
    announce("softinpaint-candidates");
}

export const shownCandidates = () => step().candidates.filter(({discarded}) => !discarded);

export function discard(candidate, discarded = true) {
    candidate.discarded = discarded;
    keepStep();
    announce("softinpaint-candidates");
}
