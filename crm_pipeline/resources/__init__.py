"""The outside world: the services' sources, the lake, the warehouse, and the embedded server."""
