"""One customer profile per golfer and club, refreshed every hour from the services that hold their records."""
