"""The documented place of `Alert`; everything else is under `defs` and `steps`."""
