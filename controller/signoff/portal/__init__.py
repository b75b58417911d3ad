"""The portal: the approvers' desk in the browser. It holds no key, and decides nothing by itself."""
