"""The head of a TIFF: its first directory, which is an EXIF block's main one as well. Pure."""

from pipelines.wildlife.stage0.exif.directory import Damage, open_block, read_directory
from pipelines.wildlife.stage0.exif.values import number_of
from pipelines.wildlife.stage0.image.shape import Shape
from pipelines.wildlife.stage0.loaded import BadPicture, Fault, Loaded

MAGICS = (b"II*\0", b"MM\0*")
_WIDTH, _HEIGHT = 0x0100, 0x0101


def read_tiff(source: Loaded) -> Shape:
    """Return the shape of a TIFF, and all of it as its EXIF block."""
    try:
        block, first = open_block(source, 0, source.size)
        found = read_directory(block, first, {_WIDTH, _HEIGHT})
    except Damage as error:
        fault: Fault = "truncated" if error.behind_end else "damaged"
        raise BadPicture(
            fault, f"is a TIFF whose first directory cannot be read: {error}"
        ) from error
    width, height = (number_of(found.fields.get(tag)) for tag in (_WIDTH, _HEIGHT))
    if width is None or height is None:
        raise BadPicture("damaged", "is a TIFF without width and height")
    return Shape("TIFF", width, height, (0, source.size))
