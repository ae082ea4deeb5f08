"""What belongs to a picture besides its pixels: orientation, EXIF data, colour profile,
density, and the colour chunks of PNG files."""

import dataclasses
import math
import struct

from PIL import ExifTags, Image, PngImagePlugin

# Profiles of monitors have more than the megabyte that Pillow reads from a PNG file.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY
# What PNG files say about colours, besides the profile.
COLOUR_CHUNKS = b"cHRM", b"gAMA", b"sRGB", b"cICP", b"mDCV", b"cLLI"
# What is kept of a TIFF file's tags.
TIFF_TAGS = "ImageDescription", "Make", "Model", "DateTime", "Artist", "Copyright"
# GeoTIFF: pixel scale, tie points, transformation, keys; and those of GDAL.
GEO_TAGS = 33550, 33922, 34264, 34735, 42112, 42113
EXTRA_SAMPLES = 338  # the kinds of TIFF's channels beside the colours
UNSPECIFIED = 0  # one of them
ORIENTATION = ExifTags.Base.Orientation.value
EXIF, GPS = ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo
INCH, CENTIMETRE = 2, 3  # of the tag ResolutionUnit


@dataclasses.dataclass
class Metadata:
    """What a picture file holds besides pixels."""

    orientation: int = 1  # EXIF's 1 to 8: how the pixels are to be turned
    # For upright pixels.
    exif: Image.Exif = dataclasses.field(default_factory=Image.Exif)
    profile: bytes = None  # of colours
    density: tuple = None  # (x, y) in dots per inch, or a ratio where `aspect`
    aspect: bool = False
    # COLOUR_CHUNKS as in a PNG file.
    chunks: dict = dataclasses.field(default_factory=dict)
    notes: list = dataclasses.field(default_factory=list)  # what was lost, in sentences

    def turn_density(self):
        """As the picture is turned by a quarter."""
        self.density = self.density and self.density[::-1]


def of_pillow(image, path):
    """The `Metadata` of a Pillow image that was opened from a file and loaded."""
    metadata = Metadata()
    try:
        Image.Exif().load(image.info.get("exif"))  # raises what getexif() passes over
        exif = image.getexif()
        inner = (exif.get_ifd(ifd) for ifd in (EXIF, GPS) if ifd in exif)
        for tags in (exif, *inner):
            _keep_bytes(tags, "latin-1")  # in which Pillow reads them
        # Decoders of JPEG XL turn the pixels themselves, but for recompressed JPEG files.
        upright = image.format == "JXL" and not image.jpeg
        metadata.orientation = 1 if upright else exif.get(ORIENTATION, 1)
        metadata.exif = _described(exif) if image.format == "TIFF" else exif
        metadata.exif.pop(ORIENTATION, None)
        metadata.exif.tobytes()
    except Exception:  # as many kinds as there are ways to be damaged
        metadata.orientation, metadata.exif = 1, Image.Exif()
        metadata.notes.append("Its EXIF data is damaged and was left out.")
    # Profiles of other colours than RGB and grey say nothing about the result.
    if image.mode not in ("CMYK", "LAB"):
        metadata.profile = image.info.get("icc_profile")
        if image.format == "JPEG2000":  # of which Pillow leaves it out
            metadata.profile = _profile_of_jpeg_2000(path.read_bytes())
    if image.format == "TIFF":
        metadata.notes += _left_out(dict(image.tag_v2))
    if image.format == "PNG":
        metadata.chunks = _colour_chunks(path)
    elif not metadata.profile:
        metadata.chunks = _coded_colours(image, path)
    if image.format == "TIFF" and ExifTags.Base.XResolution not in image.tag_v2:
        return metadata  # for which Pillow would say 1 dpi
    density = image.info.get("dpi")
    # Without a unit, as PNG, TIFF and JPEG files state it.
    names = "aspect", "resolution", "jfif_density"
    if density is None or image.info.get("jfif_unit") == 0:
        metadata.aspect = True
        density = next((image.info[n] for n in names if n in image.info), None)
    _set_density(metadata, density)
    return metadata


def _quotient(value):
    """The value of a rational tag, a pair of integers; some programs write a number."""
    over, under = value[:2] if isinstance(value, tuple) else (value, 1)
    return over / (under or math.nan)


