"""Procedural flat-colour scenes from seeds, with captions and object masks.

A scene is plain data, from which image, caption and masks are made. Lengths are shares of the image
side, x to the right and y down, so a scene can be drawn at any size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

SIZE = 256  # image side in pixels: 32 x 32 latents, the smallest size at which a person has a head
HELD_OUT = 1_000_000_000  # scenes from this seed on are for evaluation, never for training
SUPERSAMPLE = 2  # drawn at twice the size for antialiasing, and still fast enough to draw while training
GRAIN_LEVELS = 1.2  # standard deviation of the paper grain, 8-bit levels; visible only where it is missing
SHADE_SHARE = 0.12  # brightness falls by this share across the image, so that a wrong tone shows at a seam

RGB = tuple[int, int, int]
Kind = Literal["sun", "moon", "cloud", "mountain", "hill", "ground", "lake", "tree", "pine", "house", "person"]

COLOURS: dict[str, RGB] = {
    "red": (212, 62, 54),
    "orange": (238, 136, 48),
    "yellow": (248, 204, 72),
    "green": (88, 164, 88),
    "blue": (60, 116, 204),
    "purple": (130, 94, 178),
    "pink": (240, 140, 168),
    "white": (246, 244, 238),
    "grey": (146, 150, 160),
    "brown": (132, 90, 62),
}
SKIN: tuple[RGB, ...] = ((250, 208, 176), (224, 168, 128), (160, 108, 76), (104, 68, 50))
HAIR: tuple[RGB, ...] = ((44, 34, 40), (96, 58, 40), (206, 150, 70))
TROUSERS: tuple[RGB, ...] = ((46, 56, 98), (74, 62, 66), (62, 92, 88))
ROOFS: tuple[RGB, ...] = ((94, 62, 58), (78, 84, 104))
LIT_WINDOW: RGB = (255, 224, 130)
PALE_WINDOW: RGB = (196, 226, 240)
TRUNK: RGB = (110, 76, 56)
DOOR: RGB = (92, 62, 50)

# Possible colours of each kind; the first one is the most common.
PALETTE: dict[Kind, tuple[str, ...]] = {
    "sun": ("yellow", "orange"),
    "moon": ("white",),
    "cloud": ("white", "pink"),
    "mountain": ("purple", "grey", "blue"),
    "hill": ("green",),
    "ground": ("green", "yellow", "brown"),
    "lake": ("blue",),
    "tree": ("green", "orange", "pink"),
    "pine": ("green",),
    "house": ("red", "yellow", "blue", "white"),
    "person": ("red", "yellow", "blue", "purple"),
}
PLURALS = {"person": "people"}
NUMBERS = ("no", "one", "two", "three", "four")


@dataclass(frozen=True)
class Light:
    """Time of day: the sky's two colours, and how the light changes all other colours."""

    time: str
    sky_top: RGB
    sky_bottom: RGB
    gain: tuple[float, float, float]
    haze: RGB
    haze_share: float
    shade_angle: float = 0.0

    def on(self, colour: RGB, distance: float = 0.0) -> RGB:
        """The colour as seen in this light; `distance` 0 to 1 adds haze."""
        share = self.haze_share + (1 - self.haze_share) * 0.45 * distance
        sky = self.haze if distance == 0 else _mix(self.haze, self.sky_bottom, 0.7)
        lit = [c * g * (1 - share) + s * share for c, g, s in zip(colour, self.gain, sky)]
        return _clip(lit)


