"""Figures: laws that all of them keep, then what single ones show."""

import importlib
import io
import itertools
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medaug_keras.report import figures, palette
from medaug_keras.report.figures import charts, svg

LONG = "colorectal adenocarcinoma epithelium"
CLASSES = ("adipose", LONG, "cancer-associated stroma")
ARMS = ("baseline", "gda", "cvae", "jvae", "cgan", "my-arm")
SVG = "{http://www.w3.org/2000/svg}"


GEOMETRIC = "Geometric (weighted)"


def differences():
    rows = [
        figures.Difference(
            "Cond. GAN (weighted)", 0.0155, -0.0042, 0.0352, runs=[0.02, 0.011], arm="cgan", sampling="weighted"
        ),
        figures.Difference("Geometric", -0.6375, -1.0, -0.1, runs=[-0.5, -0.775], arm="gda", sampling="shuffle"),
        figures.Difference(
            "Cond. VAE (weighted)", reason="2 of 2 runs failed: out of memory", arm="cvae", sampling="weighted"
        ),
        figures.Difference(
            "Duplicates", 0.003, -0.001, 0.007, runs=[0.003], control=True, arm="jvae", sampling="shuffle"
        ),
        figures.Difference(
            "A diffusion model whose images a teacher network has filtered",
            0.01,
            runs=[0.01],
            arm="my-arm",
            sampling="shuffle",
        ),
    ]
    empty = [figures.Difference(GEOMETRIC, arm="gda", sampling="weighted")]
    return figures.differences(
        [
            figures.DifferencesPanel("PathMNIST", rows, "No augmentation 84.36 %", -0.1),
            figures.DifferencesPanel("BreastMNIST", empty),
        ],
        arms=ARMS,
    )


def classes():
    counts = {"train": [9366, 12885, 10401], "validation": [1041, 0, 1156], "test": [1338, 1233, 421]}
    return figures.class_distribution(CLASSES, counts, title="PathMNIST")


def curves():
    history = {
        "accuracy": [0.5, 0.625, 0.75],
        "val_accuracy": [0.5, 0.6125, 0.6],
        "auc": [0.9, 0.95, 0.99],
        "val_auc": [None] * 3,
    }
    return figures.learning_curves([history], best_epoch=2, title="BreastMNIST")


GROWING = {name: [0.5, 0.6, 0.7, 0.8] for name in ("accuracy", "val_accuracy", "auc", "val_auc")}


def curves_of_folds():
    folds = [
        {"accuracy": [0.5, 0.8, 0.9], "val_accuracy": [0.5, 0.6, 0.8], "auc": [0.9] * 3, "val_auc": [None] * 3},
        {"accuracy": [0.5, 0.6, 0.8], "val_accuracy": [0.5, 0.4, 0.6], "auc": [0.9] * 3, "val_auc": [0.5] * 3},
    ]
    return figures.learning_curves(folds, best_epoch=None, title="Folds")


def curves_of_arms():
    def one(arm, sampling, label, *accuracies):
        histories = [{"accuracy": a, "val_accuracy": a, "auc": [0.9] * 3, "val_auc": [None] * 3} for a in accuracies]
        return figures.ArmCurves(arm, sampling, label, histories)

    return figures.arms_curves(
        [
            one("baseline", "shuffle", "No augmentation", [0.5, 0.6, 0.7], [0.6, 0.9]),
            one("baseline", "weighted", LONG * 3, [0.4, 0.45, 0.425]),
        ]
    )


def losses():
    panels = [
        figures.LossPanel("Cond. VAE", {"loss": [4321.0, 22.5, 0.5], "KL divergence": [300.0, 310.0, 314.0]}, 2),
        figures.LossPanel("Cond. GAN", {"generator": [-1.0], "discriminator": [0.0]}, 1),
        figures.LossPanel("Joint VAE", {}, reason="failed: out of memory"),
    ]
    return figures.loss_curves(panels)


def confusion():
    return figures.confusion_matrix([[90, 10, 0], [3, 1234, 1], [0, 0, 0]], CLASSES, title="PathMNIST")


def large_confusion():
    return figures.confusion_matrix((np.eye(11, dtype=int) * 3285 + 101).tolist(), [f"{LONG} {i}" for i in range(11)])


def forest():
    named = {"arm": "cgan", "sampling": "weighted"}
    rows = [
        figures.Difference("PathMNIST", 0.0123, 0.004, 0.0286, runs=[0.01], verdict="better", **named),
        figures.Difference(
            "PneumoniaMNIST", -0.2, -0.9, 0.5, runs=[-0.1, -0.3], verdict="not distinguishable", **named
        ),
        figures.Difference("BreastMNIST", 0.01, verdict="not tested", **named),
        figures.Difference("OctMNIST", reason="not run", **named),
        figures.Difference("All data sets", 0.01, -0.01, 0.03, mean=True, **named),
    ]
    few = [figures.Difference("BreastMNIST", reason="not run"), figures.Difference("All data sets", 0.01, mean=True)]
    return figures.differences(
        [figures.DifferencesPanel("Cond. GAN (weighted)", rows), figures.DifferencesPanel("Geometric", few)]
    )


def ranks(difference=1.5):
    given = [
        ("baseline", "shuffle", 3.25),
        ("gda", "shuffle", 1.5),
        ("cvae", "weighted", 2.25),
        ("cgan", "weighted", 3.0),
    ]
    ranked = [figures.Ranked(arm, sampling, f"{sampling} {arm}", rank) for arm, sampling, rank in given]
    return figures.critical_difference(ranked, difference=difference, datasets=8, note="Friedman p = 0.042.")


def variance():
    rows = [
        figures.VarianceRow("PathMNIST", 0.0001, 0.0003, 0.0004),
        figures.VarianceRow("OctMNIST", reason="one replicate"),
    ]
    return figures.variance_components(rows)


def printed():
    rows = [
        figures.PrintedRow("baseline", "shuffle", "No augmentation", 0.8436, [0.84, 0.86]),
        figures.PrintedRow("cgan", "weighted", "Cond. GAN (weighted)", 0.7954, [0.81]),
        figures.PrintedRow("duplicate", "shuffle", "Duplicates (control)", None, [0.8]),
        figures.PrintedRow("jvae", "shuffle", "Joint VAE", 0.8508, reason="2 of 2 runs failed"),
    ]
    return figures.printed_vs_ours([figures.PrintedPanel("PathMNIST", rows)], short="Yang")


def network():
    layers = [
        figures.Layer("input", "InputLayer", (None, 28, 28, 3), 0),
        figures.Layer("conv", "Conv2D", (None, 26, 26, 16), 448),
        figures.Layer("bn", "BatchNormalization", (None, 26, 26, 16), 32),
        figures.Layer("flatten", "Flatten", (None, 10816), 0),
        figures.Layer("dense", "Dense", (None, 9), 97353),
    ]
    return figures.network_diagram(layers, title="Classifier")


def doses():
    def one(label, value, *effect, **more):
        return figures.Dose(label, *effect, value=value, **more)

    flow = [
        one("Flow, 0.1", 0.1, 0.012, -0.01, 0.034),
        one("Flow, 0.11", 0.11, 0.03),
        one("Flow, 20", 20, -0.7, -1, 0.9),
    ]
    copies = [one("Copies, 0.1", 0.1, 0.0, -0.002, 0.002), one("Copies, 20", 20, reason="not run yet")]
    series = [
        figures.DoseSeries("flow", "weighted", LONG, flow),
        figures.DoseSeries("copies", "shuffle", "Copies", copies),
    ]
    panels = [figures.DosePanel("PathMNIST", series), figures.DosePanel("BreastMNIST", series[:1])]
    return figures.dose_response(panels, setting="images added, as a part of the training images")


