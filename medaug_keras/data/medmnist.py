"""The twelve 2-D data sets of MedMNIST, at 28 x 28 and at the sizes of MedMNIST+: what the medmnist package knows of
them, and their files.

Yang et al. 2023, https://doi.org/10.1038/s41597-022-01721-8. Of the package, only its table of facts is used.
"""

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medaug_keras import labels as labels_of
from medaug_keras.data import checksums, npz
from medaug_keras.data.dataset import (
    IMAGE_SIZE,
    DataError,
    Dataset,
    Problems,
    Sizes,
    Split,
    check_classes,
    class_numbers,
    findings,
)
from medaug_keras.data.medmnist_package import part
from medaug_keras.data.room import Memory, Room, counting

SIZES = (IMAGE_SIZE, 64, 128, 224)
"""Pixels a side of the official files; those above 28 are MedMNIST+."""

TITLES = {
    "pathmnist": "PathMNIST",
    "chestmnist": "ChestMNIST",
    "dermamnist": "DermaMNIST",
    "octmnist": "OctMNIST",
    "pneumoniamnist": "PneumoniaMNIST",
    "retinamnist": "RetinaMNIST",
    "breastmnist": "BreastMNIST",
    "bloodmnist": "BloodMNIST",
    "tissuemnist": "TissueMNIST",
    "organamnist": "OrganAMNIST",
    "organcmnist": "OrganCMNIST",
    "organsmnist": "OrganSMNIST",
}
"""Name of a 2-D data set → how it is written."""
MEDMNIST_NAMES = tuple(TITLES)

_BENCHMARK = """@article{medmnistv2,
  title = {MedMNIST v2 - A large-scale lightweight benchmark for 2D and 3D biomedical image classification},
  author = {Yang, Jiancheng and Shi, Rui and Wei, Donglai and Liu, Zequan and Zhao, Lin and Ke, Bilian and
            Pfister, Hanspeter and Ni, Bingbing},
  journal = {Scientific Data}, volume = {10}, number = {1}, pages = {41}, year = {2023},
  doi = {10.1038/s41597-022-01721-8}
}"""

