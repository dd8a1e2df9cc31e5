"""The machine code of a pass: weight formats, matrix products, attention, and the steps in their order."""
