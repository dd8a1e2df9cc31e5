"""Runs the weights: prefill and decode for any number of requests at once."""
