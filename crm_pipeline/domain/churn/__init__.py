"""Churn and value: models of visitors and members, their fit, and the backtest of the visitors' model."""
