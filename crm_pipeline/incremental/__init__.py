"""What has to be computed again, and how: watermarks, dirty rows, what they affect, what is read for it."""
