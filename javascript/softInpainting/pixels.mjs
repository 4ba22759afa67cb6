// Pixels of images and canvases.

/** Pixels of an image on a grid, RGBA. They are not interpolated, so that a mask's strengths keep their values. */
export function sampled(image, [width, height]) {
    const pen = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
    pen.imageSmoothingEnabled = false;
    pen.drawImage(image, 0, 0, width, height);
    return pen.getImageData(0, 0, width, height).data;
}

/** One value for each pixel; `read` takes the pixels and the place of the pixel's first band. */
export function valuesOf(pixels, read) {
    const values = new Float32Array(pixels.length / 4);
    for (let place = 0; place < values.length; place++) values[place] = read(pixels, 4 * place);
    return values;
}

/** An image over white, as the WebUI removes transparency. */
export function overWhite(image, [width, height]) {
    const pen = new OffscreenCanvas(width, height).getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, width, height);
    pen.drawImage(image, 0, 0, width, height);
    return pen.canvas;
}

export function sizeOf(image) {
    return [image.naturalWidth ?? image.width, image.naturalHeight ?? image.height];
}

/** Width and height at a scale, at least 1. */
export function scaled(size, scale) {
    return size.map((side) => Math.max(1, Math.round(side * scale)));
}