LIGHTS: tuple[Light, ...] = (
    Light("day", (84, 156, 232), (192, 226, 250), (1.0, 1.0, 1.0), (255, 255, 255), 0.0),
    Light("morning", (146, 192, 234), (255, 226, 194), (1.0, 0.97, 0.9), (255, 216, 184), 0.1),
    Light("sunset", (112, 82, 152), (255, 154, 92), (0.96, 0.78, 0.72), (240, 110, 84), 0.14),
    Light("night", (18, 24, 62), (54, 68, 126), (0.6, 0.63, 0.82), (30, 38, 92), 0.14),
    Light("rain", (150, 160, 172), (208, 213, 217), (0.84, 0.87, 0.9), (176, 180, 190), 0.12),
)
TIME_PHRASES = {
    "day": ("blue sky", "day", "a sunny day", "noon"),
    "morning": ("morning", "morning sky", "dawn"),
    "sunset": ("sunset", "evening", "orange sky", "dusk"),
    "night": ("night", "night sky", "dark blue sky"),
    "rain": ("grey sky", "a grey day", "cloudy sky"),
}
OPENINGS = ("a flat illustration of", "a picture of", "a landscape with")
SYNONYMS = {
    "house": ("cottage", "home"),
    "houses": ("cottages", "homes"),
    "person": ("man", "woman"),
    "pine": ("fir",),
    "pines": ("firs",),
    "field": ("meadow",),
    "lake": ("pond",),
    "mountain": ("peak",),
    "mountains": ("peaks",),
}


@dataclass(frozen=True)
class Thing:
    """One object. x is its centre, y its lowest point, `variant` chooses its details."""

    kind: Kind
    colour: str
    x: float
    y: float
    width: float
    height: float
    variant: int = 0

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom, in shares of the image side."""
        return self.x - self.width / 2, self.y - self.height, self.x + self.width / 2, self.y

    @property
    def place(self) -> str:
        return "on the left" if self.x < 0.36 else "on the right" if self.x > 0.64 else "in the middle"

    def phrase(self, colour: bool = True, place: bool = False) -> str:
        """The thing in words: `a red house on the left`."""
        noun = f"person in {self.colour}" if self.kind == "person" and colour else self.kind
        words = f"{self.colour} {noun}" if colour and self.kind not in ("person", "sun", "moon") else noun
        article = "an" if words[0] in "aeiou" else "a"
        return f"{article} {words} {self.place}" if place else f"{article} {words}"


@dataclass(frozen=True)
class Part:
    """One flat shape of a thing. Lengths are shares of the image side."""

    shape: Literal["polygon", "ellipse", "limb"]
    points: tuple[tuple[float, float], ...]
    colour: RGB
    width: float = 0.0
    main: bool = False
    fade: RGB | None = None


@dataclass(frozen=True)
class Scene:
    """A landscape. `things` are in drawing order, from far to near."""

    seed: int
    light: Light
    things: tuple[Thing, ...]

    @classmethod
    def from_seed(cls, seed: int) -> Scene:
        """The scene of this seed. The same seed always gives the same scene."""
        return _compose(seed)

    def draw(self, size: int = SIZE) -> np.ndarray:
        """The scene's image, (size, size, 3) uint8."""
        side = size * SUPERSAMPLE
        canvas = _gradient(self.light.sky_top, self.light.sky_bottom, side, side)
        for thing in self.things:
            for part in parts(thing, self.light):
                paint(canvas, part)
        flat = np.asarray(canvas.reduce(SUPERSAMPLE), np.float32)
        return np.clip(flat * self._shade(size) + self._grain(size) + 0.5, 0, 255).astype(np.uint8)

    def caption(self, rng: np.random.Generator | None = None) -> str:
        """The scene in words: everything in drawing order or, with `rng`, a random part in random order.

        Random captions leave out things, colours and places. The model then knows prompts for one object as
        well as prompts for a whole scene.
        """
        groups: dict[tuple[str, str], list[Thing]] = {}
        for thing in self.things:
            groups.setdefault((thing.kind, thing.colour), []).append(thing)
        phrases = [_group_phrase(group, rng) for group in groups.values()]
        time = TIME_PHRASES[self.light.time]
        if rng is None:
            return ", ".join([time[0], *phrases])
        share = rng.choice((1.0, 0.7, 0.35))
        phrases = [phrase for phrase in phrases if rng.random() < share]
        if rng.random() < 0.5:
            phrases.append(str(rng.choice(time)))
        rng.shuffle(phrases)
        caption = " ".join(_synonym(word, rng) for word in ", ".join(phrases).replace(",", " ,").split()).replace(" ,", ",")
        return f"{rng.choice(OPENINGS)} {caption}" if caption and rng.random() < 0.1 else caption

    def mask(self, thing: Thing, size: int = SIZE, main: bool = False) -> np.ndarray:
        """Where the thing is visible, without parts that are hidden by nearer things.

        Parameters
        ----------
        main : bool
            Only the parts in the thing's main colour, such as a house's walls.

        Returns
        -------
        mask : (size, size) bool
        """
        canvas = Image.new("L", (size * SUPERSAMPLE,) * 2, 0)
        index = self.things.index(thing)
        for part in parts(thing, self.light):
            paint(canvas, part, 255 if part.main or not main else 0)
        for nearer in self.things[index + 1 :]:
            for part in parts(nearer, self.light):
                paint(canvas, part, 0)
        return np.asarray(canvas.reduce(SUPERSAMPLE)) > 127

    def _shade(self, size: int) -> np.ndarray:
        """(size, size, 1) float32 brightness factor, falling gently across the image."""
        ramp = np.linspace(-1, 1, size, dtype=np.float32)
        across = np.cos(self.light.shade_angle) * ramp[None, :] + np.sin(self.light.shade_angle) * ramp[:, None]
        return (1 + SHADE_SHARE / 2 * across)[..., None].astype(np.float32)

    def _grain(self, size: int) -> np.ndarray:
        """(size, size, 1) float32 paper grain, 8-bit levels."""
        shift = np.random.default_rng(self.seed).integers(0, size, 2)
        return np.roll(_paper(size), tuple(shift), (0, 1))[..., None]


