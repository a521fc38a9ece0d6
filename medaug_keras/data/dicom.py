"""DICOM files: the pixels of one frame, in the units that the file names. Needs pydicom, the extra `dicom`.

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
from medaug_keras.data.windows import windowed

_FORMS = {"MONOCHROME1": "grey", "MONOCHROME2": "grey", "RGB": "colour", "PALETTE COLOR": "a palette of colours"}
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


def is_dicom(content: bytes) -> bool:
    """Whether a file says that it is one."""
    return content[128:132] == b"DICM"


def described(content: bytes, where: str) -> tuple[int, int, str, int, int]:
    """Height, width, form of the values in words, bits of one, and number of frames. Raises DataError."""
    part = _opened(content, where)
    with _reading(where):
        if "PixelData" not in part:
            raise _refused(where, "without pixels of whole numbers: a plan, a report or a presentation, for example")
        photometric = str(part.PhotometricInterpretation)
        form = "colour" if photometric.startswith("YBR_") else _FORMS.get(photometric)
        if form is None:
            raise _refused(where, "whose pixels are neither grey nor colour as this program knows them")
        if int(part.BitsAllocated) == 1:
            raise _refused(where, "with a mask of 1 bit, which is no image")
        if form == "grey" and int(part.PixelRepresentation) and int(part.BitsStored) <= 8:
            raise _refused(where, "of 8 bits with a sign. Save it with more bits, or without a sign")
        return int(part.Rows), int(part.Columns), form, int(part.BitsStored), int(part.get("NumberOfFrames") or 1)


def values(content: bytes, where: str, frame: int = 0) -> np.ndarray:
    """(H, W) of a grey image, after the file's modality transform: Hounsfield units of CT, for example.

    `frame` counts from 0.
    """
    part = _opened(content, where)
    stored = _decoded(part, where, frame)
    with _reading(where):
        return _in_units(stored, _said(part, "PixelValueTransformationSequence", frame), part)


def inverted(content: bytes, where: str) -> bool:
    """Whether low values of a grey image are to be shown white."""
    return str(_opened(content, where).PhotometricInterpretation) == "MONOCHROME1"


def displayed(content: bytes, where: str, frame: int = 0) -> np.ndarray:
    """(H, W) uint8 of a grey image as the file says that it is to be displayed, black for its low values.

    By its first table of values of interest (VOI LUT), or where it has none by its first window. Raises DataError where
    it has neither. DICOM PS3.3, C.11.2: a linear window of width w around c reaches from c - 0.5 - (w - 1) / 2 to
    c - 0.5 + (w - 1) / 2, an exact one from c - w / 2 to c + w / 2; a sigmoid one is 1 / (1 + exp(-4 (x - c) / w)).
    """
    found = values(content, where, frame)
    part = _opened(content, where)
    with _reading(where):
        said = _said(part, "FrameVOILUTSequence", frame)
        if part.get("VOILUTSequence"):
            item = part.VOILUTSequence[0]
            return windowed(_looked_up(found, item, part), (0.0, 2.0 ** item.LUTDescriptor[2] - 1))
        function = str(said.get("VOILUTFunction") or "LINEAR").upper()
        centre, width = _first(said.get("WindowCenter")), _first(said.get("WindowWidth"))
        if centre is None or width is None:
            raise _refused(where, "that names no window for its display. Give `window` a `low` and a `high`")
        if function not in _FUNCTIONS or width < (function == "LINEAR") or (width == 0):
            raise _refused(where, "whose window is none that DICOM defines. Give `window` a `low` and a `high`")
        if function == "SIGMOID":
            with np.errstate(over="ignore"):  # far below the window, where the limit is 0
                return windowed(1 / (1 + np.exp(-4 * (found - centre) / width)), (0.0, 1.0))
        if function == "LINEAR":
            centre, width = centre - 0.5, width - 1
        if not width:  # a step
            return np.where(found > centre, 255, 0).astype(np.uint8)
        return windowed(found, (centre - width / 2, centre + width / 2))


def _said(part: Any, macro: str, frame: int) -> Any:
    """Where a file has the attributes of a macro: with the frame, with all frames, or at its top (PS3.3, C.7.6.16)."""
    for groups, place in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        items = part.get(groups) or ()
        if len(items) > place and items[place].get(macro):
            return items[place].get(macro)[0]
    return part


def _in_units(stored: np.ndarray, said: Any, part: Any) -> np.ndarray:
    """Stored values after the modality transform, a table or a line."""
    if part.get("ModalityLUTSequence"):
        return _looked_up(stored, part.ModalityLUTSequence[0], part)
    slope, intercept = said.get("RescaleSlope"), said.get("RescaleIntercept")
    if slope is None or intercept is None:
        return stored
    scaled: np.ndarray = stored * float(slope) + float(intercept)
    return scaled


def _looked_up(values: np.ndarray, item: Any, part: Any) -> np.ndarray:
    """Values through a table of a DICOM file (PS3.3, C.11.1.1 and C.11.2.1.1): what is beyond it, by its ends.

    pydicom's own `apply_voi` counts places of a table of 8 bits in 8 bits, so it takes wrong ones in a long table.
    """
    count, first = item.LUTDescriptor[0] % 2**16 or 2**16, item.LUTDescriptor[1]
    table = item.LUTData
    if isinstance(table, bytes):
        table = np.frombuffer(table, "<u2" if part.file_meta.TransferSyntaxUID.is_little_endian else ">u2")
    outputs = np.array(table, np.int64)
    if len(outputs) < count or outputs[:count].max() >= 2 ** item.LUTDescriptor[2]:
        raise ValueError
    found: np.ndarray = outputs[np.clip(np.floor(values).astype(np.int64) - first, 0, count - 1)]
    return found


def plain(content: bytes, where: str, frame: int = 0) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8 of an image of 8 bits a value; palettes and YBR as RGB."""
    from pydicom.pixels.processing import apply_color_lut

    part = _opened(content, where)
    found = _decoded(part, where, frame)
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


