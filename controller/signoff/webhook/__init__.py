"""The webhook: the gate, open to the API server's reviews, and the seal's door, open to the API server's certificate alone."""