def parts(thing: Thing, light: Light) -> list[Part]:
    """The flat shapes that make up the thing, in drawing order."""
    return _PARTS[thing.kind](thing, light)


def main_colour(thing: Thing, light: Light) -> RGB:
    """The thing's own colour as this light shows it."""
    return next(part.colour for part in parts(thing, light) if part.main)


def vocabulary() -> list[str]:
    """Every word that captions can contain, sorted."""
    sentences = ["a an on in the left middle right field hills", *OPENINGS, *COLOURS, *NUMBERS]
    sentences += [word for kind in PALETTE if kind != "ground" for word in (kind, _plural(kind))]
    sentences += [phrase for phrases in (*TIME_PHRASES.values(), *SYNONYMS.values()) for phrase in phrases]
    return sorted({word for sentence in sentences for word in sentence.split()})


# Shapes of each kind


def _sun(thing: Thing, light: Light) -> list[Part]:
    left, top, right, bottom = thing.box
    base = COLOURS[thing.colour] if thing.kind == "sun" else (240, 238, 214)
    glow = _mix(light.sky_top, base, 0.35)
    margin = thing.width * 0.22
    return [
        Part("ellipse", ((left - margin, top - margin), (right + margin, bottom + margin)), glow),
        Part("ellipse", ((left, top), (right, bottom)), _mix(base, (255, 255, 255), 0.15), main=True),
    ]


def _cloud(thing: Thing, light: Light) -> list[Part]:
    left, top, right, bottom = thing.box
    w, h = thing.width, thing.height
    colour = _mix(light.on(COLOURS[thing.colour]), light.sky_bottom, 0.12)
    lean = 0.1 * (thing.variant % 3 - 1)
    circles = ((0.2, 0.66, 0.34), (0.5 + lean, 0.45, 0.45), (0.8, 0.64, 0.36))
    radius = [(left + cx * w, top + cy * h, r * h) for cx, cy, r in circles]
    lowest = bottom - 0.26 * h
    body = [Part("ellipse", ((x - 1.25 * r, y - r), (x + 1.25 * r, y + r)), colour, main=True) for x, y, r in radius]
    base = lowest + 0.08 * h
    body.append(Part("limb", ((left + 0.13 * w, base), (right - 0.13 * w, base)), colour, 0.36 * h, main=True))
    return body


