"""Which columns of a table may say what images are of: a patient, a lesion, a slide.

A column may where its values repeat, are more than the classes, and either its name says so, such as `Lesion` or
`patient_id`, or they are written as codes are, more than 20 and with 20 rows each at most on average.
"""

import re
from collections import Counter
from collections.abc import Sequence

from medaug_keras.data.rows import is_missing

_FEWEST = 20  # values of a column that no name gives away; as many can be sites, scanners or grades
_MOST_ROWS = 20  # of each such value on average; ages, sites and dates of a large table have more
_CODES = 0.9  # part of its values that are written as codes are

_WHAT = (
    "patients?|pat|subjects?|persons?|people|participants?|individuals?|donors?|cases?|mrn|lesions?|stud(?:y|ies)"
    "|series|exams?|examinations?|visits?|scans?|eyes?|slides?|specimens?|biops(?:y|ies)|animals?|accession"
)
_NAMES = re.compile(rf"p?id|(?:{_WHAT})(?:instance)?(?:s?name|id|uid|no|nr|num|number|code|key|hash|pseudonym)*")
"""Of columns, in small letters without what is neither letter nor digit."""

_CODE = re.compile(
    r"[^\W\d_]\S*\d\S*"  # letters, then digits: HAM_0005982, p00
    r"|0\d+|\d{5,}"  # whole numbers that begin with zero, or are long
    r"|\d+(?:\.\d+){3,}"  # a UID of DICOM
    r"|(?=.*\d)(?=.*[a-f])[0-9a-f-]{8,}",  # a hash
    re.IGNORECASE,
)
_DAY = re.compile(r"(?:19|20)\d{6}")  # 20260131, which is no number of a patient


def identifies(name: str, values: Sequence[str], *, classes: int) -> bool:
    """Whether a column of this name and these values, one a row, may say what images are of.

    `classes`: the number of classes of the images, which a column of groups exceeds.
    """
    known = [value for value in values if not is_missing(value)]
    counts = Counter(known)
    if not classes < len(counts) < len(known):
        return False
    if _NAMES.fullmatch(re.sub(r"[\W_]", "", name).casefold()):
        return True
    if len(counts) <= _FEWEST or len(known) > _MOST_ROWS * len(counts):
        return False
    codes = sum(bool(_CODE.fullmatch(value)) and not _DAY.fullmatch(value) for value in counts)
    return codes >= _CODES * len(counts)