def of_tiff(page):
    """The `Metadata` of a `tifffile.TiffPage`."""
    tags = {tag.code: tag.value for tag in page.tags}
    profile = tags.get(ExifTags.Base.InterColorProfile.value)
    metadata = Metadata(profile=profile if isinstance(profile, bytes) else None)
    texts = {k: v for k, v in tags.items() if isinstance(v, (str, bytes))}
    metadata.exif = _described(texts)
    _keep_bytes(metadata.exif, "utf-8")
    metadata.orientation = tags.get(ORIENTATION, 1)
    metadata.notes += _left_out(tags)
    unit = tags.get(ExifTags.Base.ResolutionUnit.value, INCH)
    both = [ExifTags.Base.XResolution.value, ExifTags.Base.YResolution.value]
    if all(tag in tags for tag in both):
        x, y = (_quotient(tags[tag]) for tag in both)
        per_inch = 2.54 if unit == CENTIMETRE else 1
        metadata.aspect = unit not in (INCH, CENTIMETRE)
        _set_density(metadata, (x * per_inch, y * per_inch))
    return metadata


def _left_out(tags):
    """Sentences on what the tags of a TIFF file mention and no picture here keeps."""
    notes = []
    if any(tag in tags for tag in GEO_TAGS):
        notes.append("Its georeference (GeoTIFF) was left out.")
    kinds = tags.get(EXTRA_SAMPLES, ())
    if UNSPECIFIED in (kinds if isinstance(kinds, tuple) else (kinds,)):
        notes.append("A channel that is not marked as transparency was left out.")
    return notes


def _keep_bytes(tags, encoding):
    """Text that is not ASCII as bytes: Pillow would write "?" for these letters."""
    for number, value in list(tags.items()):
        if isinstance(value, str) and not value.isascii():
            tags[number] = value.encode(encoding)


def _described(tags):
    """The tags of a TIFF file that describe the picture and not its storage."""
    exif = Image.Exif()
    for name in TIFF_TAGS:
        number = ExifTags.Base[name].value
        if number in tags:
            exif[number] = tags[number]
    return exif


def _set_density(metadata, density):
    """Keeps a density that is one: zero, infinity and square pixels without a unit say
    nothing."""
    x, y = map(float, density or (0, 0))
    if min(x, y) > 0 and math.isfinite(x + y) and not (metadata.aspect and x == y):
        metadata.density = x, y


def _colour_chunks(path):
    """The chunks of a PNG file that say what its colours are: dict from name to data."""
    found = {}
    with open(path, "rb") as file:
        file.seek(8)
        while len(header := file.read(8)) == 8 and header[4:] != b"IDAT":
            length, name = struct.unpack(">I4s", header)
            if name in COLOUR_CHUNKS:
                found[name] = file.read(length)
            else:
                file.seek(length, 1)
            file.seek(4, 1)  # the checksum
    return found


def _profile_of_jpeg_2000(data):
    """The profile in the box `colr` of a JP2 file's header, or None (ISO 15444-1, I.5.3)."""
    header = dict(_boxes(data)).get(b"jp2h", b"")
    for name, content in _boxes(header):
        if name == b"colr" and content[:1] in (b"\2", b"\3"):
            return content[3:]


def _boxes(data):
    """Yields (name, content) of the boxes that a JP2 file, or one of its boxes, holds."""
    while len(data) >= 8:
        length, name = struct.unpack(">I4s", data[:8])
        start = 8
        if length == 1 and len(data) >= 16:
            start, length = 16, struct.unpack(">Q", data[8:16])[0]
        length = length or len(data)  # 0: to the end
        if length < start:
            return
        yield name, data[start:length]
        data = data[length:]


def _coded_colours(image, path):
    """The colour space that an AVIF or HEIC file names by numbers (nclx, of ITU-T H.273),
    as chunks of a PNG file; none where it is sRGB or is not stated."""
    primaries = transfer = 2  # unspecified
    box = path.read_bytes().partition(b"colrnclx")[2] if image.format == "AVIF" else b""
    if box:
        primaries, transfer = struct.unpack(">HH", box[:4])
    elif nclx := image.info.get("nclx_profile"):  # of HEIC
        primaries, transfer = nclx["color_primaries"], nclx["transfer_characteristics"]
    # 1 and 6 are the curve of video. Many encoders state it by default for pixels in sRGB
    # (1 and 13), and viewers show these as sRGB.
    if primaries in (1, 2) and transfer in (1, 2, 6, 13):
        return {}
    return {b"cICP": bytes([primaries, transfer, 0, 1])}
