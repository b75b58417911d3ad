"""The record: what is signed, its bytes, its keys. This room knows no other and does no I/O.

Read in this order: `values` (digests, ids, times), `canonical` (the bytes), `request` (what was asked, and its id), `freeze` (the request
as shown), `seal` (one person's decision, and what else admission witnesses), `promotion` (the event: freeze and seals in six fields),
`bundle` (DSSE in a Sigstore bundle), `keys` and `trust` (who may sign what).
"""
