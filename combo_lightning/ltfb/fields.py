"""JSON with numbers that are not finite, and readers that say where a value is wrong.

Standard JSON has no NaN and no infinity: they stand as the texts ``nan``, ``inf`` and ``-inf``.
"""

import json
import math
from collections.abc import Callable
from typing import Any, TypeVar

from combo_lightning.errors import InputError

T = TypeVar("T")
_NOT_FINITE = ("nan", "inf", "-inf")


def plain_number(value: float) -> float | str:
    """Give a number as JSON can hold it."""
    number = float(value)
    return number if math.isfinite(number) else str(number)


def parse_object(text: str, where: str) -> "Fields":
    """Read a JSON object.

    Args:
        text: Its text.
        where: File and line, for errors.

    Raises:
        InputError: If the text is no standard JSON, or no object.
    """
    try:
        values = json.loads(text, parse_constant=_refuse)
    except ValueError as error:
        shown = text.strip()[:40]
        raise InputError(f"{where}: found '{shown}', expected a JSON object ({error})") from error
    return Fields(values, where)


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no standard JSON")


class Fields:
    """The values of a JSON object, by name; each reader raises `InputError` on another type.

    Args:
        values: What JSON gave.
        where: File, line and the names on the way, for errors.

    Raises:
        InputError: If `values` is no object.
    """

    def __init__(self, values: Any, where: str) -> None:
        self.where = where
        if not isinstance(values, dict):
            raise self._wrong(values, "a JSON object")
        self._values: dict[str, Any] = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def plain(self) -> dict[str, Any]:
        """Give all values as they are."""
        return dict(self._values)

    def integer(self, name: str, least: int = 0) -> int:
        """Read a whole number of at least `least`."""
        return self._whole(self._value(name), f"'{name}'", least)

    def number(self, name: str) -> float:
        """Read a number, not finite ones included."""
        return self._number(self._value(name), f"'{name}'")

    def text(self, name: str) -> str:
        """Read a text."""
        return self._text(self._value(name), f"'{name}'")

    def flag(self, name: str) -> bool:
        """Read true or false."""
        value = self._value(name)
        if not isinstance(value, bool):
            raise self._wrong(value, "true or false", f"'{name}'")
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        """Read a list of whole numbers of at least 0."""
        return tuple(self._whole(v, f"'{name}'", 0) for v in self._list(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """Read a list of texts."""
        return tuple(self._text(v, f"'{name}'") for v in self._list(name))

    def pair(self, name: str) -> tuple[float, float]:
        """Read a list of two numbers."""
        values = self._list(name)
        if len(values) != 2:
            raise self._wrong(values, "two numbers", f"'{name}'")
        return self._number(values[0], f"'{name}'"), self._number(values[1], f"'{name}'")

    def inner(self, name: str) -> "Fields":
        """Read an object."""
        return Fields(self._value(name), f"{self.where}, '{name}'")

    def numbers(self) -> dict[str, float]:
        """Read all values as numbers."""
        return self.each(Fields.number)

    def each(self, read: Callable[["Fields", str], T]) -> dict[str, T]:
        """Read all values alike."""
        return {name: read(self, name) for name in self._values}

    def by_group(self, read: Callable[["Fields", str], T]) -> dict[int, T]:
        """Read all values alike, whose names are numbers of groups."""
        for name in self._values:
            if not (name.isascii() and name.isdecimal()):
                raise self._wrong(name, "the number of a group")
        return {int(name): read(self, name) for name in self._values}

    def _value(self, name: str) -> Any:
        if name not in self._values:
            found = ", ".join(self._values) or "nothing"
            raise InputError(f"{self.where}: '{name}' is missing; found {found}")
        return self._values[name]

    def _list(self, name: str) -> list[Any]:
        value = self._value(name)
        if not isinstance(value, list):
            raise self._wrong(value, "a list", f"'{name}'")
        return value

    def _whole(self, value: Any, what: str, least: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self._wrong(value, f"a whole number of at least {least}", what)
        return value

    def _text(self, value: Any, what: str) -> str:
        if not isinstance(value, str):
            raise self._wrong(value, "a text", what)
        return value

    def _number(self, value: Any, what: str) -> float:
        if isinstance(value, bool) or not (isinstance(value, int | float) or value in _NOT_FINITE):
            raise self._wrong(value, "a number, 'nan', 'inf' or '-inf'", what)
        return float(value)

    def _wrong(self, value: Any, expected: str, what: str = "") -> InputError:
        shown = json.dumps(value)[:40]
        return InputError(f"{self.where}: {what or 'it'} is {shown}, expected {expected}")
