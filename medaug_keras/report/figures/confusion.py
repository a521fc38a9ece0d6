"""Which classes are taken for which."""

from collections.abc import Sequence

from medaug_keras.report.figures.svg import SMALL, WIDTH, Board, Figure, count, figure, percent, text_width, wrap

_DARK = 0.62  # of the full colour: from here on text is drawn in the colour meant for it


def confusion_matrix(counts: Sequence[Sequence[int]], classes: Sequence[str], *, title: str = "") -> Figure:
    """Figs. 29, 31, ... 43. Rows are true classes, columns predictions; a cell shows row percentage and images.

    `counts` is K x K. Columns have the numbers of the classes; rows below the matrix say names, recall and images.
    """
    K = len(classes)
    if len(counts) != K or any(len(row) != K for row in counts):
        raise ValueError(f"a confusion matrix of {K} classes has {K} x {K} numbers")
    board = Board()
    top = board.heading(title)
    left = 34
    side = (WIDTH - left) / K
    height = min(max(side, 30), 64)
    y = top + 32
    board.text(left + (WIDTH - left) / 2, top + 12, "predicted class", anchor="middle", fill="muted")
    for j in range(K):
        board.text(left + (j + 0.5) * side, top + 27, str(j), anchor="middle", title=classes[j])
    board.text(0, top + 27, "true", fill="muted")
    for i, row in enumerate(counts):
        board.text(left - 8, y + height / 2 + 4, str(i), anchor="end", title=classes[i])
        for j, images in enumerate(row):
            said = f"{classes[i]} taken for {classes[j]}: " if i != j else f"{classes[i]}: "
            _cell(board, left + j * side, y, side, height, images, sum(row), said)
        y += height
    y = _key(board, y + 12, counts, classes)
    board.height = y
    right = sum(counts[i][i] for i in range(K))
    total = sum(map(sum, counts))
    alt = f"{title or 'Confusion matrix'}: {count(right)} of {count(total)} images right. " + " ".join(
        _row_alt(row, i, classes) for i, row in enumerate(counts)
    )
    return figure(confusion_matrix, [board], alt)


def _cell(board: Board, x: float, y: float, side: float, height: float, images: int, total: int, said: str) -> None:
    """One cell: colour for its share of the row, percentage above, images below; a lone 0 where there are none."""
    share = images / total if total else 0.0
    title = f"{said}{count(images)} of {count(total)}, {percent(share, 1)} %" if images else ""
    opacity = round(0.06 + 0.94 * share, 2)
    board.rect(x + 0.5, y + 0.5, side - 1, height - 1, "heat", opacity=opacity, title=title)
    middle, across = y + height / 2, x + side / 2
    if not images:
        board.text(across, middle + 4, "0", anchor="middle", fill="muted")
        return
    fill = "on-heat" if opacity >= _DARK else "ink"
    wide = side >= 40
    size = 13 if wide else SMALL
    board.text(across, middle - 2, percent(share, 1 if wide else 0), size=size, anchor="middle", fill=fill)
    board.text(across, middle + size - 0.5, str(images), size=SMALL if wide else 10, anchor="middle", fill=fill)


def _key(board: Board, y: float, counts: Sequence[Sequence[int]], classes: Sequence[str]) -> float:
    """Number, name, recall and images of each class, a line each; returns the y below."""
    board.text(WIDTH - 62, y + 8, "recall, %", anchor="end", fill="muted")
    board.text(WIDTH, y + 8, "images", anchor="end", fill="muted")
    board.text(34, y + 8, "cells: % of the true class, images", fill="muted")
    y += 14
    for i, name in enumerate(classes):
        total = sum(counts[i])
        recall = percent(counts[i][i] / total, 1) if total else "–"
        board.text(26, y + 11, str(i), anchor="end")
        room = WIDTH - 34 - 62 - text_width("100.0", SMALL) - 8
        names = wrap(name, room, SMALL, 2)
        for k, line in enumerate(names):
            board.text(34, y + 11 + 13 * k, line, title=name)
        board.text(WIDTH - 62, y + 11, recall, anchor="end")
        board.text(WIDTH, y + 11, count(total), anchor="end")
        y += 15 + 13 * (len(names) - 1)
    return y + 2


def _row_alt(row: Sequence[int], i: int, classes: Sequence[str]) -> str:
    total = sum(row)
    if not total:
        return f"{classes[i]}: no images."
    wrong = [(n, j) for j, n in enumerate(row) if j != i and n]
    text = f"{classes[i]}: {count(row[i])} of {count(total)} right ({percent(row[i] / total, 1)} %)"
    if wrong:
        most, j = max(wrong, key=lambda pair: pair[0])
        text += f", most often taken for {classes[j]} ({count(most)})"
    return text + "."