# The publications that the source images come from; MedMNIST asks its users to cite them too.
_KATHER = """@article{kather2019,
  title = {Predicting survival from colorectal cancer histology slides using deep learning: A retrospective
           multicenter study},
  author = {Kather, Jakob Nikolas and others},
  journal = {PLOS Medicine}, volume = {16}, number = {1}, pages = {e1002730}, year = {2019}
}"""
_TSCHANDL = """@article{tschandl2018,
  title = {The HAM10000 dataset, a large collection of multi-source dermatoscopic images of common pigmented skin
           lesions},
  author = {Tschandl, Philipp and Rosendahl, Cliff and Kittler, Harald},
  journal = {Scientific Data}, volume = {5}, pages = {180161}, year = {2018}
}"""
_KERMANY = """@article{kermany2018,
  title = {Identifying Medical Diagnoses and Treatable Diseases by Image-Based Deep Learning},
  author = {Kermany, Daniel S. and others},
  journal = {Cell}, volume = {172}, number = {5}, pages = {1122--1131.e9}, year = {2018}
}"""
_DEEPDRID = """@article{liu2022deepdrid,
  title = {DeepDRiD: Diabetic Retinopathy - Grading and Image Quality Estimation Challenge},
  author = {Liu, Ruhan and others},
  journal = {Patterns}, volume = {3}, number = {6}, pages = {100512}, year = {2022}
}"""
_ALDHABYANI = """@article{aldhabyani2020,
  title = {Dataset of breast ultrasound images},
  author = {Al-Dhabyani, Walid and Gomaa, Mohammed and Khaled, Hussien and Fahmy, Aly},
  journal = {Data in Brief}, volume = {28}, pages = {104863}, year = {2020}
}"""
_ACEVEDO = """@article{acevedo2020,
  title = {A dataset of microscopic peripheral blood cell images for development of automatic recognition systems},
  author = {Acevedo, Andrea and others},
  journal = {Data in Brief}, volume = {30}, pages = {105474}, year = {2020}
}"""
_LJOSA = """@article{ljosa2012,
  title = {Annotated high-throughput microscopy image sets for validation},
  author = {Ljosa, Vebjorn and Sokolnicki, Katherine L. and Carpenter, Anne E.},
  journal = {Nature Methods}, volume = {9}, number = {7}, pages = {637}, year = {2012}
}"""
_BILIC = """@article{bilic2023,
  title = {The Liver Tumor Segmentation Benchmark (LiTS)},
  author = {Bilic, Patrick and others},
  journal = {Medical Image Analysis}, volume = {84}, pages = {102680}, year = {2023}
}"""
_XU = """@article{xu2019,
  title = {Efficient Multiple Organ Localization in CT Image Using 3D Region Proposal Network},
  author = {Xu, Xuanang and Zhou, Fugen and Liu, Bo and Fu, Dongshan and Bai, Xiangzhi},
  journal = {IEEE Transactions on Medical Imaging}, volume = {38}, number = {8}, pages = {1885--1898}, year = {2019}
}"""
_WANG = """@inproceedings{wang2017,
  title = {ChestX-ray8: Hospital-Scale Chest X-Ray Database and Benchmarks on Weakly-Supervised Classification and
           Localization of Common Thorax Diseases},
  author = {Wang, Xiaosong and Peng, Yifan and Lu, Le and Lu, Zhiyong and Bagheri, Mohammadhadi and
            Summers, Ronald M.},
  booktitle = {IEEE Conference on Computer Vision and Pattern Recognition}, pages = {3462--3471}, year = {2017}
}"""
_ORIGINS = {
    "pathmnist": (_KATHER,),
    "chestmnist": (_WANG,),
    "dermamnist": (_TSCHANDL,),
    "octmnist": (_KERMANY,),
    "pneumoniamnist": (_KERMANY,),
    "retinamnist": (_DEEPDRID,),
    "breastmnist": (_ALDHABYANI,),
    "bloodmnist": (_ACEVEDO,),
    "tissuemnist": (_LJOSA,),
    "organamnist": (_BILIC, _XU),
    "organcmnist": (_BILIC, _XU),
    "organsmnist": (_BILIC, _XU),
}

_KERMANY_NAMES = (
    "The source's file names count the images of a patient (Kermany et al. 2018, "
    "https://doi.org/10.17632/rscbjbr9sj.2), so a patient can have several; MedMNIST's file does not keep the names. "
    "The source's test images are this set's; its training images were split into training and validation, and whether "
    "by patient is not known."
)
_SCANS = (
    "The test images are slices of 70 CT scans, other scans than those of the training and validation images (115 and "
    "16; Yang et al. 2023, https://doi.org/10.1038/s41597-022-01721-8). Which slice is of which scan is not in the "
    "file. OrganAMNIST, OrganCMNIST and OrganSMNIST show the same scans."
)
BELONGING = {
    "pathmnist": "The test images are patches from slides of 50 patients, none of whom is in training or validation "
    "(Kather, Halama & Marx 2018, https://doi.org/10.5281/zenodo.1214456). Which patch is of which patient is not in "
    "the file; nor is it known whether a patient's patches are both in training and in validation.",
    "chestmnist": "The source has 112,120 images of 30,805 patients, so many have several (Wang et al. 2017, "
    "https://doi.org/10.1109/CVPR.2017.369). Which image is of which patient is not in the file; nor is it known "
    "whether a patient's images are in several splits. The findings were read from radiologists' reports by a program.",
    "dermamnist": "The 10,015 images show 7,470 skin lesions and were split by image: 34.6 % of the test images show a "
    "lesion that is also in training, and the 2,005 test images show 1,868 lesions (counted from the identifiers of "
    "HAM10000; Abhishek, Jain & Hamarneh 2025, https://doi.org/10.1038/s41597-025-04382-5). How many lesions a patient "
    "has is not known.",
    "octmnist": _KERMANY_NAMES,
    "pneumoniamnist": _KERMANY_NAMES,
    "retinamnist": "The source has four photographs of a patient, two of each eye (2,000 of 500 patients; Liu et al. "
    "2022, https://doi.org/10.1016/j.patter.2022.100512). Which image is of which patient is not in the file; nor is "
    "it known whether a patient's images are both in training and in validation.",
    "breastmnist": "780 images of 600 women, so some have several (Al-Dhabyani et al. 2020, "
    "https://doi.org/10.1016/j.dib.2019.104863). Which image is of which woman is not known, nor whether a woman's "
    "images are in several splits.",
    "bloodmnist": "Images of single cells; of how many people, and which cell is of whom, is not known (Acevedo et al. "
    "2020, https://doi.org/10.1016/j.dib.2020.105474). The split is of images.",
    "tissuemnist": "All cells are from three tissue specimens (Yang et al. 2023, "
    "https://doi.org/10.1038/s41597-022-01721-8), so test images are of three specimens at most. Which cell is from "
    "which is not in the file.",
    "organamnist": _SCANS,
    "organcmnist": _SCANS,
    "organsmnist": _SCANS,
}
"""What is known of images of a set that belong together: to one patient, lesion, slide or scan."""

