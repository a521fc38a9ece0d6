"""The items of CLAIM and TRIPOD+AI: what a study's records say to each, and what its authors have to write.

Numbers are those of the published lists; topics are in our own words. An answer is a fact of the records or of the
study file. It never says that an item is fulfilled: whether it is, a reader of the paper decides.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from medaug_keras.data import checks
from medaug_keras.generators import GENERATORS
from medaug_keras.report.format import count, counted, in_sentence, of_classes, of_points, percent, plural, together
from medaug_keras.report.numbers.circumstances import others_registered, registered
from medaug_keras.report.numbers.findings import conclusion, level_interval, metric_name, power
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.methods import WEIGHTED, classifier_text, software_text
from medaug_keras.report.numbers.results import AWAY, METRICS, Results, select_words
from medaug_keras.spec import IMAGENET, FolderData, PhantomData, TableData, dump

_NAMED = 6
"""Data sets that an answer names; pages have all of them."""


class Item(NamedTuple):
    """One item of a list."""

    number: str
    topic: str
    answers: tuple[str, ...] = ()
    """Names of `ANSWERS`."""
    left: str = ""
    """What the records cannot say, for the authors to write."""
    key: str = ""
    """The key of the study file that says more of it."""
    before: str = ""
    """Its number in the version of the list before this one."""


@dataclass(frozen=True)
class Checklist:
    """A published list of what a paper has to report."""

    name: str
    title: str
    cite: str
    items: tuple[Item, ...]
    before: str = ""
    """The version before this one, where papers still use it."""


@dataclass(frozen=True)
class Answer:
    """What the records say, and the page that shows it, from the study's folder."""

    text: str
    page: str


def answers(results: Results, inference: Inference) -> dict[str, Answer]:
    """Name → answer, of all that the records and the study file have an answer to."""
    made = {name: Answer(find(results, inference), page) for name, (page, find) in ANSWERS.items()}
    return {name: answer for name, answer in made.items() if answer.text}


# --- what the records say: an empty text where they say nothing --------------------------------------


