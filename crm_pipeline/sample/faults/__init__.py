"""Faults of real input, made on purpose in a share of the rows.

`truth.csv` stays true: no fault gives a person the email, phone, login or name of another. Words for "nothing" and the
club's own number are no such values.
"""
