"""What runs in a cluster, and the gate's verdict on it: listed page by page (`listing`), read (`objects`), judged (`judging`), reported."""
