"""How far long loops are, told to whoever has asked: from the depths of a step, where nobody hands a bar down."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Shown = Callable[[Iterable[Any], str], Iterable[Any]]


def _silently(items: Iterable[Any], description: str) -> Iterable[Any]:
    return items


_shown: ContextVar[Shown] = ContextVar("_shown", default=_silently)


@contextmanager
def shown_by(shown: Shown) -> Iterator[None]:
    """Have ``shown(items, description)`` wrap the loops of :func:`counted` inside; other threads stay silent."""
    kept = _shown.set(shown)
    try:
        yield
    finally:
        _shown.reset(kept)


def counted(items: Iterable[Item], description: str) -> Iterable[Item]:
    """The same items, which somebody may count; one who has to know how many there are asks their ``len``."""
    return _shown.get()(items, description)


@dataclass(frozen=True)
class OfLength(Generic[Item]):
    """Items that come one after another, and about how many there will be.

    Attributes
    ----------
    items : iterable
    length : int
    """

    items: Iterable[Item]
    length: int

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)
