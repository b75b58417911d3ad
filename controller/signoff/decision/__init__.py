"""Who decides: principals, whether they may, and the seals that admission makes of it."""