def feature_map():
    train = figures.Origin([0.0, 1.0, -1.0, 4.0], [0.5, 0.5, -3.0, 2.0], [0, 0, 0, 1])
    test, made = figures.Origin([2.0], [2.0], [1]), figures.Origin([0.0, 1.0], [-1.0, -2.0], [0, 0])
    origins = {"train": train, "test": test, "synthetic": made}
    return figures.feature_map(origins, variance=[0.62, 0.0], classes=CLASSES, what="images")


def curves_of_forecasts():
    long = {"roc": [(0.0, 0.0, 0.0, 0.0), (0.5, 0.8125, 0.75, 0.9), (1.0, 1.0, 1.0, 1.0)]}
    found = [
        figures.ArmLines("flow", "weighted", LONG * 3, long, 5),
        figures.ArmLines("copies", "shuffle", "Copies", {"reliability": [(0.6, 0.25, 0.25, 0.25)]}),
    ]
    panels = [
        figures.ForecastPanel("roc", "ROC", "false positive rate", "sensitivity", diagonal=True),
        figures.ForecastPanel("reliability", "Reliability", "probability of the class named", "right"),
        figures.ForecastPanel("precision", "Precision and recall", "recall", "precision"),
    ]
    return figures.forecasts(found, panels)


DRAWN = {
    "differences": (
        differences,
        ["84.36", "+1.6", "−0.4 to +3.5", "+2.0", "−100.0", "no interval", "copies", "out of memory", "not run"],
    ),
    "class_distribution": (classes, ["12,885", "1,233", LONG]),
    "learning_curves": (curves, ["61.25", "epoch 2", "95.00"]),
    "learning_curves_of_folds": (
        curves_of_folds,
        ["85.00", "70.00", "to 60.00", "to 80.00"],
    ),
    "learning_curves_of_pretraining": (
        lambda: figures.learning_curves([GROWING], best_epoch=3, pretraining=2),
        ["4 epochs, the first 2 on generated images"],
    ),
    "arms_curves": (curves_of_arms, ["55.00", "70.00", "highest 75.00 at epoch 2", LONG * 3]),
    "loss_curves": (losses, ["4,321", "310", "22.5", "out of memory"]),
    "confusion_matrix": (confusion, ["90 of 100", "1,324 of 1,338", "no images"]),
    "large_confusion": (large_confusion, ["3,386 of 4,396"]),
    "forest": (forest, ["+1.2", "0.4", "+2.9, better", "−20.0", "not run", "All data sets: +1.0, no interval"]),
    "critical_difference": (ranks, ["1.50", "3.25", "Friedman p = 0.042"]),
    "no_critical_difference": (lambda: ranks(None), ["No test"]),
    "variance_components": (variance, ["12.5 %", "37.5 %", "50.0 %", "one replicate"]),
    "printed_vs_ours": (
        printed,
        ["84.36", "85.00", "84.00 to 86.00", "79.54", "no value in Yang", "2 of 2 runs failed"],
    ),
    "dose_response": (
        doses,
        ["+1.2", "−1.0 to +3.4", "−70.0", "no interval", "not run yet", LONG],
    ),
    "forecasts": (curves_of_forecasts, ["81.25 at 50.00", "Reliability: Copies 25.00 at 60.00", LONG * 3]),
    "feature_map": (
        feature_map,
        ["62 % and 0 %", "3 training images, on average at 0.00, −0.67", "no test image", "at 0.50, −1.50", LONG],
    ),
    "no_data_sets": (lambda: figures.differences([]), ["Nothing to show"]),
    "no_ranks": (lambda: figures.critical_difference([], difference=1.0, datasets=2), ["no pair"]),
    "progress": (lambda: figures.progress({"done": 312, "failed": 6, "pending": 82}), ["312", "6 failed", "400"]),
    "no_progress": (lambda: figures.progress({}), ["nothing planned"]),
    "cvae_diagram": (
        lambda: figures.cvae_diagram(image_shape=(28, 28, 3), classes=9, latent_dim=150),
        ["150", "28 × 28 × 3"],
    ),
    "cvae_diagram_of_findings": (
        lambda: figures.cvae_diagram(image_shape=(28, 28, 1), classes=14, latent_dim=150, findings=True),
        ["its findings, any of 14", "from z and the findings", "choose the findings"],
    ),
    "joint_vae_diagram": (
        lambda: figures.joint_vae_diagram(image_shape=(28, 28, 1), latent_dim=100, categories=50),
        ["100", "50"],
    ),
    "cgan_diagram": (lambda: figures.cgan_diagram(image_shape=(28, 28, 3), classes=9, latent_dim=128), ["128", "9"]),
    "cgan_diagram_of_findings": (
        lambda: figures.cgan_diagram(image_shape=(28, 28, 3), classes=14, latent_dim=128, findings=True),
        ["noise numbers and findings, any of 14", "with their findings", "choose the findings"],
    ),
    "flow_diagram_of_findings": (
        lambda: figures.flow_diagram(image_shape=(28, 28, 1), classes=14, solver="heun", steps=25, findings=True),
        ["the time and the findings, any of 14", "choose the findings"],
    ),
    "flow_diagram": (
        lambda: figures.flow_diagram(image_shape=(64, 64, 1), classes=9, solver="heun", steps=1250),
        ["64 × 64 × 1", "one of 9", "1,250 steps of Heun's method"],
    ),
    "network_diagram": (network, ["97,833", "26 × 26 × 16", "480"]),
}

every_drawing = pytest.mark.parametrize("name", DRAWN)


def parse(text):
    return ET.fromstring(text)


def texts(text):
    """Every text element: (x, y, size, anchor, words), titles left out, shifted by the groups around it."""

    def walk(element, dx, dy, size, anchor):
        shift = re.match(r"translate\(([-\d.]+) ([-\d.]+)\)", element.get("transform", ""))
        if shift:
            dx, dy = dx + float(shift[1]), dy + float(shift[2])
        size, anchor = float(element.get("font-size", size)), element.get("text-anchor", anchor)
        if element.tag.endswith("}text"):
            words = (element.text or "") + "".join(child.tail or "" for child in element)
            yield dx + float(element.get("x")), dy + float(element.get("y")), size, anchor, words
        for child in element:
            yield from walk(child, dx, dy, size, anchor)

    return list(walk(parse(text), 0.0, 0.0, svg.BODY, "start"))


def box(x, y, size, anchor, words, share=1.0):
    width = share * svg.text_width(words, size)
    left = x - {"start": 0, "middle": width / 2, "end": width}[anchor]
    return left, y - 0.75 * size, left + width, y + 0.22 * size


# --- laws ------------------------------------------------------------------------------------------


@every_drawing
def test_the_same_values_give_the_same_bytes(name):
    make, _ = DRAWN[name]
    assert make() == make()


@every_drawing
def test_every_drawing_is_xml_with_a_name_for_those_who_cannot_see_it(name):
    figure = DRAWN[name][0]()
    assert figure.svg.endswith("</svg>\n")
    assert figure.panels
    for text in (figure.svg, *figure.panels):
        root = parse(text)
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert "\n\n" not in text  # a blank line would end raw HTML in Markdown
    assert parse(figure.svg).get("aria-label") == figure.alt


@every_drawing
def test_the_text_alternative_says_the_numbers(name):
    make, said = DRAWN[name]
    for words in said:
        assert words in make().alt


