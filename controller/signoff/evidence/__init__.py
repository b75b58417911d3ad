"""Evidence, gathered from the archive, checked and put into words: what commands print and an auditor's page shows.

Read in this order: `frozen` (a desk with everything that was signed over it), `account` (who, what, where, under which policy), `answers`
(what the verifier answers, rule by rule), `view` (all of it as a page is made of), `entries` (what stands in a timeline).
"""
