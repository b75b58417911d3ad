"""What goes wrong when a check is made."""

from signoff.errors import SignoffError


class BadTable(SignoffError):
    """A file that cannot be measured: what is wrong in it, and what to do."""


class NotMeasured(SignoffError):
    """A figure that these data do not give, such as the AUC of one class. It is left out, and the report says why."""
