"""The steps of a run: extract, validate, resolve identities, build timelines, score, publish, fit churn models."""
