"""First names as they are compared: what is left of a name after folding, and whether two agree.

Folding is for agreement alone, never a key. Names repeat and few are compared, so each is folded when it first is.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

TITLES: Final = frozenset(
    {"mr", "mister", "mrs", "ms", "miss", "mx", "dr", "doctor", "prof", "professor", "rev", "revd", "reverend"}
    | {"sir", "dame", "capt", "captain", "sgt", "herr", "frau", "mme", "mlle", "sr", "sra"}
)
"""Titles before a name, folded. Those that are first names too (Major, Dean, Lady, Master) are not among them."""
_GENERATIONS: Final = (
    {"jr": "jr", "jnr": "jr", "junior": "jr", "sr": "sr", "snr": "sr", "senior": "sr"}
    | {"ii": "ii", "iii": "iii", "iv": "iv"}
)  # fmt: skip
# NFKD leaves these letters whole. The last one is a small I without its dot.
_LETTERS: Final = str.maketrans({"ø": "o", "đ": "d", "ł": "l", "ß": "ss", "æ": "ae", "œ": "oe", "\u0131": "i"})
_APOSTROPHES: Final = re.compile("['`\u2018\u2019\u02b9\u02bb\u02bc\u2032]")
_BETWEEN_WORDS: Final = re.compile(r"[\s.,\-\u2010-\u2015\u2212]+")


class FoldedName(NamedTuple):
    """A first name as it is compared.

    Attributes:
        whole: its words joined, without title, trailing initials and generation: `maryann` of Dr Mary-Ann B. Jr.
        openings: its first word, its first two joined, and so on; the last is the whole name.
        initials: the trailing initials: `b`.
        generation: jr, sr, ii, iii or iv; empty for none.
    """

    whole: str
    openings: tuple[str, ...]
    initials: str
    generation: str


def fold_first_name(name: str) -> FoldedName | None:
    """Returns a name as it is compared, None where there is nothing but a title."""
    letters = unicodedata.normalize("NFKD", name).lower()
    if not letters.isascii():
        letters = "".join(letter for letter in letters if not unicodedata.combining(letter)).translate(_LETTERS)
    words = [word for word in _BETWEEN_WORDS.split(_APOSTROPHES.sub("", letters)) if word]
    while words and words[0] in TITLES:
        del words[0]
    if not words:
        return None
    generation, initials = "", ""
    if len(words) > 1 and words[-1] in _GENERATIONS:
        generation = _GENERATIONS[words.pop()]
    while len(words) > 1 and len(words[-1]) == 1:
        initials = words.pop() + initials
    openings = tuple(accumulate(words))
    return FoldedName(openings[-1], openings, initials, generation)


def do_names_agree(one: FoldedName, other: FoldedName) -> bool:
    """Whether two names agree, by their letters or because one is listed as a nickname of the other."""
    if do_names_agree_strictly(one, other):
        return True
    return _have_compatible_endings(one, other) and frozenset((one.whole, other.whole)) in list_nickname_pairs()


def do_names_agree_strictly(one: FoldedName, other: FoldedName) -> bool:
    """Whether two names agree by their letters: equal, one the other's initial, or one the other's first words."""
    if not _have_compatible_endings(one, other):
        return False
    is_opening = one.whole in other.openings or other.whole in one.openings
    return is_opening or (one.whole[0] == other.whole[0] and 1 in (len(one.whole), len(other.whole)))


def _have_compatible_endings(one: FoldedName, other: FoldedName) -> bool:
    """Whether the generations are the same, and no trailing initial is against another one."""
    is_continued = one.initials.startswith(other.initials) or other.initials.startswith(one.initials)
    return one.generation == other.generation and is_continued


@cache
def list_nickname_pairs() -> frozenset[frozenset[str]]:
    """Returns each name with each of its nicknames, both folded, as PyPI's `nicknames` lists them."""
    from nicknames import NickNamer  # noqa: PLC0415  reads its list, which most processes never need

    return frozenset(
        frozenset(folded.whole for folded in map(fold_first_name, (name, nickname)) if folded)
        for name, nicknames in NickNamer.default_lookup().items()
        for nickname in nicknames
    )


@dataclass(frozen=True)
class FirstNames:
    """The distinct first names of some records, each known by its position; -1 stands for no name."""

    names: pa.StringArray = field(repr=False)
    _folded: dict[int, FoldedName | None] = field(default_factory=dict, repr=False)
    _answers: dict[tuple[int, int, bool], bool | None] = field(default_factory=dict, repr=False)

    def do_agree(self, one: int, other: int) -> bool:
        """Whether two names are both present and agree."""
        return self._compare(one, other, strictly=False) is True

    def do_disagree(self, one: int, other: int, *, strictly: bool = False) -> bool:
        """Whether two names are both present and do not agree; strictly, a nickname does not make them agree."""
        return self._compare(one, other, strictly=strictly) is False

    def find_disagreements(
        self, one: npt.NDArray[np.int32], other: npt.NDArray[np.int32], *, strictly: bool = False
    ) -> npt.NDArray[np.bool_]:
        """Returns `do_disagree` of each pair; every two names are compared once."""
        result = np.zeros(len(one), bool)
        compared = np.flatnonzero((one != other) & (one >= 0) & (other >= 0))
        pairs, pair = np.unique((one[compared].astype(np.int64) << 32) | other[compared], return_inverse=True)
        sides = (pairs >> 32).tolist(), (pairs & 0xFFFFFFFF).tolist()
        answers = [self.do_disagree(*names, strictly=strictly) for names in zip(*sides, strict=True)]
        result[compared] = np.array(answers, bool)[pair]
        return result

    def _compare(self, one: int, other: int, *, strictly: bool) -> bool | None:
        """Whether two names agree, None where one is missing."""
        if one < 0 or other < 0:
            return None
        question = (min(one, other), max(one, other), strictly)
        if question not in self._answers:
            first, second = self._fold(one), self._fold(other)
            agree = do_names_agree_strictly if strictly else do_names_agree
            self._answers[question] = agree(first, second) if first and second else None
        return self._answers[question]

    def _fold(self, position: int) -> FoldedName | None:
        if position not in self._folded:
            self._folded[position] = fold_first_name(self.names[position].as_py())
        return self._folded[position]
