"""The one verifier. Its rules are numbered in `verifier`; gate, command line, operator and audit all call it."""