@every_drawing
def test_a_drawing_asks_for_nothing_from_elsewhere(name):
    text = DRAWN[name][0]().svg.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|href|url\(|@import|<script|<foreignObject|\bid=", text)


@every_drawing
def test_no_number_in_a_drawing_is_broken(name):
    assert not re.search(r"\b(nan|inf|None)\b", re.sub(r"<title>.*?</title>", "", DRAWN[name][0]().svg))


@every_drawing
def test_all_text_lies_inside_the_drawing(name):
    figure = DRAWN[name][0]()
    for text in (figure.svg, *figure.panels):
        start, _, width, height = map(float, parse(text).get("viewBox").split())
        width, height = width + start, height + start
        for x, y, size, anchor, words in texts(text):
            left, top, right, bottom = box(x, y, size, anchor, words)
            assert left >= -2, words
            assert right <= width + 2, words
            assert top >= -1, words
            assert bottom <= height + 1, words


@every_drawing
def test_no_two_texts_overlap(name):
    for text in DRAWN[name][0]().panels:
        boxes = [(box(*entry, share=0.9), entry[-1]) for entry in texts(text)]
        for (a, one), (b, other) in itertools.combinations(boxes, 2):
            across = min(a[2], b[2]) - max(a[0], b[0])
            down = min(a[3], b[3]) - max(a[1], b[1])
            assert across <= 0.5 or down <= 1, (one, other)


def test_a_difference_stands_apart_from_the_widest_interval():
    rows = [figures.Difference("A", -1.0, -1.0, 1.0, runs=[-1.0], arm="a", sampling="shuffle")]
    panel, _ = figures.differences([figures.DifferencesPanel("A", rows)]).panels
    found = {entry[-1]: box(*entry) for entry in texts(panel)}
    assert found["−100.0 to +100.0"][0] - found["−100.0"][2] > 6


def test_epochs_on_generated_images_are_told_from_those_on_real_ones():
    def words(**options):
        drawn = figures.learning_curves([GROWING], best_epoch=3, **options).panels[0]
        return {entry[-1] for entry in texts(drawn)} & {"real images", "generated images"}

    assert words(pretraining=2)
    assert not words()


@pytest.mark.parametrize("label", ["A", "Conditional VAE (weighted)", "Copies of all the training images (weighted)"])
@pytest.mark.parametrize("effect", [0.01, 0.3, 0.9])
def test_the_unit_of_an_axis_stands_apart_from_its_first_number(label, effect):
    rows = [
        figures.Difference(name, at, at - 0.05, at + 0.05, runs=[at], arm=name, sampling="shuffle")
        for name, at in ((label, effect), ("B", -effect))
    ]
    panel, _ = figures.differences([figures.DifferencesPanel("A", rows)]).panels
    last = max(entry[1] for entry in texts(panel))
    line = sorted((box(*entry), entry[-1]) for entry in texts(panel) if entry[1] == last)
    assert (line[0][1], line[-1][1]) == ("points", "95 % interval")
    assert all(b[0] - a[2] > 3 for (a, _), (b, _) in itertools.pairwise(line))


@every_drawing
def test_text_is_readable_on_a_phone(name):
    for text in DRAWN[name][0]().panels:
        assert float(parse(text).get("viewBox").split()[2]) == 360  # a phone's width, so sizes are CSS pixels there
        assert min(size for _, _, size, _, _ in texts(text)) >= 10


@every_drawing
def test_every_color_has_its_light_value_and_a_custom_property(name):
    text = DRAWN[name][0]().svg
    for word, color, value in re.findall(r'class="ma-([fs])-([a-z-]+)" (?:fill|stroke)="(#\w+)"', text):
        assert value == palette.COLORS[color][0]
        assert f".ma-{word}-{color}{{" in text
        assert f"var(--ma-{color}," in text
        assert f"--ma-{color}:{palette.COLORS[color][1]}" in text


@every_drawing
def test_the_function_that_made_it_is_found_under_its_name(name):
    module, _, function = DRAWN[name][0]().made_by.rpartition(".")
    assert callable(getattr(importlib.import_module(module), function))


def test_every_public_function_is_drawn_here():
    pictures = {"montage", "class_montage", "pairs", "small_picture", "twins"}
    functions = {name for name in figures.__all__ if name[0].islower()} - pictures
    assert functions <= set(DRAWN)


@pytest.mark.parametrize("kind", ["cvae", "cgan", "flow"])
def test_a_generator_of_findings_is_drawn_without_a_class(kind):
    words = " ".join(words for *_, words in texts(DRAWN[f"{kind}_diagram_of_findings"][0]().svg))
    assert "findings y any of 14" in words
    assert "an image of findings y" in words
    assert "class" not in words.lower()
    assert ("projection on the findings" in words) is (kind == "cgan")


# --- single figures --------------------------------------------------------------------------------


def test_an_interval_outside_the_plot_ends_in_an_arrow_and_its_numbers_stay_whole():
    assert "−90.0 to +50.0" in forest().panels[0]
    low, high = figures.charts.plot_range([(0.84, 0.83, 0.85), (0.86, 0.2, 1.0)], least=0.02, ends=(0, 1))
    assert 0.5 < low < 0.83
    assert 0.86 < high <= 1


def test_an_arm_without_a_value_has_a_row_that_says_why():
    panel = differences().panels[1]
    assert [words for *_, words in texts(panel)].count("not run") == 1
    assert GEOMETRIC in panel


def test_one_replicate_has_no_interval():
    words = [entry[-1] for entry in texts(differences().panels[0])]
    assert words.count("no interval") == 1


def test_every_run_is_a_dot_at_its_difference_on_an_axis_that_all_panels_share():
    rows = [figures.Difference("A", 0.0, -0.1, 0.1, runs=[-0.1, 0.0, 0.1], arm="a", sampling="shuffle")]
    other = [figures.Difference("A", 0.3, 0.2, 0.4, runs=[0.0, 0.6], arm="a", sampling="shuffle")]
    drawn = figures.differences([figures.DifferencesPanel("one", rows), figures.DifferencesPanel("two", other)])
    xs = [[float(x) for x in re.findall(r"M([\d.]+) [\d.]+h0", panel)] for panel in drawn.panels[:2]]
    assert [len(x) for x in xs] == [3, 2]
    (a, zero, b), (same, far) = xs
    assert zero == same
    assert b - zero == pytest.approx(zero - a, abs=0.02)
    assert far - zero == pytest.approx(6 * (b - zero), abs=0.1)


def test_lines_for_the_majority_and_for_copies_are_named_and_look_different():
    rows = [figures.Difference("Copies", 0.01, 0.0, 0.02, control=True, arm="c", sampling="shuffle")]
    panel, legend = figures.differences([figures.DifferencesPanel("one", rows, majority=-0.001)]).panels
    words = [entry[-1] for entry in texts(legend)]
    assert {"always naming the largest class", "the mean of copies of real images"} <= set(words)
    assert "control: copies" in [entry[-1] for entry in texts(panel)]
    for board in (panel, legend):
        assert set(re.findall(r'stroke-dasharray="([^"]+)"', board)) == {"1 3", "5 3"}
    _, far = figures.differences([figures.DifferencesPanel("one", rows, majority=-0.9)]).panels
    assert "always naming the largest class" not in [entry[-1] for entry in texts(far)]


def test_a_row_of_fewer_replicates_than_others_says_of_how_many_and_alike_ones_do_not():
    def below(*numbers: int) -> list[str]:
        rows = [
            figures.Difference("A", 0.01, runs=[0.01] * n, arm="a", sampling="shuffle", control=n == 2) for n in numbers
        ]
        panels = [figures.DifferencesPanel(str(i), [row]) for i, row in enumerate(rows)]
        return [
            words for panel in figures.differences(panels).panels[:-1] for *_, words in texts(panel) if "n =" in words
        ]

    assert below(5, 3, 2, 5) == ["n = 3", "control, n = 2"]
    assert below(3, 3) == below(2, 2) == below(0, 3) == []


@pytest.mark.parametrize("low", [-0.06, -0.5, -0.0021])
def test_an_axis_never_has_0_as_its_only_number(low):
    for width in (40, 60, 90):
        words = [text for _, text in charts.axis_values(svg.Scale(low, 0.3 * -low, 0, width), signed=True) if text]
        assert len(words) > 1, words


WIDE, ARROW = [(-0.02, -0.03, -0.01), (0.3, 0.29, 0.31), (0.0, -1.0, 1.0)], "goes on beyond the axis"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{}], {"mean over replicates, shuffled batches"}),
        ([{"sampling": "weighted"}], {"mean over replicates, weighted batches"}),
        ([{"runs": [0.01]}], {"mean over replicates, shuffled batches", "one replicate"}),
        ([{"low": 0.0, "high": 0.02}], {"mean over replicates, shuffled batches", "its 95 % interval"}),
        (
            [{"effect": e, "low": low, "high": high} for e, low, high in WIDE],
            {"mean over replicates, shuffled batches", "its 95 % interval", ARROW},
        ),
        ([{"low": 0.0, "high": 0.02, "mean": True}], {"mean over data sets, as wide as its 95 % interval"}),
        (
            [{"verdict": "better"}, {"verdict": "worse"}, {"verdict": "not distinguishable"}],
            {"mean over replicates, shuffled batches", "better, by the corrected test", "worse, by the corrected test"},
        ),
        ([{"effect": None}], set()),
    ],
)
def test_the_legend_of_differences_names_the_marks_that_there_are_and_no_other(rows, words):
    whole = [figures.Difference("A", **{"effect": 0.01, "arm": "a", "sampling": "shuffle", **row}) for row in rows]
    drawn = figures.differences([figures.DifferencesPanel("one", whole)])
    assert {entry[-1] for panel in drawn.panels[1:] for entry in texts(panel)} - {"▲", "▼"} == words