NOTHING_NEW = {
    "tissuemnist": (33, "the source images have 32 x 32 pixels, so all larger ones are enlarged"),
    "pneumoniamnist": (128, "the smallest source image is 127 pixels wide, so some images are enlarged"),
    "bloodmnist": (201, "the source images are cropped to 200 x 200 pixels, so these are enlarged"),
}
"""From this size on, in pixels a side, images hold nothing that smaller ones do not, and why (Yang et al. 2023)."""

_ORDINAL = (
    " MedMNIST grades this set on an ordinal scale (ordinal regression); here the grades are plain classes, whose "
    "order is not used."
)


def medmnist_info(name: str) -> Mapping[str, Any]:
    """MedMNIST's own entry on one data set: url, MD5, task, label, n_channels, n_samples, license ..."""
    if name.endswith("3d") and name in part("info").INFO:
        raise DataError(
            f"{name} is one of MedMNIST's 3-D sets, whose images are volumes; only the 2-D sets are supported. Take "
            "the data set out of the study."
        )
    if name not in MEDMNIST_NAMES:
        raise DataError(f"{name} is not a MedMNIST data set. Expected is one of {', '.join(MEDMNIST_NAMES)}.")
    info: Mapping[str, Any] = part("info").INFO[name]
    return info


def _several(info: Mapping[str, Any]) -> bool:
    return bool(info["task"] == labels_of.SEVERAL)


def medmnist_file(name: str, size: int) -> str:
    """MedMNIST's name of the file with the images of one size."""
    return f"{name}{_flag(size)}.npz"


def medmnist_md5(name: str, size: int) -> str:
    """MD5 of the official file. Raises DataError."""
    md5: str = medmnist_info(name)[f"MD5{_flag(size)}"]
    return md5


def medmnist_sizes(name: str, *, size: int = IMAGE_SIZE) -> Sizes:
    """Sizes of the current official release; reads no image file."""
    info = medmnist_info(name)
    samples = info["n_samples"]
    return Sizes(_shape(info, size), _classes(info), samples["train"], samples["val"], samples["test"], _several(info))


def medmnist_fingerprint(name: str, *, root: Path, cache: Path | None, size: int = IMAGE_SIZE) -> str:
    """MD5 of root/NAME.npz (NAME_64.npz ... of larger images); of the official file, which will be downloaded, where
    there is none."""
    official = medmnist_md5(name, size)
    path = root / medmnist_file(name, size)
    if not os.path.lexists(path):
        return official
    with npz.opened(path):  # says what stands in its place
        pass
    return checksums.md5_of_file(path, cache=cache)


