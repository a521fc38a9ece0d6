"""Which classes are taken for which."""

from collections.abc import Sequence

from medaug_keras.report.figures.svg import SMALL, WIDTH, Board, Figure, figure, num, text_width, wrap
from medaug_keras.report.format import count, percent


def confusion_matrix(counts: Sequence[Sequence[int]], classes: Sequence[str], *, title: str = "") -> Figure:
    """Rows are true classes, columns predictions; a cell shows row percentage and images.

    `counts` is K x K. Both axes have the names of the classes where there is room for them, else their numbers; rows
    below the matrix say names, recall and images.
    """
    K = len(classes)
    if len(counts) != K or any(len(row) != K for row in counts):
        raise ValueError(f"a confusion matrix of {K} classes has {K} x {K} numbers")
    board = Board()
    top = board.heading(title)
    longest = max(text_width(name, SMALL) for name in classes)
    left = max(34.0, longest + 12)
    named = longest <= (WIDTH - left) / K - 6
    left = left if named else 34.0
    labels = classes if named else [str(k) for k in range(K)]
    side = (WIDTH - left) / K
    height = min(max(side, 30), 64)
    y = top + 32
    board.text(left + (WIDTH - left) / 2, top + 12, "predicted class", anchor="middle", fill="muted")
    for j in range(K):
        board.text(left + (j + 0.5) * side, top + 27, labels[j], anchor="middle", title=classes[j])
    board.text(0, top + 27, "true", fill="muted")
    for i in range(K):
        board.text(left - 8, y + (i + 0.5) * height + 4, labels[i], anchor="end", title=classes[i])
    _boxes(board, left, y, side, height, counts, classes)
    _numbers(board, left, y, side, height, counts)
    y += K * height
    y = _key(board, y + 12, counts, classes, numbers=not named)
    board.height = y
    right = sum(counts[i][i] for i in range(K))
    total = sum(map(sum, counts))
    alt = f"{title or 'Confusion matrix'}: {count(right)} of {count(total)} images right. " + " ".join(
        _row_alt(row, i, classes) for i, row in enumerate(counts)
    )
    return figure(confusion_matrix, [board], alt)


def _opacity(images: int, total: int) -> float:
    return round(0.06 + 0.94 * images / total, 2) if total else 0.06


def _boxes(
    board: Board,
    left: float,
    top: float,
    side: float,
    height: float,
    counts: Sequence[Sequence[int]],
    classes: Sequence[str],
) -> None:
    """A box for each cell, colored by its share of the row; the pointer on it shows the whole sentence."""
    board.open(board.paint(fill="heat"))
    for i, row in enumerate(counts):
        for j, images in enumerate(row):
            what = classes[i] if i == j else f"{classes[i]} taken for {classes[j]}"
            title = f"{what}: {count(images)} of {count(sum(row))}, {percent(images / sum(row), 1)} %" if images else ""
            place = f' x="{num(left + j * side + 0.5)}" y="{num(top + i * height + 0.5)}"'
            size = f' width="{num(side - 1)}" height="{num(height - 1)}"'
            board.add("rect", f'{place}{size} fill-opacity="{num(_opacity(images, sum(row)))}"', title)
    board.close()


def _numbers(
    board: Board, left: float, top: float, side: float, height: float, counts: Sequence[Sequence[int]]
) -> None:
    """Percentage above, images below; a lone 0 where there are none. The pointer goes through to the boxes."""
    wide = side >= 40
    large, small = (13, SMALL) if wide else (SMALL, 10)
    board.open(f' text-anchor="middle" pointer-events="none" font-size="{large}"{board.paint(fill="ink")}')
    for i, row in enumerate(counts):
        for j, images in enumerate(row):
            x, middle = num(left + (j + 0.5) * side), top + (i + 0.5) * height
            if not images:
                board.parts.append(f'<text x="{x}" y="{num(middle + 4)}" opacity="0.75">0</text>')
                continue
            share = percent(images / sum(row), 1 if wide else 0)
            board.parts.append(f'<text x="{x}" y="{num(middle - 2)}">{share}</text>')
            lower = num(middle + large - 0.5)
            board.parts.append(f'<text x="{x}" y="{lower}" font-size="{small}">{images}</text>')
    board.close()


def _key(board: Board, y: float, counts: Sequence[Sequence[int]], classes: Sequence[str], *, numbers: bool) -> float:
    """Number (where the axes have it), name, recall and images of each class, a line each; returns the y below."""
    left = 34 if numbers else 0
    board.text(WIDTH - 62, y + 8, "recall, %", anchor="end", fill="muted")
    board.text(WIDTH, y + 8, "images", anchor="end", fill="muted")
    board.text(left, y + 8, "cells: % of the true class, images", fill="muted")
    y += 14
    for i, name in enumerate(classes):
        total = sum(counts[i])
        recall = percent(counts[i][i] / total, 1) if total else "–"
        if numbers:
            board.text(26, y + 11, str(i), anchor="end")
        room = WIDTH - left - 62 - text_width("100.0", SMALL) - 8
        names = wrap(name, room, SMALL, 2)
        for k, line in enumerate(names):
            board.text(left, y + 11 + 13 * k, line, title=name)
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
