"""One folder per challenge: brief.md, baseline.txt, reference, cases and checks."""