def _decoded(part: Any, where: str, frame: int) -> np.ndarray:
    from pydicom.pixels.utils import pixel_array

    with quiet():
        try:
            return np.asarray(pixel_array(part, index=frame))
        except RuntimeError:  # of pydicom where a decoder failed, or none is there (NotImplementedError is one)
            packing = part.file_meta.TransferSyntaxUID
            name = packing.name if packing.is_transfer_syntax and not packing.is_private else "a private way"
            if _has_decoder(packing):
                why = (
                    f"packed as {name}, which the decoder here cannot unpack: it is cut off, damaged or of a rare form"
                )
                raise _refused(where, f"{why}. Replace it, or unpack it elsewhere") from None
            raise _refused(where, f"packed as {name}, which no decoder here reads. Install one, or unpack it") from None
        except Exception:  # noqa: BLE001 - pydicom raises all kinds of errors on damaged files
            raise _damaged(where) from None


def _has_decoder(packing: Any) -> bool:
    from pydicom.pixels.decoders.base import get_decoder

    try:
        return bool(get_decoder(packing).is_available)
    except NotImplementedError:  # pydicom knows no decoder of this kind
        return False


def _opened(content: bytes, where: str) -> Any:
    """pydicom's Dataset of a file."""
    try:
        import pydicom
    except ModuleNotFoundError:
        raise _refused(where, 'and pydicom is not installed: pip install "medaug-keras[dicom]"') from None
    with _reading(where):
        return pydicom.dcmread(io.BytesIO(content))


@contextmanager
def _reading(where: str) -> Iterator[None]:
    """What pydicom raises of a damaged file is one message, without its words: they may be the header's."""
    with quiet():
        try:
            yield
        except DataError:
            raise
        except Exception:  # noqa: BLE001 - pydicom raises all kinds of errors on damaged files
            raise _damaged(where) from None


@contextmanager
def quiet() -> Iterator[None]:
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
