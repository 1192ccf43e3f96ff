"""The papers' figures and our own: data made of records and published figures, drawn or written as
CSV.
"""
