"""DICOM: every file is read as pydicom reads it, or refused by one message that holds nothing of its header."""

import contextlib
import io
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medaug_keras import data
from medaug_keras.data import DataError, dicom, pixels, windows

pydicom = pytest.importorskip("pydicom")
SHARED = Path(__file__).parents[2] / "shared" / "data" / "dicom"
needs_real_files = pytest.mark.skipif(not SHARED.exists(), reason=f"no real files at {SHARED}")

NAME = "Mustermann^Erika"


def made(values: np.ndarray, *, bits: int = 16, signed: bool = False, **elements) -> bytes:
    """A small DICOM file of values (H, W) or (H, W, 3)."""
    part = pydicom.Dataset()
    part.file_meta = pydicom.dataset.FileMetaDataset()
    part.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    part.file_meta.MediaStorageSOPClassUID = part.SOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    part.file_meta.MediaStorageSOPInstanceUID = part.SOPInstanceUID = "1.2.3"
    part.PatientName, part.PatientID = NAME, "4711-secret"
    part.Rows, part.Columns = values.shape[:2]
    part.SamplesPerPixel = 1 if values.ndim == 2 else 3
    part.PhotometricInterpretation = "MONOCHROME2" if values.ndim == 2 else "RGB"
    if values.ndim == 3:
        part.PlanarConfiguration = 0
    part.BitsAllocated = 8 if bits <= 8 else 16
    part.BitsStored, part.HighBit, part.PixelRepresentation = bits, bits - 1, int(signed)
    kind = ("i" if signed else "u") + ("1" if bits <= 8 else "2")
    for name, value in elements.items():
        setattr(part, name, value)
    part.PixelData = values.astype(kind).tobytes()
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, part, enforce_file_format=True)
    return buffer.getvalue()


