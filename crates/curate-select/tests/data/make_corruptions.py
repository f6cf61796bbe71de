"""Golden corruptions, by numpy, scipy, scikit-image and Pillow from the definitions of ImageNet-C.

    pip install numpy scipy scikit-image pillow
    python make_corruptions.py

Draws are the hashes of `curate_core::random`, so that noise and fields are the same. `corruptions.bin` holds u16
numbers, least byte first, 65535 for 1: a gray picture of 20 x 20, a color picture of 12 x 16 x 3, then for each
corruption of `ORDER` and each severity the gray and the color picture (no gray one for `saturate`).
"""

import io
import math
import os

import numpy as np
from PIL import Image
from scipy import ndimage, stats
from skimage import color as colors

import draws


class Draws:
    def __init__(self, seed):
        self.seed, self.next = seed, 0

    def unit(self, *shape):
        count = int(np.prod(shape))
        drawn = draws.unit(self.seed, 0, np.arange(self.next, self.next + count))
        self.next += count
        return drawn.reshape(shape)

    def between(self, low, high, *shape):
        return low + (high - low) * self.unit(*shape)

    def normal(self, *shape):
        u = self.unit(*shape, 2)
        return np.sqrt(-2 * np.log(1 - u[..., 0])) * np.cos(2 * np.pi * u[..., 1])


def gaussian(x, sigma, mode="nearest", truncate=4.0):
    return ndimage.gaussian_filter(x, (sigma, sigma, 0), mode=mode, truncate=truncate)


def zoom(x, factor):
    h, w = x.shape[:2]
    ch, cw = int(np.ceil(h / factor)), int(np.ceil(w / factor))
    top, left = (h - ch) // 2, (w - cw) // 2
    x = ndimage.zoom(x[top : top + ch, left : left + cw], (factor, factor, 1), order=1)
    top, left = (x.shape[0] - h) // 2, (x.shape[1] - w) // 2
    return x[top : top + h, left : left + w]


def streak(x, radius, sigma, angle):
    weights = stats.norm.pdf(np.arange(2 * radius + 1), scale=sigma)
    weights /= weights.sum()
    out = np.zeros_like(x)
    width = len(weights)
    py, px = width * math.sin(math.radians(angle)), width * math.cos(math.radians(angle))
    for i, weight in enumerate(weights):
        dy, dx = (math.ceil(i * p / math.hypot(px, py) - 0.5) for p in (py, px))
        rows = np.clip(np.arange(x.shape[0]) + dy, 0, x.shape[0] - 1)
        columns = np.clip(np.arange(x.shape[1]) + dx, 0, x.shape[1] - 1)
        out += weight * x[rows][:, columns]
    return out


def gaussian_noise(x, s, d):
    return x + [0.04, 0.06, 0.08, 0.09, 0.10][s] * d.normal(*x.shape)


def shot_noise(x, s, d):
    c = [500, 250, 100, 75, 50][s]
    return stats.poisson.ppf(d.unit(*x.shape), x * c).clip(0) / c


def impulse_noise(x, s, d):
    u = d.unit(*x.shape, 2)
    return np.where(u[..., 0] < [0.01, 0.02, 0.03, 0.05, 0.07][s], u[..., 1] < 0.5, x)


def speckle_noise(x, s, d):
    return x + x * [0.06, 0.1, 0.12, 0.16, 0.2][s] * d.normal(*x.shape)


def gaussian_blur(x, s, d):
    return gaussian(x, [0.4, 0.6, 0.7, 0.8, 1][s])


def defocus_blur(x, s, d):
    radius, rim = [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)][s]
    at = np.arange(-8, 9)
    disk = (at[:, None] ** 2 + at[None] ** 2 <= radius**2).astype(float)
    disk = ndimage.gaussian_filter(disk / disk.sum(), rim, radius=1, mode="mirror")
    return ndimage.correlate(x, disk[..., None], mode="mirror")


def glass_blur(x, s, d):
    sigma, rounds = [(0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2)][s]
    x = gaussian(x, sigma)
    for _ in range(rounds):
        for h in range(x.shape[0] - 1, 1, -1):
            for w in range(x.shape[1] - 1, 1, -1):
                dx, dy = np.where(d.unit(2) < 0.5, -1, 0)
                x[[h, h + dy], [w, w + dx]] = x[[h + dy, h], [w + dx, w]]
    return gaussian(x, sigma)


def motion_blur(x, s, d):
    radius, sigma = [(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)][s]
    return streak(x, radius, sigma, d.between(-45, 45, 1)[0])


def zoom_blur(x, s, d):
    factors = np.arange(1, [1.06, 1.11, 1.16, 1.21, 1.26][s], 0.01)
    return (x + sum(zoom(x, factor) for factor in factors)) / (len(factors) + 1)


def plasma(side, decay, d):
    field, step, wibble = np.zeros((side, side)), side, 100.0
    roll = np.roll
    while step >= 2:
        half = step // 2
        new = lambda total: total / 4 + wibble * d.between(-wibble, wibble, *total.shape)
        corners = field[::step, ::step].copy()
        total = corners + roll(corners, -1, 0)
        field[half::step, half::step] = new(total + roll(total, -1, 1))
        middles = field[half::step, half::step].copy()
        field[::step, half::step] = new(middles + roll(middles, 1, 0) + corners + roll(corners, -1, 1))
        field[half::step, ::step] = new(middles + roll(middles, 1, 1) + corners + roll(corners, -1, 0))
        step, wibble = half, wibble / decay
    field -= field.min()
    return field / field.max()


