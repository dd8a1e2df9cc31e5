"""Model files: finding, fetching and reading them, with their tokenizer and chat template."""
