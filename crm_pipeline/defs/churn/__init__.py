"""The weekly assets: churn models and their backtest."""
