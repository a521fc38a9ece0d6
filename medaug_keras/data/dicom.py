"""DICOM files: the pixels of one image, in the units that the file names. Needs pydicom, the extra `dicom`.

Of a header, only what says how pixels are stored and shown is used. No value of it is in any message: it may be a
patient's.
"""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from medaug_keras.data.dataset import DataError
from medaug_keras.data.windows import Window

_FORMS = {"MONOCHROME1": "grey", "MONOCHROME2": "grey", "RGB": "colour", "PALETTE COLOR": "a palette of colours"}


def is_dicom(content: bytes) -> bool:
    """Whether a file says that it is one."""
    return content[128:132] == b"DICM"


def described(content: bytes, where: str) -> tuple[int, int, str, int]:
    """Height, width, form of the values in words, and bits of one, of a file with one image. Raises DataError."""
    part = _opened(content, where)
    with _reading(where):
        if "PixelData" not in part:
            raise _refused(where, "without pixels of whole numbers: a plan, a report or a presentation, for example")
        if int(part.get("NumberOfFrames") or 1) > 1:
            raise _refused(where, "of several frames. Save the one that you mean as a file of its own")
        photometric = str(part.PhotometricInterpretation)
        form = "colour" if photometric.startswith("YBR_") else _FORMS.get(photometric)
        if form is None:
            raise _refused(where, "whose pixels are neither grey nor colour as this program knows them")
        if int(part.BitsAllocated) == 1:
            raise _refused(where, "with a mask of 1 bit, which is no image")
        if form == "grey" and int(part.PixelRepresentation) and int(part.BitsStored) <= 8:
            raise _refused(where, "of 8 bits with a sign. Save it with more bits, or without a sign")
        return int(part.Rows), int(part.Columns), form, int(part.BitsStored)


def values(content: bytes, where: str) -> np.ndarray:
    """(H, W) of a grey image, after the file's modality transform: Hounsfield units of CT, for example."""
    from pydicom.pixels.processing import apply_modality_lut

    part = _opened(content, where)
    stored = _decoded(part, where)
    with _reading(where):
        return np.asarray(apply_modality_lut(stored, part))


def inverted(content: bytes, where: str) -> bool:
    """Whether low values of a grey image are to be shown white."""
    return str(_opened(content, where).PhotometricInterpretation) == "MONOCHROME1"


def own_window(content: bytes, where: str) -> Window:
    """The first window that a file names for its own display. Raises DataError where there is none.

    DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3.2: a linear window of width w around c reaches from c - 0.5 - (w - 1) / 2 to
    c - 0.5 + (w - 1) / 2, an exact one from c - w / 2 to c + w / 2.
    """
    part = _opened(content, where)
    with _reading(where):
        function = str(part.get("VOILUTFunction") or "LINEAR")
        centre, width = _first(part.get("WindowCenter")), _first(part.get("WindowWidth"))
    if centre is None or width is None or width <= 1 or function not in ("LINEAR", "LINEAR_EXACT"):
        raise _refused(where, "that names no window of a centre and a width. Give `window` a `low` and a `high`")
    if function == "LINEAR_EXACT":
        return centre - width / 2, centre + width / 2
    return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2


def plain(content: bytes, where: str) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8 of an image of 8 bits a value; palettes and YBR as RGB."""
    from pydicom.pixels.processing import apply_color_lut

    part = _opened(content, where)
    found = _decoded(part, where)
    with _reading(where):
        if str(part.PhotometricInterpretation) == "PALETTE COLOR":
            found = apply_color_lut(found, part)
            found = found >> 8 if found.dtype == np.uint16 else found
        elif str(part.PhotometricInterpretation) == "MONOCHROME1":
            found = 2 ** int(part.BitsStored) - 1 - found
        if found.shape != (int(part.Rows), int(part.Columns), *((3,) * (found.ndim - 2))) or found.max() > 255:
            raise ValueError
        return found.astype(np.uint8)


def _first(value: Any) -> float | None:
    """Of the values that an element has."""
    if value is None or value == "":
        return None
    return float(value[0] if hasattr(value, "__getitem__") and not isinstance(value, str) else value)


def _decoded(part: Any, where: str) -> np.ndarray:
    from pydicom.pixels.utils import pixel_array

    with _quiet():
        try:
            return np.asarray(pixel_array(part))
        except RuntimeError:  # of pydicom where no decoder can, or is there (NotImplementedError is one)
            packing = part.file_meta.TransferSyntaxUID
            name = packing.name if packing.is_transfer_syntax and not packing.is_private else "a private way"
            raise _refused(where, f"packed as {name}, which no decoder here reads. Install one, or unpack it") from None
        except Exception:  # noqa: BLE001 - pydicom raises all kinds of errors on damaged files
            raise _damaged(where) from None


def _opened(content: bytes, where: str) -> Any:
    """pydicom's Dataset of a file."""
    try:
        import pydicom
    except ModuleNotFoundError:
        raise _refused(where, "and pydicom is not installed: pip install medaug-keras[dicom]") from None
    with _reading(where):
        return pydicom.dcmread(io.BytesIO(content))


@contextmanager
def _reading(where: str) -> Iterator[None]:
    """What pydicom raises of a damaged file is one message, without its words: they may be the header's."""
    with _quiet():
        try:
            yield
        except DataError:
            raise
        except Exception:  # noqa: BLE001 - pydicom raises all kinds of errors on damaged files
            raise _damaged(where) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing that pydicom warns of or logs is seen: it may hold the header's values."""
    logger = logging.getLogger("pydicom")
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def _refused(where: str, why: str) -> DataError:
    return DataError(f"{where} is a DICOM file {why}.")


def _damaged(where: str) -> DataError:
    return DataError(
        f"{where} is a DICOM file that cannot be read: it is cut off, damaged or unusual. Replace or remove it."
    )
