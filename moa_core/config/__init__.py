"""A Mixture of Agents as a value: its parts, its JSON, and the formats that are read."""
