"""Checks: what a candidate's predictions say beside the incumbent's, and how far the population has moved from the reference.

Bytes of CSV in, figures and the bytes of a report out: no clock, no key, no file. The libraries that measure are in the extra ``check``
of this package, and no other room imports them.
"""
