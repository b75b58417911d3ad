"""The archive: bytes in, bytes out, written once.

Read it in this order: `store` (what any store promises), `layout` (the keys), `write` (content-addressed objects),
`open` (from an address to a store), `file` and `disk` (the archive as a folder), `s3` and its parts (the archive as a
bucket with Object Lock), `findings` (what a store can tell an auditor and tells no reader), `times` (when it took what
it holds). The room knows no schemas, trusts nothing for where it lies, and does I/O to its own store alone.
"""
