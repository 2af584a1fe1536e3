"""Tables as plain text."""

from collections.abc import Mapping, Sequence


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of equal keys as aligned text: readable in Colab, on paper and to nbval alike."""
    header = list(rows[0])
    cells = [header] + [[_cell(row[key]) for key in header] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if i == 0 else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def over_seeds(values: Sequence[float], places: int = 3) -> str:
    """Mean, and in brackets the lowest and the highest: ".984 (.981–.987)", with no 0 before the
    point, so that three of them stand side by side.
    """
    found = (sum(values) / len(values), min(values), max(values))
    texts = (f"{value:.{places}f}" for value in found)
    mean, low, high = (text[1:] if text.startswith("0.") else text for text in texts)
    return f"{mean} ({low}–{high})"


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