def _mountain(thing: Thing, light: Light) -> list[Part]:
    left, top, right, bottom = thing.box
    lean = 0.08 * (thing.variant % 3 - 1) * thing.width
    peak = (thing.x + lean, top)
    colour = light.on(COLOURS[thing.colour], 0.35)
    shadow = _mix(colour, (20, 20, 50), 0.22)
    snow = light.on((250, 250, 252), 0.15)

    def down(corner: float, share: float) -> tuple[float, float]:
        return peak[0] + (corner - peak[0]) * share, top + thing.height * share

    middle = (thing.x + 0.08 * thing.width, bottom)
    zigzag = (down(left, 0.3), down(thing.x - 0.04 * thing.width, 0.22), down(thing.x + 0.02, 0.34), down(right, 0.28))
    return [
        Part("polygon", ((left, bottom), peak, (right, bottom)), colour, main=True),
        Part("polygon", (peak, (right, bottom), middle), shadow, main=True),
        Part("polygon", (peak, *zigzag), snow),
    ]


def _band(thing: Thing, light: Light) -> list[Part]:
    """A hill line or the ground: a wavy upper edge, filled to the image's lower border."""
    hill = thing.kind == "hill"
    colour = light.on(COLOURS[thing.colour], 0.3 if hill else 0.0)
    xs = np.linspace(-0.01, 1.01, 33)
    top = thing.y - thing.height
    wave = top + (0.06 if hill else 0.02) * np.sin(2 * np.pi * (xs * (1.1 if hill else 0.7) + thing.variant / 16))
    points = [*zip(xs.tolist(), wave.tolist()), (1.01, 1.01), (-0.01, 1.01)]
    near = _mix(colour, light.on((40, 70, 60)), 0.3)
    return [Part("polygon", tuple(points), colour, main=True, fade=near)]


def _lake(thing: Thing, light: Light) -> list[Part]:
    left, top, right, bottom = thing.box
    colour = _mix(light.on(COLOURS[thing.colour]), light.sky_top, 0.25)
    shine = _mix(colour, light.sky_bottom, 0.45)
    middle = (top + bottom) / 2
    glint = (thing.x - 0.25 * thing.width, middle)
    return [
        Part("ellipse", ((left, top), (right, bottom)), colour, main=True),
        Part("limb", (glint, (thing.x + 0.1 * thing.width, middle)), shine, 0.1 * thing.height, main=True),
    ]


def _tree(thing: Thing, light: Light) -> list[Part]:
    left, top, right, bottom = thing.box
    w, h = thing.width, thing.height
    colour = light.on(COLOURS[thing.colour] if thing.colour != "green" else (58, 138, 80))
    shade = _mix(colour, (20, 30, 60), 0.2)
    trunk = Part("limb", ((thing.x, bottom - 0.03 * h), (thing.x, bottom - 0.45 * h)), light.on(TRUNK), 0.13 * w)
    crown = Part("ellipse", ((left, top), (right, top + 0.72 * h)), shade, main=True)
    lit = Part("ellipse", ((left + 0.03 * w, top + 0.01 * h), (right - 0.14 * w, top + 0.64 * h)), colour, main=True)
    return [trunk, crown, lit]


def _pine(thing: Thing, light: Light) -> list[Part]:
    left, top, right, bottom = thing.box
    w, h = thing.width, thing.height
    colour = light.on((36, 104, 84))
    shade = _mix(colour, (16, 24, 50), 0.25)
    layers = [Part("limb", ((thing.x, bottom - 0.02 * h), (thing.x, bottom - 0.3 * h)), light.on(TRUNK), 0.14 * w)]
    for start, end, half in ((0.38, 0.86, 0.5), (0.18, 0.62, 0.4), (0.0, 0.38, 0.29)):
        tip, low = (thing.x, top + start * h), top + end * h
        layers.append(Part("polygon", (tip, (thing.x + half * w, low), (thing.x - half * w, low)), colour, main=True))
        layers.append(Part("polygon", (tip, (thing.x + half * w, low), (thing.x + 0.1 * w, low)), shade, main=True))
    return layers


