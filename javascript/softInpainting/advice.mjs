// Likely problems with a request. Python twin: lib_softinpaint/settings/advice.py. Here each problem also has the label of
// the button that fixes it, in English.
import {translated} from "./translation.mjs";

const LEAST_STRENGTH = 0.1, LEAST_STRENGTH_OF_NOISE = 0.7, LEAST_CONTEXT_PX = 16, HIGH_STRENGTH = 0.8;
const LARGEST_STRETCH = 0.02;

/** A sentence on each problem, and its fix. None for most requests. */
export function advice({strength, content, paddingPx, image, working}) {
    const found = [];
    if (strength < LEAST_STRENGTH) {
        found.push({sentence: translated("Denoising strength {strength} changes almost nothing; " +
                                         "new content needs 0.4 or more.", {strength}),
                    fix: "Raise denoising"});
    } else if (content.startsWith("latent") && strength < LEAST_STRENGTH_OF_NOISE) {
        found.push({sentence: translated("Masked content {content} needs denoising strength {least} or more. At {strength} " +
                                         "the fill will show through.",
                                         {content: translated(content), least: LEAST_STRENGTH_OF_NOISE, strength}),
                    fix: "Raise denoising"});
    }
    if (paddingPx === null) {
        if (Math.abs(working[0] * image[1] / (working[1] * image[0]) - 1) > LARGEST_STRETCH) {
            found.push({sentence: translated("Width and height ({working}) stretch the image ({image}).",
                                             {working: working.join("x"), image: image.join("x")}),
                        fix: "Set size from image"});
        }
    } else if (paddingPx < LEAST_CONTEXT_PX && strength > HIGH_STRENGTH) {
        found.push({sentence: translated("With padding {padding}, the model sees too little around the mask. " +
                                         "At denoising strength {strength}, new content may not fit in.",
                                         {padding: paddingPx, strength}), fix: "Set padding to 32"});
    }
    return found;
}
