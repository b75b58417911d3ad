"""Replay: what an auditor reads, of one event and of a model's history. This room does no I/O: values in, bytes out.

Read in this order: `content` (what a page is made of), `page` (one event, its frozen desk in a frame), `statement` (the same in text),
`timeline` (a model's history, page by page), `readme` (how whoever is handed the evidence verifies it).
"""
