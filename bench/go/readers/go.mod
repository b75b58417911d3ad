module signoff.dev/bench/readers

go 1.26.0
