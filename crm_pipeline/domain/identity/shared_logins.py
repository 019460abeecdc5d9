"""Shared logins: an auth_user_id of which three records are three people by all else that is known of them.

It is the guard against words for "nothing" that no list foresees, and against the one login of a reception or a family.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from crm_pipeline.domain.identity.nodes import BoolArray, Int32Array, Nodes, ValueGroups

PEOPLE_OF_A_SHARED_LOGIN: Final = 3


def find_differing_records(
    nodes: Nodes, logins: ValueGroups, is_counted: BoolArray, contacts: Sequence[Int32Array]
) -> Int32Array:
    """Returns per login the lowest three records that differ pairwise, -1 where no three do, (v, 3).

    Two records differ where their first names disagree and none of their contacts is equal.

    Args:
        nodes: all records.
        logins: the records of each auth_user_id.
        is_counted: the logins that too many records have, (v,); they are shared anyway, so nobody looks at them.
        contacts: the codes of emails and of phones that are match keys, each (n,).
    """
    differing = np.full((len(logins.size), PEOPLE_OF_A_SHARED_LOGIN), -1, np.int32)
    large = np.flatnonzero(~is_counted & (logins.size >= PEOPLE_OF_A_SHARED_LOGIN))
    for login in large[_have_several_names(nodes, logins, large)].tolist():
        start = logins.starts[login]
        records = np.sort(logins.node[start : start + logins.size[login]])
        differing[login] = _find_differing_three(nodes, records, contacts)
    return differing


def _have_several_names(nodes: Nodes, logins: ValueGroups, some: npt.NDArray[np.intp]) -> BoolArray:
    """Whether two records of a login or more have another first name than its first record: of most, none has."""
    group, node = logins.list_members(some)
    name, first_name = nodes.codes["first_name"][node], nodes.codes["first_name"][logins.node[logins.starts[some]]]
    is_other = (name >= 0) & (name != first_name[group])
    several: BoolArray = np.bincount(group[is_other], minlength=len(some)) >= PEOPLE_OF_A_SHARED_LOGIN - 1
    return several


def _find_differing_three(nodes: Nodes, records: Int32Array, contacts: Sequence[Int32Array]) -> tuple[int, ...]:
    """Returns the first three records that differ pairwise; all are -1 where no three do."""
    names = nodes.codes["first_name"][records].tolist()
    codes = [code[records].tolist() for code in contacts]

    def differ(one: int, other: int) -> bool:
        has_equal_contact = any(code[one] == code[other] >= 0 for code in codes)
        return not has_equal_contact and nodes.first_names.do_disagree(names[one], names[other])

    for three in combinations(range(len(records)), PEOPLE_OF_A_SHARED_LOGIN):
        if all(differ(*pair) for pair in combinations(three, 2)):
            return tuple(records[list(three)].tolist())
    return (-1,) * PEOPLE_OF_A_SHARED_LOGIN