def _house(thing: Thing, light: Light) -> list[Part]:
    left, top, right, bottom = thing.box
    w, h = thing.width, thing.height
    wall = light.on(COLOURS[thing.colour])
    roof = light.on(ROOFS[thing.variant % 2])
    lit = light.time in ("night", "sunset")
    window = LIT_WINDOW if lit else light.on(PALE_WINDOW)
    eaves, inset = top + 0.42 * h, 0.07 * w
    door_x = left + w * (0.3 if thing.variant % 3 == 0 else 0.7)
    window_x = left + right - door_x

    def rectangle(x0: float, y0: float, x1: float, y1: float, colour: RGB, main: bool = False) -> Part:
        return Part("polygon", ((x0, y0), (x1, y0), (x1, y1), (x0, y1)), colour, main=main)

    return [
        rectangle(left + inset, eaves, right - inset, bottom, wall, True),
        Part("polygon", ((left, eaves + 0.02 * h), (thing.x, top), (right, eaves + 0.02 * h)), roof),
        rectangle(door_x - 0.1 * w, bottom - 0.34 * h, door_x + 0.1 * w, bottom, light.on(DOOR)),
        rectangle(window_x - 0.12 * w, bottom - 0.4 * h, window_x + 0.12 * w, bottom - 0.18 * h, window),
    ]


