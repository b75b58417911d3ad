"""Figures that anyone can reproduce: `python -m bench run` measures, `python -m bench report` writes docs/benchmarks.md.

Read `plan` (what is measured, how often), `events` and `archive` (archives of any size, signed for real), `servers` and `load` (who is
asked, who asks), `cluster` and `gate`, `approval`, `starting`, `verifying`, `storing`, `portal` with `readers` (the measurements), `rows`
and `goals` (what came out, and whether it suffices), `page` (how it is shown), `run` (all of it in order).
"""
