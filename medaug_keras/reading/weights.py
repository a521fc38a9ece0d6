"""Files that a study names, of weights or of images made elsewhere: whether they can be that, and their sums."""

import hashlib
import zipfile
from pathlib import Path


class WeightsError(Exception):
    """There is no such file, or it holds no weights; the message says what was found."""


def sum_of(path: Path) -> str:
    """SHA-256 (hex) of a `.keras` or `.weights.h5` file. Nothing of it is loaded. Raises WeightsError."""
    from medaug_keras.data import filetype  # not needed to read other studies, and NumPy comes with it

    try:
        if path.is_dir():
            raise WeightsError(f"{path} is a folder; give the file that Keras saved")
        if not path.exists():
            raise WeightsError(f"no such file: {path}")
        if not path.is_file():
            raise WeightsError(f"{path} is no regular file")
        with path.open("rb") as file:
            found = filetype.what(file.read(filetype.HEAD)) or "something else"
            archive = path.suffix == ".keras"
            wanted = "a zip file" if archive else "an HDF5 file"
            if found != wanted:
                raise WeightsError(f"{path} is {found}; as Keras saves it, it is {wanted}")
            file.seek(0)
            if archive and "model.weights.h5" not in zipfile.ZipFile(file).namelist():
                raise WeightsError(f"{path} is a zip file without Keras's model.weights.h5")
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror})") from None
    except zipfile.BadZipFile as error:
        raise WeightsError(f"{path} is cut off or damaged ({error}); fetch or save it again") from None


class MadeError(Exception):
    """There are no images to be read; the message says what was found."""


def made_sum(path: Path) -> str:
    """SHA-256 (hex) of a folder or .npz file of images that were made elsewhere. Raises MadeError."""
    from medaug_keras import data  # not needed to read other studies, and NumPy comes with it

    try:
        return data.made_sum(path)
    except data.DataError as error:
        raise MadeError(str(error).removesuffix(".")) from None
