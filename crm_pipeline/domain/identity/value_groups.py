"""Records grouped by a value that they share: of each tenant, those with one auth_user_id, email or phone."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crm_pipeline.domain.identity.nodes import Int32Array, Int64Array, Nodes


class ValueGroups(NamedTuple):
    """The records that have a value of one kind, those of one value next to each other.

    Attributes:
        node: the records, (m,).
        value: tenant and code of each as one number, (m,).
        starts: the position of each value's first record, (v,).
        size: the number of records of each value, (v,).
    """

    node: Int32Array
    value: Int64Array
    starts: npt.NDArray[np.intp]
    size: npt.NDArray[np.intp]

    def list_members(self, some: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], Int32Array]:
        """Returns the records of some values, and for each the position of its value in `some`."""
        size = self.size[some]
        group = np.repeat(np.arange(len(some)), size)
        within = np.arange(len(group)) - np.repeat(np.cumsum(size) - size, size)
        return group, self.node[np.repeat(self.starts[some], size) + within]


def group_by_value(nodes: Nodes, code: Int32Array) -> ValueGroups:
    """Returns the groups of records with the same tenant and code; records without a code (-1) are in none."""
    node = np.flatnonzero(code >= 0).astype(np.int32)
    value = encode_tenant_values(nodes.tenant[node], code[node])
    order = np.argsort(value)
    node, value = node[order], value[order]
    starts = np.flatnonzero(np.diff(value, prepend=-1))
    return ValueGroups(node, value, starts, np.diff(starts, append=len(value)))


def encode_tenant_values(tenant: Int32Array, code: Int32Array) -> Int64Array:
    """Returns one number per tenant and code."""
    value: Int64Array = (tenant.astype(np.int64) << 32) | code
    return value
