"""What becomes of each node of a graph on a board: exact, rounded by how much, or refused with what would help."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from spikingconvnet.errors import NetworkError

EXACT, ROUNDED, REFUSED = "exact", "rounded", "refused"
METHODS = ("euler", "exact")        # how the equations of a graph become steps, see ``dynamics``


class Refused(NetworkError):
    """A node that cannot be on a board: why, and the change that helps."""

    def __init__(self, text: str, change: str) -> None:
        super().__init__(f"{text}; {change}")
        self.text, self.change = text, change


@dataclass(frozen=True)
class Verdict:
    """What becomes of one node.

    Attributes
    ----------
    node, kind : str
        Name, those of nested graphs joined by ``/``, and NIR's name of its kind.
    grade : 'exact', 'rounded' or 'refused'
    text : str
        What it becomes, what of it is rounded, or why it is refused.
    change : str
        What would help.
    weight_steps : float
        Largest deviation of a weight, in steps of a board's 16 bits.
    mv : float
        Of neurons: how far a step can take a membrane from where the graph has it, mV.
    """

    node: str
    kind: str
    grade: str
    text: str = ""
    change: str = ""
    weight_steps: float = 0.0
    mv: float = 0.0

    def __str__(self) -> str:
        sizes = [f"weights within {self.weight_steps:.2g} steps of 16 bits"] * (self.weight_steps > 0) + [
            f"membrane within {self.mv:.2g} mV a step"] * (self.mv > 0)
        said = "; ".join([*[self.text] * bool(self.text), *sizes, *[self.change] * bool(self.change)])
        return f"{self.grade:<9}{self.node} ({self.kind})" + (f": {said}" if said else "")


@dataclass(frozen=True)
class Report:
    """The verdicts on all nodes of a graph.

    Attributes
    ----------
    verdicts : tuple of Verdict
    """

    verdicts: tuple[Verdict, ...]

    @property
    def grade(self) -> str:
        """The worst grade of a node."""
        found = {verdict.grade for verdict in self.verdicts}
        return next((grade for grade in (REFUSED, ROUNDED) if grade in found), EXACT)

    def of(self, node: str) -> Verdict:
        """The verdict on the node of that name; an unknown one is a NetworkError that lists the known ones."""
        found = {verdict.node: verdict for verdict in self.verdicts}
        if node not in found:
            raise NetworkError(f"no node {node!r}; there are {', '.join(found)}")
        return found[node]

    def require_all(self) -> None:
        """Raise a NetworkError that names every node that is refused, if there is one."""
        refused = [f"{v.node} ({v.kind}): {v.text}" + f"; {v.change}" * bool(v.change)
                   for v in self.verdicts if v.grade == REFUSED]
        if refused:
            raise NetworkError("the graph cannot be a network: " + " | ".join(refused))

    def as_dict(self) -> dict[str, Any]:
        """What JSON holds of it."""
        return {"grade": self.grade, "nodes": [asdict(verdict) for verdict in self.verdicts]}

    def __str__(self) -> str:
        return "\n".join(map(str, self.verdicts))


@dataclass
class Ledger:
    """What is noted of nodes while a graph is looked at.

    Attributes
    ----------
    said : dict of str to str
        What a node becomes.
    rounded : dict of str to list of str
    refused : dict of str to (str, str)
        The first reason, and the change that helps.
    steps, mv : dict of str to float
        See `Verdict`.
    """

    said: dict[str, str] = field(default_factory=dict)
    rounded: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)
    mv: dict[str, float] = field(default_factory=dict)

    def note(self, node: str, text: str) -> None:
        """A node is rounded."""
        self.rounded.setdefault(node, []).append(text)

    def refuse(self, node: str, text: str, change: str) -> None:
        """A node is refused; what else is wrong with it after that is not told."""
        self.refused.setdefault(node, (text, change))

    def report(self, kinds: Iterable[tuple[str, str]]) -> Report:
        """The verdicts on nodes, given as (name, kind)."""
        return Report(tuple(self._verdict(node, kind) for node, kind in kinds))

    def _verdict(self, node: str, kind: str) -> Verdict:
        if node in self.refused:
            return Verdict(node, kind, REFUSED, *self.refused[node])
        steps, mv, rounded = self.steps.get(node, 0.0), self.mv.get(node, 0.0), self.rounded.get(node, [])
        text = "; ".join([*filter(None, [self.said.get(node)]), *rounded])
        return Verdict(node, kind, ROUNDED if rounded or steps or mv else EXACT, text, "", steps, mv)
