"""All values of tensors, and what a format with a scale makes of them."""
