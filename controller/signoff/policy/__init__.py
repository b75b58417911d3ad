"""Routing by materiality: which tier a request falls into, and who must agree. It never decides whether an event is written."""