def test_a_row_of_differences_has_its_mark_interval_and_lines_where_the_values_lie():
    """Places on the axis are known from the dots of the runs."""
    rows = [
        figures.Difference("A", 0.2, 0.15, 0.3, runs=[0.3, 0.1], arm="a", sampling="weighted"),
        figures.Difference("B", 0.1, arm="b", sampling="shuffle"),
        figures.Difference("C", 0.05, 0.04, 0.06, control=True, arm="c", sampling="shuffle"),
    ]
    arms = ("other", "b", "c", "a")
    panels = [figures.DifferencesPanel("one", rows, majority=0.02)]
    drawn = figures.differences(panels, arms=arms)
    styles = palette.arm_styles(arms)
    assert "+20.0, 95 % interval +15.0 to +30.0; 2 runs: +30.0, +10.0;" in drawn.alt
    root = parse(drawn.panels[0])
    high, low = (float(x) for x in re.findall(r"M([\d.]+) [\d.]+h0", drawn.panels[0]))

    def at(value):
        return pytest.approx(low + (value - 0.1) / 0.2 * (high - low), abs=0.05)

    lines = [{**line.attrib} for line in root.iter(f"{SVG}line")]
    upright = {
        (line["class"], line.get("stroke-dasharray")): float(line["x1"]) for line in lines if line["x1"] == line["x2"]
    }
    assert upright["ma-s-ink", None] == at(0)
    assert upright["ma-s-ink", "1 3"] == at(0.02)
    assert upright["ma-s-muted", "5 3"] == at(0.05)
    spans = {line["class"]: (float(line["x1"]), float(line["x2"])) for line in lines if line["y1"] == line["y2"]}
    assert spans[f"ma-s-{styles['a'].color}"] == (at(0.15), at(0.3))
    assert f"ma-s-{styles['b'].color}" not in spans
    marks = {p.find(f"{SVG}title").text[0]: p for p in root.iter(f"{SVG}path") if p.find(f"{SVG}title") is not None}
    for row in rows:
        mark = marks[row.label]
        xs = [float(x) for x in re.findall(r"[ML]([\d.]+) ", mark.get("d"))]
        assert (min(xs) + max(xs)) / 2 == at(row.effect)
        color = styles[row.arm].color
        assert mark.get("stroke") == palette.COLORS[color][0]
        assert mark.get("fill") == palette.COLORS[color if row.sampling == "weighted" else "page"][0]


def test_a_line_for_copies_is_drawn_where_one_arm_adds_them_and_zero_is_on_every_axis():
    one = figures.Difference("A", 0.5, 0.49, 0.51, arm="a", sampling="shuffle")
    for rows, there in (([one], 0), ([replace(one, control=True)], 1), ([replace(one, control=True)] * 2, 0)):
        panel, *_ = figures.differences([figures.DifferencesPanel("one", rows)]).panels
        assert panel.count('stroke-dasharray="5 3"') == there
        left = float(re.search(r'<line x1="([-\d.]+)"[^>]*class="ma-s-ink"', panel)[1])
        marks = [float(x) for x in re.findall(r'd="M([\d.]+) [\d.]+a', panel)]
        assert svg.text_width("A", svg.SMALL) < left < min(marks)


def test_names_cannot_break_a_drawing():
    rows = [figures.Difference("</svg>&", 0.5, arm="a", sampling="shuffle")]
    figure = figures.differences([figures.DifferencesPanel('<b> & "c"', rows)])
    assert '<b> & "c"' in parse(figure.svg).get("aria-label")


def test_the_axes_of_a_confusion_matrix_have_the_names_of_classes_where_those_fit_and_else_their_numbers():
    few = figures.confusion_matrix([[40, 2], [9, 105]], ["malignant", "normal, benign"])
    texts = re.findall(r">([^<>]+)</text>", few.svg)
    assert texts.count("malignant") == texts.count("normal, benign") == 3  # both axes, and the lines below
    assert not {"0", "1"} & {*texts}
    many = re.findall(r">([^<>]+)</text>", large_confusion().svg)
    assert all(many.count(str(k)) >= 3 for k in range(11))


def test_a_confusion_matrix_of_another_size_is_an_error():
    with pytest.raises(ValueError, match="2 x 2 numbers"):
        figures.confusion_matrix([[1, 2]], ["a", "b"])


def test_an_unknown_state_is_an_error():
    with pytest.raises(ValueError, match="not a state: finished"):
        figures.progress({"finished": 3})


def test_the_parts_of_a_progress_bar_fill_it_and_rare_ones_are_seen():
    widths = figures.charts._bar_widths([10_000, 1, 1])
    assert sum(widths) == pytest.approx(360)
    assert min(widths) >= 3


def test_a_bar_joins_the_arms_of_a_group_wherever_they_stand_in_the_list():
    ranked = [figures.Ranked(arm, "shuffle", arm.upper(), rank) for arm, rank in (("b", 3.0), ("a", 1.0), ("c", 3.5))]
    drawn = figures.critical_difference(ranked, difference=1.0, groups=[(0, 2)], datasets=4)
    assert drawn.alt.endswith("Not distinguishable: B, C.")
    assert drawn.panels[0].count("not distinguishable: ") == 1


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 5))
def test_ticks_are_inside_evenly_spaced_and_neither_few_nor_many(low, width, count):
    values = svg.ticks(low, low + width, count)
    assert count <= len(values) <= 3 * count
    assert all(low - 1e-6 * width <= v <= low + width * (1 + 1e-6) for v in values)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=80), st.integers(20, 200))
def test_wrapped_text_fits_and_loses_nothing_without_an_ellipsis(text, width):
    lines = svg.wrap(text, width, 11, 2)
    assert len(lines) <= 2
    assert all(svg.text_width(line, 11) <= width for line in lines)
    if not any(line.endswith("…") for line in lines):
        assert "".join("".join(lines).split()) == "".join(text.split())


