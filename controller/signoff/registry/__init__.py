"""A model registry, read for a manifest: what stands there now, and on whose word. Nothing is ever written there.

`words` has the rules for what a registry says (pure), `client` asks it, `artifacts` fetches and hashes files. The registry's client is in
the extra ``mlflow`` of this package, and no other room imports it.
"""
