"""Formats of times and numbers."""

from datetime import UTC, datetime, timedelta

YEAR = timedelta(days=366)


def ago(moment: datetime | None) -> str:
    """`38 s ago` under a minute, `14:03:12` today, `Yesterday 17:20`, `21 Nov 15:08`; in UTC."""
    if moment is None:
        return "—"
    now = datetime.now(UTC)
    past = now - moment
    if 0 <= past.total_seconds() < 60:
        return f"{int(past.total_seconds())} s ago" if past.total_seconds() >= 1 else "just now"
    if moment.date() == now.date():
        return f"{moment:%H:%M:%S}"
    if (now.date() - moment.date()).days == 1:
        return f"Yesterday {moment:%H:%M}"
    return f"{moment.day} {moment:%b %H:%M}" if moment.year == now.year else f"{moment.day} {moment:%b %Y}"


def clock(when: datetime, now: datetime) -> str:
    """`14:03:12`; `25 Nov 14:03:12` of another day. In UTC."""
    return f"{when:%H:%M:%S}" if when.date() == now.date() else f"{when.day} {when:%b %H:%M:%S}"


def moment(when: datetime | None) -> str:
    """The full time with its zone, for a `title`."""
    return "" if when is None else f"{when:%Y-%m-%d %H:%M:%S} UTC"


def seconds(value: float | None) -> str:
    """One decimal below 10, two below 0.1, where one would show 0.0."""
    if value is None:
        return "—"
    return f"{value:.2f}" if value < 0.095 else f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def duration(value: int) -> str:
    """`38 s`, `12 min`, `3 h 20 min`, `4 d 3 h`."""
    if value < 60:
        return f"{value} s"
    hours, minutes = divmod(value // 60, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (0 if days else minutes, "min")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def milliseconds(value: float | None) -> str:
    return "—" if value is None else f"{value:.0f} ms"


def left(ends_at: datetime | None, now: datetime) -> str:
    """`in 3 d 4 h`, `in 12 min`, `in under 1 min`; `on 2097-12-31` after a year; `never` without an end."""
    if ends_at is None:
        return "never"
    if ends_at - now > YEAR:
        return f"on {ends_at:%Y-%m-%d}"
    minutes = int((ends_at - now).total_seconds()) // 60
    if minutes < 1:
        return "in under 1 min"
    days, hours = divmod(minutes // 60, 24)
    parts = [f"{days} d"] * bool(days) + [f"{hours} h"] * bool(hours)
    return f"in {' '.join(parts)}" if days else f"in {' '.join([*parts, f'{minutes % 60} min'])}"


def thousands(value: int) -> str:
    return f"{value:,}"


def size(count: int) -> str:
    """`0 B`, `1,000 B`, `2.0 KiB`, `4.8 MiB`."""
    if count < 1024:
        return f"{count:,} B"
    amount, units = count / 1024, iter(("KiB", "MiB", "GiB", "TiB", "PiB"))
    unit = next(units)
    while round(amount, 1) >= 1024 and (larger := next(units, "")):
        amount, unit = amount / 1024, larger
    return f"{amount:,.1f} {unit}"


def counted(count: int, word: str) -> str:
    """`1 rule`, `1,200 rules`, `0 entries`."""
    return f"{count:,} {word if count == 1 else plural(word)}"


def plural(word: str) -> str:
    if word.endswith("y") and word[-2:-1] not in "aeou":
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith("s") else f"{word}s"