NAMES = st.lists(st.text("abcM()-_/", min_size=1, max_size=24), min_size=1, max_size=5).map(" ".join)


@given(NAMES, st.integers(60, 200))
def test_names_break_at_spaces_alone_where_every_word_fits_a_line(name, width):
    words = [word for word in name.split() if svg.text_width(word, 11) <= width]
    assert " ".join(svg.wrap(" ".join(words), width, 11, 99)) == " ".join(words)
    assert all(word in words for line in svg.wrap(" ".join(words), width, 11, 99) for word in line.split())


@pytest.mark.parametrize("name", ["PneumoniaMNIST", "MixUp (weighted)", "Copies (control) (weighted)"])
def test_the_labels_of_a_figure_hold_their_longest_word_whole(name):
    lines = svg.wrap(name, svg.label_width([name]), 11, 3)
    assert " ".join(lines) == name


# --- colors ---------------------------------------------------------------------------------------

_SIGHT = {  # linear-RGB matrices of Machado, Oliveira & Fernandes 2009, severity 1
    "usual": np.eye(3),
    "protanopia": np.array([[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]]),
    "deuteranopia": np.array([[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]]),
    "tritanopia": np.array([[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]]),
}


def linear(color):
    c = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    low, high = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(rgb):
    m = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x = m @ np.clip(rgb, 0, 1) / [0.9505, 1, 1.089]
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_marks_have_a_contrast_of_3_and_text_of_4_and_a_half(scheme):
    colors = {name: pair[scheme] for name, pair in palette.COLORS.items()}
    for ground in ("page", "panel"):
        assert min(contrast(colors[name], colors[ground]) for name in ("ink", "muted")) >= 4.5
        assert min(contrast(colors[name], colors[ground]) for name in palette._SERIES) >= 3


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_numbers_are_readable_on_every_shade_of_a_confusion_matrix(scheme):
    colors = {name: pair[scheme] for name, pair in palette.COLORS.items()}
    for images in range(101):
        opacity = figures.confusion._opacity(images, 100)
        parts = [(int(colors["heat"][i : i + 2], 16), int(colors["page"][i : i + 2], 16)) for i in (1, 3, 5)]
        shade = "#" + "".join(f"{round(opacity * heat + (1 - opacity) * paper):02x}" for heat, paper in parts)
        assert contrast(colors["ink"], shade) >= 4.5, images


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("sight", _SIGHT)
def test_the_colors_of_the_arms_differ_for_every_kind_of_sight(sight, scheme):
    seen = [lab(_SIGHT[sight] @ linear(palette.COLORS[name][scheme])) for name in palette._SERIES]
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)) >= 20


def test_an_arm_looks_the_same_whatever_arms_follow():
    few, many = palette.arm_styles(["x", "cgan"]), palette.arm_styles(["x", "cgan", "baseline", "y"])
    assert few["cgan"] == many["cgan"]
    assert len(set(palette.arm_styles([f"arm-{i}" for i in range(40)]).values())) == 40


def test_the_style_sheet_has_every_color_twice():
    for name, (light, dark) in palette.COLORS.items():
        assert f"--ma-{name}:{light}" in palette.css()
        assert f"--ma-{name}:{dark}" in palette.css()


# --- pictures --------------------------------------------------------------------------------------


def pixels(figure):
    return np.asarray(Image.open(io.BytesIO(figure.png)))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_montage_has_every_pixel_at_its_place_enlarged(channels, random_images):
    images = random_images(6, channels)
    shown = pixels(figures.montage(images, columns=3, what="images"))
    assert shown.shape[:2] == (2 * 28 * 2, 3 * 28 * 2)
    shown = shown.reshape(*shown.shape[:2], channels)
    second_row_first = shown[56:112, 0:56]
    np.testing.assert_array_equal(second_row_first, images[3].repeat(2, axis=0).repeat(2, axis=1))


def test_places_without_an_image_are_transparent(random_images):
    shown = pixels(figures.montage(random_images(4, 3), columns=3, what="images"))
    assert shown.shape == (112, 168, 4)
    assert (shown[56:, 56:, 3] == 0).all()
    assert (shown[:56, :, 3] == 255).all()


