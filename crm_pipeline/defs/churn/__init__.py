"""The weekly assets of churn models and their backtest."""
