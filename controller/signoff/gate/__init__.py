"""The gate: which images a workload names (`reference`, `workloads`), what the archive holds of them (`memory`), and the verdict."""
