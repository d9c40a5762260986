"""A change as one line of text, with its values: for people who asked to see them."""

from __future__ import annotations

from pglogical_cdc.events import Change, LogicalMessage, Row, SchemaChange, Truncate

__all__ = ("event_text", "printable", "shortened")


def event_text(change: Change, longest: int | None = None) -> str:
    """Return class, table, position and rows of a change in one line.

    Values are their Python repr: NULL is ``None``, what the server did not send is ``UNCHANGED``
    or ``NOT_SENT``.

    Args:
        change: what to show.
        longest: strings with more characters are cut; None leaves them whole.
    """
    words = [type(change).__name__]
    if change.table is not None:
        words.append(f"{change.schema}.{change.table}")
    words.append(str(change.position))
    words += [f"{name}={value!r}" for name, value in _details(change, longest)]
    return printable(" ".join(words))


def _details(change: Change, longest: int | None) -> list[tuple[str, object]]:
    match change:
        case Truncate():
            return [("cascade", change.cascade), ("restart_identity", change.restart_identity)]
        case LogicalMessage():
            return [
                ("prefix", change.prefix),
                ("content", change.content),
                ("transactional", change.transactional),
            ]
        case SchemaChange():
            return [("added", list(change.added)), ("dropped", list(change.dropped))]
        case _:
            return [(name, _values(getattr(change, name), longest)) for name in ("before", "after")]


def _values(row: Row | None, longest: int | None) -> object:
    return None if row is None else shortened(dict(row), longest)


def shortened(value: object, longest: int | None) -> object:
    """Return a value with the strings in it, and in the lists and dicts in it, cut."""
    if longest is None:
        return value
    if type(value) is str and len(value) > longest:
        return f"{value[:longest]}… ({len(value):,} characters)"
    if type(value) is dict:
        return {name: shortened(each, longest) for name, each in value.items()}
    return [shortened(each, longest) for each in value] if type(value) is list else value


def printable(text: str) -> str:
    """Escape line ends and whatever else a terminal would act upon."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
