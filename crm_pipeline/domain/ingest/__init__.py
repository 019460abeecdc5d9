"""What a delivery has to satisfy: its size, its tenants, its rows and their values."""