def _records(results: Results) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Data sets that were read, with what was found."""
    for name in results.datasets:
        record = results.data(name).record
        if record is not None:
            yield name, record.values


def _each(results: Results, said: Mapping[str, str]) -> str:
    """Data set → words, as one text; the first few where there are many."""
    parts = [f"{results.title(name)}: {words}" for name, words in list(said.items())[:_NAMED]]
    more = len(said) - _NAMED
    return ". ".join([*parts, *([f"{plural(more, 'more data set')} on the page"] if more > 0 else [])])


def _done(results: Results) -> bool:
    return any(run.done for run in results.runs)


def _question(results: Results, inference: Inference) -> str:
    return results.study.question


def _goal(results: Results, inference: Inference) -> str:
    return f"{_others(results)} compared with {results.variant(*results.reference)}, on " + (
        f"{plural(len(results.datasets), 'data set')}."
    )


def _others(results: Results) -> str:
    """How many arms there are beside the baseline."""
    return plural(sum(pair != results.reference for pair in results.variants()), "arm")


def _found(results: Results, inference: Inference) -> str:
    return " ".join(conclusion(results, inference)) if _done(results) else ""


def _technology(results: Results, inference: Inference) -> str:
    used = {spec.kind for spec in results.study.generators.values()}
    made = [kind.title for name, kind in GENERATORS.items() if name in used and not kind.foreign]
    images = f"; images made by {together(made)}" if made else ""
    images += "; images made elsewhere" if any(GENERATORS[name].foreign for name in used if name in GENERATORS) else ""
    return f"Deep learning: a classifier of kind {results.study.classifier.kind}{images}."


_FILES = {"official": ", the official file", "unverified copy": ", an unverified copy", "simulated": ", simulated"}


def _sources(results: Results, inference: Inference) -> str:
    said = {}
    for name, values in _records(results):
        source = _FILES.get(values["source"], "")
        licence = f", license {values['licence']}" if values.get("licence") else ""
        said[name] = f"{results.study.datasets[name].called}{source}{licence}"
    return _each(results, said)


def _classes(results: Results, inference: Inference) -> str:
    said = {name: together(values["classes"]) for name, values in _records(results)}
    return f"Classes. {_each(results, said)}" if said else ""


def _pixels(results: Results, inference: Inference) -> str:
    said = {}
    for name, values in _records(results):
        height, width, channels = values["image_shape"]
        section = results.study.datasets[name]
        changed = hasattr(section, "fit") and (section.size or getattr(section, "window", None))
        more = ", resized or windowed as the study file says" if changed else ""
        said[name] = f"{height} × {width} pixels, {'color' if channels == 3 else 'gray'}{more}"
    normalise = getattr(results.study.classifier.input, "normalise", None)
    words = {
        "half": "The network sees values in [−1, 1].",
        "imagenet": "The network sees values normalized by ImageNet’s mean and standard deviation.",
        "none": "The network sees values from 0 to 255.",
    }
    return f"{_each(results, said)}. {words.get(normalise or '', '')}".rstrip() if said else ""


def _left_out(results: Results, inference: Inference) -> str:
    read = dict(_records(results))
    said = {name: ", ".join(counted(values["left_out"])) for name, values in read.items() if values.get("left_out")}
    if said:
        return _each(results, said)
    return "The program left no image out." if read else ""


def _looked_for(results: Results, inference: Inference) -> str:
    levels = [check.level for _, values in _records(results) if "audit" in values for check in checks(values)]
    if not levels:
        return ""
    fails, warns = levels.count("fail"), levels.count("warn")
    return f"{plural(len(levels), 'check')} of the images: {plural(fails, 'fail')}, {plural(warns, 'warning')}."


def _splits(results: Results, inference: Inference) -> str:
    said = {}
    for name, values in _records(results):
        sizes = {split: count(part["images"]) for split, part in values["splits"].items()}
        if folds := results.folds(name):
            said[name] = f"{sizes['train']} images in {folds} folds, cut anew in each replicate; each image tested once"
        else:
            numbers = f"{sizes['train']} training, {sizes['validation']} validation and {sizes['test']} test images"
            said[name] = f"{numbers}, {_how_split(results, name, sum(values.get('left_out', {}).values()))}"
    return _each(results, said)


def _how_split(results: Results, name: str, left_out: int) -> str:
    section = results.study.datasets[name]
    if isinstance(section, PhantomData):
        return "simulated as such"
    parts = section.split if isinstance(section, FolderData | TableData) else None
    if parts is None:
        of = "the folders have them" if isinstance(section, FolderData) else "the file has them"
        return f"as {of}{f', but for {count(left_out)} that were left out' if left_out else ''}"
    if parts.column is not None or parts.file is not None:
        return "as a table says"
    return f"drawn by seed {parts.seed}; no group is parted"


def _disjoint(results: Results, inference: Inference) -> str:
    said = {}
    for name, values in _records(results):
        if "audit" in values:
            relations = [check for check in checks(values) if check.name in ("groups", "identical", "near", "repeats")]
            wanted = ("groups", "identical", "near") if not results.folds(name) else ("repeats",)
            said[name] = " ".join(one.text for c in relations if c.name in wanted for one in c.found).rstrip(".")
    return _each(results, said)


def _size(results: Results, inference: Inference) -> str:
    split = {name: "train" if results.folds(name) else "test" for name in results.datasets}
    said = {name: plural(values["splits"][split[name]]["images"], "test image") for name, values in _records(results)}
    tested = [c for c in inference.tests.values() if c.word != "not tested"]
    return " ".join([f"{_each(results, said)}.", *power(results, tested)]) if said else ""


def _network(results: Results, inference: Inference) -> str:
    parts = [part.record for run in results.runs if run.done for part in run.parts or (run.outcome,) if part.record]
    sizes = sorted({int(one.values["parameters"]) for one in parts if "parameters" in one.values})
    if not sizes:
        return ""
    numbers = count(sizes[0]) if len(sizes) == 1 else f"{count(sizes[0])} to {count(sizes[-1])}"
    return f"A network of kind {results.study.classifier.kind} with {numbers} parameters; its layers are on the page."


def _output(results: Results, inference: Inference) -> str:
    said = "A probability for each class; the class with the highest is named, so no threshold was chosen."
    if results.study.operating_points:
        said += " For operating points, every run chose thresholds on its validation images."
    return said


def _software(results: Results, inference: Inference) -> str:
    ran = any(outcome.record is not None for outcome in results.outcomes.values())
    return software_text(results) if ran else ""


def _initial(results: Results, inference: Inference) -> str:
    settings = results.study.classifier
    if settings.weights == IMAGENET:
        return "Weights trained on ImageNet, as Keras distributes them; the last layer begins at random."
    if settings.weights is not None:
        return f"The weights of a file, {settings.weights}; what it holds is in every key."
    if settings.kind == "python":
        return "As the study’s own code says; chance comes from the study’s seed and the replicate."
    seed = f"seed {results.study.seed} and the replicate"
    return f"Random weights, drawn from {seed}; arms of a replicate begin with the same ones."


def _training(results: Results, inference: Inference) -> str:
    return f"{classifier_text(results)} What each arm does is on the page."


def _selection(results: Results, inference: Inference) -> str:
    text = f"Scores are those of {select_words(results.select)}, chosen in each run without the test images."
    if results.select == "last":
        text = "Scores are those of the last epoch of each run."
    if results.study.classifier.tune is not None:
        text += " Learning rates were chosen on validation images, for each arm and data set."
    return text


def _ensembles(results: Results, inference: Inference) -> str:
    if results.study.ensemble:
        return "The mean of the replicates’ probabilities is scored too, arm by arm."
    return "None: every score is that of a single network, and means are over scores."


def _metrics(results: Results, inference: Inference) -> str:
    others = [in_sentence(label) for metric, label in METRICS.items() if metric != results.study.primary]
    return f"Primary: {metric_name(results.study.primary)} on the test images. Exploratory: {together(others)}."


def _tests(results: Results, inference: Inference) -> str:
    tested = [c for c in inference.tests.values() if c.word != "not tested"]
    if not tested:
        return ""
    return (
        f"{plural(len(tested), 'difference')} to the baseline with 95 % intervals, by a crossed analysis of replicates "
        "and test images; p corrected over the arms of a data set by Holm’s method."
        + (f" Margin of equivalence: {of_points(inference.margin)}." if inference.margin else "")
    )


def _repeated(results: Results, inference: Inference) -> str:
    least = min((len(group.done) for group in results.groups.values()), default=0)
    if results.replicates == 1 or not _done(results):
        return ""
    return (
        f"{plural(results.replicates, 'replicate')} of every arm with other chance planned, {count(least)} or more "
        f"done. The same comparisons by {count(len(METRICS) - 1)} other metrics."
    )


def _registered(results: Results, inference: Inference) -> str:
    plan = "The study file with every setting is among the pages (data/study.yaml)."
    one = results.looks.registered
    noted = [f"Noted in the results folder {registered(one)}."] if one is not None else []
    return " ".join([plan, *noted, *others_registered(results.looks)])


def _per_class(results: Results, inference: Inference) -> str:
    said = {}
    for name, values in _records(results):
        counts = values["splits"]["train" if results.folds(name) else "test"]["per_class"]
        said[name] = of_classes(values["classes"], counts)
    return f"Test images by class. {_each(results, said)}." if said else ""


def _scores(results: Results, inference: Inference) -> str:
    metric, said = results.study.primary, {}
    for name in results.datasets:
        base = results.baseline(name)
        found = base.estimate(results.select, "test", metric) if base else None
        if found is not None and found.mean is not None:
            spread = f" ± {percent(found.sd)}" if found.sd is not None else ""
            interval = level_interval(inference.level(base, metric)) if base else ""
            said[name] = f"{percent(found.mean)}{spread} % (n = {found.n}{f'; {interval}' if interval else ''})"
    return (
        f"Test {metric_name(metric)} of the baseline, ± standard deviation of replicates. {_each(results, said)}. All "
        "arms are on the page."
        if said
        else ""
    )


def _warnings(results: Results, inference: Inference) -> str:
    found = {name: [mark for mark in results.marks(name) if mark != AWAY] for name in results.datasets}
    marked = [f"{results.title(name)}: {', '.join(marks)}" for name, marks in found.items() if marks]
    text = f"{together(marked[:_NAMED])}. " if marked else ""
    return f"{text}What these results cannot show is on the page." if _done(results) else text.strip()


def _imbalance(results: Results, inference: Inference) -> str:
    recipes = [dump(results.study.classifier), *(d for d in (_recipe(results, arm) for arm in results.arms) if d)]
    used = []
    if "weighted" in results.samplings or any(results.study.arms[arm].always_weighted for arm in results.arms):
        used.append(WEIGHTED)
    if any(recipe["loss"]["class_weights"] == "balanced" for recipe in recipes):
        used.append("classes weighted in the loss")
    if any(recipe["loss"]["focal_gamma"] for recipe in recipes):
        used.append("focal loss")
    if not used:
        return "Neither weighted batches nor weights of classes were used."
    return f"In some arms or all: {together(used)}. Probabilities were not recalibrated afterwards."


def _recipe(results: Results, arm: str) -> Mapping[str, Any] | None:
    own = results.study.arms[arm].classifier
    return None if own is None else dump(own)


def _units(results: Results, inference: Inference) -> str:
    if not _done(results):
        return ""
    said = {name: f"{plural(g, 'group')} of {plural(n, 'test image')}" for name, (n, g) in inference.grouped.items()}
    if said:
        return f"Images of one group count as one unit in tests. {_each(results, said)}."
    return "Which images belong together is not known, so each counts as one unit."


def _elsewhere(results: Results, inference: Inference) -> str:
    said = []
    for dataset, name, place in results.outside:
        record = results.overlap(place).record
        if record is None or not any(run.tests[name].record for run in results.runs if name in run.tests):
            continue
        images, found = record.values["splits"]["test"]["images"], record.values["audit"]["test"]
        known = found["in_train"] + found["near_in_train"]
        of_these = f", {count(known)} of them known from training" if known else ""
        said.append(f"{results.title(dataset)} on {name} ({plural(images, 'image')}{of_these})")
    return f"The trained networks were tried on images from elsewhere: {'; '.join(said)}." if said else ""


def _predictors(results: Results, inference: Inference) -> str:
    return "All pixels of an image; nothing else enters the network."


_Find = Callable[[Results, Inference], str]


def _once_done(text: str) -> _Find:
    """What holds of every run, so where one is done."""
    return lambda results, inference: text if _done(results) else ""


def _by_class(results: Results, inference: Inference) -> str:
    columns = dict.fromkeys(
        of["column"]
        for task in results.plan.subgroups.values()
        if (record := results.outcomes[task].record) is not None
        for of in record.values["columns"]
    )
    others = "The records know no other subgroups."
    if columns:
        others = f"The primary metric, recall and differences in subgroups by {together(list(columns))}."
    return f"Recall and precision of each class, by arm. {others}" if _done(results) else ""


ANSWERS: Mapping[str, tuple[str, _Find]] = {
    "question": ("index.html", _question),
    "goal": ("index.html", _goal),
    "found": ("index.html", _found),
    "technology": ("models.html", _technology),
    "sources": ("data-sets.html", _sources),
    "classes": ("data-sets.html", _classes),
    "pixels": ("data-sets.html", _pixels),
    "left out": ("data-sets.html", _left_out),
    "checks": ("checks.html", _looked_for),
    "splits": ("data-sets.html", _splits),
    "disjoint": ("checks.html", _disjoint),
    "size": ("significance.html", _size),
    "network": ("models.html", _network),
    "output": ("models.html", _output),
    "software": ("cite.html", _software),
    "initial": ("models.html", _initial),
    "training": ("cite.html", _training),
    "selection": ("results.html", _selection),
    "ensembles": ("results.html", _ensembles),
    "metrics": ("results.html", _metrics),
    "tests": ("significance.html", _tests),
    "repeated": ("results.html", _repeated),
    "protocol": ("significance.html", _registered),
    "per class": ("data-sets.html", _per_class),
    "scores": ("results.html", _scores),
    "failures": (
        "images.html",
        _once_done("Which test images an arm repairs or breaks, and the hardest of each data set."),
    ),
    "by class": (
        "class-by-class.html",
        _by_class,
    ),
    "warnings": ("significance.html", _warnings),
    "imbalance": ("results.html", _imbalance),
    "units": ("significance.html", _units),
    "elsewhere": ("other-test-sets.html", _elsewhere),
    "predictions": (
        "runs.html",
        _once_done("By the kept network of each run; the probabilities of every test image are in the results folder."),
    ),
    "not updated": (
        "results.html",
        _once_done("No network was changed or recalibrated after it was tested."),
    ),
    "available": (
        "runs.html",
        _once_done(
            "Every run keeps its network, predictions and record; the page of a run has the command that repeats it."
        ),
    ),
    "predictors": ("models.html", _predictors),
}
"""Name → page, and what finds the answer."""


# --- the lists ---------------------------------------------------------------------------------------

_SOURCE_KEY, _GROUP_KEY = "datasets.NAME.citation", "datasets.NAME.group"
_CLAIM = (
    Item("1", "Title says that AI was used, and of which kind", ("technology",), "The title.", "title", "1"),
    Item("2", "Structured abstract", ("found",), "The abstract.", "", "2"),
    Item("3", "Background, intended use and clinical role", (), "All of it.", "", "3"),
    Item("4", "Aims, objectives and hypotheses", ("question",), "Hypotheses.", "question", "4"),
    Item("5", "Prospective or retrospective", (), "Which of the two.", "", "5"),
    Item("6", "Goal of the study", ("goal",), "Whether it explores or confirms.", "", "6"),
    Item("7", "Where the data come from", ("sources",), "Where and when the images were made.", _SOURCE_KEY, "7"),
    Item("8", "Which patients and images were eligible", (), "Criteria, and how images were chosen.", "", "8"),
    Item("9", "Preprocessing", ("pixels", "checks"), "What was done before the files were read.", "", "9"),
    Item(
        "10",
        "Selected parts of images or data",
        ("left out",),
        "What was selected, and why.",
        "datasets.NAME.drop",
        "10",
    ),
    Item("11", "De-identification", (), "How, and by which rules.", "", "12"),
    Item("12", "Missing data", ("left out",), "How they were handled before.", "datasets.NAME.missing", "13"),
    Item("13", "How images were acquired", (), "Devices and settings.", ""),
    Item("14", "How the reference standard was obtained", ("classes",), "Who or what decided the class.", "", "14"),
    Item("15", "Why this reference standard", (), "Reasons, and alternatives.", "", "15"),
    Item("16", "Who annotated", (), "Source and training of the annotators.", "", "16"),
    Item("17", "How the test images were annotated", (), "Procedure and tools.", "", "17"),
    Item("18", "Agreement between annotators", (), "Measures of it.", "", "18"),
    Item("19", "How data were divided", ("splits",), "Why so.", "datasets.NAME.split", "20"),
    Item(
        "20", "At which level the parts are disjoint", ("disjoint",), "The level: patient or image.", _GROUP_KEY, "21"
    ),
    Item("21", "Intended sample size", ("size",), "What was intended, and why.", "replicates", "19"),
    Item("22", "Model in detail", ("network", "output"), "", "classifier", "22"),
    Item("23", "Software with versions", ("software",), "", "", "23"),
    Item("24", "Initial weights", ("initial",), "", "classifier", "24"),
    Item("25", "Training in detail", ("training",), "", "classifier", "25"),
    Item("26", "How the final model was selected", ("selection",), "", "classifier.select", "26"),
    Item("27", "Ensembles", ("ensembles",), "", "ensemble", "27"),
    Item("28", "Metrics of performance", ("metrics",), "Why these.", "primary", "28"),
    Item("29", "Significance and uncertainty", ("tests", "units"), "", "replicates", "29"),
    Item("30", "Robustness and sensitivity", ("repeated",), "Other analyses.", "replicates", "30"),
    Item("31", "Explainability", (), "Methods, if any were used.", "", "31"),
    Item("32", "Evaluation on internal data", ("scores",), "Whether the test images are internal.", ""),
    Item("33", "Testing on external data", ("elsewhere",), "Such a test, or why there is none.", "", "32"),
    Item("34", "Registration of a clinical trial", (), "Registry and number, if it is a trial.", "", "40"),
    Item("35", "Numbers included and excluded", ("splits", "left out"), "Patients; a flow chart.", "", "33"),
    Item("36", "Who the patients are, in each part", ("per class",), "Demographic and clinical data.", "", "34"),
    Item("37", "Performance, with uncertainty", ("scores", "by class"), "", "", "35"),
    Item("38", "Estimates with their precision", ("tests",), "", "replicates", "36"),
    Item("39", "Analysis of failures", ("failures", "by class"), "What the wrong images have in common.", "", "37"),
    Item("40", "Limitations", ("warnings",), "Bias, and to whom the results apply.", "", "38"),
    Item("41", "Implications for practice", (), "All of it.", "", "39"),
    Item("42", "Full protocol", ("protocol",), "Where it can be read.", "", "41"),
    Item("43", "Availability of software, models and data", ("available", "sources"), "Where others find them.", ""),
    Item("44", "Funding", (), "Sources, and the role of funders.", "", "42"),
)
_TRIPOD = (
    Item("1", "Title", ("technology",), "The title.", "title"),
    Item("2", "Abstract", ("found",), "By TRIPOD+AI for abstracts.", ""),
    Item("3a", "Healthcare context, and reasons", (), "All of it.", ""),
    Item("3b", "For whom and for what the model is", (), "All of it.", ""),
    Item("3c", "Known health inequalities", (), "All of it.", ""),
    Item("4", "Objectives", ("question", "goal"), "", "question"),
    Item("5a", "Sources of data", ("sources",), "Reasons, and whom they represent.", _SOURCE_KEY),
    Item("5b", "Dates", (), "When the images were made.", ""),
    Item("6a", "Setting", (), "Centers: how many, and where.", ""),
    Item("6b", "Eligibility", (), "Criteria.", ""),
    Item("6c", "Treatments", (), "If they matter.", ""),
    Item(
        "7",
        "Preparation and quality of data",
        ("pixels", "checks"),
        "Whether it was alike for all groups of people.",
        "",
    ),
    Item("8a", "Outcome", ("classes",), "How and when it was assessed, and why this one.", ""),
    Item("8b", "Who assessed the outcome", (), "Qualifications.", ""),
    Item("8c", "Blinding of the outcome", (), "Whether there was any.", ""),
    Item("9a", "Choice of predictors", ("predictors",), "", ""),
    Item("9b", "Definition of predictors", ("pixels",), "How images were made.", ""),
    Item("9c", "Who assessed predictors", (), "If it took judgement.", ""),
    Item("10", "Sample size", ("size",), "What was intended, and why.", "replicates"),
    Item("11", "Missing data", ("left out",), "How they were handled before.", "datasets.NAME.missing"),
    Item("12a", "How data were used and divided", ("splits", "disjoint"), "", "datasets.NAME.split"),
    Item("12b", "How predictors were transformed", ("pixels",), "", "classifier.input"),
    Item(
        "12c",
        "Type of model, building and tuning",
        ("network", "training", "selection"),
        "Why this model.",
        "classifier",
    ),
    Item(
        "12d", "Differences between clusters, such as hospitals", ("units",), "What is known of clusters.", _GROUP_KEY
    ),
    Item(
        "12e",
        "Measures of performance, and comparisons",
        ("metrics", "tests"),
        "Calibration and clinical use.",
        "primary",
    ),
    Item("12f", "Updating of the model", ("not updated",), "", ""),
    Item("12g", "How predictions were calculated", ("predictions",), "", ""),
    Item("13", "Class imbalance", ("imbalance",), "Why so.", "samplings"),
    Item("14", "Fairness", (), "What was done, and why.", ""),
    Item("15", "Output of the model", ("output",), "", "classifier.head"),
    Item("16", "Training and evaluation data compared", (), "Differences in setting and patients.", ""),
    Item("17", "Ethical approval", (), "Committee, and consent.", ""),
    Item("18a", "Funding", (), "Sources, and the role of funders.", ""),
    Item("18b", "Conflicts of interest", (), "Of all authors.", ""),
    Item("18c", "Protocol", ("protocol",), "Where it can be read.", ""),
    Item("18d", "Registration", (), "Register and number, or that there is none.", ""),
    Item("18e", "Sharing of data", ("sources",), "Where others find them.", _SOURCE_KEY),
    Item("18f", "Sharing of code", ("software",), "Where others find yours.", ""),
    Item("19", "Patient and public involvement", (), "Whether there was any.", ""),
    Item("20a", "Flow of participants", ("splits", "left out"), "Patients; a flow chart.", ""),
    Item("20b", "Characteristics of participants", ("per class",), "Demographic and clinical data.", ""),
    Item("20c", "The same of the evaluation data", (), "A comparison with the training data.", ""),
    Item("21", "Participants and outcomes in each analysis", ("splits", "per class"), "Patients.", ""),
    Item("22", "Full model, for others to use", ("available",), "Where others find it.", ""),
    Item(
        "23a",
        "Performance with confidence intervals",
        ("scores", "tests", "by class"),
        "Groups of people.",
        "replicates",
    ),
    Item("23b", "Performance by cluster", (), "If it was looked at.", ""),
    Item("24", "Results of updating", ("not updated",), "", ""),
    Item("25", "Interpretation", ("found",), "Fairness, and earlier studies.", ""),
    Item("26", "Limitations", ("warnings",), "Bias, and to whom the results apply.", ""),
    Item("27a", "Poor or missing input in use", (), "All of it.", ""),
    Item("27b", "Who uses the model, with which skill", (), "All of it.", ""),
    Item("27c", "Next steps", (), "All of it.", ""),
)
CHECKLISTS = (
    Checklist(
        "claim",
        "CLAIM 2024",
        "Tejani et al., Radiology: Artificial Intelligence 2024, doi 10.1148/ryai.240300; numbers of 2020 are those of "
        "Mongan, Moy and Kahn, doi 10.1148/ryai.2020200029, whose item 11 (definitions of data elements) was dropped",
        _CLAIM,
        "2020",
    ),
    Checklist("tripod-ai", "TRIPOD+AI", "Collins et al., BMJ 2024;385:e078378, doi 10.1136/bmj-2023-078378", _TRIPOD),
)
