"""The customer identities model: resolution per tenant batch, one atomic commit of four tables, and a self-audit."""
