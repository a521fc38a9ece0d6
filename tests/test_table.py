"""Tables of images: what is listed is read, whatever wrote the table; what is wrong is said at once, with rows."""

import codecs
import io
import os
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medaug_keras import data
from medaug_keras.data import DataError
from medaug_keras.data.dataset import SPLITS
from medaug_keras.data.identifiers import identifies
from medaug_keras.data.splits import Folds, Parts, split_csv
from medaug_keras.data.table import (
    Table,
    listed,
    load_table,
    table_class_counts,
    table_fingerprint,
    table_forgotten_group,
    table_sizes,
)
from studies import cli_here, tiny, written

SHARED = Path(__file__).parents[2] / "shared" / "data"
ASKED = Parts(fractions={"train": 0.5, "validation": 0.25, "test": 0.25})
HEADER = "file,dx,patient,part"
N = 16


def lines(n: int = N) -> list[str]:
    """A row for each image, two of a patient and of one class."""
    parts = ["train"] * 8 + ["val"] * 4 + ["test"] * 4
    return [f"{i:02}.png,{'ab'[i // 2 % 2]},p{i // 2},{parts[i]}" for i in range(n)]


def good() -> str:
    return "\n".join([HEADER, *lines()]) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """images/00.png ... of random grey pixels, and table.csv."""
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for i in range(N):
        Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(tmp_path / "images" / f"{i:02}.png")
    (tmp_path / "table.csv").write_text(good())
    return tmp_path


def table(folder: Path, **changes) -> Table:
    settings = {"path": folder / "table.csv", "image": "images/{file}", "label": "dx", "group": "patient"}
    return Table(**settings | {"split": ASKED} | changes)


def load(some: Table) -> data.Dataset:
    return load_table(some, name="t", title="T", size=None, colour=None)


def told(dataset: data.Dataset) -> list[object]:
    """All that is known of a data set's images."""
    parts = [getattr(dataset, split) for split in SPLITS]
    return [[part.images.tobytes(), part.labels.tolist(), part.ids, part.groups] for part in parts]


# --- what is read --------------------------------------------------------------------------------------


