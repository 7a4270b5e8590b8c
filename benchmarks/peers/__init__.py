"""Programs that benchmarks compare with and that run in an interpreter of their own."""
