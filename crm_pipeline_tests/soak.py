"""Whether tests run at their full counts: `make soak` does, `make test` at a fraction of them."""

import os
from typing import Final

SOAK: Final = bool(os.environ.get("CRM_PIPELINE_SOAK"))