def noise(low: int, high: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(low, high, shape or (28, 28))


def read(content: bytes, **settings) -> np.ndarray:
    how = {"size": None, "fit": None, "filter": "box", "colour": None, "window": None} | settings
    return pixels.read(content, "a/0.dcm", pixels.Conversion(**how))


def refused(content: bytes, **settings) -> str:
    with pytest.raises(DataError, match=r"^a/0\.dcm ") as error:
        read(content, **settings)
    said = str(error.value)
    assert "\n" not in said
    assert not any(secret in said for secret in ("Mustermann", "Erika", "4711"))
    return said


def test_signed_values_are_rescaled_before_the_window():
    """CT: stored value 1000 with an intercept of -1024 is -24 Hounsfield units."""
    stored = noise(-1000, 2000)
    found = read(made(stored, signed=True, RescaleSlope=2, RescaleIntercept=-1024), window=(-1000.0, 400.0))
    expected = np.clip((stored * 2.0 - 1024 + 1000) * 255 / 1400, 0, 255)
    assert np.abs(found[..., 0] - expected).max() <= 0.5


@pytest.mark.parametrize("bits", [8, 12])
def test_monochrome1_is_turned_so_that_low_values_are_white(bits):
    stored = noise(0, 2**bits)
    window = None if bits == 8 else (0.0, 4095.0)
    plain = read(made(stored, bits=bits), window=window)
    turned = read(made(stored, bits=bits, PhotometricInterpretation="MONOCHROME1"), window=window)
    assert np.array_equal(turned, 255 - plain)


@pytest.mark.parametrize("width", [1, 2, 400, 9000])
@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_the_files_own_window_is_what_pydicom_makes_of_it(function, width):
    elements = {"WindowCenter": [300, 9], "WindowWidth": [width, 9]}
    elements |= {"VOILUTFunction": function} if function else {}
    content = made(noise(0, 4096), bits=12, RescaleSlope=1, RescaleIntercept=-1024, **elements)
    found = read(content, window="dicom")[..., 0]
    part = pydicom.dcmread(io.BytesIO(content))
    values = pydicom.pixels.apply_modality_lut(part.pixel_array, part)
    with np.errstate(over="ignore"):
        theirs = pydicom.pixels.apply_voi_lut(values, part).astype(float)
    low, high = -1024.0, 3071.0  # of 12 bits, rescaled
    assert np.abs(found - (theirs - low) * 255 / (high - low)).max() <= 1


def lut(entries: np.ndarray, *, first: int, bits: int, words: bool = False) -> "pydicom.Sequence":
    """A sequence with one table."""
    item = pydicom.Dataset()
    signed = "SS" if first < 0 else "US"
    item.add_new("LUTDescriptor", signed, [len(entries) if len(entries) < 2**15 else 0, first, bits])
    item.add_new("LUTData", "OW" if words else "US", entries.astype("<u2").tobytes() if words else entries.tolist())
    return pydicom.Sequence([item])


@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize("first", [0, 500, -300])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_the_files_own_table_is_what_pydicom_makes_of_it_and_goes_before_its_window(bits, first, words):
    table = np.sort(noise(0, 2**bits, 2000))
    elements = {"VOILUTSequence": lut(table, first=first, bits=bits, words=words)}
    elements |= {"WindowCenter": 300, "WindowWidth": 400}
    content = made(noise(-1000, 4096), signed=True, **elements)
    part = pydicom.dcmread(io.BytesIO(content))
    theirs = pydicom.pixels.apply_voi_lut(part.pixel_array, part).astype(float)
    assert np.abs(read(content, window="dicom")[..., 0] - theirs * 255 / (2**bits - 1)).max() <= 0.5


@pytest.mark.parametrize("bits", [8, 16])
def test_a_modality_table_says_the_units_and_the_files_window_is_in_them(bits):
    table = np.sort(noise(0, 2**bits, 200))
    middle = int(table[100])
    elements = {"ModalityLUTSequence": lut(table, first=20, bits=bits), "WindowCenter": middle, "WindowWidth": middle}
    content = made(noise(0, 256), bits=12, **elements)
    part = pydicom.dcmread(io.BytesIO(content))
    theirs = pydicom.pixels.apply_modality_lut(part.pixel_array, part)
    assert np.array_equal(dicom.values(content, "x"), theirs)
    assert np.array_equal(dicom.values(content, "x"), table[np.clip(noise(0, 256) - 20, 0, 199)])
    shown = pydicom.pixels.apply_voi_lut(theirs, part).astype(float)
    assert np.abs(read(content, window="dicom")[..., 0] - shown * 255 / (2**bits - 1)).max() <= 1


def test_a_long_table_of_8_bits_reaches_its_last_places():
    """pydicom 3.0 counts its places in 8 bits."""
    table = np.arange(4096) // 16
    content = made(np.arange(784).reshape(28, 28) * 5, bits=12, VOILUTSequence=lut(table, first=0, bits=8))
    assert np.array_equal(read(content, window="dicom")[..., 0], np.arange(784).reshape(28, 28) * 5 // 16)


@pytest.mark.parametrize("change", ["too short", "beyond its bits", "no entries"])
def test_a_damaged_table_is_refused(change):
    table = lut(np.arange(100), first=0, bits=8)
    if change == "too short":
        table[0].LUTDescriptor = [101, 0, 8]
    elif change == "beyond its bits":
        table[0].LUTData = [300] * 100
    else:
        del table[0].LUTData
    for name in ("VOILUTSequence", "ModalityLUTSequence"):
        elements = {name: table, "WindowCenter": 9, "WindowWidth": 9}
        assert "cannot be read" in refused(made(noise(0, 99), bits=12, **elements), window="dicom")


def test_a_table_and_a_window_are_turned_with_monochrome1():
    elements = {"WindowCenter": 2000, "WindowWidth": 900, "VOILUTFunction": "SIGMOID"}
    for more in (elements, {"VOILUTSequence": lut(np.sort(noise(0, 1024, 4096)), first=0, bits=10)}):
        plain = read(made(noise(0, 4096), bits=12, **more), window="dicom")
        turned = made(noise(0, 4096), bits=12, PhotometricInterpretation="MONOCHROME1", **more)
        assert np.array_equal(read(turned, window="dicom"), 255 - plain)


def test_a_window_means_the_files_values_at_8_bits_too():
    elements = {"RescaleSlope": 4, "RescaleIntercept": -500, "WindowCenter": 0.5, "WindowWidth": 201}
    content = made(noise(0, 256), bits=8, **elements)
    expected = np.clip((noise(0, 256) * 4.0 - 500 + 100) * 255 / 200, 0, 255)
    assert np.abs(read(content, window=(-100.0, 100.0))[..., 0] - expected).max() <= 0.5
    assert np.array_equal(read(content, window="dicom"), read(content, window=(-100.0, 100.0)))


def test_percentiles_of_dicom_are_of_the_files_units(tmp_path):
    values = noise(-900, 900)
    contents = [made(values + i, signed=True, RescaleSlope=2, RescaleIntercept=-7) for i in range(3)]
    how = pixels.Conversion(size=None, fit=None, filter="box", colour=None, window=(0.0, 1.0))
    counted = windows.percentiles(lambda: [pixels.values(content, "x", how) for content in contents], 1, 99)
    every = np.sort(np.concatenate([(values + i).ravel() * 2 - 7 for i in range(3)]))
    assert counted == (every[int(np.ceil(0.01 * len(every))) - 1], every[int(np.ceil(0.99 * len(every))) - 1])
    content = made(values, signed=True, RescaleSlope=0.3, RescaleIntercept=0)
    low, high = windows.percentiles(lambda: [pixels.values(content, "x", how)], 0, 100)
    assert (low, high) == pytest.approx((values.min() * 0.3, values.max() * 0.3), rel=1e-6)


@pytest.mark.parametrize(
    ("elements", "why"),
    [
        ({}, "names no window"),
        ({"WindowCenter": 5}, "names no window"),
        ({"WindowCenter": 5, "WindowWidth": 0.5}, "none that DICOM defines"),
        ({"WindowCenter": 5, "WindowWidth": 0, "VOILUTFunction": "SIGMOID"}, "none that DICOM defines"),
        ({"WindowCenter": 5, "WindowWidth": 9, "VOILUTFunction": "CUBIC"}, "none that DICOM defines"),
    ],
)
def test_a_file_without_a_window_of_its_own_is_refused(elements, why):
    assert why in refused(made(noise(0, 4096), bits=12, **elements), window="dicom")


def test_a_file_that_is_no_dicom_has_no_window_of_its_own():
    buffer = io.BytesIO()
    Image.fromarray(noise(0, 4096).astype(np.uint16)).save(buffer, "PNG")
    assert "is no DICOM file" in refused(buffer.getvalue(), window="dicom")


def test_color_and_palettes_and_other_bits():
    values = noise(0, 256, 28, 28, 3)
    assert np.array_equal(read(made(values, bits=8)), values)
    assert "`window` is for grey" in refused(made(noise(0, 60_000, 28, 28, 3)))
    assert "16 bits a value" in refused(made(noise(0, 60_000)))


@pytest.mark.parametrize(
    ("elements", "why"),
    [
        ({"NumberOfFrames": 3}, "holds 3 frames. Say which one is meant with `frame`"),
        ({"PhotometricInterpretation": "HSV"}, "neither grey nor colour"),
        ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, "a mask of 1 bit"),
        ({"PixelRepresentation": 1, "BitsStored": 8, "HighBit": 7}, "8 bits with a sign"),
        ({"Rows": 3000}, "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_named(elements, why):
    assert why in refused(made(noise(0, 200), **elements), window=(0.0, 9.0), size=28, fit="crop")


def packed(values: np.ndarray) -> "pydicom.Dataset":
    """A file of the values, run-length encoded."""
    part = pydicom.dcmread(io.BytesIO(made(values)))
    part.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    return part


def written(part: "pydicom.Dataset") -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, part, enforce_file_format=True)
    return buffer.getvalue()


def test_packed_values_are_those_of_the_unpacked_file_and_a_packed_file_that_is_cut_off_is_not_without_a_decoder():
    part = packed(noise(0, 4000))
    assert np.array_equal(read(written(part), window=(0.0, 4000.0)), read(made(noise(0, 4000)), window=(0.0, 4000.0)))
    (frame,) = pydicom.encaps.generate_frames(part.PixelData, number_of_frames=1)
    part.PixelData = pydicom.encaps.encapsulate([frame[: len(frame) // 2]])
    said = refused(written(part), window=(0.0, 4000.0))
    assert "packed as RLE Lossless, which the decoder here cannot unpack: it is cut off, damaged or" in said
    part.file_meta.TransferSyntaxUID = pydicom.uid.HTJ2KLossless
    part["PixelData"].is_undefined_length = True
    said = refused(written(part), window=(0.0, 4000.0))
    assert "High-Throughput JPEG 2000" in said
    assert "which no decoder here reads. Install one, or unpack it" in said


def in_frames(values: np.ndarray, **elements) -> bytes:
    """A file of frames (N, H, W) of 12 bits."""
    N, H, W = values.shape
    return made(values.reshape(N * H, W), bits=12, Rows=H, NumberOfFrames=N, **elements)


def macro(**elements) -> "pydicom.Dataset":
    """A group of functions with the rescaling or the window of frames."""
    item, group = pydicom.Dataset(), pydicom.Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    name = "PixelValueTransformationSequence" if "RescaleSlope" in elements else "FrameVOILUTSequence"
    setattr(group, name, pydicom.Sequence([item]))
    return group


def test_the_frame_that_is_named_is_read_and_no_other():
    values = noise(0, 4096, 3, 28, 28)
    content = in_frames(values)
    for number in (1, 2, 3):
        found = pixels.values(content, "x", CONVERSION, number)
        assert np.array_equal(found, values[number - 1])
    for number in (None, 4):
        with pytest.raises(DataError, match=r"holds 3 frames(, so it has no number 4|\. Say which)"):
            pixels.read(content, "x", CONVERSION, number)
    one = made(values[0], bits=12)
    assert np.array_equal(pixels.read(one, "x", CONVERSION, 1), pixels.read(one, "x", CONVERSION))
    with pytest.raises(DataError, match="holds one frame, so it has no number 2"):
        pixels.read(one, "x", CONVERSION, 2)


CONVERSION = pixels.Conversion(size=None, fit=None, filter="box", colour=None, window=(0.0, 4095.0))


@pytest.mark.parametrize("where", ["file", "shared", "frame"])
def test_what_is_said_of_a_frame_goes_before_what_is_said_of_all(where):
    values = noise(0, 4096, 3, 28, 28)
    other = {"RescaleSlope": 1, "RescaleIntercept": 0, "WindowCenter": 7, "WindowWidth": 9}
    ours = {"RescaleSlope": 2, "RescaleIntercept": -1024}, {"WindowCenter": 300, "WindowWidth": 2001}
    elements = (other if where != "file" else ours[0] | ours[1]).copy()
    if where != "file":
        both = macro(**ours[0])
        both.FrameVOILUTSequence = macro(**ours[1]).FrameVOILUTSequence
        elements["SharedFunctionalGroupsSequence"] = pydicom.Sequence([both])
    if where == "frame":
        elements["SharedFunctionalGroupsSequence"] = pydicom.Sequence([macro(RescaleSlope=9, RescaleIntercept=9)])
        elements["PerFrameFunctionalGroupsSequence"] = pydicom.Sequence([pydicom.Dataset(), both, pydicom.Dataset()])
    content = in_frames(values, **elements)
    assert np.array_equal(dicom.values(content, "x", 1), values[1] * 2.0 - 1024)
    expected = np.clip((values[1] * 2.0 - 1024 - 299.5 + 1000) * 255 / 2000, 0, 255)
    assert np.abs(dicom.displayed(content, "x", 1) - expected).max() <= 0.5
    if where == "frame":
        assert np.array_equal(dicom.values(content, "x", 0), values[0] * 9.0 + 9)


def test_without_pydicom_the_package_to_install_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    assert 'not installed: pip install "medaug-keras[dicom]"' in refused(made(noise(0, 200), bits=8))


def test_a_damaged_file_is_one_message_without_a_word_of_its_header(capsys):
    content = made(noise(0, 4096, 12, 12), bits=12)
    random = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for length in range(140, len(content), 5):
            refused(content[:length], window=(0.0, 9.0), size=12)
        for _ in range(500):
            changed = bytearray(content)
            changed[random.integers(132, len(content))] = random.integers(256)
            try:
                read(bytes(changed), window=(0.0, 9.0), size=12, fit="pad", colour="grey")
            except DataError as error:
                assert not any(secret in str(error) for secret in ("Muster", "Erika", "4711"))  # noqa: PT017
    assert capsys.readouterr() == ("", "")


def test_the_step_of_a_window_one_wide_leaves_its_own_value_black():
    """PS3.3, C.11.2.1.2: x <= c - 0.5 - (w - 1) / 2 is black. Half units, which lie on the step."""
    content = made(
        np.arange(20).reshape(4, 5), bits=12, RescaleSlope=0.5, RescaleIntercept=0, WindowCenter=5, WindowWidth=1
    )
    values = np.arange(20).reshape(4, 5) / 2
    assert np.array_equal(dicom.displayed(content, "x"), np.where(values <= 4.5, 0, 255))


def test_nothing_is_logged_or_warned_of_a_damaged_file(caplog):
    content, random = made(noise(0, 4096, 12, 12), bits=12), np.random.default_rng(0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(200):
            changed = bytearray(content)
            changed[random.integers(132, len(content))] = random.integers(256)
            with contextlib.suppress(DataError):
                read(bytes(changed), window=(0.0, 9.0), size=12, fit="pad", colour="grey")
    assert (told, caplog.records) == ([], [])


def test_a_folder_of_dicom_files_shows_nothing_of_their_headers(tmp_path):
    for split in ("train", "val", "test"):
        for number, name in enumerate("ab"):
            (tmp_path / "mine" / split / name).mkdir(parents=True)
            for i in range(2):
                content = made(noise(-900, 900) + 50 * number + i, signed=True, RescaleSlope=1, RescaleIntercept=0)
                (tmp_path / "mine" / split / name / f"{i}.DCM").write_bytes(content)
    some = data.load_folder(
        tmp_path / "mine", name="m", title="M", size=28, colour=None, window={"centre": 0, "width": 2000}
    )
    assert some.image_shape == (28, 28, 1)
    assert some.description.endswith("Values from -1000 to 1000 became 0 to 255 (window).")
    assert not any(secret in str(some.summary()) for secret in ("Muster", "Erika", "4711"))
    wide = data.load_folder(
        tmp_path / "mine", name="m", title="M", size=28, colour=None, window={"percentiles": [0, 100]}
    )
    assert wide.train.images.min() == 0
    assert wide.train.images.max() == 255


# --- real files ------------------------------------------------------------------------------------

GREY = {  # file → (lowest, highest) value after its modality transform, as the set's own list and header say
    "CT_small.dcm": (128 - 1024, 2191 - 1024),
    "MR_small.dcm": (127, 2145),
    "MR_small_RLE.dcm": (127, 2145),
    "MR_small_implicit.dcm": (127, 2145),
    "MR_small_bigendian.dcm": (127, 2145),
    "JPEG2000.dcm": (-30, 245),
    "examples_overlay.dcm": (0, 1123),
    "RG3_J2KI.dcm": (0, 1023),
    "mlut_18.dcm": None,
}
COLOR = ("examples_rgb_color.dcm", "examples_palette.dcm", "examples_jpeg2k.dcm", "SC_rgb_small_odd.dcm")
REFUSED = {
    "JPEG-lossy.dcm": "packed as JPEG Extended",
    "JPGLosslessP14SV1_1s_1f_8b.dcm": "packed as JPEG Lossless",
    "liver_1frame.dcm": "a mask of 1 bit",
    "examples_ybr_color.dcm": "holds 30 frames",
    "emri_small.dcm": "holds 10 frames",
    "rtplan.dcm": "without pixels",
    "SC_rgb_16bit.dcm": "`window` is for grey",
}


@needs_real_files
def test_every_real_file_is_looked_at():
    assert {path.name for path in SHARED.glob("*.dcm")} == {*GREY, *COLOR, *REFUSED}


@needs_real_files
@pytest.mark.parametrize("name", GREY)
def test_a_real_grey_file_has_pydicoms_values(name):
    content = (SHARED / name).read_bytes()
    part = pydicom.dcmread(SHARED / name)
    theirs = pydicom.pixels.apply_modality_lut(pydicom.pixels.pixel_array(part), part)
    assert np.array_equal(dicom.values(content, name), theirs)
    assert GREY[name] in (None, (theirs.min(), theirs.max()))
    low, high = float(theirs.min()), float(theirs.max())
    side = max(theirs.shape)
    found = read(content, window=(low, high), size=min(side, 512), fit="pad")
    shown = (theirs - low) * 255 / (high - low)
    if side <= 512:
        top, left = (side - theirs.shape[0]) // 2, (side - theirs.shape[1]) // 2
        found = found[top : top + theirs.shape[0], left : left + theirs.shape[1], 0]
        turned = 255 - shown if part.PhotometricInterpretation == "MONOCHROME1" else shown
        assert np.abs(found - turned).max() <= 0.5 + 1e-9


@needs_real_files
@pytest.mark.parametrize("name", GREY)
def test_a_real_grey_file_is_displayed_as_pydicom_displays_it(name):
    content = (SHARED / name).read_bytes()
    part = pydicom.dcmread(SHARED / name)
    if "VOILUTSequence" not in part and "WindowWidth" not in part:
        with pytest.raises(DataError, match="names no window"):
            dicom.displayed(content, name)
        return
    values = pydicom.pixels.apply_modality_lut(pydicom.pixels.pixel_array(part), part)
    theirs = pydicom.pixels.apply_voi_lut(values, part).astype(float)
    found = dicom.displayed(content, name).astype(float)
    low, high = theirs.min(), theirs.max()
    if "VOILUTSequence" in part:  # the range of its output is that of its bits, not of what occurs
        low, high = 0, 2 ** part.VOILUTSequence[0].LUTDescriptor[2] - 1
    elif not part.get("RescaleSlope"):
        sign = int(part.PixelRepresentation)
        low, high = -sign * 2 ** (part.BitsStored - 1), 2 ** (part.BitsStored - sign) - 1
    else:
        assert np.corrcoef(found.ravel(), theirs.ravel())[0, 1] > 0.9999
        return
    assert np.abs(found - (theirs - low) * 255 / (high - low)).max() <= 1


@needs_real_files
@pytest.mark.parametrize("name", COLOR)
def test_a_real_color_file_has_pydicoms_pixels(name):
    part = pydicom.dcmread(SHARED / name)
    theirs = pydicom.pixels.pixel_array(part)
    if name == "examples_palette.dcm":
        assert "Set `colour: grey`" in refused((SHARED / name).read_bytes(), size=64, fit="crop")
        theirs = pydicom.pixels.apply_color_lut(theirs, part)
        theirs = theirs >> 8 if theirs.dtype == np.uint16 else theirs
    assert np.array_equal(dicom.plain((SHARED / name).read_bytes(), name), theirs)
    small = read((SHARED / name).read_bytes(), size=64, fit="stretch", colour="rgb")
    assert np.abs(small.mean(axis=(0, 1)) - theirs.mean(axis=(0, 1))).max() < 1.5


@needs_real_files
@pytest.mark.parametrize("name", REFUSED)
def test_a_real_file_that_cannot_be_used_is_refused_with_the_reason(name):
    content = (SHARED / name).read_bytes()
    said = refused(content, size=64, fit="crop")
    assert REFUSED[name] in said or "16 bits a value" in said or "bits a value" in said
    windowed = refused(content, size=64, fit="crop", window=(0.0, 9.0))
    assert REFUSED[name] in windowed or REFUSED[name] in said
    part = pydicom.dcmread(SHARED / name)
    for secret in (str(part.get("PatientID") or "?"), str(part.get("PatientName") or "?")):
        assert secret not in said or secret in ("1", "")


@needs_real_files
@pytest.mark.parametrize(("name", "frames"), [("emri_small.dcm", 10), ("examples_ybr_color.dcm", 30)])
def test_a_frame_of_a_real_file_has_pydicoms_pixels(name, frames):
    content = (SHARED / name).read_bytes()
    part = pydicom.dcmread(SHARED / name)
    for number in (1, frames // 2, frames):
        theirs = pydicom.pixels.pixel_array(part, index=number - 1)
        if theirs.ndim == 3:
            assert np.array_equal(dicom.plain(content, name, number - 1), theirs)
        else:
            how = pixels.Conversion(size=None, fit=None, filter="box", colour=None, window=(0.0, 500.0))
            found = pixels.values(content, name, replace(how, size=64), number)
            assert np.array_equal(found, pydicom.pixels.apply_modality_lut(theirs, part))
    with pytest.raises(DataError, match=f"holds {frames} frames, so it has no number {frames + 1}"):
        pixels.header(content, name, frames + 1)
