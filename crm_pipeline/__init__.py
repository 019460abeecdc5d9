"""One customer profile per golfer and club, refreshed every hour from the services that hold their records."""

from zoneinfo import reset_tzpath

# Time zones of Python are those of the pinned package tzdata in every process; the system's may be years old.
reset_tzpath(to=())
