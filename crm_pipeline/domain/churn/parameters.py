"""The churn model of every club: its parameters, how they are kept as rows, and how they lie beside profiles.

Here: one club's parameters together, reading and writing them, laying them out one set per profile. Not here: fitting
them (`churn_fit`) and what they say (`churn`). Until a fit there is the prior alone.
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
"""All clubs together, in the place of a tenant's id; a club without a model of its own is served by this one."""
LATEST_MODELS_SQL: Final = """
    select tenant_id, r, alpha, a, b, log_likelihood, spend, season, members, tiers from churn_models
    where fitted_at <= as_of()
    qualify row_number() over (partition by tenant_id order by fitted_at desc) = 1"""


class TenantModel(NamedTuple):
    """One club's parameters; spend None: no one paid twice; season None: plain days."""

    visits: MbgNbd = PRIOR
    spend: GammaGamma | None = None
    season: tuple[float, ...] | None = None
    members: RenewalParameters = RenewalParameters()
    tiers: Mapping[str, RenewalParameters] = {}

    def values(self) -> dict[str, Any]:
        """The columns of churn_models that hold it."""
        return {
            **self.visits._asdict(),
            "spend": json.dumps(self.spend._asdict()) if self.spend else None,
            "season": json.dumps(self.season) if self.season else None,
            "members": json.dumps({**self.members._asdict(), "log_odds": dict(self.members.log_odds)}),
            "tiers": json.dumps({tier: [each.gamma, each.delta] for tier, each in sorted(self.tiers.items())}),
        }


class ChurnModels(NamedTuple):
    """The parameters that apply at one hour, by tenant."""

    clubs: Mapping[str, TenantModel]

    def of(self, tenant_id: str) -> TenantModel:
        """A club's own, else the pool's, else the prior's."""
        return self.clubs.get(tenant_id) or self.clubs.get(POOLED_TENANT_ID) or TenantModel()


class BroadcastParameters(NamedTuple):
    """Parameters laid out for n profiles: a set each, the clocks (k, 12) once with `club` (n,) telling whose."""

    visits: MbgNbdArrays
    spend: GammaGammaArrays
    gamma: Floats
    delta: Floats
    log_odds: dict[str, Floats]
    seasons: Floats
    club: Indices


def load_models(con: DuckDBPyConnection) -> ChurnModels:
    """The latest fit of every club up to as_of(), from relation churn_models."""
    rows = con.sql(LATEST_MODELS_SQL).fetchall()
    return ChurnModels({tenant: _parse_model(*values) for tenant, *values in rows})


def _parse_model(*values: Any) -> TenantModel:  # noqa: ANN401  a row
    *visits, spend, season, members, tiers = values
    of_club = RenewalParameters(**json.loads(members))
    return TenantModel(
        MbgNbd(*visits),
        GammaGamma(**json.loads(spend)) if spend else None,
        tuple(json.loads(season)) if season else None,
        of_club,
        {tier: RenewalParameters(gamma, delta, of_club.log_odds) for tier, (gamma, delta) in json.loads(tiers).items()},
    )


def broadcast_parameters(
    models: ChurnModels, tenants: Sequence[str], club: Indices, tiers: Sequence[str | None], tier: Indices
) -> BroadcastParameters:
    """The parameters of n profiles: profile i is of tenants[club[i]] and pays for tiers[tier[i]]."""
    of_clubs = [models.of(tenant) for tenant in tenants]
    visits = np.array([model.visits[:4] for model in of_clubs]).reshape(-1, 4)
    spend = np.array([model.spend or (np.nan,) * 3 for model in of_clubs]).reshape(-1, 3)
    hazards = np.array(
        [[(model.tiers.get(name or "") or model.members)[:2] for name in tiers] for model in of_clubs], dtype=np.float64
    ).reshape(len(of_clubs), len(tiers), 2)
    added = np.array([[model.members.log_odds[code] for code in MEMBER_TERM_CODES] for model in of_clubs]).reshape(
        -1, len(MEMBER_TERM_CODES)
    )
    return BroadcastParameters(
        visits=MbgNbdArrays(*visits[club].T),
        spend=GammaGammaArrays(*spend[club].T),
        gamma=hazards[club, tier, 0],
        delta=hazards[club, tier, 1],
        log_odds={code: added[club, place] for place, code in enumerate(MEMBER_TERM_CODES)},
        seasons=np.array([model.season or UNIFORM_MONTH_FACTORS for model in of_clubs]).reshape(
            -1, len(UNIFORM_MONTH_FACTORS)
        ),
        club=club,
    )
