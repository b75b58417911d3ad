"""The one hierarchy of errors.

Every error that signoff raises on purpose says three things: what was wrong, where, and what to do about it.
A room derives its own family from `SignoffError`; the edges print it, or answer with it, as it stands.
"""

from typing import Final


class SignoffError(Exception):
    """Something was wrong, somewhere, and can be mended.

    `what` is the finding, `where` the place (a key, a field's path, an address; may be empty), `mend` what the
    reader should do (may be empty). All three are single lines without a closing full stop.
    """

    def __init__(self, what: str, where: str = "", mend: str = "") -> None:
        super().__init__(what, where, mend)
        self.what: Final = what
        self.where: Final = where
        self.mend: Final = mend

    def __str__(self) -> str:
        placed = f"{self.where}: {self.what}" if self.where else self.what
        return f"{placed}; {self.mend}" if self.mend else placed
