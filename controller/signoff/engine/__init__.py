"""The policy engine: what a policy decides by itself, in tier 3, through the same door as people."""
