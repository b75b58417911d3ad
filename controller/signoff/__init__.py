"""signoff keeps the evidence of model promotions and makes Kubernetes obey it."""
