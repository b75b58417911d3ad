"""Keys in a key service: read `address`, then `signer`, then `failures`."""
