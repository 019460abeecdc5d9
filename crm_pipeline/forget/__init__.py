"""Forgetting people for good: who is meant, what is theirs, taking it out of every place, and proving it.

They are those who ask, and casual golfers who no longer come.
The steps are in `carry_out`; what has to survive a crash between two of them is an `Order`. Commands are in
`cli_privacy`, and what is kept where, for how long, and what cannot be reached is told in docs/privacy.md.
"""
