"""The asset graph: one thin module per stage, which names its inputs and its run's tenants and calls the domain."""
