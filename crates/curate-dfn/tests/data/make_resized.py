"""Writes resized.bin: what Pillow and torchvision's formulas make of images where the side before the
crop is not the network's, and of images that are thousands of times as long as they are wide.

32 x 32 pixels of red, green, blue for each of: the five files of fixtures/full with the short side at 36,
the same squashed to 36 x 36, then a line of 3000 pixels, upright and lying, with the short side at 32.
"""
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
FILES = ["rgb_square_down", "rgb_wide", "rgb_tall", "rgb_upscale", "rgb_crop_odd"]
EDGE = 32


def crop(image):
    """torchvision.transforms.functional.center_crop"""
    left = int(round((image.width - EDGE) / 2.0))
    top = int(round((image.height - EDGE) / 2.0))
    return image.crop((left, top, left + EDGE, top + EDGE)).tobytes()


def shortest(image, side):
    """torchvision.transforms.functional.resize with one number"""
    w, h = image.size
    size = (side, int(side * h / w)) if w <= h else (int(side * w / h), side)
    return image.resize(size, Image.BICUBIC)


images = [Image.open(HERE / f"../fixtures/full/{name}.png").convert("RGB") for name in FILES]
out = b"".join(crop(shortest(image, 36)) for image in images)
out += b"".join(crop(image.resize((36, 36), Image.BICUBIC)) for image in images)
line = bytes((i * i // 7 + i * 31) % 251 for i in range(9000))
out += b"".join(
    crop(shortest(Image.frombytes("RGB", size, line), EDGE)) for size in [(1, 3000), (3000, 1)]
)
(HERE / "resized.bin").write_bytes(out)
