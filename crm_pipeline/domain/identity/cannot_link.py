"""The cannot-link graph: records of conflicting components, their pairs, and which two cannot be one person."""

from dataclasses import dataclass, field

from crm_pipeline.domain.contact_keys.first_names import FirstNames


@dataclass(frozen=True)
class CannotLinkGraph:
    """Records and their matching pairs: a record is a position in the first five lists, a pair in the next four.

    Attributes:
        service: a number per record.
        auth: a number per auth_user_id, -1 for none; shared ones included.
        auth_match_key: the same where the auth_user_id is a match key, else -1.
        registration: a number per email, phone and full name together, -1 unless all are present and match keys.
        first_name: a position in `names` per record, -1 for none.
        first: the lower record of each pair; pairs are sorted.
        second: the higher record of each pair.
        level: a position in `LEVELS` per pair.
        links: whether the pair may link, or only contradict (see `MatchingPairs`).
        names: the first names of the records.
        always: pairs an operator joined, (lower, higher).
        never: pairs an operator separated, (lower, higher).
    """

    service: list[int]
    auth: list[int]
    auth_match_key: list[int]
    registration: list[int]
    first_name: list[int]
    first: list[int]
    second: list[int]
    level: list[int]
    links: list[bool]
    names: FirstNames
    always: set[tuple[int, int]] = field(default_factory=set)
    never: set[tuple[int, int]] = field(default_factory=set)

    def find_cannot_link(self, first: int, second: int) -> str | None:
        """Returns why two records cannot be one person: AUTH_USER_ID, NEVER or SAME_SERVICE; None where they can."""
        pair = (first, second) if first < second else (second, first)
        if self.auth[first] >= 0 <= self.auth[second] != self.auth[first]:
            return "AUTH_USER_ID"
        if pair in self.never:
            return "NEVER"
        if self.service[first] != self.service[second] or pair in self.always or self._is_same_person(first, second):
            return None
        return "SAME_SERVICE"

    def _is_same_person(self, first: int, second: int) -> bool:
        """Whether two records of one service are one person by the same-service rule."""
        auth, registration = self.auth_match_key, self.registration
        if registration[first] == registration[second] >= 0:
            return True
        one, other = self.first_name[first], self.first_name[second]
        return auth[first] == auth[second] >= 0 and not self.names.do_disagree(one, other, strictly=True)