def load_medmnist(
    name: str,
    *,
    root: Path,
    accept_unverified: bool,
    report: Callable[[str], None] | None,
    size: int = IMAGE_SIZE,
    room: Room | None = None,
) -> Dataset:
    """A MedMNIST data set from root/NAME.npz, downloaded there first where it is absent; of NAME_64.npz, NAME_128.npz
    or NAME_224.npz for images of that `size`.

    A file whose MD5 is not the official one is refused unless `accept_unverified`; it is then called an
    "unverified copy". `report` is told how the download and the reading go. The images go where `room` has places for
    them; without it into memory. Raises DataError.
    """
    info = medmnist_info(name)
    path, official, url = root / medmnist_file(name, size), medmnist_md5(name, size), info[f"url{_flag(size)}"]
    shape = _shape(info, size)
    limit = 2 * sum(info["n_samples"].values()) * math.prod(shape)  # older releases hold a few images more
    if not os.path.lexists(path):
        from medaug_keras.data.download import download  # takes longer to import than all the rest

        download(url, path, md5=official, max_bytes=limit, report=report)
    with npz.opened(path) as file:
        md5 = checksums.md5_of_stream(file)
        headers = npz.read_headers(file, where=path.name, max_bytes=limit * SIZES[-1] ** 2 // size**2)
        found = npz.image_shape(headers)
        if found != shape:
            raise DataError(
                f"{path.name} holds images of {' x '.join(map(str, found))}, but {name} has "
                f"{' x '.join(map(str, shape))} at this size. Put the file of {url} there."
            )
        if md5 != official and not accept_unverified:
            raise DataError(
                f"{path} has the MD5 sum {md5}, but the official {path.name} has {official}: it is "
                f"another release or a damaged copy. Delete it to have it downloaded from "
                f"{url}, or use it as it is, marked as an unverified copy, with "
                "`accept_unverified: true` in the study's data set or --unverified-data."
            )
        headers = npz.read_headers(file, where=path.name, max_bytes=limit)
        labels = npz.read_labels(file, where=path.name)
        classes = _classes(info)
        problems, numbers = Problems(), {}
        for split, some in labels.items():
            with problems.collected():
                numbers[split] = _checked(some, classes, _several(info), f"{path.name}, {split} split")
        problems.check()
        check_classes(numbers["train"], classes, where=path.name)
        shapes = {split: (count, *shape) for split, count in npz.counts(headers).items()}
        places = (room or Memory(limit))(shapes, path.name)
        count = counting(report, info["python_class"], sum(map(len, labels.values())))
        npz.read_images(file, places, where=path.name, change=lambda some: some, count=count)
    splits = {split: Split(places[split].images(), numbers[split]) for split in places}
    ordinal = info["task"] == "ordinal-regression"
    return Dataset(
        name=name,
        title=info["python_class"],
        classes=classes,
        source="official" if md5 == official else "unverified copy",
        md5=md5,
        official_md5=official,
        licence=info["license"],
        homepage=part("info").HOMEPAGE,
        citation="\n\n".join((_BENCHMARK, *_ORIGINS[name])),
        description=info["description"] + (_ORDINAL if ordinal else ""),
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
    )


def _checked(labels: np.ndarray, classes: tuple[str, ...], several: bool, where: str) -> np.ndarray:
    """Labels as a file has them, (N,) or (N, K) → class numbers, or findings."""
    if labels.shape[1:] != ((len(classes),) if several else ()):
        expected = f"a column for each of {len(classes)} findings" if several else "one class number an image"
        raise DataError(f"{where}: the labels have the shape {labels.shape}; expected is {expected}.")
    return findings(labels, where=where) if several else class_numbers(labels, classes=len(classes), where=where)


def _flag(size: int) -> str:
    """What MedMNIST adds to a name for images of this size."""
    if size not in SIZES:
        raise DataError(f"MedMNIST's images are of {', '.join(map(str, SIZES))} pixels a side, not {size}.")
    return "" if size == IMAGE_SIZE else f"_{size}"


def _shape(info: Mapping[str, Any], size: int) -> tuple[int, int, int]:
    return size, size, info["n_channels"]


def _classes(info: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(info["label"][str(k)] for k in range(len(info["label"])))