def test_images_come_with_their_class_group_and_name_and_no_group_is_parted(folder):
    some = load(table(folder))
    assert some.classes == ("a", "b")
    seen = {}
    for split in SPLITS:
        part = getattr(some, split)
        assert list(part.ids) == sorted(part.ids)
        for image, label, name, group in zip(part.images, part.labels, part.ids, part.groups, strict=True):
            i = int(name.removeprefix("images/").removesuffix(".png"))
            assert np.array_equal(image[..., 0], np.asarray(Image.open(folder / name)))
            assert (label, group) == (i // 2 % 2, f"p{i // 2}")
            assert seen.setdefault(group, split) == split
    assert [len(getattr(some, split).labels) for split in SPLITS] == [8, 4, 4]


def test_sizes_fingerprint_and_counts_tell_before_what_is_read_later(folder):
    some, place = load(table(folder)), table(folder)
    sizes = table_sizes(place, size=None, colour=None)
    assert (sizes.image_shape, sizes.classes) == (some.image_shape, some.classes)
    assert [sizes.train, sizes.validation, sizes.test] == [8, 4, 4]
    assert table_fingerprint(place, cache=None) == some.md5
    assert table_class_counts(place) == some.per_class("train")


def test_the_order_of_rows_and_columns_changes_nothing(folder):
    before = load(table(folder))
    turned = [",".join(line.split(",")[::-1]) for line in [HEADER, *lines()[::-1]]]
    (folder / "table.csv").write_text("\n".join(turned))
    after = load(table(folder))
    assert told(after) == told(before)
    assert after.md5 == before.md5


def test_a_split_that_was_written_can_be_given_back_and_is_the_same_data(folder):
    drawn = load(table(folder))
    (folder / "split.csv").write_bytes(split_csv(drawn))
    again = load(table(folder, split=Parts(file=folder / "split.csv")))
    assert told(again) == told(drawn)
    assert again.md5 == drawn.md5


def test_a_column_says_the_split(folder):
    some = load(table(folder, split=Parts(column="part")))
    assert [getattr(some, split).ids[0] for split in SPLITS] == [
        "images/00.png",
        "images/08.png",
        "images/12.png",
    ]


@pytest.mark.parametrize("change", ["class", "group", "split", "pixels"])
def test_the_fingerprint_covers_all_that_is_used_and_nothing_else(folder, change):
    place = table(folder, split=Parts(column="part"))
    before = table_fingerprint(place, cache=None)
    (folder / "table.csv").write_text("\n".join(f"{line},{i}" for i, line in enumerate([HEADER, *lines()])))
    assert table_fingerprint(place, cache=None) == before
    changes = {
        "class": ("00.png,a,", "00.png,b,"),
        "group": ("00.png,a,p0", "00.png,a,p9"),
        "split": ("07.png,b,p3,train", "07.png,b,p3,val"),
    }
    if change == "pixels":
        Image.new("L", (28, 28), 3).save(folder / "images" / "05.png")
    else:
        (folder / "table.csv").write_text(good().replace(*changes[change]))
    assert table_fingerprint(place, cache=None) != before


def test_the_same_images_in_a_folder_a_table_and_an_npz_are_the_same_arrays(tmp_path):
    """Their order is that of names: of files, and in a folder of classes first."""
    rng, arrays, rows = np.random.default_rng(0), {}, [HEADER]
    for split, short, n in (("train", "train", 6), ("validation", "val", 4), ("test", "test", 4)):
        images, labels = rng.integers(0, 256, (n, 28, 28), np.uint8), np.arange(n) // (n // 2)
        arrays |= {f"{short}_images": images, f"{short}_labels": labels}
        for i in rng.permutation(n):
            name = f"{split}/{'ab'[labels[i]]}/deeper/{i}.png"
            (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[i]).save(tmp_path / "mine" / name)
            rows.append(f"{name},{'ab'[labels[i]]},{name},{split}")
    np.savez(tmp_path / "mine.npz", **arrays)
    (tmp_path / "table.csv").write_text("\n".join(rows))
    said = {"name": "m", "title": "M", "size": None}
    found = [
        data.load_npz(tmp_path / "mine.npz", classes=("a", "b"), **said),
        data.load_folder(tmp_path / "mine", colour=None, **said),
        load(table(tmp_path, image="mine/{file}", split=Parts(column="part"))),
    ]
    assert all(told(one)[i][:2] == told(found[0])[i][:2] for one in found for i in range(3))


def test_rows_without_values_or_files_are_dropped_where_that_is_said_and_counted(folder):
    text = good().replace("05.png,a", "05.png,").replace("07.png,b,p3", "07.png,b,NA") + "99.png,a,p9,train\n"
    (folder / "table.csv").write_text(text)
    Image.new("L", (28, 28)).save(folder / "images" / "other.png")
    with pytest.raises(DataError, match="row 7") as error:
        load(table(folder))
    assert [
        word in str(error.value) for word in ("row 7 has no value of `label`", "row 9 has no value of `group`")
    ] == [
        True,
        True,
    ]
    assert "the file of row 18 is not there" in str(error.value)
    assert "missing: drop` to leave rows without a file out" in str(error.value)
    some = load(table(folder, missing="drop"))
    assert some.left_out == {"rows with a missing value": 2, "rows without a file": 1, "files without a row": 1}
    assert sum(len(getattr(some, split).labels) for split in SPLITS) == N - 2


@pytest.mark.parametrize("away", [N, N // 2 + 1, N // 2, 1])
def test_where_most_files_are_away_the_folder_is_asked_for_and_nobody_is_told_to_leave_all_out(folder, away):
    """A table that was copied without its images: to drop its rows is no help."""
    for path in sorted((folder / "images").iterdir())[:away]:
        path.unlink()
    with pytest.raises(DataError, match=r"the first is images/00\.png") as error:
        load(table(folder))
    said = str(error.value)
    most = away > N - away
    assert ("Is the folder of the images beside the table?" in said) == most
    assert ("missing: drop" in said) != most
    assert ("none of the 16 files is there" in said) == (away == N)
    assert ("9 of the 16 files are not there" in said) == (away == N // 2 + 1)
    if away == N:
        with pytest.raises(DataError, match="none of the 16 files is there"):
            load(table(folder, missing="drop"))


def test_a_folder_of_images_that_is_away_is_named(folder):
    (folder / "images").rename(folder / "elsewhere")
    with pytest.raises(DataError, match=r"none of the 16 files is there .*there is no folder images\). Is the folder"):
        load(table(folder))


def test_what_another_table_names_is_dropped(folder):
    (folder / "drop.csv").write_text("image,why\nimages/03.png,blurred\n")
    some = load(table(folder, drop=folder / "drop.csv"))
    assert "images/03.png" not in [name for split in SPLITS for name in getattr(some, split).ids]
    assert some.md5 != load(table(folder)).md5
    (folder / "drop.csv").write_text("image\nimages/3.png\n")
    with pytest.raises(DataError, match=r"row 2 names an image .*images/3.png; did you mean images/"):
        load(table(folder, drop=folder / "drop.csv"))


def stacked(folder: Path) -> None:
    """The images as four pages each of four TIFF files, and a table that names file and page."""
    pages = [Image.open(folder / "images" / f"{i:02}.png") for i in range(N)]
    rows = []
    for at in range(0, N, 4):
        first, *others = pages[at : at + 4]
        first.save(folder / f"stack-{at}.tif", save_all=True, append_images=others)
        rows += [f"stack-{at}.tif,{page},{'ab'[page % 2]},p{at}" for page in (1, 2, 3, 4)]
    (folder / "stacks.csv").write_text("\n".join(["file,page,dx,patient", *rows]))


def test_a_column_names_the_image_of_a_file_and_the_images_of_one_file_belong_together(folder):
    stacked(folder)
    some = load(table(folder, path=folder / "stacks.csv", image="file", group=None, frame="page"))
    seen = {}
    for split in SPLITS:
        part = getattr(some, split)
        for image, label, name, group in zip(part.images, part.labels, part.ids, part.groups, strict=True):
            file, page = name.split("#")
            i = int(file.removeprefix("stack-").removesuffix(".tif")) + int(page) - 1
            assert np.array_equal(image[..., 0], np.asarray(Image.open(folder / "images" / f"{i:02}.png")))
            assert label == int(page) % 2
            assert group == file
            assert seen.setdefault(file, split) == split
    assert sum(len(getattr(some, split).ids) for split in SPLITS) == N
    grouped = load(table(folder, path=folder / "stacks.csv", image="file", frame="page"))
    assert set(grouped.train.groups) <= {"p0", "p4", "p8", "p12"}
    (folder / "gone.csv").write_text("image\nstack-4.tif#2\n")
    fewer = load(table(folder, path=folder / "stacks.csv", image="file", frame="page", drop=folder / "gone.csv"))
    assert sum(len(getattr(fewer, split).ids) for split in SPLITS) == N - 1


def test_a_number_names_the_image_of_every_file_and_is_in_the_fingerprint(folder):
    stacked(folder)
    text = "file,dx,part\n" + "".join(
        f"stack-{at}.tif,{'ab'[at // 4 % 2]},{part}\n"
        for at, part in zip((0, 4, 8, 12), ("train", "train", "val", "test"), strict=True)
    )
    (folder / "stacks.csv").write_text(text)
    changes = {"path": folder / "stacks.csv", "image": "file", "group": None, "split": Parts(column="part")}
    prints = set()
    for number in (1, 3):
        some = table(folder, **changes, frame=number)
        assert np.array_equal(
            load(some).test.images[0, ..., 0], np.asarray(Image.open(folder / f"images/{11 + number}.png"))
        )
        assert load(some).md5 == table_fingerprint(some, cache=None)
        prints.add(load(some).md5)
    assert len(prints) == 2
    with pytest.raises(DataError, match=r"stack-0\.tif holds 4 pages, so it has no number 5"):
        load(table(folder, **changes, frame=5))
    with pytest.raises(DataError, match=r"stack-0\.tif holds 4 pages\. Say which one"):
        load(table(folder, **changes))


@pytest.mark.parametrize("word", ["0", "-1", "2.0", "two", "1e3", "²"])
def test_a_frame_that_is_no_number_from_1_is_named_with_its_row(folder, word):
    stacked(folder)
    text = (folder / "stacks.csv").read_text().replace("stack-4.tif,3,", f"stack-4.tif,{word},")
    (folder / "stacks.csv").write_text(text)
    with pytest.raises(DataError, match=f"page of row 8 is no whole number from 1 .the first is '{re.escape(word)}'"):
        listed(table(folder, path=folder / "stacks.csv", image="file", frame="page"))


def test_a_folder_without_split_folders_is_split_by_the_folders_of_its_patients(tmp_path):
    rng = np.random.default_rng(0)
    for patient in range(12):
        for i in range(1 + patient % 3):
            place = tmp_path / "mine" / "ab"[(patient + i) % 2] / f"p{patient}" / "scan"
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(place / f"{i}.PNG")
    division = data.Division(split=ASKED, group="folder")
    some = data.load_folder(tmp_path / "mine", name="m", title="M", size=None, colour=None, division=division)
    groups = [set(getattr(some, split).groups) for split in SPLITS]
    assert sorted(set().union(*groups)) == sorted(f"p{i}" for i in range(12))
    assert sum(map(len, groups)) == 12
    assert data.folder_fingerprint(tmp_path / "mine", cache=None, division=division) == some.md5
    (tmp_path / "mine" / "a" / "loose.png").write_bytes(
        (tmp_path / "mine" / "a" / "p0" / "scan" / "0.PNG").read_bytes()
    )
    with pytest.raises(DataError, match="1 images lie in a class's folder itself"):
        data.folder_sizes(tmp_path / "mine", size=None, colour=None, division=division)


# --- tables as programs write them -----------------------------------------------------------------------

SAME: dict[str, Callable[[str], bytes]] = {
    "plain": lambda text: text.encode(),
    "Windows line ends": lambda text: text.replace("\n", "\r\n").encode(),
    "old Macintosh line ends": lambda text: text.replace("\n", "\r").encode(),
    "no line end at the end": lambda text: text.strip().encode(),
    "a mark of UTF-8": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16 of Excel": lambda text: text.replace(",", "\t").encode("utf-16"),
    "UTF-16, the other order": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "tabs": lambda text: text.replace(",", "\t").encode(),
    "bars": lambda text: text.replace(",", "|").encode(),
    "Excel's sep=": lambda text: ("sep=;\n" + text.replace(",", ";")).encode(),
    "all quoted": lambda text: "\n".join('"' + line.replace(",", '","') + '"' for line in text.split()).encode(),
    "spaces around": lambda text: text.replace(",", " , ").encode(),
    "hard spaces around": lambda text: text.replace(",", "\N{NO-BREAK SPACE},").encode(),
    "blank lines": lambda text: ("\n\n" + text.replace("\n", "\n\n")).encode(),
    "rows of separators": lambda text: (text + ",,,\n,,,\n").encode(),
    "separators at the end": lambda text: text.replace("\n", ",\n").encode(),
    "an index without a name": lambda text: "\n".join(f"{i or ''},{x}" for i, x in enumerate(text.split())).encode(),
    "a comma in a value": lambda text: "\n".join(f'{line},"x, y"' for line in text.split()).encode(),
    "a line end in a value": lambda text: "\n".join(f'{line},"x\ny"' for line in text.split()).encode(),
    "a quote in a value": lambda text: "\n".join(f'{line},"6"" wide"' for line in text.split()).encode(),
    "a missing value elsewhere": lambda text: "\n".join(
        f"{line},{'' if i else 'age'}" for i, line in enumerate(text.split())
    ).encode(),
    "a column twice elsewhere": lambda text: "\n".join(f"{line},x,x" for line in text.split()).encode(),
    "an accent elsewhere": lambda text: "\n".join(f"{line},é" for line in text.split()).encode(),
    "tabs, Windows line ends and a line end in quotes": lambda text: "\r\n".join(
        line.replace(",", "\t") + '\t"x\ny"' for line in text.split()
    ).encode(),
    "semicolons and decimal commas": lambda text: "\n".join(
        line.replace(",", ";") + (";4,5" if i else ";age") for i, line in enumerate(text.split())
    ).encode(),
    "semicolons and commas in quotes": lambda text: "\n".join(
        line.replace(",", ";") + ';"x, y, z, u, v"' for line in text.split()
    ).encode(),
    "UTF-16 with semicolons and Windows line ends": lambda text: (
        text.replace(",", ";").replace("\n", "\r\n").encode("utf-16")
    ),
    "a mark of UTF-8 before Excel's sep=": lambda text: (
        codecs.BOM_UTF8 + ("sep=;\r\n" + text.replace(",", ";").replace("\n", "\r\n")).encode()
    ),
    "quotes around some values": lambda text: text.replace(",a,", ',"a",').encode(),
    "spaces inside quotes": lambda text: text.replace(",a,", ',"  a ",').encode(),
    "tabs around": lambda text: text.replace(",", "\t,\t").encode(),
    "columns in another order": lambda text: "\n".join(
        ",".join(line.split(",")[::-1]) for line in text.split()
    ).encode(),
    "rows in another order": lambda text: "\n".join([HEADER, *lines()[::-1]]).encode(),
    "a hundred columns more": lambda text: "\n".join(line + ",x" * 100 for line in text.split()).encode(),
    "a long text elsewhere": lambda text: "\n".join(f"{line},{'x' * 100_000}" for line in text.split()).encode(),
    "columns without names": lambda text: "\n".join(
        f"{line},{'x' if i else ''},{'y' if i else ''}" for i, line in enumerate(text.split())
    ).encode(),
    "a formula elsewhere": lambda text: "\n".join(f"{line},=1+1" for line in text.split()).encode(),
    "a Python keyword for a column": lambda text: "\n".join(f"{line},class" for line in text.split()).encode(),
    "splits in capitals": lambda text: text.replace(",train", ",TRAIN").replace(",test", ",Testing").encode(),
    "detours in a file": lambda text: "\n".join(
        line if line == HEADER else "x/../../images/" + line for line in text.split()
    ).encode(),
    "./ before a file": lambda text: "\n".join(
        line if line == HEADER else "./" + line for line in text.split()
    ).encode(),
}


@pytest.mark.parametrize("how", SAME)
def test_tables_of_all_programs_are_read_alike(folder, how):
    before = load(table(folder))
    (folder / "table.csv").write_bytes(SAME[how](good()))
    assert told(load(table(folder))) == told(before)


def test_another_encoding_is_read_where_it_is_said(folder):
    text = good().replace(",a,", ",bénin,").replace(",b,", ",malin,")
    (folder / "table.csv").write_bytes(text.encode("cp1252"))
    with pytest.raises(DataError, match=r"table.csv, line 2: cannot be read as utf-8 .byte 0xe9.*encoding: cp1252"):
        listed(table(folder))
    assert listed(table(folder, encoding="cp1252")).classes == ("bénin", "malin")


WRONG: dict[str, tuple[Callable[[str], bytes | str], str]] = {
    "empty": (lambda text: "", "is empty"),
    "blanks": (lambda text: " \n\n", "is empty"),
    "separators alone": (lambda text: ",,\n,,\n", "is empty"),
    "a header alone": (lambda text: HEADER, "no row below"),
    "a workbook": (lambda text: b"PK\x03\x04" + bytes(99), "workbook"),
    "a packed file": (lambda text: b"\x1f\x8b" + bytes(99), "a gzip file"),
    "a web page": (lambda text: "<!DOCTYPE html><html>", "an HTML page"),
    "a git-lfs pointer": (lambda text: "version https://git-lfs.github.com/spec/v1", "git-lfs"),
    "an image": (lambda text: b"\x89PNG\r\n\x1a\n" + bytes(9), "a PNG image"),
    "a Parquet table": (lambda text: b"PAR1" + bytes(9), "a Parquet table"),
    "zeros": (lambda text: bytes(999), "zeros"),
    "a zero inside": (lambda text: text.replace("p3", "p\0").encode(), "0x00"),
    "UTF-16 without a mark": (lambda text: text.encode("utf-16-le"), "0x00"),
    "half of a UTF-16": (lambda text: text.encode("utf-16")[:101], "cannot be read as utf-16"),
    "latin letters": (lambda text: text.replace(",a,", ",\xe4,").encode("latin-1"), "line 2: cannot be read as utf-8"),
    "a quote that does not close": (lambda text: text.replace("p3", '"p3'), "row .*quotation mark"),
    "a quote inside": (lambda text: text.replace("p3,", '"p"3,'), "quotation mark"),
    "too few values": (lambda text: text.replace("04.png,a,", "04.png,"), "row 6 should have 4 values"),
    "too many values": (lambda text: text.replace("04.png,a", "04.png,a,c"), "row 6 should have 4 values.*has 5"),
    "no column for the label": (lambda text: text.replace("dx", "DX "), "no column 'dx'.*did you mean DX"),
    "no column for the group": (lambda text: text.replace("patient", "patiemt"), "did you mean patiemt"),
    "no column for the file": (lambda text: text.replace("file", "name", 1), "no column 'file', which `image` names"),
    "no column at all": (lambda text: text.replace(",", " "), "no column"),
    "a column twice": (lambda text: text.replace("part", "dx"), "2 columns are called dx"),
    "a missing label": (lambda text: text.replace("02.png,b", "02.png,"), "row 4 has no value of `label`"),
    "a label of NaN": (lambda text: text.replace("02.png,b", "02.png,nan"), "row 4 has no value of `label`"),
    "a missing group": (lambda text: text.replace("p3", ""), "rows 8 and 9 have no value of `group`"),
    "a missing file": (lambda text: text.replace("02.png", ""), "row 4 has no value of its file"),
    "a file that is not there": (lambda text: text.replace("02.png", "z.png"), "file of row 4 is not there"),
    "a file's capitals": (lambda text: text.replace("02.png", "02.PNG"), "there is 02.png"),
    "a file's ending": (lambda text: text.replace("02.png", "02.jpg"), "there is 02.png"),
    "no ending": (
        lambda text: text.replace(".png", ""),
        "none of the 16 files is there .the first is images/00, in .*; there is 00.png.. Mend `image`",
    ),
    "Windows folders": (lambda text: text.replace("02.png", "..\\\\images\\\\02.png"), "is not there"),
    "a folder": (lambda text: text.replace("02.png", "../images"), "is not there"),
    "a file that cannot be": (lambda text: text.replace("02.png", "x" * 300), "is not there"),
    "a file twice": (lambda text: text + "03.png,b,p1,train\n", "row 18 names a file that an earlier row"),
    "a file twice in other words": (lambda text: text + "./03.png,b,p1,train\n", "row 18 names a file"),
    "one row": (lambda text: "\n".join(text.split()[:2]), "one class only"),
    "two rows": (lambda text: "\n".join([HEADER, lines()[0], lines()[2]]), "no image is in validation and test"),
    "the header twice": (lambda text: text + HEADER + "\n", "row 18 is not there .the first is images/file"),
    "a comment above": (lambda text: "# made by hand\n" + text, "no column .dx.*the columns are # made by hand"),
    "a semicolon among commas": (lambda text: text.replace("04.png,a", "04.png;a"), "row 6 should have 4 values"),
    "JSON": (lambda text: '[{"file": "00.png", "dx": "a"}]', "no row below|no column"),
    "a pipe of Markdown": (lambda text: text.replace(HEADER, "|file|dx|patient|part|"), "should have"),
    "a label of NA": (lambda text: text.replace("02.png,b", "02.png,NA"), "row 4 has no value of `label`"),
    "a label of N/A": (lambda text: text.replace("02.png,b", "02.png,n/a"), "row 4 has no value of `label`"),
    "a label of blanks": (lambda text: text.replace("02.png,b", '02.png,"   "'), "row 4 has no value of `label`"),
    "a label of a hard space": (
        lambda text: text.replace("02.png,b", "02.png,\u00a0"),
        "row 4 has no value of `label`",
    ),
    "a missing group of Excel": (lambda text: text.replace("p3", "#N/A"), "rows 8 and 9 have no value of `group`"),
    "all labels missing": (lambda text: re.sub(r",[ab],", ",,", text), "rows 2, 3, 4, 5, 6 and 11 more have no value"),
    "a hundred thousand rows": (
        lambda text: text + "".join(f"x/{i}.png,a,p,train\n" for i in range(100_000)),
        "100,000 of the 100,016 files are not there .the first is images/x/0.png",
    ),
    "a file above the disk": (lambda text: text.replace("02.png", "../" * 60 + "z.png"), "is not there"),
    "a file at its full place": (lambda text: text.replace("02.png", "//nowhere/02.png"), "is not there"),
    "an address": (lambda text: text.replace("02.png", "https://example.org/02.png"), "is not there"),
    "braces in a file": (lambda text: text.replace("02.png", "{file}.png"), "is not there"),
    "a file with a line end": (lambda text: text.replace("02.png", '"02\n.png"'), "is not there"),
    "one class": (lambda text: text.replace(",b,", ",a,"), "one class only"),
    "a class in two writings": (lambda text: text.replace("02.png,b", "02.png,B"), "'B' .1 rows. and 'b'.*capitals"),
    "a class with an unseen letter": (lambda text: text.replace("02.png,b", "02.png,b\u200b"), "cannot be seen"),
    "a number in two writings": (
        lambda text: text.replace(",a,", ",0,").replace(",b,", ",1,").replace("02.png,1", "02.png,1.0"),
        "differ only in how they are written",
    ),
    "as many classes as rows": (
        lambda text: "\n".join(
            line.replace(",a,", f",{i},").replace(",b,", f",{i},") for i, line in enumerate(text.split())
        ),
        "too many for classes.*Is `label` the right column",
    ),
    "one patient": (
        lambda text: re.sub(r"p\d", "p", text),
        "no image is in validation and test",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_table_is_one_message_with_the_rows(folder, wrong):
    spoil, message = WRONG[wrong]
    content = spoil(good())
    (folder / "table.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    for judge in (load, lambda some: table_fingerprint(some, cache=None)):
        with pytest.raises(DataError, match=message):
            judge(table(folder))


SETTINGS: dict[str, tuple[dict[str, object], str]] = {
    "no such image column": ({"image": "fil"}, "no such column; did you mean file"),
    "a pattern of no column": ({"image": "images/{fil}"}, "no column 'fil'.*did you mean file"),
    "an open brace": ({"image": "images/{file"}, "no pattern"),
    "a closing brace": ({"image": "images/file}"}, "no pattern"),
    "empty braces": ({"image": "images/{}"}, "name of a column and nothing else"),
    "a format": ({"image": "images/{file:>5}"}, "name of a column and nothing else"),
    "an attribute": ({"image": "images/{file.__class__}"}, "no column"),
    "an encoding that is none": ({"encoding": "utf-9"}, "'utf-9' is not the name of an encoding"),
    "an encoding that is no text": ({"encoding": "zlib"}, "encoding"),
    "a class too many": ({"classes": ("a", "b", "c")}, "`classes` names what no row has: 'c'. dx has a, b."),
    "a class too few": (
        {"classes": ("a", "x")},
        "dx of rows 4, 5, 8, 9, 12 and 3 more is not among `classes`: 'b' .8 rows.. `classes` names what no row has: "
        "'x'; did you mean b. Name every class as the column has it",
    ),
    "a class twice": ({"classes": ("a", "a")}, "same name"),
    "a split column that is none": ({"split": Parts(column="dx")}, "`dx` holds 'a' in row"),
    "no split column": ({"split": Parts(column="prat")}, "`split.column` names.*did you mean part"),
    "no file of splits": ({"split": Parts(file=Path("nowhere.csv"))}, "nowhere.csv is not there"),
    "no file to drop": ({"drop": Path("nowhere.csv")}, "nowhere.csv is not there"),
    "no table": ({"path": Path("nowhere.csv")}, "nowhere.csv is not there"),
    "a folder for a table": ({"path": Path("/")}, "is a folder, but a CSV"),
    "no column for the frame": ({"frame": "prat"}, "no column 'prat', which `frame` names.*did you mean part"),
    "a frame beyond": ({"frame": 2}, "holds one image, so it has no number 2"),
    "a pattern without an ending": ({"image": "images/{file"}, "no pattern"),
    "a column of the class for the file": ({"image": "dx"}, "none of the 16 files is there|names a file"),
    "a column of the class for the group": ({"group": "dx"}, "no image is in"),
    "a column of the file for the class": ({"label": "file"}, "too many for classes"),
    "a column without a name": ({"label": ""}, "there is no column ''"),
    "a column with other capitals": ({"label": "DX"}, "did you mean dx"),
    "a conversion": ({"image": "images/{file!r}"}, "name of a column and nothing else"),
    "an index": ({"image": "images/{file[0]}"}, "no column"),
    "a class in capitals": ({"classes": ("A", "b")}, "not among `classes`: 'a' .8 rows.*'A'; did you mean a."),
    "an empty class": ({"classes": ("a", "b", " ")}, "empty name"),
    "a folder of splits": ({"split": Parts(file=Path("/"))}, "is a folder, but a CSV"),
    "a folder to drop": ({"drop": Path("/")}, "is a folder, but a CSV"),
    "an image for a table": ({"path": Path("images/00.png")}, "not there|is a PNG image"),
    "a frame that is none": ({"frame": "dx"}, "dx of rows 2, 3, 4, 5, 6 and 11 more is no whole number from 1"),
    "a NUL in the path": ({"path": Path("a\0b")}, "not there|cannot be the name"),
}


@pytest.mark.parametrize("wrong", SETTINGS)
def test_a_wrong_setting_is_one_message(folder, wrong):
    changes, message = SETTINGS[wrong]
    with pytest.raises(DataError, match=message):
        load(table(folder, **changes))


def test_all_mistakes_of_a_table_are_said_at_once(folder):
    text = good().replace("02.png", "z.png").replace("05.png,a", "05.png,").replace("p6", "") + "03.png,b,p1,train\n"
    (folder / "table.csv").write_text(text)
    with pytest.raises(DataError, match="row 7") as error:
        listed(table(folder))
    assert len(str(error.value).split("\n")) == 4


# --- classes that do not fit ---------------------------------------------------------------------------------


def of_classes(folder: Path, values: str, *classes: str) -> str:
    """What is said of a table with these classes, one letter or word a row; its files are named backwards."""
    words = values.split()
    rows = [f"{N - 1 - i:02}.png,{word},p{i},train" for i, word in enumerate(words)]
    (folder / "table.csv").write_text("\n".join([HEADER, *rows]))
    with pytest.raises(DataError, match="`classes`") as error:
        listed(table(folder, classes=classes))
    return str(error.value)


def test_a_slip_among_the_classes_is_mended_by_what_the_column_has(folder):
    said = of_classes(folder, "melanoma other other melanoma", "other", "melanomma")
    assert "dx of rows 2 and 5 is not among `classes`: 'melanoma' (2 rows). `classes` names what no row has: " in said
    assert said.endswith(
        "'melanomma'; did you mean melanoma? Name every class as the column has it, or take such rows out of the table."
    )
    alone = of_classes(folder, "df nv bcc nv", "fd", "nv", "bcc")
    assert "'fd'; did you mean df? Name" in alone  # not alike, but nothing else is left
    two = of_classes(folder, "df nv bcc nv", "fd", "nv", "xyz")
    assert "'bcc' (1 row), 'df' (1 row). `classes` names what no row has: 'fd', 'xyz'. Name" in two


def test_a_slip_in_the_column_is_mended_by_the_classes(folder):
    said = of_classes(folder, "melanoma other melanomma melanoma other", "other", "melanoma")
    assert "row 4 is not among `classes`: 'melanomma' (1 row; did you mean melanoma?). Name every class" in said


def test_the_commonest_of_many_values_without_a_class_come_first_and_the_rest_are_counted(folder):
    said = of_classes(folder, "a b c d e f g h h g g", "a", "b")
    assert "rows 4, 5, 6, 7, 8 and 4 more is not among `classes`: 'g' (3 rows), 'h' (2 rows), 'c' (1 row), " in said
    assert said.endswith("'f' (1 row). Name every class as the column has it, or take such rows out of the table.")
    assert "'h' (1 row) and 2 more. Name" in of_classes(folder, "a b c d e f g h i j g", "a", "b")


def test_one_class_against_all_others_is_a_column_of_its_own(folder):
    said = of_classes(folder, "mel nv bcc nv", "other", "mel")
    assert said.endswith(
        "what no row has: 'other'. For mel against all others, give the table a column that says mel or other, and "
        "name that with `label`. Otherwise name every class."
    )
    assert "against all others" not in of_classes(folder, "mel nv bcc nv", "nv", "mel")
    assert "against all others" not in of_classes(folder, "mel nv nv nv", "other", "mel")  # a slip


def test_the_first_wrong_value_of_a_message_is_that_of_its_first_row(folder):
    rows = [f"{N - 1 - i:02}.png,{value}" for i, value in enumerate(["1", "maybe", "0", "no"])]
    (folder / "table.csv").write_text("\n".join(["file,ill", *rows]))
    with pytest.raises(DataError, match=r"ill of rows 3 and 5 is neither 0 nor 1 .the first is 'maybe'."):
        listed(table(folder, group=None, label=None, labels=["ill"]))


def test_rows_of_an_odd_word_for_a_split_are_told_in_their_order(folder):
    turned = [HEADER, *(f"{N - 1 - i:02}.png,{'ab'[i % 2]},p{i},{'x' if i in (3, 5) else 'train'}" for i in range(N))]
    (folder / "table.csv").write_text("\n".join(turned))
    with pytest.raises(DataError, match="`part` holds 'x' in rows 5 and 7, but"):
        listed(table(folder, split=Parts(column="part")))


# --- images of a table ------------------------------------------------------------------------------------


def image(kind: str = "PNG", mode: str = "L", size: tuple[int, int] = (28, 28), **options: object) -> bytes:
    pixels = Image.fromarray((np.arange(size[0] * size[1]) % 251).astype(np.uint8).reshape(size[::-1]))
    buffer = io.BytesIO()
    if "append_images" in options:
        options |= {"save_all": True, "append_images": [pixels.rotate(90), pixels.rotate(180)]}
    (pixels.quantize(4) if mode == "P" else pixels.convert(mode)).save(buffer, kind, **options)
    return buffer.getvalue()


def png_of(width: int, height: int) -> bytes:
    body = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + body + struct.pack(">I", zlib.crc32(b"IHDR" + body))
    return image()[:8] + chunk + image()[33:]


def spoilt(content: bytes, at: int, more: bytes) -> bytes:
    return content[:at] + more + content[at + len(more) :]


def seen_through() -> bytes:
    pixels = np.full((28, 28, 4), 255, np.uint8)
    pixels[3, 3, 3] = 0
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


JPEG = image("JPEG")
FRAME = JPEG.index(b"\xff\xc0") + 4  # bits, height and width of a JPEG
IMAGES: dict[str, tuple[bytes, str]] = {
    "an empty file": (b"", "is an empty file"),
    "one byte": (b"\x89", "is not a PNG"),
    "a text": (b"not found\n", "is a text file"),
    "a web page": (b"<!DOCTYPE html><html></html>", "is an HTML page"),
    "a GIF": (image("GIF"), "is a GIF image"),
    "an animated GIF": (image("GIF", append_images=True), "is a GIF image"),
    "a WebP": (image("WEBP"), "is a WebP image"),
    "a TIFF of pages": (image("TIFF", append_images=True), "holds 3 pages"),
    "an animated PNG": (image("PNG", append_images=True), "is an animation"),
    "a JPEG of 12 bits": (spoilt(JPEG, FRAME, b"\x0c"), "12 bits a value"),
    "a JPEG of CMYK": (image("JPEG", "CMYK"), "inks .CMYK."),
    "a TIFF of CMYK": (image("TIFF", "CMYK"), "inks .CMYK."),
    "a TIFF of floating-point numbers": (image("TIFF", "F"), "floating-point"),
    "a TIFF of 32 bits": (image("TIFF", "I"), "whole numbers with a sign"),
    "a PNG of 16 bits": (image("PNG", "I;16"), "16 bits a value"),
    "a palette": (image("PNG", "P"), "a palette of colours"),
    "a BMP with a palette": (image("BMP", "P"), "a palette of colours"),
    "alpha": (seen_through(), "1 of its 784 pixels are not opaque"),
    "a PNG of 60,000 x 60,000": (png_of(60_000, 60_000), "more than 80,000,000 pixels"),
    "a JPEG of 65,535 x 65,535": (spoilt(JPEG, FRAME + 1, b"\xff\xff\xff\xff"), "more than 80,000,000 pixels"),
    "a BMP of 2 billion rows": (spoilt(image("BMP"), 22, b"\xff\xff\xff\x7f"), "more than 80,000,000 pixels"),
    "a PNG without height": (png_of(28, 0), "is not a complete image"),
    "a PNG that was cut off": (image()[:-20], "is not a complete image"),
    "a JPEG that was cut off": (JPEG[:-20], "is not a complete image"),
    "a BMP that was cut off": (image("BMP")[:-20], "is not a complete image"),
    "a TIFF that was cut off": (image("TIFF")[:-20], "is not a complete image"),
    "a PNG with a changed byte": (spoilt(image(), 45, b"\0\0"), "checksum"),
    "color among grey": (image("PNG", "RGB"), "is 28 x 28 RGB, but 15 of 16 images"),
    "a larger image": (image(size=(30, 30)), "the images are 30 x 30. Say with `size`"),
    "an oblong image": (image(size=(28, 30)), "the images are 30 x 28"),
    "one pixel": (image(size=(1, 1)), "the images are 1 x 1"),
    "a DICOM file without a header": (bytes(128) + b"DICM", "is a DICOM file"),
    "a video": (b"\0\0\0\x20ftypisom" + bytes(30), "is a video"),
    "a NumPy array": (b"\x93NUMPY\x01\0" + bytes(20), "NumPy array"),
    "a git-lfs pointer": (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs"),
    "zeros": (bytes(3000), "a file of zeros"),
}


@pytest.mark.parametrize("wrong", IMAGES)
def test_a_wrong_image_of_a_table_is_one_message_with_its_name(folder, wrong):
    content, message = IMAGES[wrong]
    (folder / "images" / "02.png").write_bytes(content)
    with pytest.raises(DataError, match=f"^images/02.png.*{message}") as error:
        load(table(folder))
    assert "\n" not in str(error.value)


USED = {
    "JPEG": image("JPEG"),
    "TIFF": image("TIFF"),
    "BMP": image("BMP"),
    "1 bit": image("PNG", "1"),
    "a TIFF of 1 bit": image("TIFF", "1"),
    "opaque alpha": image("PNG", "LA"),
    "a packed TIFF": image("TIFF", compression="tiff_lzw"),
}


@pytest.mark.parametrize("kind", USED)
def test_an_image_under_another_ending_is_read_by_what_it_is(folder, kind):
    (folder / "images" / "02.png").write_bytes(USED[kind])
    expected = np.asarray(Image.open(io.BytesIO(USED[kind])).convert("L"))
    some = load(table(folder))
    parts = [getattr(some, split) for split in SPLITS]
    found = {name: image for part in parts for name, image in zip(part.ids, part.images, strict=True)}
    assert np.array_equal(found["images/02.png"][..., 0], expected)


@pytest.mark.parametrize("kind", ["to an image", "to nowhere", "to a folder", "to itself"])
def test_a_link_is_what_it_leads_to(folder, kind):
    before = load(table(folder))
    place = folder / "images" / "02.png"
    target = {"to an image": folder / "there.png", "to nowhere": Path("no"), "to a folder": folder, "to itself": place}
    place.rename(folder / "there.png")
    place.symlink_to(target[kind])
    if kind == "to an image":
        assert told(load(table(folder))) == told(before)
    else:
        with pytest.raises(DataError, match="the file of row 4 is not there"):
            load(table(folder))


def test_a_pipe_in_an_images_place_is_not_waited_for(folder):
    (folder / "images" / "02.png").unlink()
    os.mkfifo(folder / "images" / "02.png")
    with pytest.raises(DataError, match="the file of row 4 is not there"):
        load(table(folder))


def test_full_paths_are_the_same_images_under_the_same_names(folder):
    before = load(table(folder))
    text = re.sub(r"^(\d\d)", rf"{folder}/images/\1", good(), flags=re.MULTILINE)
    (folder / "table.csv").write_text(text)
    assert told(load(table(folder, image="file"))) == told(before)
    (folder / "table.csv").write_text(text + "images/03.png,b,p1,train\n")
    with pytest.raises(
        DataError, match=r"row 18 names a file that an earlier row names too .the first is images/03.png"
    ):
        load(table(folder, image="file"))


def test_images_keep_their_names_where_they_move_with_their_table_or_a_link_takes_their_place(folder, tmp_path_factory):
    before = load(table(folder))
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "moved"
    folder.rename(elsewhere)
    after = load(table(elsewhere))
    assert (told(after), after.md5) == (told(before), before.md5)
    away = elsewhere.parent / "photographs"
    (elsewhere / "images").rename(away)
    (elsewhere / "images").symlink_to(away)
    linked = load(table(elsewhere))
    assert (told(linked), linked.md5) == (told(before), before.md5)
    alone = load(table(elsewhere, image=f"{away}/{{file}}"))  # the same images, called otherwise
    assert alone.md5 != before.md5
    assert alone.train.ids != before.train.ids
    assert alone.train.groups == before.train.groups


@pytest.mark.parametrize("name", ["class", "None", "a b", "größe", "a-b", "1", "image", "__init__", "a'b", "a\\b"])
def test_a_column_may_have_any_name_that_a_pattern_can_hold(folder, name):
    (folder / "table.csv").write_text(good().replace("file", name, 1))
    assert len(listed(table(folder, image=f"images/{{{name}}}")).all()) == N
    assert len(listed(table(folder, image=f"./images/{{{name}}}", label="dx")).all()) == N


@pytest.mark.parametrize("name", ["a:b", "a!r", "a{b", "a}b"])
def test_a_column_that_no_pattern_can_hold_is_refused_in_a_pattern(folder, name):
    (folder / "table.csv").write_text(good().replace("file", name, 1))
    with pytest.raises(DataError, match="image"):
        listed(table(folder, image=f"images/{{{name}}}"))


def test_a_class_may_be_called_none_and_yes(folder):
    (folder / "table.csv").write_text(good().replace(",a,", ",None,").replace(",b,", ",yes,"))
    assert listed(table(folder)).classes == ("None", "yes")


def test_a_hundred_and_fifty_kinds_of_awkward_tables_and_their_images_are_tried():
    assert len(SAME) + len(WRONG) + len(SETTINGS) + len(IMAGES) + len(USED) >= 150


# --- a group that is forgotten ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "patient",
        "Patient ID",
        "PatientID",
        "patient_no",
        "Subjects",
        "LESION",
        "lesion-id",
        "case number",
        "MRN",
        "Eye",
        "StudyInstanceUID",
        "slideKey",
        "specimen",
        "exam",
        "series",
        "id",
        "pid",
        "Patient's name",
        "person_hash",
    ],
)
def test_a_column_whose_name_says_it_may_be_a_group_whatever_its_values_are_written_like(name):
    assert identifies(name, ["Anna", "Anna", "Bo", "Cy"], classes=2)
    assert not identifies(name, ["Anna", "Anna", "Bo", "Cy"], classes=3)  # no more than classes
    assert not identifies(name, ["Anna", "Dee", "Bo", "Cy"], classes=2)  # no value repeats
    assert not identifies(name, ["Anna", "Dee", "Bo", "Cy", "", "NA"], classes=2)  # a missing value repeats nothing


@pytest.mark.parametrize(
    "name",
    [
        "Age",
        "patient_age",
        "Patient Gender",
        "Site",
        "Sex",
        "Confirmed by",
        "study type",
        "eye color",
        "case history",
        "modality",
        "identity",
        "idea",
        "caseload",
    ],
)
def test_a_column_of_another_name_is_none_for_its_name(name):
    assert not identifies(name, ["Anna", "Anna", "Bo", "Cy"], classes=2)


@pytest.mark.parametrize("form", ["HAM_{:07}", "p{}", "{:08}", "{}", "1.2.840.{}", "a3f{:05}-c0de", "3fa{:06}"])
def test_codes_that_repeat_may_be_a_group_whatever_their_column_is_called(form):
    values = [value.format(10_000 + i) for i, value in enumerate([form] * 21)]
    assert identifies("column", values + values[:1], classes=2)
    assert not identifies("column", values, classes=2)  # none repeats
    assert not identifies("column", values[1:] * 2, classes=2)  # 20 can be sites or scanners
    assert not identifies("column", values * 2, classes=21)
    assert identifies("column", values * 20, classes=2)
    assert not identifies("column", values * 20 + values[:1], classes=2)  # more than 20 rows each
    assert identifies("column", [*values, *values[:1], "none of it", "nor it"], classes=2)
    assert not identifies("column", [*values, *values[:1], "none of it", "nor it", "nor this"], classes=2)


NO_CODES = ["{}", "{}.0", "{}.5", "{:03}Y", "{} mm", "20260{:03}", "left {} back", "{}-{}", "0.{}"]


@pytest.mark.parametrize("form", NO_CODES)
def test_numbers_days_and_words_that_repeat_are_no_codes(form):
    assert not identifies("column", [form.format(i // 2, i // 2) for i in range(100, 200)], classes=2)


def test_a_forgotten_group_is_named_with_how_many_test_images_are_of_training_groups(folder):
    some = table(folder, group=None)
    found = listed(some)
    patients = {split: [int(Path(file.relative).stem) // 2 for file in found.files[split]] for split in SPLITS}
    shared = sum(of in patients["train"] for of in patients["test"])
    assert shared > 0
    said = table_forgotten_group(some)
    assert f"no group is given, and the column patient has 8 values in 16 rows, and {shared} of 4 test images" in said
    assert said.endswith("set group: patient, so that no patient's or lesion's images are in two splits")
    folds = table_forgotten_group(table(folder, group=None, split=Parts(folds=Folds(number=4, validation=0.2))))
    assert "the column patient has 8 values in 16 rows. If it says" in folds


@pytest.mark.parametrize(
    "changes",
    [
        {"group": "patient"},
        {"group": "dx"},
        {"subgroups": [data.By("patient")]},
        {"split": Parts(column="part")},  # parts none
        {"split": Parts(whole=True)},  # nothing is trained on them
    ],
)
def test_nothing_is_forgotten_where_a_group_is_named_or_none_is_parted(folder, changes):
    assert table_forgotten_group(table(folder, group=None)) != ""
    assert table_forgotten_group(table(folder, **{"group": None} | changes)) == ""


def test_a_given_split_that_parts_a_forgotten_group_is_told_to_be_counted(folder):
    (folder / "table.csv").write_text(good().replace("07.png,b,p3,train", "07.png,b,p3,test"))
    said = table_forgotten_group(table(folder, group=None, split=Parts(column="part")))
    assert "1 of 5 test images have one that training images have too" in said
    assert said.endswith("so that `check` counts those that the split parts")


def test_of_several_columns_the_one_of_fewest_values_is_to_be_the_group_and_the_others_are_named(folder):
    rows = [f"{line},E{i}" for i, line in enumerate(lines())]
    rows = [f"{line},p{i // 4}" for i, line in enumerate(rows)]
    (folder / "table.csv").write_text("\n".join([f"{HEADER},exam,person", *rows]).replace("E15", "E14"))
    said = table_forgotten_group(table(folder, group=None, split=Parts(folds=Folds(number=4, validation=0.2))))
    assert "the column person has 4 values in 16 rows" in said
    assert "(so may patient, exam), set group: person, " in said


def test_the_folders_of_a_pattern_may_be_a_forgotten_group(folder):
    for i in range(N):
        (folder / f"images/p{i // 2}").mkdir(exist_ok=True)
        (folder / f"images/{i:02}.png").rename(folder / f"images/p{i // 2}/{i:02}.png")
    said = table_forgotten_group(table(folder, group=None, image="images/{patient}/{file}"))
    assert "the column patient has 8 values in 16 rows" in said


def test_files_of_several_images_are_no_forgotten_group_but_what_they_are_of_may_be(folder):
    folds = Parts(folds=Folds(number=2, validation=0.3))
    stacked(folder)
    stacks = (folder / "stacks.csv").read_text().replace("file", "scan", 1)
    (folder / "stacks.csv").write_text(stacks)
    some = table(folder, path=folder / "stacks.csv", group=None, image="scan", frame="page", split=folds)
    assert "the column patient has 4 values in 16 rows. If" in table_forgotten_group(some)
    assert "scan" not in table_forgotten_group(some)


# --- real tables ------------------------------------------------------------------------------------------


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no real tables in {SHARED}")
def test_lesions_of_ham10000_and_patients_of_nih_are_not_parted_and_classes_are_alike():
    for place, image, label, group in (
        ("ham10000/HAM10000_metadata_full.csv", "images/{image_id}.jpg", "dx", "lesion_id"),
        ("nih_chest_64/labels.csv", "images/{filename}", "label2", "patient_id"),
    ):
        parts = Parts(fractions={"train": 0.7, "validation": 0.15, "test": 0.15})
        found = listed(Table(path=SHARED / place, image=image, label=label, group=group, split=parts, missing="drop"))
        alone = Table(path=SHARED / place, image=image, label=label, split=parts, missing="drop")
        assert f"no group is given, and the column {group} has " in table_forgotten_group(alone)
        assert "so may" not in table_forgotten_group(alone)  # no age, sex, site, or how it was confirmed
        groups = [{file.group for file in found.files[split]} for split in SPLITS]
        assert sum(map(len, groups)) == len(set().union(*groups)) > 250
        shares = [np.bincount(found.labels(split)) / len(found.files[split]) for split in SPLITS]
        assert np.ptp(shares, axis=0).max() < 0.01


# --- a study of a table ---------------------------------------------------------------------------------


def test_predictions_keep_names_and_groups_and_the_report_takes_groups_for_independent(folder):
    datasets = {"mine": {"kind": "table", "path": "table.csv", "image": "images/{file}", "label": "dx"}}
    datasets["mine"] |= {"group": "patient", "split": ASKED.fractions, "publish_split": True}
    study_file = written(folder, tiny(datasets=datasets, replicates=2))
    done = cli_here("run", study_file.name, "--no-site", "--workers", "1", cwd=folder)
    assert done.returncode == 0, done.stderr
    drawn = load(table(folder))
    runs = list((folder / "results").glob("classifier-*/predictions.npz"))
    assert len(runs) == 4
    for path in runs:
        with np.load(path, allow_pickle=False) as found:
            assert found["test_ids"].tolist() == list(drawn.test.ids)
            assert found["test_groups"].tolist() == list(drawn.test.groups)
            assert found["validation_ids"].tolist() == list(drawn.validation.ids)
    (split,) = (folder / "results").glob("data-*/split.csv")
    pages = folder / "docs" / "studies" / "tiny"
    assert split.read_bytes() == split_csv(drawn) == (pages / "data" / "splits" / "mine.csv").read_bytes()
    assert "mine: 4 test images of 2 groups that belong together" in (pages / "significance.md").read_text()
    assert "test 2, the largest of 2 images" in (pages / "data-sets.md").read_text()
