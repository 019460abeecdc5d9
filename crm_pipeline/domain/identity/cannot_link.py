"""What is known about records whose evidence contradicts itself: their pairs, and which of them cannot be one person.

Belongs here: cannot-link, and when first names agree. Does not belong here: what follows from it (`conflicts.py`), or
where the values come from (`clusters.py`).
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class CannotLinkGraph:
    """The records and pairs to judge; a record is a position in the first five lists, a pair one in the last four.

    Attributes:
        service: a number per record.
        auth: a number per auth_user_id, -1 for none; shared ones too.
        auth_evidence: the same where the auth_user_id is evidence, else -1.
        registration: a number per email, phone and full name together, -1 unless all are there and evidence.
        first_name: comparable form, empty for none.
        first: the lower record of each pair; pairs are sorted.
        second: the higher record of each pair.
        level: a position in `LEVELS` per pair.
        links: whether the pair may link or only contradict: see `pairs.Pairs`.
        always: pairs an operator joined, (lower, higher).
        never: pairs an operator parted, (lower, higher).
    """

    service: list[int]
    auth: list[int]
    auth_evidence: list[int]
    registration: list[int]
    first_name: list[str]
    first: list[int]
    second: list[int]
    level: list[int]
    links: list[bool]
    always: set[tuple[int, int]] = field(default_factory=set)
    never: set[tuple[int, int]] = field(default_factory=set)

    def cannot_link(self, first: int, second: int) -> str | None:
        """Why two records cannot be one person: AUTH_USER_ID, NEVER or SAME_SERVICE; None where they can."""
        pair = (first, second) if first < second else (second, first)
        if self.auth[first] >= 0 <= self.auth[second] != self.auth[first]:
            return "AUTH_USER_ID"
        if pair in self.never:
            return "NEVER"
        if self.service[first] != self.service[second] or pair in self.always or self._qualify(first, second):
            return None
        return "SAME_SERVICE"

    def _qualify(self, first: int, second: int) -> bool:
        """Whether two records of one service are one person by the same-service rule."""
        auth, registration = self.auth_evidence, self.registration
        return auth[first] == auth[second] >= 0 or registration[first] == registration[second] >= 0


def are_names_compatible(one: str, other: str) -> bool:
    """Whether two first names, both present, are equal or one is the other's initial (with or without a full stop)."""
    return one == other or (one[0] == other[0] and (_is_initial(one) or _is_initial(other)))


def _is_initial(name: str) -> bool:
    return len(name.removesuffix(".")) == 1
