"""A small drawing board: text, lines, marks and scales, written as SVG that follows light and dark pages.

Every panel is 360 units wide, the width of a phone, so its text is readable there without zooming; wider pages put
panels side by side. Colors are classes with a custom property behind (`--ma-ink`) and the light color as an
attribute, for programs that know no custom properties. Nothing has an id, so a figure can stand in a page many times.
Matplotlib's SVG has fixed colors, ids, and bytes that change with its version, so this is our own.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from xml.sax.saxutils import escape, quoteattr

from medaug_keras.report.palette import COLORS, ArmStyle, Shape

WIDTH = 360
GAP = 16  # between panels in a file
SMALL, BODY = 11, 12  # font sizes
BOLD = 1.1  # how much wider bold text is
FONT = "Arial, 'Liberation Sans', Helvetica, system-ui, sans-serif"


@dataclass(frozen=True)
class Figure:
    """One figure of the report.

    `svg` is a whole file; `panels` are its parts for a page, where they stack on a phone. `png` is a picture,
    to be shown `size` (width, height) CSS pixels large at most. `alt` says what is seen; `made_by` is the function.
    """

    svg: str | None
    png: bytes | None
    alt: str
    made_by: str
    panels: tuple[str, ...] = ()
    size: tuple[int, int] = (0, 0)

    @property
    def html(self) -> str:
        """The panels for a page; empty for a picture."""
        if not self.panels:
            return ""
        columns = "repeat(auto-fill,minmax(min(100%,330px),1fr))" if len(self.panels) > 1 else "minmax(0,1fr)"
        style = f"display:grid;grid-template-columns:{columns};gap:16px;align-items:start"
        return f'<div class="ma-figure" style="{style}">{"".join(self.panels)}</div>'


def figure(made_by: Callable[..., Figure], boards: Sequence["Board"], alt: str, *, columns: int = 2) -> Figure:
    """The boards as one figure; in the file they stand in `columns`, row by row."""
    if not boards:
        empty = Board(height=24)
        empty.text(0, 16, "nothing to show", fill="muted", italic=True)
        boards, alt = [empty], alt.strip() + " Nothing to show."
    if len(boards) == 1:
        boards[0].alt = alt
    columns = min(columns, len(boards))
    placed, top = [], 0.0
    for start in range(0, len(boards), columns):
        row = boards[start : start + columns]
        for i, board in enumerate(row):
            placed.append(f'<g transform="translate({i * (WIDTH + GAP)} {num(top)})">{board.content}</g>')
        top += max(board.height for board in row) + GAP
    used = set().union(*(board.used for board in boards))
    width, height = columns * (WIDTH + GAP) - GAP, top - GAP
    style = f"width:100%;max-width:{num(width * 1.25)}px"
    whole = _svg("".join(placed), width, height, alt, used, style, margin=8) + "\n"
    return Figure(
        svg=whole,
        png=None,
        alt=alt,
        made_by=f"medaug_keras.report.figures.{made_by.__name__}",
        panels=tuple(board.svg for board in boards),
    )


@dataclass
class Board:
    """A panel in the making. Coordinates grow to the right and down; y of text is its baseline."""

    alt: str = ""
    height: float = 0.0
    parts: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    @property
    def content(self) -> str:
        """Everything drawn so far."""
        return "".join(self.parts)

    @property
    def svg(self) -> str:
        """The panel for a page."""
        return _svg(self.content, WIDTH, self.height, self.alt, self.used, "width:100%;max-width:480px")

    def paint(self, **colors: str | None) -> str:
        """Attributes for fill and stroke by color name."""
        named = {word: name for word, name in colors.items() if name is not None}
        self.used.update(f"{word[0]}-{name}" for word, name in named.items())
        classes = " ".join(f"ma-{word[0]}-{name}" for word, name in named.items())
        return f' class="{classes}"' + "".join(f' {word}="{COLORS[name][0]}"' for word, name in named.items())

    def add(self, tag: str, attributes: str, title: str = "") -> None:
        """One element; `title` is shown when the pointer rests on it."""
        inside = f"<title>{escape(title)}</title>" if title else ""
        self.parts.append(f"<{tag}{attributes}>{inside}</{tag}>" if inside else f"<{tag}{attributes}/>")

    def open(self, attributes: str) -> None:
        """A group begins; what is drawn until `close` has its attributes."""
        self.parts.append(f"<g{attributes}>")

    def close(self) -> None:
        """The group ends."""
        self.parts.append("</g>")

    @staticmethod
    def of_arm(arm: str, sampling: str) -> str:
        """Attributes of a group that shows one arm, by which a page finds it; none where it shows no arm."""
        return f" data-arm={quoteattr(f'{arm}.{sampling}')}" if arm else ""

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = SMALL,
        anchor: str = "start",
        fill: str = "ink",
        bold: bool = False,
        italic: bool = False,
        title: str = "",
    ) -> None:
        """One line of text; `anchor` is start, middle or end."""
        look = "" if size == BODY else f' font-size="{num(size)}"'
        look += "" if anchor == "start" else f' text-anchor="{anchor}"'
        look += ' font-weight="600"' if bold else ""
        look += ' font-style="italic"' if italic else ""
        inside = f"<title>{escape(title)}</title>" if title else ""
        self.parts.append(f'<text x="{num(x)}" y="{num(y)}"{look}{self.paint(fill=fill)}>{inside}{escape(text)}</text>')

    def lines(
        self, x: float, y: float, texts: Sequence[str], *, size: float = SMALL, step: float = 0, **look: object
    ) -> None:
        """Lines of text whose middle is at y."""
        step = step or size + 2
        for i, text in enumerate(texts):
            self.text(x, y + (i - (len(texts) - 1) / 2) * step + size * 0.35, text, size=size, **look)  # type: ignore[arg-type]

    def line(
        self,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        stroke: str,
        *,
        width: float = 1,
        dash: str = "",
        title: str = "",
    ) -> None:
        """A straight line."""
        look = f' stroke-width="{num(width)}"' + (f' stroke-dasharray="{dash}"' if dash else "")
        ends = f' x1="{num(x1)}" y1="{num(y1)}" x2="{num(x2)}" y2="{num(y2)}"'
        self.add("line", ends + self.paint(stroke=stroke) + look, title)

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str | None,
        *,
        stroke: str | None = None,
        opacity: float = 1,
        radius: float = 0,
        title: str = "",
    ) -> None:
        """A box; without `fill` only its outline."""
        look = f' x="{num(x)}" y="{num(y)}" width="{num(width)}" height="{num(height)}"'
        look += f' rx="{num(radius)}"' if radius else ""
        look += "" if opacity == 1 else f' fill-opacity="{num(opacity)}"'
        look += ' fill="none"' if fill is None else ""
        self.add("rect", look + self.paint(fill=fill, stroke=stroke), title)

    def path(
        self,
        d: str,
        *,
        stroke: str | None = None,
        fill: str | None = None,
        width: float = 1,
        dash: str = "",
        title: str = "",
    ) -> None:
        """A path; without `fill` only its line."""
        look = f' d="{d}"' + (' fill="none"' if fill is None else "") + self.paint(fill=fill, stroke=stroke)
        look += f' stroke-width="{num(width)}" stroke-linejoin="round"' if stroke else ""
        look += f' stroke-dasharray="{dash}"' if dash else ""
        self.add("path", look, title)

    def polyline(
        self, points: Iterable[tuple[float, float]], stroke: str, *, width: float = 1.5, dash: str = ""
    ) -> None:
        """Straight lines through points."""
        self.path("M" + "L".join(f"{num(x)} {num(y)}" for x, y in points), stroke=stroke, width=width, dash=dash)

    def mark(self, x: float, y: float, style: ArmStyle, *, filled: bool, radius: float = 4.5, title: str = "") -> None:
        """An arm's mark: hollow or filled."""
        d = outline(style.shape, x, y, radius)
        self.path(d, fill=style.color if filled else "page", stroke=style.color, width=1.75, title=title)

    def dots(self, xs: Iterable[float], y: float, color: str, *, width: float = 3.6) -> None:
        """Small dots in a row, as one path."""
        d = "".join(f"M{num(x)} {num(y)}h0" for x in xs)
        look = f' d="{d}" fill="none" stroke-width="{num(width)}" stroke-linecap="round"'
        self.add("path", look + self.paint(stroke=color))

    def arrow(self, points: Sequence[tuple[float, float]], *, stroke: str = "muted", dash: str = "") -> None:
        """A line through points with a head at its end."""
        (x1, y1), (x2, y2) = points[-2:]
        length = math.hypot(x2 - x1, y2 - y1)
        dx, dy = (x2 - x1) / length, (y2 - y1) / length
        neck = (x2 - 6 * dx, y2 - 6 * dy)
        self.polyline([*points[:-1], neck], stroke, width=1.5, dash=dash)
        wings = [(neck[0] - 3.5 * dy, neck[1] + 3.5 * dx), (x2, y2), (neck[0] + 3.5 * dy, neck[1] - 3.5 * dx)]
        self.path("M" + "L".join(f"{num(x)} {num(y)}" for x, y in wings) + "Z", fill=stroke)

    def heading(self, text: str, note: str = "") -> float:
        """Title on top, and a remark under it; returns the y below."""
        y = 0.0
        for line in wrap(text, WIDTH, 13, 2) if text else []:
            y += 16
            self.text(0, y - 2, line, size=13, bold=True)
        for line in wrap(note, WIDTH, SMALL, 4) if note else []:
            y += 14
            self.text(0, y - 1, line, fill="muted")
        return y + 4 if y else 0.0

    def legend(self, y: float, items: Sequence[tuple[str, Callable[[float, float], None]]]) -> float:
        """Keys in as many lines as needed, each with its sign drawn at (x, y), 16 wide; returns the y below."""
        x = 0.0
        for label, sign in items:
            width = 20 + text_width(label, SMALL) + 12
            if x > 0 and x + width - 12 > WIDTH:
                x, y = 0.0, y + 16
            sign(x, y + 8)
            self.text(x + 20, y + 12, label, fill="muted")
            x += width
        return y + 16

    def swatch(self, color: str) -> Callable[[float, float], None]:
        """A sign for `legend`: a small box."""
        outline = "muted" if color == "rule" else None
        return lambda x, y: self.rect(x + 0.5, y - 5, 14, 10, color, stroke=outline)


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` on pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Pixel of a value, kept inside the ends."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, count: int) -> list[float]:
        """Round values, `count` of them or a few more."""
        return ticks(self.low, self.high, count)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Values 1, 2 or 5 times a power of ten apart, from low to high: the fewest that are at least `count`."""
    power = 10.0 ** math.ceil(math.log10(high - low))
    while True:
        for factor in (1, 0.5, 0.2):
            step = factor * power
            first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            if last - first + 1 >= count:
                return [round(i * step, 12) for i in range(first, last + 1)]
        power /= 10


def tick_decimals(values: Sequence[float]) -> int:
    """Decimals that percentages of these values need."""
    return next((d for d in range(4) if all(abs(round(100 * v, d) - 100 * v) < 1e-6 for v in values)), 4)


def num(value: float) -> str:
    """A coordinate, two decimals at most."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def text_width(text: str, size: float) -> float:
    """Width of a text, at most: that in DejaVu Sans, the widest of the fonts that stand in where Arial is missing.

    Bold text is `BOLD` times as wide.
    """
    return size * sum(_char_width(c) for c in text)


def _char_width(char: str) -> float:
    if char in "iljI' ,.:;|![]":
        return 0.39 if char in "[]!" else 0.34
    if char in "tfr()/-":
        return 0.42
    if char in "mwMW@%—±+−×=≈…▲▼◆":
        return 0.84 if char in "±+−×=≈w▲▼◆" else 1.0
    return 0.76 if char.isupper() else 0.64


def wrap(text: str, width: float, size: float, lines: int) -> list[str]:
    """The text in at most `lines` lines of that width, broken at spaces; what does not fit ends with an ellipsis.

    A word wider than a line may also break after a hyphen, a slash or an underscore.
    """
    done: list[str] = []
    line = ""
    for gap, piece in _pieces(text, width, size):
        longer = f"{line}{gap if line else ''}{piece}"
        if text_width(longer, size) <= width:
            line = longer
        elif len(done) == lines - 1:
            return [*done, _shortened(longer, width, size)]
        else:
            done += [line] if line else []
            line = _shortened(piece, width, size)
    return [*done, line] if line else done


def _pieces(text: str, width: float, size: float) -> Iterable[tuple[str, str]]:
    """What stays together on a line, each with what is between it and the piece before."""
    for word in text.split():
        whole = text_width(word, size) <= width
        for i, piece in enumerate([word] if whole else re.findall(r"[-/_]*[^-/_]+[-/_]*|[-/_]+", word)):
            yield "" if i else " ", piece


def _shortened(text: str, width: float, size: float) -> str:
    """The text if it fits, or as much of it as does, and an ellipsis."""
    if text_width(text, size) <= width:
        return text
    cut = len(text)
    while cut and text_width(text[:cut].rstrip() + "…", size) > width:
        cut -= 1
    return text[:cut].rstrip() + "…"


def label_width(labels: Iterable[str], most: float = 112, longest: float = 150) -> float:
    """Width of a column of labels: `most`, unless a word is wider, which is not broken up to `longest`."""
    labels = list(labels)
    whole = max((text_width(label, SMALL) for label in labels), default=0.0)
    word = max((text_width(word, SMALL) for label in labels for word in label.split()), default=0.0)
    return min(whole, max(most, min(word, longest))) + 2


def sampling_keys(board: "Board", samplings: Iterable[str]) -> list[tuple[str, Callable[[float, float], None]]]:
    """What the filling of marks says, for `Board.legend`: a comma with its words, and its sign."""
    words = {False: ", shuffled batches", True: ", weighted batches"}
    look = ArmStyle("muted", "circle")
    there = {sampling == "weighted" for sampling in samplings}
    return [(words[f], partial(_mark_sign, board, look, f)) for f in sorted(there)]


def _mark_sign(board: "Board", look: ArmStyle, filled: bool, x: float, y: float) -> None:
    board.mark(x + 8, y, look, filled=filled)


def outline(shape: Shape, x: float, y: float, r: float) -> str:
    """Path of a mark around (x, y); all shapes look about as large as a circle of radius r."""
    if shape == "circle":
        return f"M{num(x - r)} {num(y)}a{num(r)} {num(r)} 0 1 0 {num(2 * r)} 0a{num(r)} {num(r)} 0 1 0 {num(-2 * r)} 0Z"
    corners, turn, size = {
        "square": (4, 0.5, 1.25),
        "diamond": (4, 0.0, 1.25),
        "triangle": (3, 0.0, 1.3),
        "down": (3, 0.5, 1.3),
        "pentagon": (5, 0.0, 1.12),
        "hexagon": (6, 0.5, 1.08),
    }[shape]
    angles = [2 * math.pi * (i + turn) / corners for i in range(corners)]
    return "M" + "L".join(f"{num(x + size * r * math.sin(a))} {num(y - size * r * math.cos(a))}" for a in angles) + "Z"


def _svg(content: str, width: float, height: float, alt: str, used: set[str], style: str, margin: float = 0) -> str:
    words = {"f": "fill", "s": "stroke"}
    rules = "".join(
        f".ma-{name}{{{words[name[0]]}:var(--ma-{name[2:]},{COLORS[name[2:]][0]})}}" for name in sorted(used)
    )
    # svg:root is the picture itself only in a file of its own; in a page it matches nothing, and the page decides.
    names = sorted({"page"} | {name[2:] for name in used})
    dark = ";".join(f"--ma-{name}:{COLORS[name][1]}" for name in names)
    rules += f"svg:root{{background:var(--ma-page,{COLORS['page'][0]})}}"
    rules += f"@media(prefers-color-scheme:dark){{svg:root{{{dark}}}}}"
    view = f"{num(-margin)} {num(-margin)} {num(width + 2 * margin)} {num(height + 2 * margin)}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view}" role="img" '
        f'aria-label={quoteattr(alt)} style="{style};height:auto" font-family={quoteattr(FONT)} '
        f'font-size="{BODY}"><style>{rules}</style>{content}</svg>'
    )