@pytest.mark.parametrize("size", [16, 28, 64, 128, 224, 512])
def test_images_of_any_size_have_about_the_same_place_on_a_page(size):
    """Between half and all of the room; what is larger is averaged, so that it looks like the image."""
    images = np.full((20, size, size, 1), 90, np.uint8)
    images[:, : size // 2] = 30
    pictures = {
        "montage": (figures.montage(images, columns=20, what="images"), 20 * 64),
        "pairs": (figures.pairs([figures.Pair(*images[:3])] * 3, what="a"), 2 * (4 * 132 - 4) + 40),
    }
    for name, (figure, room) in pictures.items():
        shown = pixels(figure)
        assert room / 2 < shown.shape[1] <= room, (name, shown.shape)
    first = pixels(pictures["montage"][0])
    side = first.shape[1] // 20
    assert (first[: side // 2, :side] == 30).all()
    assert (first[side // 2 : side, :side] == 90).all()
    assert f"{size} by {size} pixels" in pictures["montage"][0].alt


def test_a_sheet_has_a_block_for_each_class_and_sheets_of_the_same_classes_are_level():
    black, white = np.zeros((8, 28, 28, 3), np.uint8), np.full((5, 28, 28, 3), 255, np.uint8)
    sheet = figures.class_montage([figures.ClassRow(LONG, black), figures.ClassRow("debris", white)], what="Cond. GAN")
    shown = pixels(sheet)
    for color, images in ((0, 8), (255, 5)):
        here = (shown[..., :3] == color).all(axis=-1) & (shown[..., 3] == 255)
        assert here.sum() == images * 168 * 168
    other = figures.class_montage([figures.ClassRow("a", black), figures.ClassRow("b", white[:0])], what="Real")
    assert pixels(other).shape == shown.shape
    assert f"{LONG} (8), debris (5)" in sheet.alt


@pytest.mark.parametrize("side", [16, 28, 64, 128, 224])
def test_an_image_of_a_sheet_is_at_least_84_pixels_large_on_a_page(side):
    rows = [figures.ClassRow("a", np.full((4, side, side, 1), 255, np.uint8))]
    sheet = figures.class_montage(rows, what="Real")
    assert sheet.size[0] >= 4 * 84
    white = (pixels(sheet)[..., :3] == 255).all(axis=-1).sum()
    assert 4 * (2 * 84) ** 2 <= white <= 4 * (2 * 168) ** 2


def test_pairs_show_their_three_images_and_say_their_captions(random_images):
    images = random_images(10, 1)
    figure = figures.pairs([figures.Pair(*images[i : i + 3], f"distance 0.{i}") for i in range(5)], what="Pairs")
    for place, image in zip((0, 1, 3), images[:3], strict=True):
        np.testing.assert_array_equal(first_pair(figure)[place][..., 0], image[..., 0])
    assert "distance 0.4" in figure.alt


def first_pair(figure):
    """The four pictures of the first pair of 28 x 28 pixels, (4, 28, 28, 4)."""
    shown = pixels(figure)
    return np.stack([shown[: 4 * 28 : 4, 116 * place : 116 * place + 4 * 28 : 4] for place in range(4)])


def test_the_difference_of_a_pair_is_black_for_a_copy_and_otherwise_the_distance_of_every_pixel_times_the_factor():
    train = np.full((28, 28, 3), 100, np.uint8)
    other = train.copy()
    other[0, 0], other[1, 1, 2], other[2, 2] = 97, 110, 200  # the last is more than white
    copy, apart = (first_pair(figures.pairs([figures.Pair(train, x, train)], what="Pairs"))[2] for x in (train, other))
    assert not copy[..., :3].any()
    expected = np.zeros((28, 28, 3), int)
    expected[0, 0], expected[1, 1, 2], expected[2, 2] = 3 * figures.CONTRAST, 10 * figures.CONTRAST, 255
    np.testing.assert_array_equal(apart[..., :3], expected)
    assert f"times {figures.CONTRAST}" in figures.pairs([figures.Pair(train, other, train)], what="Pairs").alt


def test_a_map_of_three_times_200_images_in_nine_classes_is_small():
    rng = np.random.default_rng(0)
    origins = {
        kind: figures.Origin(*rng.normal(size=(2, 200)).tolist(), [i % 9 for i in range(200)])
        for kind in ("train", "test", "synthetic")
    }
    drawn = figures.feature_map(origins, variance=[0.4, 0.2], classes=[LONG] * 9, what="images")
    assert len(drawn.svg) < 40_000
    assert len(drawn.html) < 60_000  # each panel has its own colors


def test_on_a_map_every_origin_has_a_sign_and_a_color_of_its_own_and_each_image_its_sign_where_it_lies():
    panel = parse(feature_map().panels[0])
    drawn = [path for path in panel.iter("{http://www.w3.org/2000/svg}path") if path.get("d").count("M") > 1]
    assert [path.get("d").count("M") for path in drawn] == [3, 2]  # training and synthetic images of the first class
    signs = {re.sub(r"M[-\d.]+ [-\d.]+", "M", path.get("d")).split("M")[1] for path in drawn}
    assert len(signs) == len({path.get("stroke") for path in drawn}) == 2
    places = [[(float(x), float(y)) for x, y in re.findall(r"M([-\d.]+) ([-\d.]+)", path.get("d"))] for path in drawn]
    (a, b, c), (same_x, _) = places
    assert a[0] == same_x[0] != b[0]  # x = 0 of both
    assert c[0] < a[0] < b[0]
    assert c[1] > a[1] == b[1]  # up is smaller


def test_every_image_of_a_map_lies_inside_its_frame_and_all_in_one_place_in_the_middle():
    one, far = figures.Origin([0.0], [0.0], [0]), figures.Origin([-9.0, 50.0], [40.0, -7.0], [0, 0])
    for made, width in ((far, svg.WIDTH - 8), (one, 0)):
        origins = {"train": one, "test": one, "synthetic": made}
        drawn = figures.feature_map(origins, variance=[0.62, 0.2], classes=["a"], what="images").panels[0]
        frame = {key: float(parse(drawn).find(f"{SVG}rect").get(key)) for key in ("x", "y", "width", "height")}
        # a sign of the legend lies below the frame
        signs = [(float(x), float(y)) for x, y in re.findall(r"M([-\d.]+) ([-\d.]+)(?:h0|m)", drawn)]
        signs = [(x, y) for x, y in signs if y < frame["y"] + frame["height"]]
        xs, ys = zip(*signs, strict=True)
        assert len(signs) == 2 + len(made.x)
        assert frame["x"] < min(xs) <= max(xs) < frame["x"] + frame["width"]
        assert frame["y"] < min(ys)
        assert max(xs) - min(xs) == pytest.approx(width, rel=0.1)
        if made is far:
            zero, _, left, right = xs
            assert (zero - left) / (right - left) == pytest.approx(9 / 59, abs=0.01)
        else:
            middle = (frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
            assert signs[0] == pytest.approx(middle, abs=1)
        words = [entry[-1] for entry in texts(drawn)]
        assert any("component 1 (62 %" in said for said in words)
        assert any("component 2 (20 %" in said for said in words)


def test_the_legend_of_a_map_counts_the_images_of_its_own_class():
    words = [entry[-1] for entry in texts(feature_map().panels[0])]
    assert {"training (3)", "test (0)", "synthetic (2)"} <= set(words)
    with pytest.raises(ValueError, match="shorter"):
        figures.feature_map(
            dict.fromkeys(("train", "test", "synthetic"), figures.Origin([0.0], [0.0], [])),
            variance=[1, 0],
            classes=["a"],
            what="images",
        )


def test_pictures_are_the_same_bytes_each_time_and_have_a_size(random_images):
    make = {
        "montage": lambda: figures.montage(random_images(4, 3), what="images"),
        "pairs": lambda: figures.pairs([figures.Pair(*random_images(3, 3))], what="Pairs"),
        "class_montage": lambda: figures.class_montage([figures.ClassRow("a", random_images(2, 1))], what="x"),
    }
    for name, function in make.items():
        figure = function()
        assert figure == function()
        assert figure.svg is None
        assert figure.html == ""
        assert min(figure.size) > 0
        assert figure.made_by.endswith(f".{name}")


def test_images_of_another_kind_are_an_error():
    with pytest.raises(ValueError, match="uint8"):
        figures.montage(np.zeros((2, 28, 28, 1)), what="images")


@pytest.fixture
def random_images():
    return lambda n, channels: np.random.default_rng(n).integers(0, 256, (n, 28, 28, channels), dtype=np.uint8)


def test_a_component_that_is_almost_nothing_still_has_a_bar_that_can_be_drawn():
    """Once a share below a third of a percent gave a width below 0, which browsers refuse."""
    for tiny in (1e-12, 1e-7, 1e-5):
        drawn = figures.variance_components([figures.VarianceRow("a", tiny, tiny, 0.01)])
        widths = re.findall(r'<rect[^>]* width="([^"]+)"', drawn.svg)
        assert len(widths) > 3
        assert all(float(width) > 0 for width in widths)


def test_vectors_between_two_stages_of_the_same_maps_are_drawn_with_them_and_no_others_are():
    def layer(kind, *shape, parameters=0):
        return figures.Layer("", kind, (None, *shape), parameters)

    beside = [
        layer("Dense", 16, parameters=5),
        layer("Conv2D", 14, 14, 8, parameters=7),
        layer("Dense", 8, parameters=20),
        layer("Reshape", 1, 1, 8),
        layer("Multiply", 14, 14, 8),
        layer("Dense", 8, parameters=300),
        layer("Conv2D", 14, 14, 8, parameters=4000),
    ]
    after = [
        layer("Conv2D", 7, 7, 8, parameters=1),
        layer("Dense", 8, parameters=2),
        layer("Conv2DTranspose", 14, 14, 8, parameters=3),
    ]
    drawn = figures.network_diagram([*beside, *after], title="U-Net")
    assert drawn.alt.partition("output: ")[2] == (
        "16 (Dense, 5 parameters); 14 × 14 × 8 (Conv, Dense, Reshape, Multiply, 4,327 parameters); "
        "7 × 7 × 8 (Conv, 1 parameters); 8 (Dense, 2 parameters); 14 × 14 × 8 (ConvT, 3 parameters). "
        "4,338 parameters in all."
    )


def test_a_learning_rate_that_changes_has_a_panel_and_another_has_none():
    history = {"accuracy": [0.5, 0.6], "val_accuracy": [0.5, 0.6], "auc": [0.5, 0.6], "val_auc": [0.5, 0.6]}
    plain = figures.learning_curves([history], best_epoch=1)
    falling = figures.learning_curves([history | {"learning_rate": [0.001, 0.00025]}], best_epoch=1)
    assert "Learning rate" not in plain.alt
    assert falling.alt.startswith(plain.alt)
    assert "Learning rate: 2 epochs" in falling.alt
    assert "last step from 0.0010 at epoch 1 to 0.00025 at epoch 2" in falling.alt


def test_no_two_arms_of_the_learning_curves_look_alike_without_color():
    arms = [f"arm {i}" for i in range(14)]
    history = {"accuracy": [0.5, 0.6], "val_accuracy": [0.5, 0.6]}
    found = [figures.ArmCurves(arm, s, f"{arm}, {s}", [history]) for arm in arms for s in ("shuffle", "weighted")]
    legend = figures.arms_curves(found).panels[0]
    lines = re.findall(r"<line [^>]*?/>", legend)
    marks = re.findall(r"<path [^>]*?/>", legend)
    assert len(lines) == len(marks) == len(found)
    looks = []
    for line, mark in zip(lines, marks, strict=True):
        dash = re.search(r'stroke-dasharray="([^"]*)"', line)
        shape = re.sub(r"M[-\d. ]+", "", re.search(r' d="([^"]*)"', mark)[1])
        corners = shape.count("L") or shape.count("a")
        turned = re.findall(r"[-\d.]+", shape.partition("L")[2])[:2]  # triangle and down have as many corners
        place = float(re.search(r' y1="([\d.]+)"', line)[1])
        looks.append(
            (dash and dash[1], corners, [round(float(turned[1]) - place, 1)] if turned else [], "ma-f-page" in mark)
        )
    assert len({repr(look) for look in looks}) == len(found)


def test_a_mark_of_the_learning_curves_says_the_mean_and_the_range_of_its_runs():
    title = re.findall(r"<title>(No augmentation, epoch 2[^<]*)</title>", curves_of_arms().svg)
    assert set(title) >= {"No augmentation, epoch 2: 75.00, from 60.00 to 90.00 in 2 runs"}


def columns(panel):
    """Epoch → where a panel's invisible column of it begins: half an epoch before it, the first at the axis."""
    found = re.findall(r'<rect x="([\d.]+)"[^>]*><title>epoch (\d+): ', panel)
    return {int(epoch): float(x) for x, epoch in found}


@pytest.mark.parametrize("first", [1, 2, 3])
def test_epochs_on_generated_images_are_shaded_up_to_the_first_on_real_ones(first):
    plain = figures.learning_curves([GROWING], best_epoch=4)
    marked = figures.learning_curves([GROWING], best_epoch=4, pretraining=first)
    assert "generated" not in plain.svg
    for before, panel in zip(plain.panels, marked.panels, strict=True):
        ends = columns(before)
        (new,) = set(re.findall(r"<rect [^>]*>", panel)) - set(re.findall(r"<rect [^>]*>", before))
        left, width = (float(re.search(rf' {name}="([\d.]+)"', new)[1]) for name in ("x", "width"))
        assert left == pytest.approx(ends[1], abs=0.2)
        assert left + width == pytest.approx(ends[first + 1], abs=0.2)
        assert ("generated images</text>" in panel) is (first == 3)
        assert ("real images</text>" in panel) is (first < 3)


def test_an_arm_that_pretrains_has_a_line_where_its_real_images_begin_and_no_other_has():
    found = [
        figures.ArmCurves("a", "shuffle", "All real", [GROWING]),
        figures.ArmCurves("b", "shuffle", "Synthetic first", [GROWING], pretraining=2),
    ]
    drawn = figures.arms_curves(found, arms=["a", "b"])
    for panel in drawn.panels[1:]:
        (x, words), *more = re.findall(r'<line x1="([\d.]+)"[^>]*><title>([^<]*real images[^<]*)</title>', panel)
        assert not more
        assert words == "Synthetic first: real images from epoch 3 on"
        (group, *_) = re.findall(r'<g data-arm="b.shuffle">(.*?)</g>', panel, re.DOTALL)
        (places,) = re.findall(r' d="M([-\d. L]*)"', group)
        across = [float(point.split()[0]) for point in places.split("L")]
        assert len(across) == 4
        assert float(x) == pytest.approx((across[1] + across[2]) / 2, abs=0.2)
    assert drawn.alt.count("real images from epoch 3 on") == 4
    assert "All real from 50.00 at epoch 1 to 80.00 at epoch 4, highest 80.00 at epoch 4;" in drawn.alt


def test_forecasts_lie_where_their_fractions_are_and_bars_go_from_the_lowest_to_the_highest_replicate():
    """Places are known from the diagonal, which goes from the lower left to the upper right."""
    points = [(0.0, 0.0, 0.0, 0.0), (0.5, 0.8, 0.7, 0.95), (1.0, 0.9, 0.85, 1.0)]
    found = [
        figures.ArmLines("a", "weighted", "A", {"roc": points}, 2),
        figures.ArmLines("b", "shuffle", "B", {"roc": [(0.2, 0.4, 0.4, 0.4)]}, 1),
    ]
    panels = [
        figures.ForecastPanel("roc", "ROC", "false positive rate", "sensitivity", diagonal=True),
        figures.ForecastPanel("precision", "Precision", "recall", "precision"),
    ]
    drawn = figures.forecasts(found, panels, arms=("other", "b", "a"))
    styles = palette.arm_styles(("other", "b", "a"))
    _, panel = drawn.panels  # the names of arms, and the only panel with a line
    root = parse(panel)
    (diagonal,) = (line for line in root.iter(f"{SVG}line") if line.get("stroke-dasharray") == "1 3")
    x0, y0, x1, y1 = (float(diagonal.get(end)) for end in ("x1", "y1", "x2", "y2"))
    assert x0 < x1
    assert y0 > y1

    def at(x, y):
        return pytest.approx((x0 + x * (x1 - x0), y0 + y * (y1 - y0)), abs=0.02)

    groups = {}
    for group in root.iter(f"{SVG}g"):
        groups.setdefault(group.get("data-arm"), []).extend(group)
    for one in found:
        line, *marks = (part for part in groups[f"{one.arm}.{one.sampling}"] if part.tag == f"{SVG}path")
        places = [tuple(map(float, place.split())) for place in line.get("d")[1:].split("L")]
        assert places == [at(x, y) for x, y, _, _ in one.lines["roc"]]
        assert line.get("stroke") == palette.COLORS[styles[one.arm].color][0]
        fill = palette.COLORS[styles[one.arm].color if one.sampling == "weighted" else "page"][0]
        assert {mark.get("fill") for mark in marks} == {fill}
        bars = [part for part in groups[f"{one.arm}.{one.sampling}"] if part.tag == f"{SVG}line"]
        ends = [tuple(float(bar.get(end)) for end in ("x1", "y1", "x2", "y2")) for bar in bars]
        marked = one.lines["roc"] if one.replicates > 1 else []
        assert [end[:2] for end in ends] == [at(x, low) for x, _, low, _ in marked]
        assert [end[2:] for end in ends] == [at(x, high) for x, _, _, high in marked]
    titles = {title.text for title in root.iter(f"{SVG}title")}
    assert "A, false positive rate 50.00: sensitivity 80.00, from 70.00 to 95.00 in 2 replicates" in titles
    assert "B, false positive rate 20.00: sensitivity 40.00" in titles


def test_a_diagonal_is_drawn_where_a_panel_compares_with_it_alone():
    line = {"roc": [(0.0, 0.0, 0.0, 0.0)], "precision": [(0.0, 1.0, 1.0, 1.0)]}
    panels = [
        figures.ForecastPanel("roc", "ROC", "false positive rate", "sensitivity", diagonal=True),
        figures.ForecastPanel("precision", "Precision", "recall", "precision"),
    ]
    drawn = figures.forecasts([figures.ArmLines("a", "shuffle", "A", line)], panels)
    assert ['stroke-dasharray="1 3"' in panel for panel in drawn.panels[1:]] == [True, False]


def test_no_two_lines_of_forecasts_look_alike_and_marks_of_two_arms_do_not_hide_each_other():
    points = [(i / 40, i / 40, i / 40, i / 40) for i in range(41)]
    found = [figures.ArmLines(f"arm {i}", "shuffle", f"Arm {i}", {"roc": points}) for i in range(14)]
    drawn = figures.forecasts(found, [figures.ForecastPanel("roc", "ROC", "false positive rate", "sensitivity")])
    root = parse(drawn.panels[1])
    lines = [path for path in root.iter(f"{SVG}path") if path.get("d").count("L") == 40]
    assert len({(line.get("stroke"), line.get("stroke-dasharray")) for line in lines}) == len(found)
    drawn = figures.forecasts(found[:2], [figures.ForecastPanel("roc", "ROC", "false positive rate", "sensitivity")])
    titles = parse(drawn.panels[1]).iter(f"{SVG}title")
    places = [title.text.partition(": ")[0].split(", ") for title in titles]
    of = [{where for arm, where in places if arm == one.label} for one in found[:2]]
    assert [len(where) for where in of] == [5, 5]
    assert not of[0] & of[1]


def drawn_doses(series, **more):
    """The only panel of a figure of doses, and where a difference lies above the baseline on it, in pixels."""
    (panel,) = figures.dose_response([figures.DosePanel("Set", series)], setting="factor", **more).panels
    root = parse(panel)
    level = {
        line.find(f"{SVG}title").text: float(line.get("y1"))
        for line in root.iter(f"{SVG}line")
        if line.find(f"{SVG}title") is not None
    }
    return root, level


def test_doses_lie_at_their_differences_and_values_beside_those_of_the_other_series():
    one = [figures.Dose("A1", 0.02, 0.01, 0.05, value=1), figures.Dose("A2", -0.04, -0.06, 0.0, value=2)]
    other = [figures.Dose("B2", 0.03, value=2), figures.Dose("B1", -0.01, value=1)]
    series = [figures.DoseSeries("a", "weighted", "A", one), figures.DoseSeries("b", "shuffle", "B", other[::-1])]
    root, level = drawn_doses(series, margin=0.05)
    base, high, low = (level[title] for title in ("the baseline", "margin: +5.0", "margin: \N{MINUS SIGN}5.0"))
    assert high < base < low
    assert low - base == pytest.approx(base - high, abs=0.02)

    def at(effect):
        return pytest.approx(base - effect / 0.05 * (base - high), abs=0.03)

    styles = palette.arm_styles(["", "a", "b"])
    assert styles["a"].color != palette.arm_styles(["baseline"])["baseline"].color
    lines = [path for path in root.iter(f"{SVG}path") if path.get("fill") == "none"]
    assert [line.get("stroke") for line in lines] == [palette.COLORS[styles[name].color][0] for name in "ab"]
    assert [line.get("stroke-dasharray") for line in lines] == ["4 3", None]
    places = [[tuple(map(float, place.split())) for place in line.get("d")[1:].split("L")] for line in lines]
    for doses, found in zip((one, other[::-1]), places, strict=True):
        assert [y for _, y in found] == [at(dose.effect) for dose in doses]
    numbers = {
        text.text: float(text.get("x")) for text in root.iter(f"{SVG}text") if text.get("text-anchor") == "middle"
    }
    for number, (a, _), (b, _) in zip("12", *places, strict=True):
        assert (a, b) == pytest.approx((numbers[number] - 4.5, numbers[number] + 4.5), abs=0.02)
    upright = [line for line in root.iter(f"{SVG}line") if line.get("stroke-width") == "2"]
    ends = [[float(line.get(end)) for end in ("x1", "y1", "x2", "y2")] for line in upright]
    assert [end[::2] for end in ends] == [[x, x] for x, _ in places[0]]
    assert [end[1::2] for end in ends] == [[at(0.01), at(0.05)], [at(-0.06), at(0.0)]]
    marks = {
        path.find(f"{SVG}title").text: path for path in root.iter(f"{SVG}path") if path.find(f"{SVG}title") is not None
    }
    assert set(marks) == {
        "A, 1: +2.0, 95 % interval +1.0 to +5.0",
        "A, 2: \N{MINUS SIGN}4.0, 95 % interval \N{MINUS SIGN}6.0 to 0.0",
        "B, 1: \N{MINUS SIGN}1.0, no interval",
        "B, 2: +3.0, no interval",
    }
    for title, mark in marks.items():
        fill = styles["a"].color if title.startswith("A") else "page"
        assert mark.get("fill") == palette.COLORS[fill][0]


def test_the_axis_of_doses_has_zero_and_the_margin_in_it_however_far_they_are():
    far = [figures.DoseSeries("a", "shuffle", "A", [figures.Dose("A", 0.5, value=1), figures.Dose("A", 0.6, value=2)])]
    root, level = drawn_doses(far)
    (line,) = (path for path in root.iter(f"{SVG}path") if path.get("fill") == "none")
    half, more = (float(place.split()[1]) for place in line.get("d")[1:].split("L"))
    assert (level["the baseline"] - half) / (level["the baseline"] - more) == pytest.approx(5 / 6, abs=1e-3)
    near = [figures.DoseSeries("a", "shuffle", "A", [figures.Dose("A", 0.01, value=v) for v in (1, 2)])]
    root, level = drawn_doses(near, margin=0.5)
    (line,) = (path for path in root.iter(f"{SVG}path") if path.get("fill") == "none")
    y = float(line.get("d")[1:].split("L")[0].split()[1])
    assert (level["the baseline"] - y) / (level["the baseline"] - level["margin: +50.0"]) == pytest.approx(
        1 / 50, abs=1e-3
    )


def test_an_interval_of_a_dose_that_leaves_the_plot_ends_in_an_arrow_that_points_outwards():
    def heads(low, high):
        doses = [figures.Dose("A", 0.01, -0.01, 0.03, value=1), figures.Dose("A", 0.0, low, high, value=2)]
        root, _ = drawn_doses([figures.DoseSeries("a", "shuffle", "A", doses)])
        found = [path.get("d")[1:].split("L") for path in root.iter(f"{SVG}path") if path.get("stroke-width") == "2"]
        return [[float(place.split()[1]) for place in wings] for wings in found]

    assert heads(-0.01, 0.02) == []
    ((left, tip, right),) = heads(-1.0, 0.02)
    assert left == right == tip - 5
    ((left, tip, right),) = heads(-0.02, 1.0)
    assert left == right == tip + 5
    assert len(heads(-1.0, 1.0)) == 2


def test_names_beside_average_ranks_are_whole_in_two_lines():
    long = [f"{name} (weighted)" for name in ("No augmentation", "Conditional VAE", "Copies of real images")]
    ranked = [figures.Ranked(str(i), "weighted", name, 1.0 + i) for i, name in enumerate(long)]
    shown = re.sub("<title>[^<]*</title>", "", figures.critical_difference(ranked, difference=1, datasets=3).svg)
    assert "…" not in shown


@given(st.floats(-0.5, 0), st.floats(0.001, 0.5), st.floats(20, 200))
def test_numbers_of_an_axis_never_touch_and_say_where_zero_is(low, high, width):
    board = svg.Board()
    charts.axis(board, svg.Scale(low, high, 100, 100 + width), 0, 10, signed=True, about=3)
    shown = [(float(x), text) for x, text in re.findall(r'<text x="([-\d.]+)"[^>]*>([^<]*)</text>', board.content)]
    ends = [(x - svg.text_width(text, svg.SMALL) / 2, x + svg.text_width(text, svg.SMALL) / 2) for x, text in shown]
    assert all(right < left for (_, right), (left, _) in itertools.pairwise(ends))
    assert "0" in [text.strip("+0.") or "0" for _, text in shown]
