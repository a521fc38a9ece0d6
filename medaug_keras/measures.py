"""What every measure means, for the pages: a table of words, which imports nothing heavy."""

from typing import NamedTuple

HIGHER = "higher is better"
LOWER = "lower is better"


class Measure(NamedTuple):
    """One line of a legend."""

    label: str
    meaning: str
    direction: str
    trap: str


MEASURES: dict[str, Measure] = {
    # Classifiers
    "accuracy": Measure(
        "Accuracy",
        "Share of the test images whose class is predicted.",
        HIGHER,
        "With unequal classes, always naming the largest one already scores its share.",
    ),
    "auc": Measure(
        "AUC",
        "Chance that an image of a class scores higher for that class than an image of another; mean over classes.",
        HIGHER,
        "It judges the order of the scores only: a classifier can rank well and decide badly.",
    ),
    "balanced_accuracy": Measure(
        "Balanced accuracy",
        "Share of the images that are classified correctly, computed for each class and averaged.",
        HIGHER,
        "A class of few images counts as much as a large one, so it is noisier than accuracy.",
    ),
    "macro_f1": Measure(
        "Macro F1",
        "Harmonic mean of precision and recall, computed for each class and averaged.",
        HIGHER,
        "It depends on how common the classes are, so it cannot be compared across data sets.",
    ),
    "least_recall": Measure(
        "Least recall",
        "Recall of the class that is recognized least often.",
        HIGHER,
        "Mostly that of a class with few images, so it is noisy; and the more classes, the lower it is.",
    ),
    # Synthetic images, whole sets
    "kid": Measure(
        "KID-own",
        "Distance between the distributions of synthetic and of real training images; about 0, by chance also a little"
        " below, when they agree.",
        LOWER,
        "It uses features of our own, so it cannot be compared with a published KID. Copies score best.",
    ),
    "kid_real": Measure(
        "KID-own of real test images",
        "The same distance for real test images in the same mix of classes: what unseen real images get.",
        "for comparison",
        "It is above 0 where the test images come from elsewhere than the training images.",
    ),
    "fd": Measure(
        "FD-own",
        "Distance between Gaussians fitted to the features of synthetic and of real images.",
        LOWER,
        "With few images it is large even for perfect ones: read it only beside its floor.",
    ),
    "fd_floor": Measure(
        "Floor of FD-own",
        "The same distance between two sets of real images, as many and in the same mix.",
        "for comparison",
        "It holds for its number of images only; an FD-own near it can still hide copies.",
    ),
    # Synthetic images, class by class
    "precision": Measure(
        "Precision",
        "Share of the synthetic images that lie where real images of their class lie.",
        HIGHER,
        "One real outlier makes a large region count as real; copies score 1.",
    ),
    "recall": Measure(
        "Recall",
        "Share of the real images of a class that lie where its synthetic images lie.",
        HIGHER,
        "Few or scattered synthetic images have wide regions: compare with the real images' value.",
    ),
    "density": Measure(
        "Density",
        "How crowded with real images the places of synthetic images are: in how many real images' neighborhoods one"
        " lies, divided by the number of neighbors that makes a neighborhood; may exceed 1.",
        HIGHER,
        "Blurred, typical images lie in the crowd and score above the real ones.",
    ),
    "coverage": Measure(
        "Coverage",
        "Share of the real images of a class with a synthetic image in their neighborhood.",
        HIGHER,
        "It rises with the number of synthetic images: compare with the real images' value.",
    ),
    "class_consistency": Measure(
        "Class consistency",
        "How often classifiers trained on real images give a synthetic image the class that it was made for.",
        HIGHER,
        "Caricatures of a class can score higher than real test images.",
    ),
    "usefulness": Measure(
        "Train on synthetic, test on real",
        "Accuracy on real test images of a classifier that was trained on synthetic images only.",
        HIGHER,
        "Copies of training images do as well as real ones: read it beside the measures of copying.",
    ),
    # Synthetic images, the source shortcut
    "told_apart": Measure(
        "Told apart",
        "AUC with which a linear classifier tells added images from training images of the same class, on images that"
        " it was not fitted to; 50 % when it cannot.",
        "near 50 % is better",
        "Copies cannot be told apart at all; and a network may see traces that a linear classifier does not.",
    ),
    "class_told": Measure(
        "Class told by the source",
        "How much of an image's class is told by whether the image was added, in the whole training set: the part of"
        " the classes' entropy that it explains.",
        LOWER,
        "It follows from how many images of which class are added, not from how they look. 0 with shares:"
        " proportional.",
    ),
    # Synthetic images, copying
    "nearer_to_train": Measure(
        "Nearer to training images",
        "How often a synthetic image is nearer to a training image than to a test image, with as"
        " many of each; 50 % when nothing is copied.",
        "near 50 % is better",
        "Each comparison uses only some of the training images, so copies of the others stay unseen. Test images from"
        " elsewhere raise it without any copying.",
    ),
    "c_t": Measure(
        "C_T",
        "Are synthetic images nearer to training images than test images are? A z-value: far below"
        " 0 means copying, far above 0 means poor fit.",
        "near 0 is better",
        "Blurred images are near to everything and push it below 0 without any copying.",
    ),
    "copying": Measure(
        "Copies",
        "Synthetic images that are closer to one training image, relative to test images, than nearly all unseen real"
        " images are. Where there are too many of them, the page says copying.",
        LOWER,
        "A few copies among many images stay unseen, above all altered ones: look at the closest pairs.",
    ),
    "identical": Measure(
        "At distance 0 from a training image",
        "Synthetic images that nothing tells from a training image or its mirror image: in pixels, these are identical;"
        " in features or aligned thumbnails, different images can be at distance 0.",
        LOWER,
        "Real test images can do so, too, where a data set holds the same image twice.",
    ),
    "duplicates": Measure(
        "Near-duplicates",
        "Share of the synthetic images that have another one unusually near: nearer than 99 % of as many real images"
        " have their nearest. About 1 % for images as varied as the real ones.",
        "near 1 % is better",
        "Smooth images are nearer to one another than noisy ones without being fewer in kind.",
    ),
    "closest_pairs": Measure(
        "Closest pairs",
        "The synthetic images nearest to a training image, beside it and the nearest test image.",
        "for the eye",
        "Dark and empty images are near to one another: compare with the nearest test image.",
    ),
}
