"""How long tasks take, and durations in words."""


def duration(seconds: float) -> str:
    """Seconds in words that fit: 42 s, 7 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
