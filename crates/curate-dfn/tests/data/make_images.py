"""Images of every shape that cjpeg, jpegtran, Pillow and hands make, and what Pillow sees in them.

    python make_images.py                                  # images.tar.gz beside this script
    python make_images.py --cases 5000 --seed 7 --out DIR  # DIR/images.tar.gz, for CURATE_FUZZ_DIR

In the archive every image file NAME is followed by NAME.pillow: a line "WIDTH HEIGHT" and the bytes of
`Image.open(f).convert("RGB")`, or a line "error REASON". The first part of a name is its kind.
Needs cjpeg and jpegtran (libjpeg-turbo), Pillow and numpy. Made with Pillow 13.0.0, libjpeg-turbo 2.1.5.
"""
import argparse, gzip, io, pathlib, random, struct, subprocess, tarfile, tempfile, zlib

import numpy as np
from PIL import Image

SIDES = [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 23, 24, 31, 33]


class Maker:
    def __init__(self, seed):
        self.pick = random.Random(seed)
        self.noise = np.random.default_rng(seed)
        self.folder = tempfile.TemporaryDirectory()

    # ---- pixels

    def pixels(self, channels, bits=8):
        w, h = self.pick.choice(SIDES), self.pick.choice(SIDES)
        top = (1 << bits) - 1
        y, x = np.mgrid[0:h, 0:w]
        waves = [np.sin(x * self.pick.uniform(.05, .9) + y * self.pick.uniform(.05, .9)) for _ in range(channels)]
        image = np.stack(waves, -1) * top / 2 + top / 2
        if self.pick.random() < .5:
            image += self.noise.normal(0, top * self.pick.choice([.02, .1, .4]), image.shape)
        return np.clip(image, 0, top).astype(np.uint16 if bits > 8 else np.uint8)

    def image(self, mode):
        channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
        a = self.pixels(channels)
        return Image.fromarray(a[..., 0]) if mode == "L" else Image.frombytes(mode, (a.shape[1], a.shape[0]), a.tobytes())

    def save(self, image, format, **options):
        out = io.BytesIO()
        image.save(out, format, **options)
        return out.getvalue()

    # ---- JPEG

    def run(self, command, data):
        return subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout

    def scans(self, text):
        path = pathlib.Path(self.folder.name) / "scans"
        path.write_text(text)
        return str(path)

    def cjpeg(self, sample=None, gray=None, options=()):
        gray = self.pick.random() < .1 if gray is None else gray
        ppm = self.save(self.image("L" if gray else "RGB"), "PPM")
        command = ["cjpeg", "-quality", str(self.pick.choice([5, 30, 60, 75, 90, 95, 100])), *options]
        if sample and not gray:
            command += ["-sample", sample]
        for option, share in [(["-optimize"], .3), (["-restart", f"{self.pick.randint(1, 3)}B"], .15), (["-restart", "1"], .1)]:
            if self.pick.random() < share and not (option == ["-optimize"] and "-arithmetic" in options):
                command += option
        return self.run(command, ppm)

    def frame(self, data):
        return min(at for at in map(data.find, [b"\xff\xc0", b"\xff\xc1", b"\xff\xc2"]) if at > 0)

    def jpeg_common(self):
        options = ["-progressive"] if self.pick.random() < .4 else []
        return self.cjpeg(self.pick.choice(["1x1", "2x1", "2x2"]), options=options)

    def jpeg_sampling(self):
        factors = self.pick.choice(
            ["1x2", "4x1", "1x4", "4x2", "2x4", "3x1", "1x3", "3x2", "1x1,2x2,1x1", "1x1,2x1,2x1",
             "2x2,2x1,1x1", "2x2,1x2,1x1", "2x1,1x2,1x1", "1x2,1x2,1x1", "2x2,1x2,1x2", "1x1,1x2,2x1",
             "2x1,2x1,1x1", "2x1,2x1,2x1", "1x1,1x1,2x2", "3x1,1x1,1x1", "2x2,2x1,2x1"])
        options = ["-progressive"] if self.pick.random() < .3 else []
        return self.cjpeg(factors, gray=False, options=options)

    def jpeg_gray(self):
        data = self.cjpeg(gray=True, options=["-progressive"] if self.pick.random() < .4 else [])
        if self.pick.random() < .5:
            at = self.frame(data)
            data = data[: at + 11] + bytes([self.pick.choice([0x22, 0x21, 0x12])]) + data[at + 12 :]
        return data

    def jpeg_arithmetic(self):
        return self.cjpeg(self.pick.choice(["1x1", "2x1", "2x2", "1x2"]), options=["-arithmetic"] + self.pick.choice([[], ["-progressive"]]))

    def jpeg_scans(self):
        script = self.pick.choice(
            ["0;1;2;", "0 1;2;", "0;1 2;", "1;0;2;", "2;1;0;", "0 1 2: 0-0,0,0;", "0 1 2: 0-0,0,1; 0: 1-63,0,0;",
             "0 1 2: 0-0,0,0; 0: 1-5,0,2; 1: 1-63,0,0; 2: 1-63,0,0;", "0: 0-0,0,0; 1: 0-0,0,0; 2: 0-0,0,0; 0: 1-63,0,0;",
             "0 1 2: 0-0,0,1; 0: 1-63,0,1; 0 1 2: 0-0,1,0; 0: 1-63,1,0; 1: 1-63,0,0; 2: 1-63,0,0;"])
        data = self.cjpeg(self.pick.choice(["1x1", "2x1", "2x2", "1x2", "3x1"]), gray=False)
        return self.run(["jpegtran", *self.pick.choice([[], ["-arithmetic"]]), "-scans", self.scans(script)], data)

    def jpeg_tran(self):
        options = [["-flip", "horizontal"], ["-rotate", "90"], ["-transpose"], ["-progressive"], ["-optimize"], ["-grayscale"],
                   ["-restart", "2B"], ["-crop", "5x5+0+0"], ["-arithmetic"]]
        data = self.cjpeg(self.pick.choice(["1x1", "2x1", "2x2", "1x2"]))
        try:
            return self.run(["jpegtran", *self.pick.choice(options)], data)
        except subprocess.CalledProcessError:
            return data

    def jpeg_cmyk(self):
        data = self.save(self.image("CMYK"), "JPEG", quality=self.pick.choice([60, 90, 100]), subsampling=self.pick.choice([0, 2]),
                         progressive=self.pick.random() < .3)
        at = data.find(b"Adobe")
        choice = self.pick.random()
        if at > 0 and choice < .5:  # YCCK
            data = data[: at + 11] + b"\2" + data[at + 12 :]
        elif at > 0 and choice < .7:
            data = data[: at - 4] + data[at + 12 :]
        return data

    def jpeg_color(self):
        """RGB, YCbCr without a marker that says so, identifiers that say RGB, Adobe's marker."""
        rgb = self.pick.random() < .3
        data = self.save(self.image("RGB"), "JPEG", quality=90, keep_rgb=rgb,
                         subsampling=0 if rgb else self.pick.choice([0, 1, 2]), progressive=self.pick.random() < .3)
        choice = self.pick.randrange(6)
        if choice < 4 and data[2:4] == b"\xff\xe0":
            data = data[:2] + data[20:]
        if choice in (1, 4):
            data = data[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([self.pick.choice([0, 1, 2, 3])]) + data[2:]
        if choice in (2, 3, 5):
            ids = self.pick.choice([b"RGB", b"\0\1\2", b"\x01\x22\x23", b"YCC"])
            data = self.renamed(data, ids)
        return data

    def renamed(self, data, ids):
        data = bytearray(data)
        at = self.frame(data)
        old = [data[at + 10 + 3 * i] for i in range(3)]
        for i in range(3):
            data[at + 10 + 3 * i] = ids[i]
        at = data.find(b"\xff\xda", at)
        while at >= 0:
            for i in range(data[at + 4]):
                data[at + 5 + 2 * i] = ids[old.index(data[at + 5 + 2 * i])]
            at = data.find(b"\xff\xda", at + 2)
        return bytes(data)

    def any_jpeg(self):
        return self.pick.choice([self.jpeg_common, self.jpeg_common, self.jpeg_common, self.jpeg_sampling, self.jpeg_scans, self.jpeg_arithmetic])()

    def jpeg_markers(self):
        data = self.any_jpeg()
        junk = bytes(self.noise.integers(0, 256, 40, np.uint8))
        exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
        changes = [
            lambda d: d + b"\0\0\0\x18ftypmp42" + junk + b"\xff\xda" + junk,  # a motion photo
            lambda d: d + d,
            lambda d: d[:-2],
            lambda d: d[:-2] + b"\xff\xff\xff\xd9",
            lambda d: d[:2] + b"\xff\xff\xff" + d[2:],
            lambda d: d[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + d[2:],
            lambda d: d[:2] + b"\xff\xfe\0\x08\xff\xda\xff\xd9ab" + d[2:],
            lambda d: d[:2] + b"\xff\xe1\0\x0c" + b"\xff\xd8\xff\xda\xff\xd9abcd" + d[2:],
            lambda d: d[:2] + b"\0\1\2" + d[2:],
            lambda d: d[:-2] + b"\xff\xfe\0\x04ab\xff\xd9",
            lambda d: d[:-2] + junk + d[-2:],
            lambda d: d.replace(b"\xff\xc0", b"\xff\xc1", 1),
            lambda d: d[:-2] + self.pick.choice([b"\0", b"\0" * 20, b"\xff\xd0", b"\xff\xd8"]),
        ]
        return self.pick.choice(changes)(data)

    def jpeg_without_tables(self):
        """As a frame of MJPEG."""
        ppm = self.save(self.image("RGB"), "PPM")
        data = self.run(["cjpeg", "-sample", self.pick.choice(["1x1", "2x1", "2x2"]), "-quality", "80"], ppm)
        at = data.find(b"\xff\xc4")
        while at >= 0:
            data = data[:at] + data[at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0] :]
            at = data.find(b"\xff\xc4")
        return data

    def jpeg_refused(self):
        data = bytearray(self.save(self.image("RGB"), "JPEG"))
        at = self.frame(data)
        change = self.pick.randrange(4)
        if change == 0:
            data[at + 4] = 12
        elif change == 1:
            data[at + 1] = self.pick.choice([0xC5, 0xC6, 0xC7, 0xCB, 0xCD])
        elif change == 2:
            data[at + 5 : at + 7] = b"\0\0"
        else:
            data[at + 9] = 2
        return bytes(data)

    def cut(self, data):
        return data[: self.pick.randrange(1, len(data))]

    def flip(self, data):
        data = bytearray(data)
        for _ in range(self.pick.choice([1, 1, 2, 5])):
            data[self.pick.randrange(2, len(data))] ^= 1 << self.pick.randrange(8)
        return bytes(data)

    def jpeg_cut(self):
        data = self.any_jpeg()
        return self.cut(data) if self.pick.random() < .7 else data[: -self.pick.randint(1, 12)]

    def jpeg_flipped(self):
        return self.flip(self.any_jpeg())


KINDS = {name: (6 if name == "jpeg_common" else 1) for name in dir(Maker)
         if name.startswith("jpeg_") and name not in ("jpeg_names",)}


def seen_by_pillow(data):
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            rgb = image.convert("RGB")
        return f"{rgb.width} {rgb.height}\n".encode() + rgb.tobytes()
    except Exception as error:
        return f"error {type(error).__name__}: {error}\n".encode()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--cases", type=int, default=300)
    arguments.add_argument("--seed", type=int, default=15)
    arguments.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    given = arguments.parse_args()
    maker = Maker(given.seed)
    kinds = [name for name, weight in KINDS.items() for _ in range(weight)]
    given.out.mkdir(parents=True, exist_ok=True)
    with gzip.GzipFile(given.out / "images.tar.gz", "wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for case in range(given.cases):
            kind = kinds[case % len(kinds)]
            data = getattr(maker, kind)()
            for name, content in [(f"{kind}/{case}", data), (f"{kind}/{case}.pillow", seen_by_pillow(data))]:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    main()
