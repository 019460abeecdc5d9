"""The churn model of every club: its parameters, their rows in churn_models, and their broadcast to profiles.

Until the first fit there is the prior alone.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from duckdb import DuckDBPyConnection

from crm_pipeline.domain.churn.gamma_gamma import GammaGamma, GammaGammaArrays
from crm_pipeline.domain.churn.mbg_nbd import PRIOR, MbgNbd, MbgNbdArrays
from crm_pipeline.domain.churn.renewal_fit import MEMBER_TERM_CODES, RenewalParameters
from crm_pipeline.domain.churn.seasonality import UNIFORM_MONTH_FACTORS

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

POOLED_TENANT_ID: Final = ""
"""Stands for all clubs together in place of a tenant's id; a club without a model of its own uses this one."""
RULES_VERSION: Final = 2
"""Which rules of visits and signs parameters are fitted by; those of other rules are of other numbers, and not used."""
LATEST_MODELS_SQL: Final = f"""
    select tenant_id, r, alpha, a, b, log_likelihood, spend, season, members, tiers from churn_models
    where fitted_at <= as_of() and rules_version = {RULES_VERSION}
    qualify row_number() over (partition by tenant_id order by fitted_at desc) = 1"""


class TenantModel(NamedTuple):
    """One club's parameters; spend is None where nobody paid twice, season is None for plain days."""

    visits: MbgNbd = PRIOR
    spend: GammaGamma | None = None
    season: tuple[float, ...] | None = None
    members: RenewalParameters = RenewalParameters()
    tiers: Mapping[str, RenewalParameters] = {}

    def to_columns(self) -> dict[str, Any]:
        """Returns the columns of churn_models that store the model."""
        return {
            **self.visits._asdict(),
            "spend": json.dumps(self.spend._asdict()) if self.spend else None,
            "season": json.dumps(self.season) if self.season else None,
            "members": json.dumps({**self.members._asdict(), "log_odds": dict(self.members.log_odds)}),
            "tiers": json.dumps({tier: [each.gamma, each.delta] for tier, each in sorted(self.tiers.items())}),
        }


class ChurnModels(NamedTuple):
    """The parameters that apply at one hour, by tenant."""

    by_tenant: Mapping[str, TenantModel]

    def select_model(self, tenant_id: str) -> TenantModel:
        """Returns a club's own model, else the pool's, else the prior."""
        return self.by_tenant.get(tenant_id) or self.by_tenant.get(POOLED_TENANT_ID) or TenantModel()


class BroadcastParameters(NamedTuple):
    """Parameters for n profiles: one set each, and the clocks (k, 12), of which `tenant_index` (n,) gives the row."""

    visits: MbgNbdArrays
    spend: GammaGammaArrays
    gamma: Floats
    delta: Floats
    log_odds: dict[str, Floats]
    seasons: Floats
    tenant_index: Indices


def load_models(con: DuckDBPyConnection) -> ChurnModels:
    """Returns the latest fit of every club up to as_of() by today's rules.

    Reads: churn_models, as_of().
    """
    rows = con.sql(LATEST_MODELS_SQL).fetchall()
    return ChurnModels({tenant: _parse_model(*values) for tenant, *values in rows})


def _parse_model(*values: Any) -> TenantModel:  # noqa: ANN401  a row
    *visits, spend, season, members, tiers = values
    member_parameters = RenewalParameters(**json.loads(members))
    return TenantModel(
        MbgNbd(*visits),
        GammaGamma(**json.loads(spend)) if spend else None,
        tuple(json.loads(season)) if season else None,
        member_parameters,
        {
            tier: RenewalParameters(gamma, delta, member_parameters.log_odds)
            for tier, (gamma, delta) in json.loads(tiers).items()
        },
    )


def broadcast_parameters(
    models: ChurnModels, tenants: Sequence[str], tenant_index: Indices, tiers: Sequence[str | None], tier_index: Indices
) -> BroadcastParameters:
    """Returns the parameters of n profiles.

    Profile i is of tenants[tenant_index[i]] and pays for tiers[tier_index[i]].
    """
    tenant_models = [models.select_model(tenant) for tenant in tenants]
    visits = np.array([model.visits[:4] for model in tenant_models]).reshape(-1, 4)
    spend = np.array([model.spend or (np.nan,) * 3 for model in tenant_models]).reshape(-1, 3)
    hazards = np.array(
        [[(model.tiers.get(name or "") or model.members)[:2] for name in tiers] for model in tenant_models],
        dtype=np.float64,
    ).reshape(len(tenant_models), len(tiers), 2)
    log_odds = np.array(
        [[model.members.log_odds[code] for code in MEMBER_TERM_CODES] for model in tenant_models]
    ).reshape(-1, len(MEMBER_TERM_CODES))
    return BroadcastParameters(
        visits=MbgNbdArrays(*visits[tenant_index].T),
        spend=GammaGammaArrays(*spend[tenant_index].T),
        gamma=hazards[tenant_index, tier_index, 0],
        delta=hazards[tenant_index, tier_index, 1],
        log_odds={code: log_odds[tenant_index, term] for term, code in enumerate(MEMBER_TERM_CODES)},
        seasons=np.array([model.season or UNIFORM_MONTH_FACTORS for model in tenant_models]).reshape(
            -1, len(UNIFORM_MONTH_FACTORS)
        ),
        tenant_index=tenant_index,
    )