def _person(thing: Thing, light: Light) -> list[Part]:
    """A long-limbed figure with a small head, one arm raised or both down."""
    _, top, _, bottom = thing.box
    w, h, x = thing.width, thing.height, thing.x
    shirt = light.on(COLOURS[thing.colour])
    skin = light.on(SKIN[thing.variant % 4])
    hair = light.on(HAIR[thing.variant // 4 % 3])
    trousers = light.on(TROUSERS[thing.variant // 2 % 3])
    side = 1 if thing.variant % 2 else -1
    shoulder, hip = top + 0.27 * h, bottom - 0.42 * h
    raised = thing.variant % 3 == 0
    head = 0.098 * h
    hand_y = top + 0.14 * h if raised else hip + 0.04 * h
    arms = (
        ((x + side * 0.2 * w, shoulder), (x + side * 0.46 * w, hand_y)),
        ((x - side * 0.2 * w, shoulder), (x - side * 0.4 * w, hip + 0.02 * h)),
    )
    legs = (((x + foot * 0.1 * w, hip), (x + foot * 0.26 * w, bottom - 0.05 * h)) for foot in (-1, 1))

    def disc(centre_x: float, centre_y: float, radius: float, stretch: float, colour: RGB) -> Part:
        corners = ((centre_x - radius, centre_y - stretch * radius), (centre_x + radius, centre_y + stretch * radius))
        return Part("ellipse", corners, colour)

    def sleeve(start: tuple[float, float], end: tuple[float, float]) -> Part:
        wrist = (start[0] + 0.85 * (end[0] - start[0]), start[1] + 0.85 * (end[1] - start[1]))
        return Part("limb", (start, wrist), shirt, 0.2 * w, main=True)

    return [
        *(Part("limb", leg, trousers, 0.3 * w) for leg in legs),
        *(disc(*hand, 0.1 * w, 1.0, skin) for _, hand in arms),
        *(sleeve(*arm) for arm in arms),
        Part("limb", ((x, shoulder + 0.04 * h), (x, hip - 0.05 * h)), shirt, 0.56 * w, main=True),
        Part("limb", ((x, top + 0.14 * h), (x, shoulder - 0.03 * h)), skin, 0.16 * w),
        disc(x, top + 1.05 * head, head, 1.05, hair),
        disc(x + side * 0.2 * head, top + 1.4 * head, 0.8 * head, 1.125, skin),
    ]


_PARTS = {
    "sun": _sun,
    "moon": _sun,
    "cloud": _cloud,
    "mountain": _mountain,
    "hill": _band,
    "ground": _band,
    "lake": _lake,
    "tree": _tree,
    "pine": _pine,
    "house": _house,
    "person": _person,
}


# Composition


def _compose(seed: int) -> Scene:
    rng = np.random.default_rng(seed)
    light = _vary(LIGHTS[rng.choice(len(LIGHTS), p=(0.3, 0.18, 0.2, 0.17, 0.15))], rng)
    horizon = rng.uniform(0.5, 0.66)
    sky = _sky_things(light, horizon, rng)
    far: list[Thing] = []
    mountain_colour = str(rng.choice(PALETTE["mountain"]))
    for x in _spread(int(rng.choice(4, p=(0.35, 0.25, 0.25, 0.15))), rng):
        height = rng.uniform(0.2, 0.4)
        width = height * rng.uniform(1.1, 1.6)
        far.append(Thing("mountain", mountain_colour, x, horizon + 0.06, width, height, int(rng.integers(12))))
    if rng.random() < 0.5:
        far.append(Thing("hill", "green", 0.5, 1.0, 1.0, 1 - horizon + 0.02, int(rng.integers(16))))
    colour = str(rng.choice(PALETTE["ground"], p=(0.6, 0.25, 0.15)))
    ground = Thing("ground", colour, 0.5, 1.0, 1.0, 0.96 - horizon, int(rng.integers(16)))
    lake = []
    if rng.random() < 0.3:
        width = rng.uniform(0.35, 0.7)
        x, y = rng.uniform(0.2, 0.8), rng.uniform(horizon + 0.2, 0.97)
        lake.append(Thing("lake", "blue", x, y, width, width * rng.uniform(0.2, 0.28)))
    near = _near_things(horizon, rng)
    return Scene(seed, light, (*sky, *far, ground, *lake, *near))


def _sky_things(light: Light, horizon: float, rng: np.random.Generator) -> list[Thing]:
    things = []
    if light.time == "night":
        discs, kind = 0.6, "moon"
    else:
        discs, kind = (0.0 if light.time == "rain" else 0.6), "sun"
    if rng.random() < discs:
        diameter = rng.uniform(0.13, 0.24)
        low = 0.4 if light.time == "sunset" else 0.3
        colour = "white" if kind == "moon" else "orange" if light.time == "sunset" else "yellow"
        things.append(Thing(kind, colour, rng.uniform(0.12, 0.88), diameter + rng.uniform(0.05, low), diameter, diameter))
    colour = "pink" if light.time in ("sunset", "morning") and rng.random() < 0.5 else "white"
    for x in _spread(int(rng.choice(4, p=(0.3, 0.3, 0.25, 0.15))), rng):
        width = rng.uniform(0.24, 0.42)
        y = rng.uniform(0.18, horizon - 0.1)
        things.append(Thing("cloud", colour, x, y, width, width * rng.uniform(0.42, 0.52), int(rng.integers(12))))
    return things


def _near_things(horizon: float, rng: np.random.Generator) -> list[Thing]:
    """Trees, houses and people, side by side and sorted from far to near."""
    count = int(rng.choice(5, p=(0.1, 0.25, 0.3, 0.22, 0.13)))
    kinds = rng.choice(("tree", "pine", "house", "person"), count, p=(0.27, 0.15, 0.3, 0.28))
    things: list[Thing] = []
    for x, kind in zip(_spread(len(kinds), rng), kinds):
        y = rng.uniform(horizon + 0.14, 0.97)
        near = 0.75 + 0.5 * (y - horizon) / (1 - horizon)
        shrink = near if len(kinds) < 3 else near * 0.85
        height = {"tree": 0.38, "pine": 0.4, "house": 0.33, "person": 0.4}[kind] * shrink * rng.uniform(0.85, 1.2)
        aspect = {"tree": 0.68, "pine": 0.52, "house": rng.uniform(0.95, 1.2), "person": 0.42}[kind]
        usual = {"tree": (0.56, 0.26, 0.18)}.get(kind)
        colour = str(rng.choice(PALETTE[kind], p=usual))
        things.append(Thing(kind, colour, x, y, height * aspect, height, int(rng.integers(24))))
    return sorted(things, key=lambda thing: thing.y)


def _spread(count: int, rng: np.random.Generator) -> list[float]:
    """`count` horizontal positions at some distance from each other, in random order."""
    slots = (np.arange(count) + rng.uniform(0.15, 0.85, count)) / max(count, 1)
    return rng.permutation(0.04 + 0.92 * slots).tolist()


def _vary(light: Light, rng: np.random.Generator) -> Light:
    """The same time of day, slightly brighter, darker or tinted, so that light varies for the same prompt."""
    tint = rng.uniform(0.88, 1.08) * rng.uniform(0.95, 1.05, 3)
    gain = tuple(float(g * t) for g, t in zip(light.gain, tint))
    top, bottom = (_clip(np.array(sky) * tint) for sky in (light.sky_top, light.sky_bottom))
    return Light(light.time, top, bottom, gain, light.haze, light.haze_share, float(rng.uniform(0, 2 * np.pi)))


# Words


def _synonym(word: str, rng: np.random.Generator) -> str:
    """The word or, sometimes, a synonym."""
    return str(rng.choice(SYNONYMS[word])) if word in SYNONYMS and rng.random() < 0.15 else word


def _plural(kind: str) -> str:
    return PLURALS.get(kind, kind + "s")


def _group_phrase(group: list[Thing], rng: np.random.Generator | None) -> str:
    """Things of one kind and colour in words. With `rng`, colour and place are left out at random."""
    thing = group[0]
    colour = rng is None or rng.random() < 0.8
    place = rng is None or rng.random() < 0.6
    if thing.kind == "ground":
        return f"{thing.colour} field" if colour else "field"
    if thing.kind == "hill":
        return f"{thing.colour} hills" if colour else "hills"
    if len(group) == 1:
        return thing.phrase(colour, place)
    noun = _plural(thing.kind)
    if thing.kind == "person":
        words = f"{noun} in {thing.colour}" if colour else noun
    else:
        words = f"{thing.colour} {noun}" if colour else noun
    return f"{NUMBERS[len(group)]} {words}"


# Drawing


def paint(canvas: Image.Image, part: Part, value: int | None = None) -> None:
    """Draws the part on the canvas in its colour or, if given, in one grey value."""
    side = canvas.width
    points = [(x * side, y * side) for x, y in part.points]
    if part.fade is not None and value is None:
        mask = Image.new("L", canvas.size, 0)
        ImageDraw.Draw(mask).polygon(points, fill=255)
        top = max(int(min(y for _, y in points)), 0)
        canvas.paste(_gradient(part.colour, part.fade, side, side - top), (0, top), mask.crop((0, top, side, side)))
        return
    fill = part.colour if value is None else value
    pen = ImageDraw.Draw(canvas)
    if part.shape == "polygon":
        pen.polygon(points, fill=fill)
    elif part.shape == "ellipse":
        pen.ellipse([*points[0], *points[1]], fill=fill)
    else:
        width = part.width * side
        pen.line(points, fill=fill, width=max(round(width), 1))
        for x, y in points:
            pen.ellipse([x - width / 2, y - width / 2, x + width / 2, y + width / 2], fill=fill)


def _gradient(top: RGB, bottom: RGB, width: int, height: int) -> Image.Image:
    ramp = np.linspace(0, 1, height)[:, None, None]
    column = (np.array(top) * (1 - ramp) + np.array(bottom) * ramp + 0.5).astype(np.uint8)
    return Image.fromarray(column, "RGB").resize((width, height), Image.Resampling.NEAREST)


@lru_cache(maxsize=2)
def _paper(size: int) -> np.ndarray:
    """(size, size) float32 grain: fine and coarse noise, periodic at the borders."""
    rng = np.random.default_rng(0)
    fine = rng.standard_normal((size, size))
    coarse = sum(np.roll(fine, shift, (0, 1)) for shift in np.ndindex(3, 3)) / 3
    return (GRAIN_LEVELS * (0.6 * fine + 0.8 * coarse)).astype(np.float32)


def _mix(one: RGB, other: RGB, share: float) -> RGB:
    """Mixture of two colours; `share` is that of `other`."""
    return _clip([a * (1 - share) + b * share for a, b in zip(one, other)])


def _clip(values) -> RGB:
    red, green, blue = (int(min(max(v, 0), 255)) for v in values)
    return red, green, blue
