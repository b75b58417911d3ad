"""The desk: what an approver sees before they decide. This room does no I/O.

Read in this order: `freezing` (fixing what is shown), `render` (two renditions of one freeze), `content` (what it is made of),
`sections` and `comparison` (what it says), `explanation`, `legible` and `confinement` (the requester's document, made harmless),
`page` and `text` (how it looks).
"""