def fog(x, s, d):
    thick, decay = [(0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)][s]
    h, w = x.shape[:2]
    cloud = plasma(1 << (max(h, w) - 1).bit_length(), decay, d)[:h, :w, None]
    return (x + thick * cloud) * x.max() / (x.max() + thick)


def snow(x, s, d):
    c = [
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ][s]
    layer = zoom(c[0] + c[1] * d.normal(*x.shape[:2], 1), c[2])
    layer = np.where(layer < c[3], 0, layer).clip(0, 1)
    layer = streak(layer, c[4], c[5], d.between(-135, -45, 1)[0])
    gray = x if x.shape[2] == 1 else (x @ [0.299, 0.587, 0.114])[..., None]
    x = c[6] * x + (1 - c[6]) * np.maximum(x, gray * 1.5 + 0.5)
    return x + layer + np.rot90(layer, 2)


def brightness(x, s, d):
    c = [0.05, 0.1, 0.15, 0.2, 0.3][s]
    if x.shape[2] == 1:
        return x + c
    hsv = colors.rgb2hsv(x)
    hsv[..., 2] = (hsv[..., 2] + c).clip(0, 1)
    return colors.hsv2rgb(hsv)


def contrast(x, s, d):
    means = x.mean((0, 1), keepdims=True)
    return (x - means) * [0.75, 0.5, 0.4, 0.3, 0.15][s] + means


def elastic(x, s, d):
    h, w, channels = x.shape
    side = min(h, w)
    strength, smooth, corner = np.array(
        [(0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)][s]
    ) * side
    cx, cy, arm = w // 2, h // 2, side // 3
    points = np.array([[cx + arm, cy + arm], [cx + arm, cy - arm], [cx - arm, cy - arm]], float)
    moved = points + d.between(-corner, corner, 3, 2)
    # The matrix that takes moved points back: a row (x, y, 1) times it.
    back = np.linalg.solve(np.c_[moved, np.ones(3)], points)
    y, x_ = np.mgrid[:h, :w].astype(float)
    old = np.stack([x_, y, np.ones_like(y)], -1) @ back
    sample = lambda image, y, x, mode: np.stack(
        [ndimage.map_coordinates(image[..., c], [y, x], order=1, mode=mode) for c in range(channels)], -1
    )
    image = sample(x, old[..., 1], old[..., 0], "mirror")
    field = lambda: strength * ndimage.gaussian_filter(d.between(-1, 1, h, w), smooth, mode="reflect", truncate=3)
    dx = field()
    dy = field()
    return sample(image, y + dy, x_ + dx, "reflect")


def pixelate(x, s, d):
    c = [0.95, 0.9, 0.85, 0.75, 0.65][s]
    h, w, channels = x.shape

    def one(channel):
        image = Image.fromarray(x[..., channel].astype(np.float32), mode="F")
        image = image.resize((int(w * c), int(h * c)), Image.BOX)
        return np.asarray(image.resize((w, h), Image.BOX))

    return np.stack([one(channel) for channel in range(channels)], -1)


def jpeg(x, s, d):
    pixels = np.round(x * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if x.shape[2] == 1 else pixels).save(
        file, "JPEG", quality=[80, 65, 58, 50, 40][s]
    )
    return np.asarray(Image.open(file)).reshape(x.shape) / 255


def saturate(x, s, d):
    scale, more = [(0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)][s]
    hsv = colors.rgb2hsv(x)
    hsv[..., 1] = (hsv[..., 1] * scale + more).clip(0, 1)
    return colors.hsv2rgb(hsv)


ORDER = [
    gaussian_noise, shot_noise, impulse_noise, speckle_noise, gaussian_blur, defocus_blur, glass_blur, motion_blur,
    zoom_blur, fog, snow, brightness, contrast, elastic, pixelate, jpeg, saturate,
]


def picture(h, w, channels):
    """A disk on a slope with some texture, in bytes."""
    y, x, c = np.mgrid[:h, :w, :channels].astype(float)
    slope = 0.2 + 0.5 * x / w * (1 - 0.3 * c) + 0.2 * y / h * c
    disk = (y - 0.45 * h) ** 2 + (x - 0.55 * w) ** 2 < (0.3 * min(h, w)) ** 2
    x = np.where(disk, 0.9 - 0.25 * c, slope) + 0.08 * np.sin(1.7 * y + 2.3 * x + c)
    x[0, 0] = 0
    x[1, 1] = 0.5
    return np.round(255 * x.clip(0, 1)) / 255


gray, color = picture(20, 20, 1), picture(12, 16, 3)
pictures = [gray, color]
for corrupt in ORDER:
    for severity in range(5):
        for seed, x in enumerate([gray, color]):
            if corrupt is not saturate or x is color:
                # As the crate gets it: in single precision.
                single = x.astype(np.float32).astype(float)
                pictures.append(np.clip(corrupt(single, severity, Draws(7 + seed)), 0, 1))
data = np.concatenate([np.round(65535 * x).astype("<u2").ravel() for x in pictures])
folder = os.path.dirname(os.path.abspath(__file__))
data.tofile(os.path.join(folder, "corruptions.bin"))
print(len(pictures), data.nbytes)
