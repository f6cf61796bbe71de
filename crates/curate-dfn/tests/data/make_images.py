"""Images of every shape that cjpeg, jpegtran, Pillow and hands make, and what Pillow sees in them.

    python make_images.py                                  # images.tar.gz beside this script
    python make_images.py --cases 5000 --seed 7 --out DIR  # DIR/images.tar.gz, for CURATE_FUZZ_DIR

In the archive every image file NAME is followed by NAME.pillow: a line "WIDTH HEIGHT MODE" and the bytes of
`Image.open(f).convert("RGB")`, or a line "error REASON". The first part of a name is its kind.
Needs cjpeg and jpegtran (libjpeg-turbo), Pillow and numpy. Made with Pillow 13.0.0, libjpeg-turbo 2.1.5.
"""
import argparse, gzip, io, pathlib, random, struct, subprocess, tarfile, tempfile, warnings, zlib

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


    # ---- PNG, written by hand: Pillow does not write every shape

    def chunk(self, name, body, crc=None):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body) if crc is None else crc)

    def packed(self, a, bits):
        """Rows of samples as bytes, each with a filter of its own."""
        rows = a.reshape(a.shape[0], -1)
        if bits == 16:
            return b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
        if bits < 8:
            bit = (rows[..., None] >> np.arange(bits - 1, -1, -1)) & 1
            rows = np.packbits(bit.reshape(rows.shape[0], -1).astype(np.uint8), axis=1)
        return b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in rows)

    def png(self, color, bits, extra=(), interlaced=None, end=True):
        channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
        a = self.pixels(channels, bits)
        interlaced = self.pick.random() < .3 if interlaced is None else interlaced
        passes = [a]
        if interlaced:
            steps = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
            passes = [a[y::dy, x::dx] for y, x, dy, dx in steps]
        data = zlib.compress(b"".join(self.packed(p, bits) for p in passes if p.size))
        half = self.pick.choice([len(data), len(data) // 2])
        out = b"\x89PNG\r\n\x1a\n" + self.chunk(b"IHDR", struct.pack(">IIBBBBB", a.shape[1], a.shape[0], bits, color, 0, 0, interlaced))
        out += b"".join(self.chunk(*e) for e in extra)
        if color == 3:
            count = 1 << bits if self.pick.random() < .7 else self.pick.randint(1, 1 << bits)
            out += self.chunk(b"PLTE", self.noise.integers(0, 256, 3 * count, np.uint8).tobytes())
            if self.pick.random() < .4:
                out += self.chunk(b"tRNS", self.noise.integers(0, 256, self.pick.randint(1, count), np.uint8).tobytes())
        elif color in (0, 2) and self.pick.random() < .4:
            out += self.chunk(b"tRNS", b"".join(struct.pack(">H", int(v)) for v in a[0, 0]))
        out += self.chunk(b"IDAT", data[:half]) + (self.chunk(b"IDAT", data[half:]) if half < len(data) else b"")
        return out + self.chunk(b"IEND", b"") if end else out

    def png_gray(self):
        return self.png(0, self.pick.choice([1, 2, 4, 8]))

    def png_gray16(self):
        return self.png(0, 16)

    def png_rgb(self):
        return self.png(2, self.pick.choice([8, 16]))

    def png_palette(self):
        return self.png(3, self.pick.choice([1, 2, 4, 8]))

    def png_alpha(self):
        return self.png(self.pick.choice([4, 6]), self.pick.choice([8, 16]))

    def png_chunks(self):
        extra = [(b"gAMA", struct.pack(">I", self.pick.choice([45455, 100000]))), (b"tEXt", b"a\0b"), (b"sBIT", b"\5\5\5"), (b"zzZz", b"1"),
                 (b"bKGD", b"\0\1\0\2\0\3"), (b"pHYs", b"\0\0\0\1\0\0\0\2\1"), (b"sRGB", b"\0"), (b"eXIf", b"II*\0\x08\0\0\0\0\0")]
        return self.png(2, 8, [self.pick.choice(extra)], end=self.pick.random() < .8)

    def png_open_end(self):
        """Without its end, with more behind it, with a wrong sum in a chunk that Pillow passes over."""
        change = self.pick.randrange(4)
        if change == 0:
            return self.png(2, 8, end=False)
        if change == 1:
            return self.png(2, 8) + b"trailing bytes"
        if change == 2:
            return self.png(2, 8, [(b"tEXt", b"a\0b", 1)])
        return self.png(2, 8)[: -self.pick.randint(1, 11)]

    def png_animated(self):
        images = [self.image("RGBA")]
        images += [self.image("RGBA").resize(images[0].size) for _ in range(2)]
        return self.save(images[0], "PNG", save_all=True, append_images=images[1:], default_image=self.pick.random() < .5)

    def png_cut(self):
        return self.cut(self.pick.choice([self.png_gray, self.png_rgb, self.png_palette])())

    def png_flipped(self):
        return self.flip(self.pick.choice([self.png_gray, self.png_rgb, self.png_palette])())

    # ---- GIF

    def lzw(self, indices, bits):
        """With a clear code before the table grows, so that all codes have one length."""
        width, clear, out, room = bits + 1, 1 << bits, [], 0
        for index in indices:
            if room == 0:
                out.append(clear)
                room = (1 << bits) - 2
            out.append(int(index))
            room -= 1
        out.append(clear + 1)
        value = sum(code << (i * width) for i, code in enumerate(out))
        return value.to_bytes((len(out) * width + 7) // 8, "little")

    def frame_of_gif(self, left, top, w, h, bits, local=False):
        codes = max(bits, 2)
        a = self.noise.integers(0, 1 << bits, (h, w))
        interlaced = self.pick.random() < .3
        if interlaced:
            a = np.concatenate([a[0::8], a[4::8], a[2::4], a[1::2]])
        table = self.noise.integers(0, 256, 3 << bits, np.uint8).tobytes()
        out = b"," + struct.pack("<HHHHB", left, top, w, h, (0x80 | (bits - 1) if local else 0) | (0x40 if interlaced else 0))
        out += table if local else b""
        data = self.lzw(a.reshape(-1), codes)
        out += bytes([codes])
        for i in range(0, len(data), 255):
            out += bytes([len(data[i : i + 255])]) + data[i : i + 255]
        return out + b"\0"

    def gif(self):
        """A first frame that is smaller than the canvas, or larger; palettes of its own, transparency, disposal."""
        bits = self.pick.choice([1, 2, 4, 7, 8])
        width, height = self.pick.randint(1, 30), self.pick.randint(1, 30)
        has_global = self.pick.random() < .8
        out = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80 | (bits - 1) if has_global else 0, self.pick.randrange(1 << bits), 0)
        if has_global:
            gray = b"".join(bytes([i] * 3) for i in range(1 << bits))
            out += gray if self.pick.random() < .1 else self.noise.integers(0, 256, 3 << bits, np.uint8).tobytes()
        for _ in range(self.pick.choice([1, 1, 2])):
            if self.pick.random() < .6:
                flags = self.pick.choice([0, 1]) | (self.pick.randrange(4) << 2)
                out += b"!\xf9\4" + bytes([flags, 10, 0, self.pick.randrange(1 << bits)]) + b"\0"
            if self.pick.random() < .3:
                out += b"!\xfe\3abc\0"
            if self.pick.random() < .35:
                place = (0, 0, width, height)
            else:
                left, top = self.pick.randint(0, width), self.pick.randint(0, height)
                place = (left, top, self.pick.randint(1, 20), self.pick.randint(1, 20))
            own = self.pick.choice([1, 2, 4])
            local = self.pick.random() < .4
            out += self.frame_of_gif(*place, own if local else bits, local)
        return out + b";"

    def gif_frames(self):
        return self.gif()

    def gif_pillow(self):
        image = self.pick.choice([self.image("L"), self.image("RGB"), self.image("RGBA")])
        options = {"save_all": True, "append_images": [image.rotate(90)]} if self.pick.random() < .3 else {}
        return self.save(image, "GIF", interlace=self.pick.choice([0, 1]), **options)

    def gif_cut(self):
        return self.cut(self.gif())

    def gif_flipped(self):
        return self.flip(self.gif())

    # ---- others, as Pillow writes them

    def webp_lossy(self):
        return self.save(self.image("RGB"), "WEBP", quality=self.pick.choice([1, 50, 80, 100]), method=self.pick.choice([0, 4, 6]))

    def webp_lossless(self):
        return self.save(self.image(self.pick.choice(["RGB", "L"])), "WEBP", lossless=True)

    def webp_alpha(self):
        return self.save(self.image("RGBA"), "WEBP", lossless=self.pick.random() < .5, exact=self.pick.random() < .5, alpha_quality=self.pick.choice([20, 100]))

    def webp_animated(self):
        image = self.image(self.pick.choice(["RGB", "RGBA"]))
        return self.save(image, "WEBP", save_all=True, append_images=[image.rotate(90)], lossless=self.pick.random() < .5)

    def webp_cut(self):
        return self.cut(self.pick.choice([self.webp_lossy, self.webp_lossless, self.webp_alpha])())

    def bmp_plain(self):
        image = self.image(self.pick.choice(["L", "RGB"]))
        mode = self.pick.choice(["1", "L", "P", "RGB", "RGBA"])
        return self.save(image.convert(mode), "BMP")

    def bmp_other(self):
        """16 bits, with masks, top down, with the header of OS/2, run lengths."""
        a = self.pixels(3)
        h, w, _ = a.shape
        change = self.pick.randrange(6)
        def header(bits, kind, size, rows=h, extra=b"", colors=0):
            at = 54 + len(extra)
            return b"BM" + struct.pack("<IHHI", at + size, 0, 0, at) + struct.pack("<IiiHHIIiiII", 40, w, rows, 1, bits, kind, size, 1, 1, colors, 0) + extra
        def rows(pixels):
            return b"".join(row.tobytes() + b"\0" * (-row.nbytes % 4) for row in pixels)
        r, g, b = (a[..., i].astype(np.uint16) for i in range(3))
        if change == 0:
            body = rows((r >> 3 << 10) | (g >> 3 << 5) | (b >> 3))
            return header(16, 0, len(body)) + body
        if change == 1:
            body = rows((r >> 3 << 11) | (g >> 2 << 5) | (b >> 3))
            return header(16, 3, len(body), extra=struct.pack("<III", 0xF800, 0x7E0, 0x1F)) + body
        if change == 2:
            body = rows(a[..., ::-1])
            return header(24, 0, len(body), rows=-h) + body
        if change == 3:
            body = rows(a[..., ::-1].reshape(h, -1))
            return b"BM" + struct.pack("<IHHI", 26 + len(body), 0, 0, 26) + struct.pack("<IHHHH", 12, w, h, 1, 24) + body
        if change == 4:
            body = rows(np.concatenate([a, self.noise.integers(0, 256, (h, w, 1), np.uint8)], -1).reshape(h, -1))
            return header(32, 0, len(body)) + body
        index = a[..., 0] & 15
        body = b"".join(b"".join(bytes([1, v]) for v in row) + b"\0\0" for row in index) + b"\0\1"
        table = self.noise.integers(0, 256, 1024, np.uint8).tobytes()
        return header(8, 1, len(body), extra=table, colors=256) + body

    def bmp_cut(self):
        return self.cut(self.bmp_plain())

    def tiff(self, modes, ways):
        mode, way = self.pick.choice(modes), self.pick.choice(ways)
        image = self.image({"CMYK": "CMYK", "RGBA": "RGBA", "LA": "LA"}.get(mode, "RGB"))
        if mode == "I;16":
            a = self.pixels(1, 16)[..., 0]
            image = Image.frombytes("I;16", (a.shape[1], a.shape[0]), a.astype("<u2").tobytes())
        elif mode == "F":
            image = Image.fromarray(self.pixels(1)[..., 0].astype(np.float32) * 1.3 - 20)
        return self.save(image.convert(mode), "TIFF", compression=way)

    def tiff_plain(self):
        return self.tiff(["L", "RGB"], ["raw", "tiff_lzw", "packbits", "tiff_deflate", "tiff_adobe_deflate"])

    def tiff_palette(self):
        return self.tiff(["P"], ["raw", "tiff_lzw", "packbits"])

    def tiff_bilevel(self):
        return self.tiff(["1"], ["raw", "tiff_lzw", "packbits"])

    def tiff_fax(self):
        return self.tiff(["1"], ["group3", "group4"])

    def tiff_alpha(self):
        return self.tiff(["RGBA", "LA"], ["raw", "tiff_lzw"])

    def tiff_cmyk(self):
        return self.tiff(["CMYK"], ["raw", "tiff_lzw"])

    def tiff_16bit(self):
        return self.tiff(["I;16"], ["raw", "tiff_lzw"])

    def tiff_float(self):
        return self.tiff(["F"], ["raw", "tiff_lzw"])

    def tiff_jpeg(self):
        return self.tiff(["RGB", "L"], ["jpeg"])

    def tiff_ycbcr(self):
        return self.tiff(["YCbCr", "LAB"], ["raw", "tiff_lzw"])

    def tiff_cut(self):
        return self.cut(self.tiff_plain())

    def ppm_plain(self):
        return self.save(self.image(self.pick.choice(["L", "RGB"])).convert(self.pick.choice(["1", "L", "RGB"])), "PPM")

    def ppm_text(self):
        a = self.pixels(3)
        h, w, _ = a.shape
        which = self.pick.randrange(3)
        top = self.pick.choice([1, 15, 100, 255])
        values = [a[..., 0] > 127, a[..., 0].astype(int) % (top + 1), a.astype(int) % (top + 1)][which]
        body = " ".join(str(int(v)) for v in values.reshape(-1))
        return f"P{which + 1}\n# made by hand\n{w} {h}\n{'' if which == 0 else str(top)}\n{body}\n".encode()

    def ppm_deep(self):
        top, color = self.pick.choice([15, 100, 254, 256, 1023, 65535]), self.pick.random() < .5
        a = self.pixels(3 if color else 1, 16).astype(np.uint32) % (top + 1)
        body = a.astype(">u2" if top > 255 else "u1").tobytes()
        return f"P{6 if color else 5} {a.shape[1]} {a.shape[0]} {top}\n".encode() + body

    def ppm_cut(self):
        return self.cut(self.ppm_plain())

    def ico(self):
        image = self.image("RGBA").resize((32, 32))
        return self.save(image, "ICO", sizes=[(16, 16), (32, 32)], bitmap_format=self.pick.choice(["png", "bmp"]))

    def avif(self):
        return self.save(self.image("RGB"), "AVIF")

    def jp2(self):
        return self.save(self.image("RGB").resize((32, 32)), "JPEG2000", no_jp2=self.pick.random() < .5)

    def tga(self):
        return self.save(self.image("RGB"), "TGA", compression=self.pick.choice([None, "tga_rle"]))

    def other(self):
        return self.save(self.image("RGB"), self.pick.choice(["PCX", "SGI", "DDS", "PDF", "QOI", "IM"]))


FAMILIES = ("jpeg_", "png_", "gif_", "webp_", "bmp_", "tiff_", "ppm_")
KINDS = {name: (6 if name == "jpeg_common" else 1) for name in dir(Maker)
         if name.startswith(FAMILIES) or name in ("ico", "avif", "jp2", "tga", "other")}


def seen_by_pillow(data):
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            rgb = image.convert("RGB")
            mode = image.mode
        return f"{rgb.width} {rgb.height} {mode}\n".encode() + rgb.tobytes()
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
    warnings.simplefilter("ignore")
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
